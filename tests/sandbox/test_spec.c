/* SPDX-License-Identifier: MIT */
/* test_spec.c - tiers, and what may be started: the allow-list goes by the file, whatever it is called. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/spec.h"
#include "tests/support/check.h"
#include "tests/support/tempdir.h"

static char dir[64];

static void path_of(char out[static 128], const char *name)
{
	snprintf(out, 128, "%s/%s", dir, name);
}

static void make(const char *name, mode_t mode)
{
	char path[128];
	path_of(path, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && fchmod(fd, mode) == 0);
	close(fd);
}

static int setup(void **state)
{
	(void)state;
	char from[128];
	tempdir_make(dir);
	make("prog", 0755);
	make("other", 0755);
	make("data", 0644);
	path_of(from, "sub");
	mkdir(from, 0755);
	path_of(from, "link");
	assert_int_equal(symlink("prog", from), 0);
	path_of(from, "link2");
	assert_int_equal(symlink("sub/../link", from), 0);
	path_of(from, "gone");
	assert_int_equal(symlink("nothing", from), 0);
	path_of(from, "loop");
	assert_int_equal(symlink("loop", from), 0);
	path_of(from, "hard");
	char to[128];
	path_of(to, "prog");
	assert_int_equal(link(to, from), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tempdir_remove(dir);
	return 0;
}

/* Check argv[0] against one entry (NULL: no list); both below dir unless they begin with '=' (as it is). */
static int check(const char *program, const char *entry, char resolved[PATH_MAX], struct err *e)
{
	char prog[128], one[128], path_var[128];
	path_of(prog, program);
	snprintf(path_var, sizeof path_var, "PATH=%s", dir);
	if (entry)
		path_of(one, entry);
	const char *argv[] = {*program == '=' ? program + 1 : prog, NULL};
	const char *allow[] = {entry && *entry == '=' ? entry + 1 : one, NULL};
	const char *env[] = {path_var, NULL};
	struct sandbox_spec s = {.argv = argv,
				 .envp = env,
				 .cwd = dir,
				 .allow = entry ? allow : NULL,
				 .uid = (uid_t)-1,
				 .gid = (gid_t)-1};
	return sandbox_spec_check(TIER_NONE, &s, resolved, e);
}

static void allow_list_goes_by_the_file(void **state)
{
	(void)state;
	static const struct {
		const char *program, *entry;
		int r;
		enum err_code code;
	} rows[] = {
		{"prog", NULL, 0, 0},
		{"prog", "prog", 0, 0},
		{"prog", "other", -EACCES, ERR_SEC_VIOLATION},
		{"link", "prog", 0, 0},
		{"link2", "prog", 0, 0},
		{"prog", "link2", 0, 0},
		{"link", "other", -EACCES, ERR_SEC_VIOLATION},
		{"sub/../prog", "prog", 0, 0},
		{"sub/../prog", "other", -EACCES, ERR_SEC_VIOLATION},
		{".//./prog", "prog", 0, 0},
		{"hard", "prog", -EACCES, ERR_SEC_VIOLATION}, /* another name, not the same entry */
		{"=prog", "prog", 0, 0},                      /* found in the agent's PATH */
		{"=./prog", "prog", 0, 0},                    /* from its working directory */
		{"=sub/../link", "prog", 0, 0},
		{"=prog", "=prog", -EACCES,
		 ERR_SEC_VIOLATION},                       /* the list is not looked up there */
		{"=sh", "=sh", -ENOENT, ERR_SPAWN_FAILED}, /* nor the program in the system's */
		{"missing", "missing", -ENOENT, ERR_SPAWN_FAILED},
		{"gone", "gone", -ENOENT, ERR_SPAWN_FAILED},
		{"loop", NULL, -ELOOP, ERR_SPAWN_FAILED},
		{"data", NULL, -EACCES, ERR_SPAWN_FAILED},
		{"sub", NULL, -EISDIR, ERR_SPAWN_FAILED},
		{"=", NULL, -ENOEXEC, ERR_SPAWN_FAILED},
		{"prog", "missing", -EACCES, ERR_SEC_VIOLATION},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char resolved[PATH_MAX];
		struct err e = {0};
		int r = check(rows[i].program, rows[i].entry, resolved, &e);
		if (r != rows[i].r || e.code != rows[i].code)
			fail_msg("program %s, entry %s: %d %s", rows[i].program,
				 rows[i].entry ? rows[i].entry : "none", r, e.msg);
	}
}

