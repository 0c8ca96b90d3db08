/* SPDX-License-Identifier: MIT */
/* cgroup.c - cgroup v1 and v2 behind one interface. L1. */
#include "sandbox/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/parse.h"

enum controller { MEMORY, CPU, PIDS, CPUACCT, FREEZER, UNIFIED, CONTROLLERS };
static const char *const names[CONTROLLERS] = {"memory", "cpu", "pids", "cpuacct", "freezer", ""};

struct cgroup_base {
	char *dir[CONTROLLERS]; /* our directory in the hierarchy, NULL: not there */
	bool v2[CONTROLLERS];
	struct cgroup *spare;
	unsigned next;
};

struct cgroup {
	struct cgroup_base *base;
	struct cgroup *next;
	unsigned number;
	int dirfd[CONTROLLERS]; /* -1: not there; a controller in v2 shares UNIFIED's directory */
	int procs[CONTROLLERS]; /* v1 cgroup.procs, open for the child's join */
	uint64_t oom_before, refused_before;
};

static int write_at(int dirfd, const char *file, const char *text)
{
	autoclose int fd = openat(dirfd, file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int write_num(int dirfd, const char *file, uint64_t n)
{
	char text[24];
	snprintf(text, sizeof text, "%llu", (unsigned long long)n);
	return write_at(dirfd, file, text);
}

static ssize_t read_at(int dirfd, const char *file, char *out, size_t cap)
{
	autoclose int fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, cap - 1);
	out[n > 0 ? n : 0] = 0;
	return n;
}

/* The number that text starts with, up to the end of its line; 0 for "max" and the like. */
static uint64_t line_num(char *text)
{
	uint64_t n = 0;
	text[strcspn(text, "\n")] = 0;
	parse_u64(text, 0, UINT64_MAX, &n, NULL);
	return n;
}

static uint64_t read_num(int dirfd, const char *file)
{
	char text[64];
	return read_at(dirfd, file, text, sizeof text) > 0 ? line_num(text) : 0;
}

static uint64_t read_key(int dirfd, const char *file, const char *key)
{
	char text[4096];
	if (read_at(dirfd, file, text, sizeof text) <= 0)
		return 0;
	size_t len = strlen(key);
	for (char *p = text; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
		if (strncmp(p, key, len) == 0 && p[len] == ' ')
			return line_num(p + len + 1);
	return 0;
}

/* ---- finding the hierarchies ---- */

/* The mount point of a hierarchy that holds controller c ("" = the unified one). */
static bool mount_of(const char *c, char *out, size_t cap)
{
	char line[4096];
	bool found = false;
	FILE *f = fopen("/proc/self/mountinfo", "re");
	while (f && !found && fgets(line, sizeof line, f)) {
		char at[1024], type[32], opts[1024];
		const char *dash = strstr(line, " - ");
		if (!dash || sscanf(line, "%*s %*s %*s %*s %1023s", at) != 1 ||
		    sscanf(dash + 3, "%31s %*s %1023s", type, opts) != 2)
			continue;
		if (!*c) {
			found = strcmp(type, "cgroup2") == 0;
		} else if (strcmp(type, "cgroup") == 0) {
			char *save = NULL;
			for (char *o = strtok_r(opts, ",\n", &save); o && !found;
			     o = strtok_r(NULL, ",\n", &save))
				found = strcmp(o, c) == 0;
		}
		if (found)
			snprintf(out, cap, "%s", at);
	}
	if (f)
		fclose(f);
	return found;
}

/* Our own path below a hierarchy, from /proc/self/cgroup. */
static bool own_path(const char *c, char *out, size_t cap)
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
		list++;
		path[strcspn(path, "\n")] = 0;
		found = !*c && !*list;
		char *save = NULL;
		for (char *o = *c ? strtok_r(list, ",", &save) : NULL; o && !found;
		     o = strtok_r(NULL, ",", &save))
			found = strcmp(o, c) == 0;
		if (found)
			snprintf(out, cap, "%s", strcmp(path, "/") == 0 ? "" : path);
	}
	if (f)
		fclose(f);
	return found;
}

