/* SPDX-License-Identifier: MIT */
/* cgroup.c - groups of processes on cgroup v1, v2 or a mix of both: limits, use, kill, freeze. L1. */
#include "sandbox/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/cgroup_i.h"

#define SPARES_MAX 64 /* empty groups kept to be used again */
#define LEFTOVER_MAX                                                                               \
	(8u << 20) /* bytes still charged to a group that is used again: page cache mostly */

struct cgroup {
	struct cgroup_base *base;
	struct cgroup *next;
	char name[12];
	bool limited; /* limits below are set */
	bool frozen;
	char disk[24]; /* that disk_bytes_per_s was set for */
	struct sandbox_limits limits;
	struct sandbox_usage before; /* the counters when the present user got it */
	struct sandbox_usage last;   /* as read last, when counted: since then */
	bool counted;
};

static int primary(const struct cgroup_base *b)
{
	return b->dir[UNIFIED] >= 0 ? UNIFIED : FREEZER;
}

/* ---- the base ---- */

static void say_what_is_missing(struct sandbox_caps *c)
{
	if (c->memory && c->cpu && c->pids && c->io && c->freeze && c->kill)
		return;
	snprintf(c->why, sizeof c->why,
		 "no control over%s%s%s%s%s here%s%s; run as root, or `systemd-run --user --scope "
		 "-p "
		 "Delegate=yes symbi up`",
		 c->memory ? "" : " memory", c->cpu ? "" : " cpu", c->pids ? "" : " pids",
		 c->io ? "" : " io", c->kill ? "" : " freeze",
		 c->memory ? "" : ": rlimits per process instead",
		 c->kill ? "" : ", processes are stopped one by one");
}

struct cgroup_base *cgroup_base_open(const char *name, struct sandbox_caps *ret)
{
	struct cgroup_base *b = calloc(1, sizeof *b);
	if (!b)
		return NULL;
	cgroup_find(b, name);
	bool groups = b->dir[primary(b)] >= 0;
	*ret = (struct sandbox_caps){
		.cgroup_version = !groups                                 ? 0
				  : b->dir[MEMORY] >= 0 && !b->v2[MEMORY] ? 1
									  : 2,
		.memory = groups && b->dir[MEMORY] >= 0,
		.cpu = groups && b->dir[CPU] >= 0,
		.pids = groups && b->dir[PIDS] >= 0,
		.io = groups && b->dir[IO] >= 0,
		.freeze = groups,
		.kill = groups,
	};
	say_what_is_missing(ret);
	return b;
}

void cgroup_base_record(const struct cgroup_base *b, FILE *f)
{
	for (int c = CONTROLLERS - 1; c >= 0; c--)
		if (b->path[c] && (c == UNIFIED || !b->v2[c]) && !b->twice[c])
			fprintf(f, "%s\n", b->path[c]);
}

void cgroup_base_close(struct cgroup_base *b)
{
	if (!b)
		return;
	for (struct cgroup *g; (g = b->spare);) {
		b->spare = g->next;
		free(g);
	}
	for (int c = CONTROLLERS - 1; c >= 0; c--) {
		if (b->path[c] && (c == UNIFIED || !b->v2[c]) && !b->twice[c])
			cgroup_remove(b->path[c]);
		if (b->dir[c] >= 0)
			close(b->dir[c]);
		free(b->path[c]);
	}
	free(b);
}

void sandbox_caps_probe(struct sandbox_caps *ret)
{
	char name[32];
	snprintf(name, sizeof name, "symbi-probe-%d", getpid());
	*ret = (struct sandbox_caps){.why = "out of memory"};
	cgroup_base_close(cgroup_base_open(name, ret));
}

/* ---- groups ---- */

/* Is c a hierarchy in which a group has a directory of its own? */
static bool has_dir(const struct cgroup_base *b, int c)
{
	return b->dir[c] >= 0 && (c == UNIFIED || !b->v2[c]) && !b->twice[c];
}

static void group_free(struct cgroup *g)
{
	for (int c = 0; c < CONTROLLERS; c++)
		if (has_dir(g->base, c))
			unlinkat(g->base->dir[c], g->name, AT_REMOVEDIR);
	free(g);
}

static int group_new(struct cgroup_base *b, struct cgroup **ret, struct err *e)
{
	struct cgroup *g = calloc(1, sizeof *g);
	if (!g)
		return err_set(e, ERR_SYS_MEMORY, "no memory for a cgroup");
	g->base = b;
	snprintf(g->name, sizeof g->name, "%u", b->next++);
	for (int c = 0; c < CONTROLLERS; c++)
		if (has_dir(b, c) && mkdirat(b->dir[c], g->name, 0755) < 0 && errno != EEXIST) {
			int r = err_sys(e, ERR_SPAWN_FAILED, errno, "cgroup '%s/%s'", b->path[c],
					g->name);
			group_free(g);
			return r;
		}
	if (b->v2[MEMORY]) /* where one falls, all fall: no half of a run goes on */
		cg_write(b->dir[MEMORY], g->name, "memory.oom.group", "1");
	*ret = g;
	return 0;
}

