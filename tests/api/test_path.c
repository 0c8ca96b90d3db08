/* SPDX-License-Identifier: MIT */
/* test_path.c - paths and ranges of requests. */
#include <errno.h>
#include <string.h>

#include "api/path.h"
#include "lib/mem.h"
#include "tests/support/check.h"

static void paths_are_decoded(void **state)
{
	(void)state;
	static const struct {
		const char *raw, *path;
	} rows[] = {
		{"", ""},
		{"/", ""},
		{"/agents", "agents"},
		{"/agents/", "agents"},
		{"/agents/greet.yaml", "agents/greet.yaml"},
		{"/a%20b", "a b"},
		{"/%41%4a%4A", "AJJ"},
		{"/%c3%a4", "\xc3\xa4"},
		{"/%25", "%"},
		{"/a+b", "a+b"},
		{"/...", "..."},
		{"/.check", ".check"},
		{"/%ff/x", "\xff/x"},
	};
	char out[4096];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = {0};
		assert_int_equal(path_decode(rows[i].raw, out, sizeof out, &e), 0);
		assert_string_equal(out, rows[i].path);
	}
}

static void bad_paths_are_refused(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"//",     "/a//b",  "/a//",  "/.",     "/..",  "/a/../b", "/%2e%2e/x",
		"/a/%2E", "/%",     "/%4",   "/%4g",   "/%g4", "/%00",    "/a%00b",
		"/a%2fb", "/a%2Fb", "/%%41", "/a/./b", "/a/%",
	};
	char out[4096];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = {0};
		assert_int_equal(path_decode(rows[i], out, sizeof out, &e), -EINVAL);
		assert_int_equal(e.code, ERR_API_REQUEST);
	}
}

static void a_component_has_at_most_255_bytes(void **state)
{
	(void)state;
	char raw[300] = "/", out[4096];
	memset(raw + 1, 'a', 255);
	assert_int_equal(path_decode(raw, out, sizeof out, NULL), 0);
	assert_int_equal(strlen(out), 255);
	raw[256] = 'a';
	assert_int_equal(path_decode(raw, out, sizeof out, NULL), -ENAMETOOLONG);
	memcpy(raw + 256, "/b", 3); /* the limit is the component's, not the path's */
	assert_int_equal(path_decode(raw, out, sizeof out, NULL), 0);
}

/* What does not fit is refused, and not a byte is written behind the end. */
static void the_buffer_is_a_limit(void **state)
{
	(void)state;
	char out[16];
	for (size_t cap = 2; cap < 12; cap++) {
		memset(out, 'X', sizeof out);
		int r = path_decode("/ab/cd/ef", out, cap, NULL);
		assert_int_equal(r, cap > 9 ? 0 : -ENAMETOOLONG);
		for (size_t i = cap; i < sizeof out; i++)
			assert_int_equal(out[i], 'X');
	}
}

static void ranges_are_cut_to_the_text(void **state)
{
	(void)state;
	static const struct {
		const char *header;
		uint64_t size;
		int r;
		uint64_t from, len;
		bool partial;
	} rows[] = {
		{NULL, 10, 0, 0, 10, false},
		{"bytes=0-3", 10, 0, 0, 4, true},
		{"bytes=4-", 10, 0, 4, 6, true},
		{"bytes=9-9", 10, 0, 9, 1, true},
		{"bytes=4-100", 10, 0, 4, 6, true},
		{"bytes=4-18446744073709551615", 10, 0, 4, 6, true},
		{"bytes=-3", 10, 0, 7, 3, true},
		{"bytes=-30", 10, 0, 0, 10, true},
		{"bytes=10-", 10, -ERANGE, 0, 10, false},
		{"bytes=0-", 0, -ERANGE, 0, 0, false},
		{"bytes=-0", 10, -ERANGE, 0, 10, false},
		{"bytes=-5", 0, -ERANGE, 0, 0, false},
		/* not understood: the whole text */
		{"bytes=", 10, 0, 0, 10, false},
		{"bytes=-", 10, 0, 0, 10, false},
		{"bytes=a-b", 10, 0, 0, 10, false},
		{"bytes=5-4", 10, 0, 0, 10, false},
		{"bytes=0-1,3-4", 10, 0, 0, 10, false},
		{"bytes=0-1 ", 10, 0, 0, 10, false},
		{"bytes=99999999999999999999-", 10, 0, 0, 10, false},
		{"lines=0-1", 10, 0, 0, 10, false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct range g;
		assert_int_equal(range_parse(rows[i].header, rows[i].size, &g), rows[i].r);
		assert_int_equal(g.from, rows[i].from);
		assert_int_equal(g.len, rows[i].len);
		assert_int_equal(g.partial, rows[i].partial);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_decoded),
		cmocka_unit_test(bad_paths_are_refused),
		cmocka_unit_test(a_component_has_at_most_255_bytes),
		cmocka_unit_test(the_buffer_is_a_limit),
		cmocka_unit_test(ranges_are_cut_to_the_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