static char *base_dir(const char *c, const char *name)
{
	char at[1024], own[1024];
	char *dir = NULL;
	if (!mount_of(c, at, sizeof at) || !own_path(c, own, sizeof own) ||
	    asprintf(&dir, "%s%s/%s", at, own, name) < 0)
		return NULL;
	return dir;
}

static char *make_base(const char *c, const char *name)
{
	char *dir = base_dir(c, name);
	if (dir && mkdir(dir, 0755) < 0 && errno != EEXIST) {
		free(dir);
		dir = NULL;
	}
	return dir;
}

static void enable_v2(struct cgroup_base *b)
{
	char have[512];
	int fd = open(b->dir[UNIFIED], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	read_at(fd, "cgroup.controllers", have, sizeof have);
	for (int c = MEMORY; c <= PIDS; c++) {
		char text[32];
		snprintf(text, sizeof text, "+%s", names[c]);
		if (!strstr(have, names[c]) || write_at(fd, "cgroup.subtree_control", text) < 0)
			continue;
		b->dir[c] = strdup(b->dir[UNIFIED]);
		b->v2[c] = true;
	}
	close(fd);
}

struct cgroup_base *cgroup_base_open(const char *name, struct sandbox_caps *ret)
{
	struct cgroup_base *b = calloc(1, sizeof *b);
	if (!b)
		return NULL;
	b->dir[UNIFIED] = make_base("", name);
	if (b->dir[UNIFIED])
		enable_v2(b);
	for (int c = 0; c < UNIFIED; c++)
		if (!b->dir[c])
			b->dir[c] = make_base(names[c], name);
	*ret = (struct sandbox_caps){
		.cgroup_version = b->v2[MEMORY] ? 2 : b->dir[MEMORY] ? 1 : 0,
		.memory = b->dir[MEMORY],
		.cpu = b->dir[CPU],
		.pids = b->dir[PIDS],
		.freeze = b->dir[UNIFIED] || b->dir[FREEZER],
		.kill = b->dir[UNIFIED] || b->dir[FREEZER],
	};
	if (!ret->memory || !ret->cpu || !ret->pids || !ret->kill)
		snprintf(ret->why, sizeof ret->why, "cgroups are not writable here (%s%s%s%s): run as "
			 "root or under a delegated systemd unit (Delegate=yes)",
			 ret->memory ? "" : "memory ", ret->cpu ? "" : "cpu ",
			 ret->pids ? "" : "pids ", ret->kill ? "" : "kill");
	return b;
}

/* ---- groups ---- */

static void group_name(const struct cgroup *g, char out[static 16])
{
	snprintf(out, 16, "%u", g->number);
}

static void group_open(struct cgroup *g)
{
	char name[16], path[2200];
	group_name(g, name);
	for (int c = 0; c < CONTROLLERS; c++) {
		g->dirfd[c] = g->procs[c] = -1;
		if (!g->base->dir[c])
			continue;
		snprintf(path, sizeof path, "%s/%s", g->base->dir[c], name);
		if (!g->base->v2[c])
			mkdir(path, 0755);
		g->dirfd[c] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (g->dirfd[c] >= 0 && c != UNIFIED && !g->base->v2[c])
			g->procs[c] = openat(g->dirfd[c], "cgroup.procs", O_WRONLY | O_CLOEXEC);
	}
}

struct cgroup *cgroup_get(struct cgroup_base *b)
{
	struct cgroup *g = b->spare;
	if (g) {
		b->spare = g->next;
		return g;
	}
	if (!b->dir[UNIFIED] && !b->dir[FREEZER])
		return NULL;
	g = calloc(1, sizeof *g);
	if (!g)
		return NULL;
	g->base = b;
	g->number = b->next++;
	if (b->dir[UNIFIED]) { /* made first: controllers in v2 share it */
		char path[2200];
		snprintf(path, sizeof path, "%s/%u", b->dir[UNIFIED], g->number);
		mkdir(path, 0755);
	}
	group_open(g);
	return g;
}

void cgroup_put(struct cgroup *g)
{
	if (!g)
		return;
	cgroup_freeze(g, false);
	g->next = g->base->spare;
	g->base->spare = g;
}

int cgroup_limit(struct cgroup *g, const struct sandbox_limits *l)
{
	const bool *v2 = g->base->v2;
	char text[64];
	int fd = g->dirfd[MEMORY], r = 0;
	if (fd >= 0) {
		if (v2[MEMORY]) {
			snprintf(text, sizeof text, "%llu", (unsigned long long)l->memory_bytes);
			r = write_at(fd, "memory.max", l->memory_bytes ? text : "max");
			write_at(fd, "memory.oom.group", "1");
		} else {
			snprintf(text, sizeof text, "%llu", (unsigned long long)l->memory_bytes);
			r = write_at(fd, "memory.limit_in_bytes", l->memory_bytes ? text : "-1");
			write_at(fd, "memory.max_usage_in_bytes", "0");
		}
		g->oom_before = v2[MEMORY] ? read_key(fd, "memory.events", "oom_kill")
					   : read_key(fd, "memory.oom_control", "oom_kill");
	}
	fd = g->dirfd[PIDS];
	if (fd >= 0) {
		g->refused_before = read_key(fd, "pids.events", "max");
		snprintf(text, sizeof text, "%u", l->pids);
		write_at(fd, "pids.max", l->pids ? text : "max");
	}
	fd = g->dirfd[CPU];
	if (fd >= 0 && v2[CPU]) {
		snprintf(text, sizeof text, "%u 100000", l->cpu_millis * 100);
		write_at(fd, "cpu.max", l->cpu_millis ? text : "max 100000");
	} else if (fd >= 0) {
		if (l->cpu_millis)
			write_num(fd, "cpu.cfs_quota_us", l->cpu_millis * 100ull);
		else
			write_at(fd, "cpu.cfs_quota_us", "-1");
	}
	if (g->dirfd[CPUACCT] >= 0)
		write_at(g->dirfd[CPUACCT], "cpuacct.usage", "0");
	return r;
}

int cgroup_clone_fd(const struct cgroup *g)
{
	return g->dirfd[UNIFIED];
}

int cgroup_join(const struct cgroup *g)
{
	for (int c = 0; c < CONTROLLERS; c++)
		if (g->procs[c] >= 0 && !(c == FREEZER && g->dirfd[UNIFIED] >= 0) &&
		    write(g->procs[c], "0", 1) < 0)
			return -errno;
	return 0;
}

static int kill_each(int dirfd)
{
	char line[32];
	int n = 0, fd = openat(dirfd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
	if (!f && fd >= 0)
		close(fd);
	/* A process of a foreign pid namespace is shown as 0; kill(0) would hit ourselves. */
	for (uint64_t pid; f && fgets(line, sizeof line, f); n += pid != 0)
		if ((pid = line_num(line)) != 0)
			kill((pid_t)pid, SIGKILL);
	if (f)
		fclose(f);
	return n;
}

void cgroup_kill(struct cgroup *g)
{
	if (g->dirfd[UNIFIED] >= 0) {
		if (write_at(g->dirfd[UNIFIED], "cgroup.kill", "1") == 0)
			return;
		while (kill_each(g->dirfd[UNIFIED]))
			;
		return;
	}
	/* Frozen, no process can fork away from the list while it is being killed. */
	write_at(g->dirfd[FREEZER], "freezer.state", "FROZEN");
	kill_each(g->dirfd[FREEZER]);
	write_at(g->dirfd[FREEZER], "freezer.state", "THAWED");
}

int cgroup_freeze(struct cgroup *g, bool frozen)
{
	if (g->dirfd[UNIFIED] >= 0)
		return write_at(g->dirfd[UNIFIED], "cgroup.freeze", frozen ? "1" : "0");
	return write_at(g->dirfd[FREEZER], "freezer.state", frozen ? "FROZEN" : "THAWED");
}

bool cgroup_empty(const struct cgroup *g)
{
	char text[32];
	int fd = g->dirfd[UNIFIED] >= 0 ? g->dirfd[UNIFIED] : g->dirfd[FREEZER];
	return read_at(fd, "cgroup.procs", text, sizeof text) <= 0;
}

static uint64_t oom_kills(const struct cgroup *g)
{
	int fd = g->dirfd[MEMORY];
	if (fd < 0)
		return 0;
	return (g->base->v2[MEMORY] ? read_key(fd, "memory.events", "oom_kill")
				    : read_key(fd, "memory.oom_control", "oom_kill")) -
	       g->oom_before;
}

bool cgroup_oom(struct cgroup *g)
{
	return oom_kills(g) > 0;
}

void cgroup_usage(const struct cgroup *g, struct sandbox_usage *ret)
{
	int m = g->dirfd[MEMORY];
	bool v2 = g->base->v2[MEMORY];
	*ret = (struct sandbox_usage){.from_cgroup = true};
	if (m >= 0) {
		ret->memory_bytes = read_num(m, v2 ? "memory.current" : "memory.usage_in_bytes");
		ret->memory_peak_bytes = read_num(m, v2 ? "memory.peak" : "memory.max_usage_in_bytes");
	}
	if (g->dirfd[CPUACCT] >= 0)
		ret->cpu_ns = read_num(g->dirfd[CPUACCT], "cpuacct.usage");
	else if (g->dirfd[UNIFIED] >= 0)
		ret->cpu_ns = read_key(g->dirfd[UNIFIED], "cpu.stat", "usage_usec") * 1000;
	if (g->dirfd[PIDS] >= 0) {
		ret->pids = read_num(g->dirfd[PIDS], "pids.current");
		ret->pids_refused =
			read_key(g->dirfd[PIDS], "pids.events", "max") - g->refused_before;
	}
	ret->oom_kills = oom_kills(g);
}

/* ---- removal ---- */

/* Kill everything in and remove the directories of a base, ours or a dead spawner's. */
static void remove_tree(const char *dir)
{
	DIR *d = opendir(dir);
	for (struct dirent *ent; d && (ent = readdir(d));) {
		if (ent->d_type != DT_DIR || ent->d_name[0] == '.')
			continue;
		int fd = openat(dirfd(d), ent->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		write_at(fd, "cgroup.freeze", "0");
		for (int i = 0; i < 100; i++) {
			write_at(fd, "cgroup.kill", "1");
			kill_each(fd);
			write_at(fd, "freezer.state", "THAWED");
			if (unlinkat(dirfd(d), ent->d_name, AT_REMOVEDIR) == 0)
				break;
			usleep(2000);
		}
		if (fd >= 0)
			close(fd);
	}
	if (d)
		closedir(d);
	rmdir(dir);
}

void cgroup_base_cleanup(const char *name)
{
	for (int c = CONTROLLERS - 1; c >= 0; c--) { /* the unified first: it ends the processes */
		autofree char *dir = base_dir(names[c], name);
		if (dir && access(dir, F_OK) == 0)
			remove_tree(dir);
	}
}

void cgroup_base_close(struct cgroup_base *b)
{
	if (!b)
		return;
	for (struct cgroup *g; (g = b->spare);) {
		b->spare = g->next;
		for (int c = 0; c < CONTROLLERS; c++) {
			if (g->dirfd[c] >= 0)
				close(g->dirfd[c]);
			if (g->procs[c] >= 0)
				close(g->procs[c]);
		}
		free(g);
	}
	for (int c = CONTROLLERS - 1; c >= 0; c--) {
		if (b->dir[c])
			remove_tree(b->dir[c]);
		free(b->dir[c]);
	}
	free(b);
}

void sandbox_caps_probe(struct sandbox_caps *ret)
{
	char name[32];
	snprintf(name, sizeof name, "symbi-probe-%d", getpid());
	cgroup_base_close(cgroup_base_open(name, ret));
}