int cgroup_get(struct cgroup_base *b, const struct sandbox_limits *l, int workdir,
	       struct cgroup **ret, struct err *e)
{
	struct cgroup *g = b->spare;
	*ret = NULL;
	if (b->dir[primary(b)] < 0)
		return 0;
	if (g) {
		b->spare = g->next;
		b->spares--;
	} else {
		int r = group_new(b, &g, e);
		if (r < 0)
			return r;
	}
	int r = cgroup_limit(g, l, workdir, e);
	if (r < 0) {
		group_free(g);
		return r;
	}
	if (b->dir[MEMORY] >= 0 && !b->v2[MEMORY]) {
		cg_write(b->dir[MEMORY], g->name, "memory.max_usage_in_bytes", "0");
		if (g->before.memory_bytes) /* what was left then may be gone now */
			g->before.memory_bytes = cg_read_num(b->dir[MEMORY], g->name,
							     "memory.usage_in_bytes");
	}
	*ret = g;
	return 0;
}

static void counters(const struct cgroup *g, struct sandbox_usage *ret);

void cgroup_put(struct cgroup *g)
{
	if (!g)
		return;
	struct cgroup_base *b = g->base;
	if (g->frozen)
		cgroup_freeze(g, false);
	if (!g->counted) /* else its use was just asked for, after its last process */
		counters(g, &g->last);
	g->before = g->last;
	g->counted = false;
	bool dead = cgroup_empty(g);
	/* memory.peak of v2 cannot be set back (before 6.12, and then per descriptor only). */
	if (!dead || b->spares >= SPARES_MAX || g->before.memory_bytes > LEFTOVER_MAX ||
	    b->v2[MEMORY]) {
		group_free(g);
		return;
	}
	g->next = b->spare;
	b->spare = g;
	b->spares++;
}

/* ---- limits ---- */

static int limit_memory(const struct cgroup *g, uint64_t bytes)
{
	int dir = g->base->dir[MEMORY];
	char text[24];
	snprintf(text, sizeof text, "%llu", (unsigned long long)bytes);
	if (g->base->v2[MEMORY]) {
		cg_write(dir, g->name, "memory.swap.max", bytes ? "0" : "max");
		return cg_write(dir, g->name, "memory.max", bytes ? text : "max");
	}
	/* The limit with swap is never below the one without: the order depends on the direction. */
	const char *value = bytes ? text : "-1";
	cg_write(dir, g->name, "memory.memsw.limit_in_bytes", value);
	int r = cg_write(dir, g->name, "memory.limit_in_bytes", value);
	cg_write(dir, g->name, "memory.memsw.limit_in_bytes", value);
	return r;
}

static int limit_cpu(const struct cgroup *g, uint32_t millis)
{
	int dir = g->base->dir[CPU];
	char text[48];
	uint32_t quota = millis < 10 ? 1000
				     : millis * 100; /* µs of each 100 ms; the kernel's least */
	if (g->base->v2[CPU]) {
		snprintf(text, sizeof text, "%u 100000", quota);
		return cg_write(dir, g->name, "cpu.max", millis ? text : "max 100000");
	}
	snprintf(text, sizeof text, "%u", quota);
	return cg_write(dir, g->name, "cpu.cfs_quota_us", millis ? text : "-1");
}

static int limit_pids(const struct cgroup *g, uint32_t pids)
{
	char text[16];
	snprintf(text, sizeof text, "%u", pids);
	return cg_write(g->base->dir[PIDS], g->name, "pids.max", pids ? text : "max");
}

static const char *disk_of(struct cgroup_base *b, int workdir)
{
	struct stat st;
	if (workdir < 0 || fstat(workdir, &st) < 0)
		return "";
	for (unsigned i = 0; i < b->disks_n; i++)
		if (b->disks[i].of == st.st_dev)
			return b->disks[i].disk;
	unsigned at = b->disks_n < DISKS_MAX ? b->disks_n++ : DISKS_MAX - 1;
	b->disks[at].of = st.st_dev;
	cg_disk_of(st.st_dev, b->disks[at].disk);
	return b->disks[at].disk;
}

