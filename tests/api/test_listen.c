/* SPDX-License-Identifier: MIT */
/* test_listen.c - making, replacing and refusing the socket's file. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "api/api.h"
#include "lib/mem.h"
#include "lib/unixsock.h"
#include "tests/support/check.h"
#include "tests/support/tempdir.h"

struct fixture {
	char dir[64];
	char path[128];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	tempdir_make(f->dir);
	snprintf(f->path, sizeof f->path, "%s/s", f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	tempdir_remove(f->dir);
	free(f);
	return 0;
}

static int connect_to(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	autoclose int dir = -1, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(unixsock_name(path, at.sun_path, &dir, NULL), 0);
	return connect(fd, (struct sockaddr *)&at, sizeof at) < 0 ? -errno : 0;
}

static void the_socket_is_for_its_owner_alone(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	int fd = -1;
	mode_t before = umask(0);
	assert_int_equal(api_listen(f->path, 0600, (gid_t)-1, &fd, NULL), 0);
	umask(before);
	assert_int_equal(stat(f->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(connect_to(f->path), 0);
	api_unlisten(f->path, fd);
	assert_int_equal(access(f->path, F_OK), -1);
}

static void mode_is_not_cut_by_the_umask(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	int fd = -1;
	mode_t before = umask(077);
	assert_int_equal(api_listen(f->path, 0666, (gid_t)-1, &fd, NULL), 0);
	assert_int_equal(umask(before), 077);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0666);
	api_unlisten(f->path, fd);
}

static void a_stale_socket_is_replaced(void **state)
{
	struct fixture *f = *state;
	int fd = -1;
	assert_int_equal(api_listen(f->path, 0600, (gid_t)-1, &fd, NULL), 0);
	close(fd); /* as a daemon that was killed leaves it */
	assert_int_equal(connect_to(f->path), -ECONNREFUSED);
	assert_int_equal(api_listen(f->path, 0600, (gid_t)-1, &fd, NULL), 0);
	assert_int_equal(connect_to(f->path), 0);
	api_unlisten(f->path, fd);
}

static void a_socket_in_use_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct err e;
	int fd = -1, other = -1;
	assert_int_equal(api_listen(f->path, 0600, (gid_t)-1, &fd, NULL), 0);
	assert_int_equal(api_listen(f->path, 0600, (gid_t)-1, &other, &e), -EADDRINUSE);
	assert_int_equal(other, -1);
	assert_int_equal(connect_to(f->path), 0);
	api_unlisten(f->path, fd);
}

static void a_file_is_not_replaced(void **state)
{
	struct fixture *f = *state;
	int fd = -1;
	close(open(f->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(api_listen(f->path, 0600, (gid_t)-1, &fd, NULL), -EADDRINUSE);
	assert_int_equal(access(f->path, F_OK), 0);
	unlink(f->path);
	assert_int_equal(symlink("elsewhere", f->path), 0);
	assert_int_equal(api_listen(f->path, 0600, (gid_t)-1, &fd, NULL), -EADDRINUSE);
	assert_int_equal(unlink(f->path), 0);
}

static void a_directory_of_others_is_refused(void **state)
{
	struct fixture *f = *state;
	struct err e;
	int fd = -1;
	assert_int_equal(chmod(f->dir, 0777), 0);
	assert_int_equal(api_listen(f->path, 0600, (gid_t)-1, &fd, &e), -EACCES);
	assert_int_equal(e.code, ERR_SEC_VIOLATION);
	assert_int_equal(chmod(f->dir, 01777), 0); /* sticky, like /tmp */
	assert_int_equal(api_listen(f->path, 0600, (gid_t)-1, &fd, &e), 0);
	api_unlisten(f->path, fd);
	assert_int_equal(chmod(f->dir, 0700), 0);
	if (geteuid() != 0)
		skip(); /* only root can give the directory away */
	assert_int_equal(chown(f->dir, 65534, (gid_t)-1), 0);
	/* root's socket in a directory of nobody's */
	assert_int_equal(api_listen(f->path, 0600, (gid_t)-1, &fd, &e), -EACCES);
}

static void long_paths_can_be_listened_on(void **state)
{
	struct fixture *f = *state;
	char path[PATH_MAX];
	int fd = -1;
	snprintf(path, sizeof path, "%s/%0200d", f->dir, 1);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path + strlen(path), 16, "/symbi.sock");
	assert_int_equal(api_listen(path, 0600, (gid_t)-1, &fd, NULL), 0);
	assert_int_equal(connect_to(path), 0);
	close(fd);
	assert_int_equal(api_listen(path, 0600, (gid_t)-1, &fd, NULL), 0); /* stale */
	api_unlisten(path, fd);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(api_listen("", 0600, (gid_t)-1, &fd, NULL), -EINVAL);
	snprintf(path, sizeof path, "%s/%0200d", f->dir, 2);
	assert_int_equal(api_listen(path, 0600, (gid_t)-1, &fd, NULL), -ENAMETOOLONG);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_socket_is_for_its_owner_alone),
		T(mode_is_not_cut_by_the_umask),
		T(a_stale_socket_is_replaced),
		T(a_socket_in_use_is_left_alone),
		T(a_file_is_not_replaced),
		T(a_directory_of_others_is_refused),
		T(long_paths_can_be_listened_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
