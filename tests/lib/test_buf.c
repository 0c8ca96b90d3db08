/* SPDX-License-Identifier: MIT */
/* test_buf.c - growing, the cap, sticking failures, JSON strings. */
#include <errno.h>
#include <jansson.h>

#include "lib/buf.h"
#include "tests/support/check.h"

static void grows_and_stays_a_string(void **state)
{
	(void)state;
	autobuf struct buf b;
	buf_init(&b, 1 << 20);
	assert_string_equal(b.data, "");
	for (int i = 0; i < 1000; i++)
		assert_int_equal(buf_printf(&b, "%d,", i), 0);
	assert_int_equal(b.len, 10 * 2 + 90 * 3 + 900 * 4);
	assert_int_equal(b.data[b.len], 0);
	assert_memory_equal(b.data + b.len - 8, "998,999,", 8);
	buf_clear(&b);
	assert_string_equal(b.data, "");
	buf_add(&b, NULL, 0);
	assert_int_equal(b.len, 0);
}

static void takes_max_bytes_and_not_one_more(void **state)
{
	(void)state;
	autobuf struct buf b;
	buf_init(&b, 100);
	for (int i = 0; i < 10; i++)
		assert_int_equal(buf_add(&b, "0123456789", 10), 0);
	assert_int_equal(b.len, 100);
	assert_int_equal(buf_add(&b, "x", 1), -EFBIG);
	assert_int_equal(b.fail, -EFBIG);
	assert_int_equal(b.len, 100);
	buf_clear(&b);
	assert_int_equal(b.fail, 0);
	assert_int_equal(buf_printf(&b, "%0101d", 1), -EFBIG);
	assert_int_equal(b.len, 0);
	buf_clear(&b);
	assert_int_equal(buf_add(&b, "", SIZE_MAX), -EFBIG);
	assert_int_equal(buf_reserve(&b, SIZE_MAX - 1), -EFBIG);
}

static void any_cap_is_a_cap(void **state)
{
	(void)state;
	autobuf struct buf b;
	buf_init(&b, SIZE_MAX);
	assert_int_equal(buf_adds(&b, "text"), 0);
	assert_int_equal(buf_reserve(&b, SIZE_MAX / 2), -EFBIG);
	autobuf struct buf none;
	buf_init(&none, 0);
	assert_int_equal(buf_adds(&none, ""), 0);
	assert_int_equal(buf_adds(&none, "x"), -EFBIG);
}

static void the_first_failure_stays(void **state)
{
	(void)state;
	autobuf struct buf b;
	buf_init(&b, 4);
	buf_adds(&b, "12345");
	buf_adds(&b, "1");
	assert_int_equal(b.fail, -EFBIG);
	assert_null(buf_take(&b, NULL));
}

static void gives_its_bytes_away(void **state)
{
	(void)state;
	autobuf struct buf b;
	size_t len = 7;
	buf_init(&b, 100);
	char *empty = buf_take(&b, &len);
	assert_non_null(empty);
	assert_string_equal(empty, "");
	assert_int_equal(len, 0);
	free(empty);
	buf_adds(&b, "mine");
	char *mine = buf_take(&b, &len);
	assert_string_equal(mine, "mine");
	assert_int_equal(len, 4);
	assert_int_equal(b.len, 0);
	free(mine);
}

static void json_strings_are_escaped(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"", "\"\""},
		{"plain", "\"plain\""},
		{"q\"b\\", "\"q\\\"b\\\\\""},
		{"\n\t\r", "\"\\n\\t\\r\""},
		{"\x01\x1b\x7f", "\"\\u0001\\u001b\\u007f\""},
		{"\xc2\x9b", "\"\\u009b\""},
		{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
		 "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
		{"\xff", "\"\xef\xbf\xbd\""},
		{"\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\""},                 /* overlong */
		{"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* surrogate */
		{"\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\""},                 /* cut */
		{"\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		autobuf struct buf b;
		buf_init(&b, 200);
		assert_int_equal(buf_json_string(&b, rows[i].in, strlen(rows[i].in)), 0);
		assert_string_equal(b.data, rows[i].out);
	}
}

static void every_two_bytes_make_a_string_that_jansson_reads(void **state)
{
	(void)state;
	autobuf struct buf b;
	buf_init(&b, 200);
	for (unsigned i = 0; i < 65536; i++) {
		char in[3] = {(char)(i >> 8), (char)i, 'z'};
		buf_clear(&b);
		assert_int_equal(buf_json_string(&b, in, 3), 0);
		json_t *j = json_loadb(b.data, b.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		assert_non_null(j);
		assert_int_equal(json_string_value(j)[json_string_length(j) - 1], 'z');
		json_decref(j);
	}
}

static void a_json_string_that_does_not_fit_fails(void **state)
{
	(void)state;
	for (size_t max = 0; max < 12; max++) {
		autobuf struct buf b;
		buf_init(&b, max);
		assert_int_equal(buf_json_string(&b, "a\n\xc3\xa9\x01", 5), -EFBIG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_and_stays_a_string),
		cmocka_unit_test(takes_max_bytes_and_not_one_more),
		cmocka_unit_test(any_cap_is_a_cap),
		cmocka_unit_test(the_first_failure_stays),
		cmocka_unit_test(gives_its_bytes_away),
		cmocka_unit_test(json_strings_are_escaped),
		cmocka_unit_test(every_two_bytes_make_a_string_that_jansson_reads),
		cmocka_unit_test(a_json_string_that_does_not_fit_fails),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