static int set_disk_rate(const struct cgroup *g, const char *disk, uint64_t rate)
{
	int dir = g->base->dir[IO];
	char text[96];
	unsigned long long n = rate;
	if (g->base->v2[IO]) {
		snprintf(text, sizeof text,
			 rate ? "%s rbps=%llu wbps=%llu" : "%s rbps=max wbps=max", disk, n, n);
		return cg_write(dir, g->name, "io.max", text);
	}
	snprintf(text, sizeof text, "%s %llu", disk, n);
	int r = cg_write(dir, g->name, "blkio.throttle.read_bps_device", text);
	return r < 0 ? r : cg_write(dir, g->name, "blkio.throttle.write_bps_device", text);
}

static int limit_disk(struct cgroup *g, uint64_t rate, int workdir)
{
	const char *disk = workdir < 0 && *g->disk ? g->disk : disk_of(g->base, workdir);
	int r = 0;
	if (*g->disk && strcmp(disk, g->disk) != 0)
		set_disk_rate(g, g->disk, 0);
	bool same = g->limited && g->limits.disk_bytes_per_s == rate && strcmp(disk, g->disk) == 0;
	if (*disk && !same && (rate || *g->disk))
		r = set_disk_rate(g, disk, rate);
	if (disk != g->disk)
		snprintf(g->disk, sizeof g->disk, "%s", disk);
	return r;
}

int cgroup_limit(struct cgroup *g, const struct sandbox_limits *l, int workdir, struct err *e)
{
	const int *dir = g->base->dir;
	const struct sandbox_limits *old = g->limited ? &g->limits : NULL;
	const char *what = "memory";
	int r = 0;
	if (dir[MEMORY] >= 0 && (!old || l->memory_bytes != old->memory_bytes))
		r = limit_memory(g, l->memory_bytes);
	if (r == 0 && dir[CPU] >= 0 && (!old || l->cpu_millis != old->cpu_millis))
		what = "cpu", r = limit_cpu(g, l->cpu_millis);
	if (r == 0 && dir[PIDS] >= 0 && (!old || l->pids != old->pids))
		what = "pids", r = limit_pids(g, l->pids);
	if (r == 0 && dir[IO] >= 0 && (l->disk_bytes_per_s || *g->disk))
		what = "disk", r = limit_disk(g, l->disk_bytes_per_s, workdir);
	g->limited = r == 0;
	g->limits = *l;
	return r < 0 ? err_sys(e, ERR_RESOURCE_LIMIT, -r, "the %s limit cannot be set", what) : 0;
}

/* ---- processes ---- */

int cgroup_join(const struct cgroup *g)
{
	for (int c = 0; c < CONTROLLERS; c++) {
		int r = has_dir(g->base, c)
				? cg_write(g->base->dir[c], g->name, "cgroup.procs", "0")
				: 0;
		if (r < 0)
			return r;
	}
	return 0;
}

int cgroup_doors(const struct cgroup *g, int ret[static CGROUP_DOORS])
{
	char path[NAME_MAX + 32];
	int n = 0;
	_Static_assert((int)CONTROLLERS <= CGROUP_DOORS, "one a hierarchy");
	snprintf(path, sizeof path, "%s/cgroup.procs", g->name);
	for (int c = 0; c < CONTROLLERS; c++) {
		if (!has_dir(g->base, c))
			continue;
		ret[n] = openat(g->base->dir[c], path, O_WRONLY | O_CLOEXEC);
		if (ret[n] < 0) {
			int eno = errno;
			while (n)
				close(ret[--n]);
			return -eno;
		}
		n++;
	}
	return n;
}

int cgroup_join_by(const int *doors, int n, pid_t pid)
{
	char text[16];
	int len = snprintf(text, sizeof text, "%d", pid);
	for (int i = 0; i < n; i++)
		if (write(doors[i], text, (size_t)len) < 0)
			return -errno;
	return 0;
}

static void kill_one(void *arg, pid_t pid)
{
	(void)arg;
	kill(pid, SIGKILL);
}

/* One round for a group that cannot be killed in one write (version 1); repeat until it is empty. Who is
 * frozen neither forks meanwhile nor sees why it no longer may: a shell would end with a status of its own. */
static void kill_frozen(struct cgroup *g)
{
	struct cgroup_base *b = g->base;
	int dir = b->dir[primary(b)];
	cg_write(dir, g->name, "freezer.state", "FROZEN");
	if (b->dir[PIDS] >= 0) { /* who is not frozen yet cannot fork away from the list any more */
		cg_write(b->dir[PIDS], g->name, "pids.max", "0");
		g->limited = false;
	}
	cg_each_pid(dir, g->name, kill_one, NULL);
	cg_write(dir, g->name, "freezer.state", "THAWED"); /* and dies only when thawed */
}

