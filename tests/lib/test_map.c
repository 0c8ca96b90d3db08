/* SPDX-License-Identifier: MIT */
/* test_map.c - the string map against a plain array, through many random steps. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/map.h"
#include "lib/sys.h"
#include "tests/support/check.h"

static void put_get_del(void **state)
{
	(void)state;
	struct map m = {0};
	int one, two;
	assert_null(map_get(&m, "a", 1));
	assert_null(map_del(&m, "a"));
	assert_int_equal(map_put(&m, "a", &one), 0);
	assert_int_equal(map_put(&m, "", &two), 0);
	assert_int_equal(map_put(&m, "a", &two), -EEXIST);
	assert_ptr_equal(map_get(&m, "a", 1), &one);
	assert_ptr_equal(map_get(&m, "abc", 1), &one); /* by length, no NUL needed */
	assert_ptr_equal(map_get(&m, "", 0), &two);
	assert_null(map_get(&m, "abc", 2));
	assert_ptr_equal(map_del(&m, "a"), &one);
	assert_null(map_get(&m, "a", 1));
	assert_int_equal(m.n, 1);
	map_done(&m);
	assert_null(map_get(&m, "", 0));
}

static void agrees_with_an_array(void **state)
{
	(void)state;
	enum { keys = 2000, steps = 200000 };
	static char names[keys][8];
	static bool in[keys];
	struct map m = {0};
	unsigned seed = 5;
	size_t n = 0;
	for (int i = 0; i < keys; i++)
		snprintf(names[i], sizeof names[i], "k%d", i);
	for (int i = 0; i < steps; i++) {
		/* The share of keys that are in rises and falls, so that the map grows and empties. */
		int k = rand_r(&seed) % keys;
		bool add = rand_r(&seed) % 100 < (i / 20000 % 2 ? 20 : 80);
		if (add) {
			assert_int_equal(map_put(&m, names[k], names[k]), in[k] ? -EEXIST : 0);
			n += !in[k];
			in[k] = true;
		} else {
			assert_ptr_equal(map_del(&m, names[k]), in[k] ? names[k] : NULL);
			n -= in[k];
			in[k] = false;
		}
		assert_int_equal(m.n, n);
	}
	for (int k = 0; k < keys; k++)
		assert_ptr_equal(map_get(&m, names[k], strlen(names[k])), in[k] ? names[k] : NULL);
	assert_true(m.cap <= 8192); /* tombstones do not make it grow */
	map_done(&m);
}

static void putting_and_deleting_for_ever_needs_no_more_room(void **state)
{
	(void)state;
	struct map m = {0};
	char key[2][16];
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(key[i % 2], sizeof key[0], "%u", i);
		assert_int_equal(map_put(&m, key[i % 2], key), 0);
		assert_ptr_equal(map_del(&m, key[i % 2]), key);
	}
	assert_int_equal(m.n, 0);
	assert_true(m.cap <= 32);
	map_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(put_get_del),
		cmocka_unit_test(agrees_with_an_array),
		cmocka_unit_test(putting_and_deleting_for_ever_needs_no_more_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
