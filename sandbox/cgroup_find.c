/* SPDX-License-Identifier: MIT */
/* cgroup_find.c - where groups can be made: hierarchies, our place in them, what is delegated to us. L1. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/cgroup_i.h"

/* Where the processes go that stood in the group that we hand controllers down from. */
#define HOST "symbi-host"

static const char *const v1_names[CONTROLLERS] = {"memory",  "cpu",     "pids", "blkio",
						  "cpuacct", "freezer", ""};
static const char *const v2_names[CONTROLLERS] = {"memory", "cpu", "pids", "io", NULL, NULL, ""};

/* ---- hierarchies ---- */

/* The mount point of the hierarchy of controller c ("" = the unified one) and which of its directories is
 * mounted there. */
static bool mount_of(const char *c, char at[static 1024], char root[static 1024])
{
	char line[4096];
	bool found = false;
	FILE *f = fopen("/proc/self/mountinfo", "re");
	while (f && !found && fgets(line, sizeof line, f)) {
		char type[32], opts[1024];
		const char *dash = strstr(line, " - ");
		if (!dash || sscanf(line, "%*s %*s %*s %1023s %1023s", root, at) != 2 ||
		    sscanf(dash + 3, "%31s %*s %1023s", type, opts) != 2)
			continue;
		for (char *p = opts; (p = strchr(p, ','));)
			*p = ' ';
		found = *c ? strcmp(type, "cgroup") == 0 && cg_has_word(opts, c)
			   : strcmp(type, "cgroup2") == 0;
	}
	if (f)
		fclose(f);
	return found;
}

/* Our own group's path in that hierarchy, from /proc/self/cgroup. */
static bool own_path(const char *c, char out[static 1024])
{
	char line[4096];
	bool found = false;
	FILE *f = fopen("/proc/self/cgroup", "re");
	while (f && !found && fgets(line, sizeof line, f)) {
		char *list = strchr(line, ':');
		char *path = list ? strchr(list + 1, ':') : NULL;
		if (!path)
			continue;
		*path++ = 0;
		path[strcspn(path, "\n")] = 0;
		for (char *p = ++list; (p = strchr(p, ','));)
			*p = ' ';
		found = *c ? cg_has_word(list, c) : !*list;
		if (found)
			snprintf(out, 1024, "%s", path);
	}
	if (f)
		fclose(f);
	return found;
}

/* The directories below which our own may be made, best first: our own group, and for root the top. */
static int parents_of(const char *c, char out[static 2][2200])
{
	char at[1024], root[1024], own[1024];
	if (!mount_of(c, at, root) || !own_path(c, own))
		return 0;
	char *rest = own;
	size_t len = strlen(root);
	if (len > 1 && strncmp(own, root, len) == 0 && (!own[len] || own[len] == '/'))
		rest += len; /* a container sees its own part of the hierarchy only */
	if (strcmp(rest, "/") == 0 || strncmp(rest, "/..", 3) == 0)
		*rest = 0;
	len = strlen(rest);
	if (len >= sizeof HOST && strcmp(rest + len - strlen("/" HOST), "/" HOST) == 0)
		rest[len - strlen("/" HOST)] = 0;
	int n = 0;
	snprintf(out[n++], 2200, "%s%s", at, rest);
	if (*rest && geteuid() == 0)
		snprintf(out[n++], 2200, "%s", at);
	return n;
}

static int make_dir(const char *parent, const char *name, char **ret_path)
{
	char *path = NULL;
	if (asprintf(&path, "%s/%s", parent, name) < 0)
		return -1;
	int fd = -1;
	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && faccessat(fd, "cgroup.procs", W_OK, AT_EACCESS) < 0)
		close(take_fd(&fd));
	if (fd < 0)
		free(path);
	else
		*ret_path = path;
	return fd;
}

/* ---- the unified hierarchy ---- */

