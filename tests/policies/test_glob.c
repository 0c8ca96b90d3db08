/* SPDX-License-Identifier: MIT */
/* test_glob.c - patterns: what the manual says of each sign, and millions of random ones against a matcher that tries
 * every way. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/mem.h"

#include "policies/glob.h"
#include "tests/policies/naive.h"
#include "tests/support/check.h"

static bool matches(const char *pattern, const char *text)
{
	struct glob *g;
	struct err e;
	if (glob_new(&g, pattern, &e) < 0)
		fail_msg("'%s': %s", pattern, e.msg);
	bool yes = glob_match(g, text, strlen(text));
	glob_free(g);
	return yes;
}

static void each_sign_does_what_the_manual_says(void **state)
{
	static const struct {
		const char *pattern, *yes, *no; /* words with a space between */
	} rows[] = {
		{"/tmp/*", "/tmp/a /tmp/.x", "/tmp /tmp/a/b /tmpx/a"},
		{"/tmp/**", "/tmp /tmp/ /tmp/a /tmp/a/b/.c", "/tmpx /tm /x/tmp/a"},
		{"/a/**/b", "/a/b /a/x/b /a/x/y/b", "/ab /a/xb /b /a/b/c"},
		{"**/b", "b x/b /b /x/y/b", "xb b/c"},
		{"**", "a /a/b . /", ""},
		{"/a**z", "/az /a/b/z /abz", "/a /b/z"},
		{"?", "a . -", "/ ab"},
		{"[a-c]x", "ax bx cx", "dx x /x ax/"},
		{"[!a-c]x", "dx -x", "ax /x"},
		{"[]]x", "]x", "[x"},
		{"[\\]a]x", "]x ax", "\\x"},
		{"[a-]x", "ax -x", "bx"},
		{"\\*x", "*x", "ax x"},
		{"{a,b}", "{a,b}", "a b"},
		{"A", "A", "a"},
		{"a*b*c", "abc axbxc abbcbc", "ab acb abcd"},
		{"/*/x", "/a/x //x", "/a/b/x /x"},
		{"/x/**/**/y", "/x/y /x/a/y /x/a/b/y", "/xy"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (int no = 0; no < 2; no++) {
			char words[128], *save = NULL;
			snprintf(words, sizeof words, "%s", no ? rows[i].no : rows[i].yes);
			for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
				if (matches(rows[i].pattern, w) == no)
					fail_msg("'%s' %s '%s'", rows[i].pattern, no ? "matches" : "does not match", w);
		}
	assert_true(matches("*", ""));
	assert_true(matches("**", ""));
	assert_false(matches("?", ""));
}

static void what_is_no_pattern_is_refused(void **state)
{
	static const char *const wrong[] = {"", "[", "[a", "[]", "[z-a]", "x\\", "[\\"};
	struct glob *g;
	struct err e;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_int_equal(glob_new(&g, wrong[i], &e), -EINVAL);
		assert_non_null(strstr(e.msg, "pattern"));
	}
	char *large = malloc(GLOB_MAX + 1);
	memset(large, 'a', GLOB_MAX);
	large[GLOB_MAX] = 0;
	assert_int_equal(glob_new(&g, large, &e), -EFBIG);
	free(large);
}

static void random_patterns_agree_with_one_that_tries_every_way(void **state)
{
	static const char signs[] = "ab//**?", letters[] = "ab/";
	unsigned seed = 11, yes = 0;
	(void)state;
	for (unsigned i = 0; i < 1000000; i++) {
		char p[12] = "", s[12] = "";
		unsigned pn = 1 + (unsigned)rand_r(&seed) % 9, sn = (unsigned)rand_r(&seed) % 10;
		for (unsigned k = 0; k < pn; k++)
			p[k] = signs[(unsigned)rand_r(&seed) % 7];
		for (unsigned k = 0; k < sn; k++)
			s[k] = letters[(unsigned)rand_r(&seed) % 3];
		if (strstr(p, "***"))
			continue; /* as two, but the oracle is not told */
		bool ours = matches(p, s), want = naive_glob(p, s, true);
		if (strcmp(p, "/**") == 0 && !*s)
			want = false; /* nothing stands before the slash */
		if (ours != want)
			fail_msg("'%s' over '%s': %d, not %d", p, s, ours, want);
		yes += ours;
	}
	assert_true(yes > 10000);
}

static void no_pattern_makes_it_slow(void **state)
{
	char s[4096];
	autobuf struct buf p;
	(void)state;
	buf_init(&p, GLOB_MAX);
	for (unsigned i = 0; i < 300; i++)
		buf_adds(&p, i % 2 ? "*a" : "**");
	buf_adds(&p, "b");
	memset(s, 'a', sizeof s);
	s[sizeof s - 1] = 0;
	assert_false(matches(p.data, s)); /* a matcher that goes back would not end in years */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_sign_does_what_the_manual_says),
		cmocka_unit_test(what_is_no_pattern_is_refused),
		cmocka_unit_test(random_patterns_agree_with_one_that_tries_every_way),
		cmocka_unit_test(no_pattern_makes_it_slow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
