/* SPDX-License-Identifier: MIT */
/* test_footprint.c - text that is given back is out of the resident set and works on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "lib/footprint.h"
#include "lib/value.h"

static long file_kb(void)
{
	char line[256];
	long kb = -1;
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "RssFile: %ld", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb;
}

static void parse_something(void)
{
	struct value *v = NULL;
	static const char text[] = "a = [1, 2.5, \"x\"]\n[t]\nb = true\n";
	assert_int_equal(value_parse(VALUE_TOML, text, strlen(text), &v, NULL, NULL), 0);
	value_free(v);
}

static void text_goes_and_comes_back(void **state)
{
	(void)state;
	parse_something();
	long before = file_kb();
	if (before < 0)
		skip(); /* a kernel that does not tell */
	footprint_trim();
	assert_true(file_kb() < before);
	parse_something();
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(text_goes_and_comes_back)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