void cgroup_kill(struct cgroup *g)
{
	struct cgroup_base *b = g->base;
	if (b->dir[UNIFIED] >= 0 && cg_write(b->dir[UNIFIED], g->name, "cgroup.kill", "1") == 0)
		return;
	kill_frozen(g);
	g->frozen &= primary(b) == UNIFIED;
}

int cgroup_freeze(struct cgroup *g, bool frozen)
{
	int dir = g->base->dir[primary(g->base)];
	g->frozen = frozen;
	if (primary(g->base) == UNIFIED)
		return cg_write(dir, g->name, "cgroup.freeze", frozen ? "1" : "0");
	return cg_write(dir, g->name, "freezer.state", frozen ? "FROZEN" : "THAWED");
}

void cgroup_each_pid(const struct cgroup *g, void (*fn)(void *arg, pid_t pid), void *arg)
{
	cg_each_pid(g->base->dir[primary(g->base)], g->name, fn, arg);
}

bool cgroup_empty(const struct cgroup *g)
{
	char text[32];
	const int *dir = g->base->dir;
	if (dir[UNIFIED] >= 0) /* groups that it made below count too */
		return cg_read_key(dir[UNIFIED], g->name, "cgroup.events", "populated") == 0;
	return cg_read(dir[FREEZER], g->name, "cgroup.procs", text, sizeof text) <= 0;
}

/* ---- use ---- */

static void count_disk(const struct cgroup *g, struct sandbox_usage *ret)
{
	const struct cgroup_base *b = g->base;
	char text[4096];
	unsigned long long n;
	if (b->dir[IO] < 0)
		return;
	ret->disk_counted = true;
	const char *file = b->v2[IO] ? "io.stat" : "blkio.throttle.io_service_bytes";
	cg_read(b->dir[IO], g->name, file, text, sizeof text);
	const char *r = b->v2[IO] ? "rbytes=" : "Read ", *w = b->v2[IO] ? "wbytes=" : "Write ";
	for (const char *p = text; (p = strstr(p, r)); p++)
		if (sscanf(p + strlen(r), "%llu", &n) == 1)
			ret->disk_read_bytes += n;
	for (const char *p = text; (p = strstr(p, w)); p++)
		if (sscanf(p + strlen(w), "%llu", &n) == 1)
			ret->disk_write_bytes += n;
}

/* What the files of the group say, from its making on. */
static void counters(const struct cgroup *g, struct sandbox_usage *ret)
{
	const struct cgroup_base *b = g->base;
	const int *dir = b->dir;
	bool v2 = b->v2[MEMORY];
	*ret = (struct sandbox_usage){0};
	ret->memory_bytes = cg_read_num(dir[MEMORY], g->name,
					v2 ? "memory.current" : "memory.usage_in_bytes");
	ret->memory_peak_bytes = cg_read_num(dir[MEMORY], g->name,
					     v2 ? "memory.peak" : "memory.max_usage_in_bytes");
	ret->oom_kills = cg_read_key(dir[MEMORY], g->name,
				     v2 ? "memory.events" : "memory.oom_control", "oom_kill");
	ret->cpu_ns = dir[UNIFIED] >= 0
			      ? cg_read_key(dir[UNIFIED], g->name, "cpu.stat", "usage_usec") * 1000
			      : cg_read_num(dir[CPUACCT], g->name, "cpuacct.usage");
	ret->pids = cg_read_num(dir[PIDS], g->name, "pids.current");
	ret->pids_refused = cg_read_key(dir[PIDS], g->name, "pids.events", "max");
	count_disk(g, ret);
}

void cgroup_usage(struct cgroup *g, struct sandbox_usage *ret)
{
	struct sandbox_usage *was = &g->before;
	counters(g, ret);
	/* What its predecessor left is uncharged bit by bit. How much of it is still there cannot be told, so
	 * once there is less than it was all counts as the present user's. */
	if (ret->memory_bytes < was->memory_bytes)
		was->memory_bytes = 0;
	g->last = *ret;
	g->counted = true;
	ret->cpu_ns -= was->cpu_ns;
	ret->oom_kills -= was->oom_kills;
	ret->pids_refused -= was->pids_refused;
	ret->disk_read_bytes -= was->disk_read_bytes;
	ret->disk_write_bytes -= was->disk_write_bytes;
	ret->memory_bytes -= was->memory_bytes;
	ret->memory_peak_bytes -= was->memory_bytes;
	if (ret->memory_peak_bytes < ret->memory_bytes) /* the kernel's mark is a racy one */
		ret->memory_peak_bytes = ret->memory_bytes;
	ret->from_cgroup = g->base->dir[MEMORY] >= 0;
}