/* Is pid one of Symbi's programs, started from the same place as this one? */
static bool is_ours(pid_t pid)
{
	char link[32], mine[PATH_MAX], its[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", mine, sizeof mine - 1);
	snprintf(link, sizeof link, "/proc/%d/exe", pid);
	ssize_t m = readlink(link, its, sizeof its - 1);
	if (n < 0 || m < 0)
		return false;
	mine[n] = its[m] = 0;
	const char *base = strrchr(its, '/');
	return base && strncmp(base, "/symbi", 6) == 0 && strcmp(dirname(mine), dirname(its)) == 0;
}

struct movers {
	int dir;
	bool foreign;
};

static void look_at(void *arg, pid_t pid)
{
	struct movers *m = arg;
	m->foreign |= !is_ours(pid);
}

static void move_down(void *arg, pid_t pid)
{
	const struct movers *m = arg;
	cg_write_num(m->dir, HOST, "cgroup.procs", (uint64_t)pid);
}

/* A group with processes of its own cannot hand controllers down (cgroup v2's "no internal processes").
 * Under systemd's Delegate=yes those are the daemon's processes, and they may be moved one down. A group
 * that holds anything else, like a login session, is left alone. */
static bool vacate(int parent)
{
	struct movers m = {.dir = parent};
	cg_each_pid(parent, "", look_at, &m);
	if (m.foreign || (mkdirat(parent, HOST, 0755) < 0 && errno != EEXIST))
		return false;
	return cg_each_pid(parent, "", move_down, &m) > 0;
}

static bool hand_down(int dir, const char *controller)
{
	char on[512], text[32];
	cg_read(dir, "", "cgroup.subtree_control", on, sizeof on);
	if (cg_has_word(on, controller))
		return true;
	snprintf(text, sizeof text, "+%s", controller);
	int r = cg_write(dir, "", "cgroup.subtree_control", text);
	if (r == -EBUSY && vacate(dir))
		r = cg_write(dir, "", "cgroup.subtree_control", text);
	return r == 0;
}

/* Make our directory below parent; how many controllers it can hand to its groups. -1: cannot be made. */
static int try_unified(struct cgroup_base *b, const char *parent, const char *name)
{
	char have[512];
	int n = 0;
	autoclose int up = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	b->dir[UNIFIED] = up < 0 ? -1 : make_dir(parent, name, &b->path[UNIFIED]);
	if (b->dir[UNIFIED] < 0)
		return -1;
	cg_read(up, "", "cgroup.controllers", have, sizeof have);
	for (int c = MEMORY; c <= IO; c++) {
		b->v2[c] = cg_has_word(have, v2_names[c]) && hand_down(up, v2_names[c]) &&
			   hand_down(b->dir[UNIFIED], v2_names[c]);
		n += b->v2[c];
	}
	return n;
}

static void drop_unified(struct cgroup_base *b)
{
	if (b->dir[UNIFIED] < 0)
		return;
	close(take_fd(&b->dir[UNIFIED]));
	rmdir(b->path[UNIFIED]);
	free(take_ptr(b->path[UNIFIED]));
	memset(b->v2, 0, sizeof b->v2);
}

static void find_unified(struct cgroup_base *b, const char *name)
{
	char parents[2][2200];
	int n = parents_of("", parents), first = -1;
	if (n > 0)
		first = try_unified(b, parents[0], name);
	if (n > 1 && first < IO + 1) { /* something is missing: is there more at the top? */
		drop_unified(b);
		if (try_unified(b, parents[1], name) <= first) {
			drop_unified(b);
			try_unified(b, parents[0], name);
		}
	}
	for (int c = MEMORY; c <= IO; c++)
		if (b->v2[c]) {
			b->dir[c] = dup(b->dir[UNIFIED]);
			b->path[c] = strdup(b->path[UNIFIED]);
			fcntl(b->dir[c], F_SETFD, FD_CLOEXEC);
		}
}

/* ---- v1 ---- */

static void find_v1(struct cgroup_base *b, const char *name)
{
	char parents[2][2200];
	for (int c = MEMORY; c < UNIFIED; c++) {
		if (b->dir[c] >= 0 || (c >= CPUACCT && b->dir[UNIFIED] >= 0))
			continue;
		int n = parents_of(v1_names[c], parents);
		for (int i = 0; i < n && b->dir[c] < 0; i++)
			b->dir[c] = make_dir(parents[i], name, &b->path[c]);
		for (int k = MEMORY; k < c; k++)
			b->twice[c] |= b->path[c] && b->path[k] && !strcmp(b->path[k], b->path[c]);
	}
}

void cgroup_find(struct cgroup_base *b, const char *name)
{
	for (int c = 0; c < CONTROLLERS; c++)
		b->dir[c] = -1;
	find_unified(b, name);
	find_v1(b, name);
}

void cgroup_base_each(const char *name, void (*fn)(void *arg, const char *dir), void *arg)
{
	char parents[2][2200];
	for (int c = CONTROLLERS - 1; c >= 0; c--) { /* the unified first: it ends the processes */
		int n = parents_of(v1_names[c], parents);
		for (int i = 0; i < n; i++) {
			autofree char *path = NULL;
			if (asprintf(&path, "%s/%s", parents[i], name) < 0)
				path = NULL;
			else if (access(path, F_OK) == 0)
				fn(arg, path);
		}
	}
}
