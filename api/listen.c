/* SPDX-License-Identifier: MIT */
/* listen.c - the listening socket, made and kept by the parent process. L3; before any thread. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "api/api.h"
#include "lib/mem.h"
#include "lib/unixsock.h"

#define LOCK_TRIES 100 /* of 20 ms */

/* *ret_dir is to be closed when the address was used. */
static int address_of(const char *path, struct sockaddr_un *ret, int *ret_dir, struct err *e)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	return unixsock_name(path, ret->sun_path, ret_dir, e);
}

/* Open the socket's directory, made when absent. Whoever may write there may put a socket of its own
 * in our place, so it has to be ours or root's. */
static int open_dir(const char *path, struct err *e)
{
	char dir[PATH_MAX];
	struct stat st;
	snprintf(dir, sizeof dir, "%s", path);
	char *slash = strrchr(dir, '/');
	if (!slash)
		snprintf(dir, sizeof dir, ".");
	else
		slash[slash == dir] = 0;
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return err_sys(e, ERR_SYS_IO, errno, "the socket's directory '%s'", dir);
	autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, ERR_SYS_IO, errno, "the socket's directory '%s'", dir);
	if ((st.st_uid != 0 && st.st_uid != geteuid()) ||
	    ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX)))
		return err_set(e, ERR_SEC_VIOLATION,
			       "the socket's directory '%s' can be written by others; choose "
			       "another one with --socket",
			       dir);
	return take_fd(&fd);
}

/* Two daemons that start together must not both find the same stale socket and replace it. */
static int lock_dir(int dir, const char *path, struct err *e)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(dir, LOCK_EX | LOCK_NB) == 0)
			return 0;
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	}
	return err_sys(e, ERR_SYS_IO, EAGAIN, "the directory of socket '%s' is locked", path);
}

/* 0: the name is free now. */
static int free_name(const char *path, const struct sockaddr_un *at, struct err *e)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(e, ERR_SYS_IO, errno, "socket '%s'", path);
	if (!S_ISSOCK(st.st_mode))
		return err_sys(e, ERR_SYS_IO, EADDRINUSE, "'%s' is there and is no socket", path);
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(e, ERR_SYS_IO, errno, "socket '%s'", path);
	if (connect(fd, (const struct sockaddr *)at, sizeof *at) == 0 || errno != ECONNREFUSED)
		return err_sys(e, ERR_SYS_IO, EADDRINUSE,
			       "a daemon listens on '%s'; stop it with `symbi down --socket %s`",
			       path, path);
	if (unlink(path) < 0)
		return err_sys(e, ERR_SYS_IO, errno, "the stale socket '%s'", path);
	return 0;
}

/* Bound with no permission at all, so that nobody connects before mode and group are right. */
static int bind_closed(int fd, const char *path, const struct sockaddr_un *at, mode_t mode,
		       gid_t group, struct err *e)
{
	mode_t before = umask(0777);
	int r = bind(fd, (const struct sockaddr *)at, sizeof *at);
	int eno = errno;
	umask(before);
	if (r < 0)
		return err_sys(e, ERR_SYS_IO, eno, "socket '%s'", path);
	if (group != (gid_t)-1 && lchown(path, (uid_t)-1, group) < 0)
		return err_sys(e, ERR_SYS_IO, errno, "group %u of socket '%s'", group, path);
	if (chmod(path, mode) < 0 || listen(fd, SOMAXCONN) < 0)
		return err_sys(e, ERR_SYS_IO, errno, "socket '%s'", path);
	return 0;
}

int api_listen(const char *path, mode_t mode, gid_t group, int *ret_fd, struct err *e)
{
	struct sockaddr_un at;
	autoclose int dir = open_dir(path, e), name_dir = -1;
	if (dir < 0)
		return dir;
	int r = address_of(path, &at, &name_dir, e);
	if (r == 0)
		r = lock_dir(dir, path, e);
	if (r == 0)
		r = free_name(path, &at, e);
	if (r < 0)
		return r;
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(e, ERR_SYS_IO, errno, "socket '%s'", path);
	r = bind_closed(fd, path, &at, mode, group, e);
	if (r < 0) {
		unlink(path); /* the lock says that it can only be ours */
		return r;
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

void api_unlisten(const char *path, int fd)
{
	if (fd < 0)
		return;
	unlink(path);
	close(fd);
}
