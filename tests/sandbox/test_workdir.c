/* SPDX-License-Identifier: MIT */
/* test_workdir.c - working directories below a public one: nobody's link or directory is taken for ours. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/sandbox.h"
#include "tests/support/check.h"
#include "tests/support/tempdir.h"

#define OTHER 64321
#define MINE  (uid_t) - 1, (gid_t)-1

static char dir[64], base[80], name[96];

static int setup(void **state)
{
	(void)state;
	tempdir_make(dir);
	chmod(dir, 01777);
	snprintf(base, sizeof base, "%s/base", dir);
	snprintf(name, sizeof name, "%s/agent", base);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tempdir_remove(dir);
	return 0;
}

static mode_t mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static void both_directories_are_made(void **state)
{
	(void)state;
	struct stat a, b;
	umask(0);
	autoclose int fd = sandbox_workdir(base, "agent", MINE, NULL);
	umask(077);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &a), 0);
	assert_int_equal(stat(name, &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(mode_of(base), 0711);
	assert_int_equal(mode_of(name), 0700);
	assert_int_equal(a.st_uid, geteuid());
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

static void they_are_opened_again(void **state)
{
	(void)state;
	umask(077); /* the base must be open to others all the same */
	autoclose int first = sandbox_workdir(base, "agent", MINE, NULL);
	autoclose int again = sandbox_workdir(base, "agent", MINE, NULL);
	assert_true(first >= 0 && again >= 0);
	assert_int_equal(mode_of(base), 0711);
}

static void trailing_slashes_are_harmless(void **state)
{
	(void)state;
	char with[96];
	snprintf(with, sizeof with, "%s//", base);
	autoclose int fd = sandbox_workdir(with, "agent", MINE, NULL);
	assert_true(fd >= 0);
}

static void refused(const char *b, const char *n, const char *word)
{
	struct err e = {0};
	assert_int_equal(sandbox_workdir(b, n, MINE, &e), -EACCES);
	assert_int_equal(e.code, ERR_SEC_VIOLATION);
	if (!strstr(e.msg, word))
		fail_msg("'%s' is not in: %s", word, e.msg);
}

static void a_link_as_base_is_refused(void **state)
{
	(void)state;
	assert_int_equal(symlink("/etc", base), 0);
	refused(base, "agent", "not a directory");
	assert_int_equal(access("/etc/agent", F_OK), -1);
}

static void a_dangling_link_as_base_is_refused(void **state)
{
	(void)state;
	char target[96];
	snprintf(target, sizeof target, "%s/elsewhere", dir);
	assert_int_equal(symlink(target, base), 0);
	refused(base, "agent", "not a directory");
	assert_int_equal(access(target, F_OK), -1);
}

static void a_file_as_base_is_refused(void **state)
{
	(void)state;
	close(open(base, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	refused(base, "agent", "not a directory");
}

static void a_base_that_others_can_write_is_refused(void **state)
{
	(void)state;
	mkdir(base, 0700);
	chmod(base, 01777);
	refused(base, "agent", "written by others");
}

static void somebody_elses_base_is_refused(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	mkdir(base, 0711);
	assert_int_equal(chown(base, OTHER, OTHER), 0);
	refused(base, "agent", "somebody else");
}

static void a_link_as_name_is_refused(void **state)
{
	(void)state;
	mkdir(base, 0711);
	assert_int_equal(symlink("/etc", name), 0);
	refused(base, "agent", "not a directory");
}

static void somebody_elses_name_is_refused(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	mkdir(base, 0711);
	mkdir(name, 0700);
	assert_int_equal(chown(name, OTHER, OTHER), 0);
	refused(base, "agent", "somebody else");
}

static void a_name_is_one_component(void **state)
{
	(void)state;
	const char *bad[] = {"", ".", "..", "a/b", "../a", "/etc"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		refused(base, bad[i], "no name");
}

static void a_missing_parent_is_an_error_that_names_it(void **state)
{
	(void)state;
	struct err e = {0};
	assert_int_equal(sandbox_workdir("/no/such/place", "agent", MINE, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "/no/such/place"));
}

static void root_gives_it_to_the_agents_user(void **state)
{
	(void)state;
	struct stat st;
	if (geteuid() != 0)
		skip();
	autoclose int fd = sandbox_workdir(base, "agent", OTHER, OTHER + 1, NULL);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_uid, OTHER);
	assert_int_equal(st.st_gid, OTHER + 1);
	autoclose int again = sandbox_workdir(base, "agent", OTHER, OTHER + 1, NULL);
	assert_true(again >= 0);
	refused(base, "agent", "somebody else"); /* and not to another one */
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(both_directories_are_made),
		T(they_are_opened_again),
		T(trailing_slashes_are_harmless),
		T(a_link_as_base_is_refused),
		T(a_dangling_link_as_base_is_refused),
		T(a_file_as_base_is_refused),
		T(a_base_that_others_can_write_is_refused),
		T(somebody_elses_base_is_refused),
		T(a_link_as_name_is_refused),
		T(somebody_elses_name_is_refused),
		T(a_name_is_one_component),
		T(a_missing_parent_is_an_error_that_names_it),
		T(root_gives_it_to_the_agents_user),
	};
	return cmocka_run_group_tests_name("workdir", tests, NULL, NULL);
}
