/* SPDX-License-Identifier: MIT */
/* box_root.c - the directories, links and files of a root that is a program's own, whoever mounts it: a box (box_view.c)
 * or an OCI runtime (oci_bundle.c). L1. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/box_i.h"
#include "sandbox/full.h"

bool box_make_dirs(int root, const char *path, bool all)
{
	char copy[PATH_MAX];
	snprintf(copy, sizeof copy, "%s", path);
	for (char *p = copy; (p = strchr(p + 1, '/')); *p = '/') {
		*p = 0;
		if (mkdirat(root, copy, 0755) < 0 && errno != EEXIST)
			return false;
	}
	return !all || mkdirat(root, copy, 0755) == 0 || errno == EEXIST;
}

bool box_put(int root, const char *path, const char *text)
{
	autoclose int fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* Its own /etc: whoever else is on the machine is none of its business. */
bool box_make_etc(int root, const struct spawn_start *s)
{
	char text[PATH_MAX + 128];
	unsigned uid = s->uid >= 0 ? (unsigned)s->uid : geteuid();
	unsigned gid = s->gid >= 0 ? (unsigned)s->gid : getegid();
	snprintf(text, sizeof text, "agent:x:%u:%u::%s:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
		 uid, gid, s->cwd ? s->cwd : "/");
	if (!box_make_dirs(root, "etc", true) || !box_put(root, "etc/passwd", text))
		return false;
	snprintf(text, sizeof text, "agent:x:%u:\nnogroup:x:65534:\n", gid);
	if (s->network == NETWORK_FULL && !box_put(root, "etc/resolv.conf", "nameserver " FULL_RESOLVER "\n"))
		return false;
	return box_put(root, "etc/group", text) && box_put(root, "etc/hosts", "127.0.0.1 localhost symbi\n") &&
	       box_put(root, "etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n") &&
	       box_put(root, "etc/hostname", "symbi\n");
}

bool box_show_link(int root, const char *path, mode_t *left)
{
	char host[PATH_MAX], target[PATH_MAX];
	struct stat st;
	*left = 0;
	snprintf(host, sizeof host, "/%s", path);
	if (lstat(host, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR;
	if (!box_make_dirs(root, path, false))
		return false;
	if (!S_ISLNK(st.st_mode)) {
		*left = st.st_mode & S_IFMT;
		return true;
	}
	ssize_t n = readlink(host, target, sizeof target - 1);
	target[n > 0 ? n : 0] = 0;
	return n > 0 && symlinkat(target, root, path) == 0;
}

uint64_t box_temp_bytes(const struct spawn_start *s)
{
	return s->limits.temp_bytes ? s->limits.temp_bytes : 64u << 20;
}
