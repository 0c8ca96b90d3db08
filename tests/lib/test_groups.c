/* SPDX-License-Identifier: MIT */
/* test_groups.c - interned sets of group ids. */
#include <errno.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/groups.h"
#include "lib/mem.h"
#include "tests/support/check.h"

static void same_members_are_one_set(void **state)
{
	(void)state;
	const gid_t a[] = {7, 3, 5}, b[] = {5, 7, 3, 3}, c[] = {3, 5};
	const struct groups *g = groups_intern(a, ARRAY_LEN(a));
	assert_non_null(g);
	assert_ptr_equal(g, groups_intern(b, ARRAY_LEN(b)));
	assert_ptr_not_equal(g, groups_intern(c, ARRAY_LEN(c)));
}

static void members_are_found(void **state)
{
	(void)state;
	const gid_t a[] = {70000, 3, 0, (gid_t)-2};
	const struct groups *g = groups_intern(a, ARRAY_LEN(a));
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		assert_true(groups_has(g, a[i]));
	assert_false(groups_has(g, 4));
	assert_false(groups_has(g, (gid_t)-1));
}

static void the_empty_set_has_nobody(void **state)
{
	(void)state;
	assert_null(groups_intern(NULL, 0));
	assert_false(groups_has(NULL, 0));
}

static void a_peer_has_its_groups(void **state)
{
	(void)state;
	gid_t many[400];
	int sv[2];
	char byte;
	if (geteuid() != 0)
		skip(); /* only root may choose its groups */
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = 5000 + (gid_t)i;
	assert_int_equal(pipe(sv), 0);
	for (size_t n = 1; n <= ARRAY_LEN(many); n += ARRAY_LEN(many) - 1) {
		int pair[2];
		pid_t pid = fork();
		if (pid == 0) { /* the groups of a socket pair are those at its making */
			_exit(setgroups(n, many) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 ||
			      !groups_has(groups_of_peer(pair[0]), many[n - 1]) ||
			      groups_has(groups_of_peer(pair[0]), 4999) || write(sv[1], "x", 1) != 1);
		}
		int status;
		waitpid(pid, &status, 0);
		assert_int_equal(status, 0);
		assert_int_equal(read(sv[0], &byte, 1), 1);
	}
}

static void past_the_cap_nothing_is_kept(void **state)
{
	(void)state;
	for (gid_t i = 0; i < GROUPS_SETS_MAX; i++)
		groups_intern(&(gid_t){100000 + i}, 1);
	assert_null(groups_intern(&(gid_t){999999}, 1));
	assert_non_null(groups_intern(&(gid_t){100000}, 1)); /* known before */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_members_are_one_set),
		cmocka_unit_test(members_are_found),
		cmocka_unit_test(the_empty_set_has_nobody),
		cmocka_unit_test(a_peer_has_its_groups),
		cmocka_unit_test(past_the_cap_nothing_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
