/* SPDX-License-Identifier: MIT */
/* test_parse.c - tables of what is accepted, with its value, and what is refused. */
#include <errno.h>
#include <float.h>

#include "lib/mem.h"
#include "lib/parse.h"
#include "tests/support/check.h"

#define U64 UINT64_MAX
#define BAD (UINT64_MAX - 7) /* in a table: refused */

struct row {
	const char *text;
	uint64_t value;
};

typedef int parser(const char *s, uint64_t min, uint64_t max, uint64_t *ret, struct err *e);

static void check_rows(const struct row *rows, size_t n, parser *parse)
{
	for (size_t i = 0; i < n; i++) {
		struct err e = {0};
		uint64_t got = 4711;
		int r = parse(rows[i].text, 0, U64, &got, &e);
		if (rows[i].value == BAD
			    ? r != -EINVAL || got != 4711 || e.code != ERR_TEXT_VALUE ||
				      !strstr(e.msg, rows[i].text)
			    : r != 0 || got != rows[i].value || e.code)
			fail_msg("'%s': %d, %llu, %s", rows[i].text, r, (unsigned long long)got,
				 e.msg);
	}
}

static void whole_numbers(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"0", 0},     {"7", 7},       {"007", 7},     {"18446744073709551615", U64},
		{"", BAD},    {"-1", BAD},    {"+1", BAD},    {"18446744073709551616", BAD},
		{" 1", BAD},  {"1 ", BAD},    {"1.0", BAD},   {"99999999999999999999999", BAD},
		{"0x1", BAD}, {"1e3", BAD},   {"1,000", BAD}, {"\xd9\xa1", BAD},
		{"1\n", BAD}, {"eleven", BAD}};
	check_rows(rows, ARRAY_LEN(rows), parse_u64);
	uint64_t v;
	struct err e;
	assert_int_equal(parse_u64("5", 5, 5, &v, NULL), 0);
	assert_int_equal(parse_u64("4", 5, 9, &v, &e), -EINVAL);
	assert_int_equal(parse_u64("10", 5, 9, &v, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "from 5 to 9"));
}

static void signed_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t value;
		int r;
	} rows[] = {{"0", 0, 0},
		    {"-0", 0, 0},
		    {"-5", -5, 0},
		    {"9223372036854775807", INT64_MAX, 0},
		    {"-9223372036854775808", INT64_MIN, 0},
		    {"9223372036854775808", 0, -EINVAL},
		    {"-9223372036854775809", 0, -EINVAL},
		    {"--5", 0, -EINVAL},
		    {"+5", 0, -EINVAL},
		    {"-", 0, -EINVAL},
		    {"", 0, -EINVAL}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t v = 0;
		assert_int_equal(parse_i64(rows[i].text, INT64_MIN, INT64_MAX, &v, NULL),
				 rows[i].r);
		assert_true(v == rows[i].value);
	}
	int64_t v;
	assert_int_equal(parse_i64("-6", -5, 5, &v, NULL), -EINVAL);
	assert_int_equal(parse_i64("6", -5, 5, &v, NULL), -EINVAL);
}

static void real_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		double value;
		int r;
	} rows[] = {{"0.5", 0.5, 0},       {"2", 2, 0},          {"-1e3", -1000, 0},
		    {"+1.5", 1.5, 0},      {".5", .5, 0},        {"5.", 5, 0},
		    {"1E-2", 0.01, 0},     {"nan", 0, -EINVAL},  {"inf", 0, -EINVAL},
		    {"1e999", 0, -EINVAL}, {"0x10", 0, -EINVAL}, {"", 0, -EINVAL},
		    {".", 0, -EINVAL},     {"1e", 0, -EINVAL},   {"1.2.3", 0, -EINVAL},
		    {" 1", 0, -EINVAL},    {"1 ", 0, -EINVAL},   {"1,5", 0, -EINVAL}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		double v = 0;
		if (parse_double(rows[i].text, -DBL_MAX, DBL_MAX, &v, NULL) != rows[i].r ||
		    v != rows[i].value)
			fail_msg("'%s': %g", rows[i].text, v);
	}
	double v;
	assert_int_equal(parse_double("0.05", 0.1, 64, &v, NULL), -EINVAL);
	assert_int_equal(parse_double("64.1", 0.1, 64, &v, NULL), -EINVAL);
}

static void booleans(void **state)
{
	(void)state;
	static const char *const yes[] = {"true", "yes", "on", "1", "TRUE", "Yes"};
	static const char *const no[] = {"false", "no", "off", "0", "False", "OFF"};
	static const char *const neither[] = {"", "2", "y", "truely", " true", "enabled"};
	bool v;
	for (size_t i = 0; i < 6; i++) {
		assert_true(parse_bool(yes[i], &v, NULL) == 0 && v);
		assert_true(parse_bool(no[i], &v, NULL) == 0 && !v);
		assert_int_equal(parse_bool(neither[i], &v, NULL), -EINVAL);
	}
}

