/* SPDX-License-Identifier: MIT */
/* unixsock.c - short names of Unix sockets. L0; any thread. */
#include "lib/unixsock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

int unixsock_name(const char *path, char out[static UNIXSOCK_PATH_MAX], int *ret_dir, struct err *e)
{
	char dir[PATH_MAX];
	size_t len = strlen(path);
	const char *slash = strrchr(path, '/');
	*ret_dir = -1;
	if (len > 0 && len < UNIXSOCK_PATH_MAX) {
		memcpy(out, path, len + 1);
		return 0;
	}
	if (!slash || (size_t)(slash - path) >= sizeof dir || strlen(slash) > 64)
		return err_sys(e, ERR_SYS_IO, len ? ENAMETOOLONG : EINVAL, "socket '%s'", path);
	snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
	*ret_dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_dir < 0)
		return err_sys(e, ERR_SYS_IO, errno, "the directory of socket '%s'", path);
	snprintf(out, UNIXSOCK_PATH_MAX, "/proc/self/fd/%d%.80s", *ret_dir, slash);
	return 0;
}
