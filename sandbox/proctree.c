/* SPDX-License-Identifier: MIT */
/* proctree.c - processes by their descent, read from /proc. L1. */
#include "sandbox/proctree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/parse.h"

#define STOP_ROUNDS 8
#define MARK_BITS   18 /* below the usual limit of 819200 bytes */

struct proc {
	pid_t pid, parent;
	bool in; /* descends from the root */
};

struct procs {
	struct proc *list;
	size_t n, cap;
};

static ssize_t read_proc(pid_t pid, const char *file, char *out, size_t cap)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, cap - 1);
	out[n > 0 ? n : 0] = 0;
	return n;
}

/* The fields of /proc/PID/stat from the state on: the name before may hold anything. */
static const char *stat_of(pid_t pid, char text[static 1024])
{
	if (read_proc(pid, "stat", text, 1024) <= 0)
		return NULL;
	const char *end = strrchr(text, ')');
	return end && end[1] == ' ' ? end + 2 : NULL;
}

static void each_process(void (*fn)(void *arg, pid_t pid), void *arg)
{
	DIR *d = opendir("/proc");
	for (struct dirent *ent; d && (ent = readdir(d));) {
		uint64_t pid;
		if (parse_u64(ent->d_name, 1, INT32_MAX, &pid, NULL) == 0)
			fn(arg, (pid_t)pid);
	}
	if (d)
		closedir(d);
}

/* ---- descent ---- */

static void add(void *arg, pid_t pid)
{
	struct procs *all = arg;
	char text[1024], state;
	int parent;
	const char *stat = stat_of(pid, text);
	if (!stat || sscanf(stat, "%c %d", &state, &parent) != 2 || state == 'Z' || state == 'X')
		return;
	if (all->n == all->cap) {
		size_t cap = all->cap ? all->cap * 2 : 256;
		struct proc *more = realloc(all->list, cap * sizeof *more);
		if (!more)
			return;
		all->list = more;
		all->cap = cap;
	}
	all->list[all->n++] = (struct proc){pid, parent, false};
}

static int by_pid(const void *a, const void *b)
{
	const struct proc *x = a, *y = b;
	return (x->pid > y->pid) - (x->pid < y->pid);
}

static void find_descendants(const struct procs *all, pid_t root)
{
	for (bool more = true; more;) { /* once per level whose pids have wrapped around */
		more = false;
		for (size_t i = 0; i < all->n; i++) {
			struct proc *p = &all->list[i], key = {.pid = p->parent};
			if (p->in || p->pid == root)
				continue;
			const struct proc *up = bsearch(&key, all->list, all->n, sizeof key,
							by_pid);
			p->in = p->parent == root || (up && up->in);
			more |= p->in;
		}
	}
}

static unsigned each(pid_t root, bool deep, void (*fn)(void *arg, pid_t pid), void *arg)
{
	struct procs all = {0};
	unsigned found = 0;
	each_process(add, &all);
	if (deep) {
		qsort(all.list, all.n, sizeof *all.list, by_pid);
		find_descendants(&all, root);
	}
	for (size_t i = 0; i < all.n; i++)
		if (deep ? all.list[i].in : all.list[i].parent == root) {
			fn(arg, all.list[i].pid);
			found++;
		}
	free(all.list);
	return found;
}

unsigned proctree_each(pid_t root, void (*fn)(void *arg, pid_t pid), void *arg)
{
	return each(root, true, fn, arg);
}

unsigned proctree_each_child(pid_t parent, void (*fn)(void *arg, pid_t pid), void *arg)
{
	return each(parent, false, fn, arg);
}

static void send_to(void *arg, pid_t pid)
{
	kill(pid, *(int *)arg);
}

static void stop_new(void *arg, pid_t pid)
{
	char text[1024];
	const char *stat = stat_of(pid, text);
	if (stat && *stat != 'T' && *stat != 't' && kill(pid, SIGSTOP) == 0)
		++*(unsigned *)arg;
}

unsigned proctree_kill(pid_t root)
{
	for (int i = 0; i < STOP_ROUNDS; i++) {
		unsigned fresh = 0;
		if (proctree_each(root, stop_new, &fresh) == 0)
			return 0;
		if (!fresh)
			break;
	}
	return proctree_each(root, send_to, &(int){SIGKILL});
}

void proctree_freeze(pid_t root, bool frozen)
{
	unsigned fresh = 1;
	if (!frozen)
		proctree_each(root, send_to, &(int){SIGCONT});
	for (int i = 0; frozen && fresh && i < STOP_ROUNDS; i++) {
		fresh = 0;
		proctree_each(root, stop_new, &fresh);
	}
}

/* ---- use ---- */

void proctree_add_usage(struct sandbox_usage *u, pid_t pid)
{
	char text[1024];
	unsigned long long user, system, size, resident, rd = 0, wr = 0;
	const char *stat = stat_of(pid, text);
	if (!stat || sscanf(stat, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
			    &system) != 2)
		return;
	u->pids++;
	u->cpu_ns += (user + system) * (1000000000ull / (unsigned long long)sysconf(_SC_CLK_TCK));
	if (read_proc(pid, "statm", text, sizeof text) > 0 &&
	    sscanf(text, "%llu %llu", &size, &resident) == 2)
		u->memory_bytes += resident * (unsigned long long)sysconf(_SC_PAGESIZE);
	if (read_proc(pid, "io", text, sizeof text) > 0) {
		const char *r = strstr(text, "\nread_bytes: "),
			   *w = strstr(text, "\nwrite_bytes: ");
		if (r && w && sscanf(r, " read_bytes: %llu", &rd) == 1 &&
		    sscanf(w, " write_bytes: %llu", &wr) == 1) {
			u->disk_read_bytes += rd;
			u->disk_write_bytes += wr;
		}
	}
}

struct counting {
	uid_t uid;
	unsigned n;
};

static void count_uid(void *arg, pid_t pid)
{
	struct counting *c = arg;
	struct stat st;
	char path[64], text[1024];
	unsigned threads;
	snprintf(path, sizeof path, "/proc/%d", pid);
	if (stat(path, &st) < 0 || st.st_uid != c->uid)
		return;
	const char *s = stat_of(pid, text);
	if (s && sscanf(s, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %u",
			&threads) == 1)
		c->n += threads;
}

unsigned proctree_count_uid(uid_t uid)
{
	struct counting c = {uid, 0};
	each_process(count_uid, &c);
	return c.n;
}

/* ---- marks ---- */

static rlim_t mark_limit(uint32_t mark)
{
	return ((rlim_t)1 << MARK_BITS) + (mark & ((1u << MARK_BITS) - 1));
}

bool proctree_mark(uint32_t mark)
{
	struct rlimit l = {mark_limit(mark), mark_limit(mark)};
	return setrlimit(RLIMIT_MSGQUEUE, &l) == 0;
}

struct marked {
	rlim_t limit;
	unsigned n;
};

static void kill_marked(void *arg, pid_t pid)
{
	struct marked *m = arg;
	char text[4096];
	unsigned long long soft, hard;
	if (pid == getpid() || read_proc(pid, "limits", text, sizeof text) <= 0)
		return;
	const char *line = strstr(text, "Max msgqueue size");
	if (line && sscanf(line, "Max msgqueue size %llu %llu", &soft, &hard) == 2 &&
	    hard == m->limit && kill(pid, SIGKILL) == 0)
		m->n++;
}

unsigned proctree_kill_marked(uint32_t mark)
{
	struct marked m = {mark_limit(mark), 0};
	each_process(kill_marked, &m);
	return m.n;
}
