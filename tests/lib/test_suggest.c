/* SPDX-License-Identifier: MIT */
/* test_suggest.c - the nearest known word. */
#include <string.h>

#include "lib/mem.h"
#include "lib/suggest.h"
#include "tests/support/check.h"

static const char *nearest(struct suggest *s, const char *word)
{
	static const char *const known[] = {"memory_mb", "cpu_cores", "tier", "sh", "Tier1", "Tier2"};
	suggest_init(s, word);
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		suggest_try(s, known[i]);
	return suggest_best(s);
}

static void one_or_two_edits_are_near(void **state)
{
	(void)state;
	struct suggest s;
	assert_string_equal(nearest(&s, "memory_mp"), "memory_mb"); /* replaced */
	assert_string_equal(nearest(&s, "memry_mb"), "memory_mb");  /* left out */
	assert_string_equal(nearest(&s, "memoryy_mb"), "memory_mb"); /* too many */
	assert_string_equal(nearest(&s, "mmeory_mb"), "memory_mb"); /* swapped */
	assert_string_equal(nearest(&s, "memoy_m"), "memory_mb");   /* two */
	assert_string_equal(nearest(&s, "CPU-CORES"), "cpu_cores");
	assert_string_equal(nearest(&s, "teir"), "tier");
	assert_string_equal(nearest(&s, "Teir2"), "Tier2");
	assert_string_equal(suggest_text(&s), "; did you mean 'Tier2'?");
}

static void what_is_far_gets_no_suggestion(void **state)
{
	(void)state;
	struct suggest s;
	char long_word[200];
	assert_null(nearest(&s, "bash")); /* two edits of four letters */
	assert_string_equal(suggest_text(&s), "");
	assert_null(nearest(&s, "memory"));
	assert_null(nearest(&s, "description"));
	memset(long_word, 'x', sizeof long_word);
	long_word[sizeof long_word - 1] = 0;
	assert_null(nearest(&s, long_word));
	suggest_init(&s, "word");
	suggest_try(&s, long_word);
	assert_null(suggest_best(&s));
	suggest_init(&s, "word");
	assert_null(suggest_best(&s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_or_two_edits_are_near),
		cmocka_unit_test(what_is_far_gets_no_suggestion),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
