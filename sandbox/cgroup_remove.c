/* SPDX-License-Identifier: MIT */
/* cgroup_remove.c - ends and removes a whole directory of groups, ours or a dead spawner's. L1. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/cgroup_i.h"

#define ROUNDS    200 /* tries to empty one group */
#define ROUND_US  5000
#define DEPTH_MAX 16 /* of groups below groups */

static void kill_one(void *arg, pid_t pid)
{
	(void)arg;
	kill(pid, SIGKILL);
}

/* Whichever of these files this hierarchy has. */
static void kill_all(int dir)
{
	if (cg_write(dir, "", "cgroup.kill", "1") == 0)
		return;
	cg_write(dir, "", "pids.max", "0");
	cg_write(dir, "", "freezer.state", "FROZEN");
	cg_each_pid(dir, "", kill_one, NULL);
	cg_write(dir, "", "freezer.state", "THAWED");
}

static int remove_below(int dir, int depth);

static int remove_group(int parent, const char *name, int depth)
{
	autoclose int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? 0 : -errno;
	cg_write(dir, "", "cgroup.freeze", "0");
	for (int i = 0; i < ROUNDS; i++) {
		kill_all(dir);
		if (depth < DEPTH_MAX)
			remove_below(dir, depth + 1);
		if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		usleep(i < 10 ? ROUND_US / 10 : ROUND_US);
	}
	return -EBUSY;
}

static int remove_below(int dir, int depth)
{
	int r = 0, fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	for (struct dirent *ent; d && (ent = readdir(d));)
		if (ent->d_type == DT_DIR && ent->d_name[0] != '.' &&
		    remove_group(dir, ent->d_name, depth) < 0)
			r = -EBUSY;
	if (d)
		closedir(d);
	return r;
}

int cgroup_remove(const char *path)
{
	struct statfs fs;
	autoclose int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	if (fstatfs(dir, &fs) < 0 ||
	    (fs.f_type != CGROUP_SUPER_MAGIC && fs.f_type != CGROUP2_SUPER_MAGIC))
		return -EINVAL;
	cg_write(dir, "", "cgroup.kill", "1"); /* all at once, where the kernel can */
	remove_below(dir, 1);
	return rmdir(path) == 0 || errno == ENOENT ? 0 : -EBUSY;
}
