/* SPDX-License-Identifier: MIT */
/* workdir.c - working directories that nobody else can put something in the place of. L1. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/sandbox.h"

/* The directory that holds base, opened; name points at base's last component. */
static int open_parent(const char *base, char copy[static PATH_MAX], const char **name)
{
	int n = snprintf(copy, PATH_MAX, "%s", base);
	if (n <= 0 || n >= PATH_MAX)
		return -ENAMETOOLONG;
	while (n > 1 && copy[n - 1] == '/')
		copy[--n] = 0;
	char *slash = strrchr(copy, '/');
	*name = slash ? slash + 1 : copy;
	if (!**name || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0)
		return -EINVAL;
	if (slash)
		*slash = 0;
	int fd = open(!slash ? "." : *copy ? copy : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Open dir/name, made with mode when it is missing. A link in its place is -ENOTDIR or -ELOOP. */
static int make_open(int dir, const char *name, mode_t mode, bool *ret_made)
{
	*ret_made = mkdirat(dir, name, mode) == 0;
	if (!*ret_made && errno != EEXIST)
		return -errno;
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int foreign(struct err *e, const char *what, const char *why)
{
	return err_set(e, ERR_SEC_VIOLATION,
		       "working directory '%s' %s: remove it or choose another "
		       "native_execution.working_directory",
		       what, why);
}

static int open_base(const char *base, struct err *e)
{
	char copy[PATH_MAX];
	const char *name;
	struct stat st;
	bool made;
	autoclose int parent = open_parent(base, copy, &name);
	if (parent < 0)
		return err_sys(e, ERR_SYS_IO, -parent, "native_execution.working_directory '%s'",
			       base);
	autoclose int fd = make_open(parent, name, 0711, &made);
	if (fd == -ELOOP || fd == -ENOTDIR)
		return foreign(e, base, "is not a directory");
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, ERR_SYS_IO, fd < 0 ? -fd : errno,
			       "native_execution.working_directory '%s'", base);
	if (made && fchmod(fd, 0711) < 0) /* whatever the umask is */
		return err_sys(e, ERR_SYS_IO, errno, "'%s'", base);
	if (st.st_uid != geteuid())
		return foreign(e, base, "belongs to somebody else");
	if (!made && (st.st_mode & 022))
		return foreign(e, base, "can be written by others");
	return take_fd(&fd);
}

int sandbox_workdir(const char *base, const char *name, uid_t uid, gid_t gid, struct err *e)
{
	char path[PATH_MAX];
	struct stat st;
	bool made;
	if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return err_set(e, ERR_SEC_VIOLATION, "'%s' is no name for a working directory",
			       name);
	snprintf(path, sizeof path, "%s/%s", base, name);
	autoclose int dir = open_base(base, e);
	if (dir < 0)
		return dir;
	uid_t owner = uid == (uid_t)-1 ? geteuid() : uid;
	autoclose int fd = make_open(dir, name, 0700, &made);
	if (fd == -ELOOP || fd == -ENOTDIR)
		return foreign(e, path, "is not a directory");
	if (fd >= 0 && made && owner != geteuid() && fchown(fd, owner, gid) < 0) {
		int eno = errno;
		unlinkat(dir, name, AT_REMOVEDIR);
		return err_sys(e, ERR_SYS_IO, eno, "'%s'", path);
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, ERR_SYS_IO, fd < 0 ? -fd : errno, "'%s'", path);
	if (st.st_uid != owner)
		return foreign(e, path, "belongs to somebody else");
	return take_fd(&fd);
}