static void resolved_path_is_what_will_run(void **state)
{
	(void)state;
	char resolved[PATH_MAX], want[128], real[PATH_MAX];
	path_of(want, "prog");
	assert_int_equal(check("link2", "prog", resolved, NULL), 0);
	assert_string_equal(resolved, realpath(want, real));
}

static void error_names_the_program(void **state)
{
	(void)state;
	char resolved[PATH_MAX];
	struct err e = {0};
	assert_int_equal(check("=/no/such/program", NULL, resolved, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "/no/such/program"));
	assert_non_null(strstr(e.msg, "No such file"));
}

static void empty_list_allows_nothing(void **state)
{
	(void)state;
	char resolved[PATH_MAX];
	const char *argv[] = {"/bin/sh", NULL}, *none[] = {NULL};
	struct sandbox_spec s = {
		.argv = argv, .cwd = "/", .allow = none, .uid = (uid_t)-1, .gid = (gid_t)-1};
	assert_int_equal(sandbox_spec_check(TIER_NONE, &s, resolved, NULL), -EACCES);
}

static void half_an_identity_is_refused(void **state)
{
	(void)state;
	char resolved[PATH_MAX];
	const char *argv[] = {"/bin/sh", NULL};
	struct sandbox_spec s = {.argv = argv, .cwd = "/", .uid = 1000, .gid = (gid_t)-1};
	assert_int_equal(sandbox_spec_check(TIER_NONE, &s, resolved, NULL), -EACCES);
}

static void relative_working_directory_is_refused(void **state)
{
	(void)state;
	char resolved[PATH_MAX];
	const char *argv[] = {"/bin/sh", NULL};
	struct sandbox_spec s = {.argv = argv, .cwd = "tmp", .uid = (uid_t)-1, .gid = (gid_t)-1};
	assert_true(sandbox_spec_check(TIER_NONE, &s, resolved, NULL) < 0);
	s.cwd = NULL;
	assert_true(sandbox_spec_check(TIER_NONE, &s, resolved, NULL) < 0);
}

static void tiers_have_names(void **state)
{
	(void)state;
	enum sandbox_tier t = TIER_3;
	assert_int_equal(sandbox_tier_parse("None", &t), 0);
	assert_int_equal(t, TIER_NONE);
	assert_int_equal(sandbox_tier_parse("tier2", &t), 0);
	assert_int_equal(t, TIER_2);
	for (int i = TIER_NONE; i <= TIER_3; i++) {
		assert_int_equal(sandbox_tier_parse(sandbox_tier_name((enum sandbox_tier)i), &t),
				 0);
		assert_int_equal(t, i);
	}
	t = TIER_1;
	const char *bad[] = {"", "Tier", "Tier4", "Tier1 ", " None", "tier-1", "1"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(sandbox_tier_parse(bad[i], &t), -EINVAL);
	assert_int_equal(t, TIER_1);
}

static void a_tier_without_driver_is_refused_by_name(void **state)
{
	(void)state;
	bool have[4] = {0};
	struct err e = {0};
	for (const struct sandbox_driver *const *d = sandbox_drivers; *d; d++)
		have[(*d)->tier] = true;
	for (int t = TIER_NONE; t <= TIER_3; t++) {
		if (have[t])
			continue;
		assert_int_equal(sandbox_driver_find((enum sandbox_tier)t, NULL, false, NULL, &e), -EPERM);
		assert_int_equal(e.code, ERR_SEC_TIER);
		assert_non_null(strstr(e.msg, sandbox_tier_name((enum sandbox_tier)t)));
	}
	e = (struct err){0};
	assert_int_equal(sandbox_driver_find(TIER_NONE, NULL, false, NULL, &e), 0);
	assert_int_equal(e.code, ERR_NONE);
	assert_int_equal(sandbox_driver_find(TIER_NONE, "native", false, NULL, &e), 0);
	assert_int_equal(sandbox_driver_find(TIER_NONE, "magic", false, NULL, &e), -EPERM);
	assert_non_null(strstr(e.msg, "magic"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allow_list_goes_by_the_file),
		cmocka_unit_test(resolved_path_is_what_will_run),
		cmocka_unit_test(error_names_the_program),
		cmocka_unit_test(empty_list_allows_nothing),
		cmocka_unit_test(half_an_identity_is_refused),
		cmocka_unit_test(relative_working_directory_is_refused),
		cmocka_unit_test(tiers_have_names),
		cmocka_unit_test(a_tier_without_driver_is_refused_by_name),
	};
	return cmocka_run_group_tests_name("spec", tests, setup, teardown);
}