static void sizes(void **state)
{
	(void)state;
	static const struct row rows[] = {{"0", 0},
					  {"512", 512},
					  {"1k", 1024},
					  {"1K", 1024},
					  {"1KB", 1024},
					  {"1KiB", 1024},
					  {"512MB", 512u << 20},
					  {"8 GiB", 8ull << 30},
					  {"2T", 2ull << 40},
					  {"512mb", 512u << 20},
					  {"10B", 10},
					  {"16777215T", 16777215ull << 40},
					  {"", BAD},
					  {"MB", BAD},
					  {"1.5G", BAD},
					  {"-1", BAD},
					  {"512 ", BAD},
					  {" 512", BAD},
					  {"1KBB", BAD},
					  {"1X", BAD},
					  {"1iB", BAD},
					  {"16777216T", BAD},
					  {"1 K B", BAD},
					  {"18446744073709551616", BAD},
					  {"000000000000000000000000001", BAD}};
	check_rows(rows, ARRAY_LEN(rows), parse_size);
	uint64_t v;
	assert_int_equal(parse_size("1M", 0, (1u << 20) - 1, &v, NULL), -EINVAL);
	assert_int_equal(parse_size("1M", 1u << 20, 1u << 20, &v, NULL), 0);
}

static void durations(void **state)
{
	(void)state;
	static const struct row rows[] = {{"60s", 60000},
					  {"5m", 300000},
					  {"250ms", 250},
					  {"90", 90000},
					  {"1h30m", 5400000},
					  {"2d", 172800000},
					  {"0", 0},
					  {"0s", 0},
					  {"1h1m1s1ms", 3661001},
					  {"5000000000ms", 5000000000},
					  {"18446744073709551615ms", U64},
					  {"", BAD},
					  {"s", BAD},
					  {"1h30", BAD},
					  {"-5s", BAD},
					  {"5 s", BAD},
					  {"5S", BAD},
					  {"1.5h", BAD},
					  {"5sec", BAD},
					  {"18446744073709551616ms", BAD},
					  {"18446744073709551615s", BAD},
					  {"18446744073709551615ms1ms", BAD},
					  {"1hm", BAD},
					  {"60s ", BAD},
					  {"1w", BAD}};
	check_rows(rows, ARRAY_LEN(rows), parse_duration_ms);
	uint64_t v;
	struct err e;
	assert_int_equal(parse_duration_ms("2h", 1000, 3600000, &v, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "from 1s to 1h"));
}

static void a_formatted_duration_reads_back(void **state)
{
	(void)state;
	static const struct {
		uint64_t ms;
		const char *text;
	} rows[] = {{0, "0s"},          {1, "1ms"},         {250, "250ms"},  {1000, "1s"},
		    {60000, "1m"},      {61001, "1m1s1ms"}, {3600000, "1h"}, {5400000, "1h30m"},
		    {172800000, "48h"}, {3600001, "1h1ms"}};
	char text[32];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		format_duration_ms(rows[i].ms, text);
		assert_string_equal(text, rows[i].text);
	}
	for (uint64_t ms = 1; ms < UINT64_MAX / 7; ms = ms * 7 + 3) {
		uint64_t back = 0;
		format_duration_ms(ms, text);
		assert_int_equal(parse_duration_ms(text, 0, U64, &back, NULL), 0);
		assert_true(back == ms);
	}
	format_duration_ms(U64, text);
	uint64_t back = 0;
	assert_int_equal(parse_duration_ms(text, 0, U64, &back, NULL), 0);
	assert_true(back == U64);
}

static void names(void **state)
{
	(void)state;
	static const char *const good[] = {"a", "A-b_c.9", "0", "a..b", "x.yaml"};
	static const char *const bad[] = {"",    ".",        "..", ".a", "-a", "a b", "a/b",
					  "a\n", "\xc3\xa9", "a$", "a*", "a'", "~"};
	char longest[NAME_LEN_MAX + 2];
	memset(longest, 'n', sizeof longest);
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(name_ok(good[i], strlen(good[i])));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(name_ok(bad[i], strlen(bad[i])));
	assert_true(name_ok(longest, NAME_LEN_MAX));
	assert_false(name_ok(longest, NAME_LEN_MAX + 1));
	assert_false(name_ok("a\0b", 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_numbers),
		cmocka_unit_test(signed_numbers),
		cmocka_unit_test(real_numbers),
		cmocka_unit_test(booleans),
		cmocka_unit_test(sizes),
		cmocka_unit_test(durations),
		cmocka_unit_test(a_formatted_duration_reads_back),
		cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
