/* SPDX-License-Identifier: MIT */
/* test_tokens.c - which terms a text gives. */
#include <errno.h>
#include <string.h>

#include "lib/buf.h"
#include "tests/support/check.h"
#include "vectors/tokens.h"

static int join(void *arg, const char *term, size_t len)
{
	struct buf *b = arg;
	assert_int_equal(strlen(term), len);
	return buf_printf(b, "%s%s", b->len ? " " : "", term);
}

static void gives(const char *text, size_t len, const char *terms)
{
	struct tokens *t;
	autobuf struct buf b;
	buf_init(&b, 1 << 20);
	assert_int_equal(tokens_new(&t, NULL), 0);
	assert_int_equal(tokens_each(t, text, len, join, &b), 0);
	assert_string_equal(b.data, terms);
	tokens_free(t);
}

static const struct {
	const char *text, *terms;
} cases[] = {
	{"", ""},
	{" \n\t.,;", ""},
	{"The quick brown foxes are jumping", "quick brown fox jump"},
	{"running RUNNING Runs", "run run run"},
	{"the of and", ""},
	{"memory_mb", "memory_mb memori mb"},
	{"_memory__mb_", "memory__mb memori mb"},
	{"maxMemoryMb", "maxmemorymb max memori mb"},
	{"HTTPServer parseURL URLs", "httpserver http server parseurl pars url url"},
	{"sha256 x86_64 v2", "sha256 x86_64 x86 64 v2"},
	{"don't John's dogs' 'quoted'", "don't john dog quot"},
	{"a_b", "a_b b"},
	{"Stra\xc3\x9f" "e \xc3\x9c" "ber \xd0\x9c\xd0\x9e\xd0\xa1\xd0\x9a\xd0\x92\xd0\x90", "stra\xc3\x9f" "e \xc3\xbc" "ber \xd0\xbc\xd0\xbe\xd1\x81\xd0\xba\xd0\xb2\xd0\xb0"},
	{"\xe6\x9d\xb1\xe4\xba\xac\xe9\x83\xbd", "\xe6\x9d\xb1\xe4\xba\xac \xe4\xba\xac\xe9\x83\xbd"},
	{"\xe6\x9d\xb1 x1", "\xe6\x9d\xb1 x1"},
	{"bad\xff" "byte \xc3", "bad byte"},
	{"10.0.0.1 /etc/passwd foo.bar(baz)", "10 0 0 1 etc passwd foo bar baz"},
	{"one-two", "one two"},
};

static void texts_give_terms(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		gives(cases[i].text, strlen(cases[i].text), cases[i].terms);
}

static void noise_gives_nothing(void **state)
{
	(void)state;
	char text[300];
	memset(text, 'a', sizeof text);
	gives(text, sizeof text, "");
	memcpy(text + 200, " end", 4);
	memset(text + 204, ' ', sizeof text - 204);
	gives(text, sizeof text, "end");
	memset(text, 'x', TOKEN_MAX);
	text[TOKEN_MAX] = 0;
	gives(text, TOKEN_MAX, text);
	memset(text, 0, sizeof text);
	gives(text, sizeof text, "");
}

static int stop(void *arg, const char *term, size_t len)
{
	(void)term, (void)len;
	return ++*(int *)arg == 2 ? -ECANCELED : 0;
}

static void a_negative_return_stops(void **state)
{
	(void)state;
	struct tokens *t;
	int n = 0;
	autobuf struct buf b;
	buf_init(&b, 100);
	assert_int_equal(tokens_new(&t, NULL), 0);
	assert_int_equal(tokens_each(t, "one two three fourFive six", 26, stop, &n), -ECANCELED);
	assert_int_equal(n, 2);
	assert_int_equal(tokens_each(t, "seven", 5, join, &b), 0); /* nothing is left of the text before */
	assert_string_equal(b.data, "seven");
	tokens_free(t);
}

struct only {
	struct buf all, found;
	const char *term;
};

static int note(void *arg, const char *term, size_t len)
{
	struct only *o = arg;
	if (strlen(o->term) == len && memcmp(term, o->term, len) == 0)
		buf_add(&o->found, "+", 1);
	return 0;
}

/* A term that is wanted is given as often as when all are. */
static void wanted_terms_are_all_given(void **state)
{
	(void)state;
	static const char text[] = "Skies and the sky, dying to die; ties tied by a tie. memory_mb of maxMemory, a b_c x1 running runs ran "
				   "\xc3\xbc" "ber generously generated";
	struct tokens *t;
	struct only o = {0};
	buf_init(&o.all, 4096);
	buf_init(&o.found, 4096);
	assert_int_equal(tokens_new(&t, NULL), 0);
	assert_int_equal(tokens_each(t, text, sizeof text - 1, join, &o.all), 0);
	char *save = NULL;
	for (char *term = strtok_r(o.all.data, " ", &save); term; term = strtok_r(NULL, " ", &save)) {
		struct tokens_wanted w = {0};
		o.term = term;
		tokens_want(&w, term, strlen(term));
		assert_int_equal(tokens_each(t, text, sizeof text - 1, note, &o), 0);
		size_t often = o.found.len;
		buf_clear(&o.found);
		tokens_only(t, &w);
		assert_int_equal(tokens_each(t, text, sizeof text - 1, note, &o), 0);
		tokens_only(t, NULL);
		if (o.found.len != often || !often)
			fail_msg("'%s': %zu times, not %zu", term, o.found.len, often);
		buf_clear(&o.found);
	}
	buf_done(&o.all);
	buf_done(&o.found);
	tokens_free(t);
}

/* Every sequence of bytes is taken apart in the same way as the standard says: no overlong forms, no surrogates. */
static void utf8_is_strict(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		unsigned c, used;
	} utf8[] = {
		{"A", 'A', 1}, {"\xc3\xbc", 0xfc, 2}, {"\xe2\x82\xac", 0x20ac, 3}, {"\xf0\x9f\x98\x80", 0x1f600, 4},
		{"\xc0\x80", 0xfffd, 1}, {"\xe0\x80\x80", 0xfffd, 1}, {"\xed\xa0\x80", 0xfffd, 1},
		{"\xf4\x90\x80\x80", 0xfffd, 1}, {"\xf5\x80\x80\x80", 0xfffd, 1}, {"\x80", 0xfffd, 1}, {"\xe2\x82", 0xfffd, 1},
		{"\xe2\x82" "A", 0xfffd, 1},
	};
	for (size_t i = 0; i < sizeof utf8 / sizeof *utf8; i++) {
		const char *p = utf8[i].bytes;
		assert_int_equal(utf8_next(&p, p + strlen(p)), utf8[i].c);
		assert_int_equal(p - utf8[i].bytes, utf8[i].used);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_give_terms),
		cmocka_unit_test(noise_gives_nothing),
		cmocka_unit_test(a_negative_return_stops),
		cmocka_unit_test(wanted_terms_are_all_given),
		cmocka_unit_test(utf8_is_strict),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
