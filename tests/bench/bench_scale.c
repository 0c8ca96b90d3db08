/* SPDX-License-Identifier: MIT */
/* bench_scale.c - the daemon at rest and with many agents: memory, listing, start-up and the time in which a
 * killed worker answers again. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/journal.h"
#include "tests/bench/measure.h"
#include "tests/bench/server.h"

#define FEW    10000u
#define ROUNDS 5
#define MIB    1048576.0

static unsigned many = 100000; /* agents */

static void row(const char *what, const char *unit, double ours, double floor, enum goal goal,
		double bound)
{
	figure_print(&(struct figure){what, unit, ours, floor, goal, bound});
}

/* ---- listings ---- */

/* ls, or ls -l: every name, with its attributes when `stats`. Milliseconds. */
static double list_ms(const char *dir, bool stats, unsigned at_least)
{
	struct stat st;
	unsigned n = 0;
	uint64_t begin = now_ns();
	DIR *d = opendir(dir);
	if (!d)
		die("%s", dir);
	for (struct dirent *e; (e = readdir(d)); n++)
		if (stats && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			die("%s/%s", dir, e->d_name);
	closedir(d);
	double ms = (double)(now_ns() - begin) / 1e6;
	errno = 0;
	if (n < at_least)
		die("%s: %u names, %u expected", dir, n, at_least);
	return ms;
}

struct listing {
	const char *what;
	bool stats;
	unsigned pause_ms; /* before each, so that what the kernel keeps has expired */
	enum goal goal;
	double bound;
};

/* Beside `floor`, a directory with as many names. */
static void list_row(const struct server *ours, const char *floor, unsigned agents,
		     const struct listing *l)
{
	struct samples a = {0}, b = {0};
	char dir[PATH_MAX];
	snprintf(dir, sizeof dir, "%s/agents", ours->mount);
	for (int i = 0; i < ROUNDS; i++) {
		usleep(l->pause_ms * 1000);
		samples_add(&a, list_ms(dir, l->stats, 2 * agents));
		samples_add(&b, list_ms(floor, l->stats, 2 * agents));
	}
	row(l->what, "ms", samples_median(&a), samples_median(&b), l->goal, l->bound);
	samples_done(&a);
	samples_done(&b);
}

static double list_requests(const struct server *d, bool stats)
{
	char dir[PATH_MAX];
	snprintf(dir, sizeof dir, "%s/agents", d->mount);
	usleep(1200000);
	double before = symbid_metric(d, "symbi_fs_requests_total");
	list_ms(dir, stats, 0);
	return symbid_metric(d, "symbi_fs_requests_total") - before;
}

/* ---- as many names on tmpfs: no file system lists faster ---- */

static char memory_dir[] = "/dev/shm/symbi-bench.XXXXXX";

/* n names, half files half directories, made or removed. */
static void memory_names(unsigned n, bool make)
{
	char path[PATH_MAX];
	if (make && !mkdtemp(memory_dir))
		die("%s", memory_dir);
	for (unsigned i = 0; i < n; i++) {
		snprintf(path, sizeof path, "%s/agent%06u%s", memory_dir, i / 2,
			 i % 2 ? "" : ".yaml");
		int r = !make   ? remove(path)
			: i % 2 ? mkdir(path, 0755)
				: mknod(path, S_IFREG | 0644, 0);
		if (r < 0)
			die("%s", path);
	}
	if (!make)
		rmdir(memory_dir);
}

static void few_rows(const struct scratch *s)
{
	static const struct listing expired = {"ls -l of 10,000 agents (20,000 names)", true, 1200,
					       GOAL_OURS_MAX, 30};
	static const struct listing again = {"  at once again, beside tmpfs", true, 0,
					     GOAL_OURS_MAX, 30};
	static const struct listing names = {"  ls of them, beside tmpfs", false, 0, GOAL_NONE, 0};
	struct server ours, minimal;
	char dir[PATH_MAX];
	fill_agents(s, "few", FEW);
	symbid_start(&ours, s, "few");
	floor_start(&minimal, s, 2 * FEW);
	snprintf(dir, sizeof dir, "%s/dir", minimal.mount);
	list_row(&ours, dir, FEW, &expired);
	row("  requests for it", "requests", list_requests(&ours, true), 0, GOAL_NONE, 0);
	memory_names(2 * FEW, true);
	list_row(&ours, memory_dir, FEW, &again);
	list_row(&ours, memory_dir, FEW, &names);
	memory_names(2 * FEW, false);
	server_stop(&minimal);
	server_stop(&ours);
}

/* ---- memory and time with many ---- */

static struct memory idle_rows(const struct scratch *s)
{
	struct server d;
	struct samples ms = {0};
	struct memory m = {0};
	for (int i = 0; i < 3; i++) {
		symbid_start(&d, s, "empty");
		samples_add(&ms, (double)d.ready_ns / 1e6);
		usleep(1000000); /* it gives back what starting took */
		m = symbid_memory(&d);
		server_stop(&d);
	}
	row("daemon, idle: RSS of parent, worker and spawner", "MiB", m.rss / MIB, 0, GOAL_OURS_MAX,
	    6);
	row("  PSS of them", "MiB", m.pss / MIB, 0, GOAL_NONE, 0);
	row("start-up, no agents", "ms", samples_median(&ms), 0, GOAL_NONE, 0);
	samples_done(&ms);
	return m;
}

/* The floor of a start: reading and checking the journal of that state. */
static double scan_ms(const struct scratch *s, const char *name)
{
	char dir[PATH_MAX];
	struct journal_stat st;
	struct err e = {0};
	snprintf(dir, sizeof dir, "%s/%s/journal", s->dir, name);
	uint64_t begin = now_ns();
	errno = 0;
	if (journal_scan(dir, NULL, NULL, &st, &e) < 0)
		die("%s", e.msg);
	return (double)(now_ns() - begin) / 1e6;
}

static double recovery_ms(const struct server *d)
{
	char path[PATH_MAX], text[256];
	pid_t worker = symbid_pid(d, "worker_pid");
	snprintf(path, sizeof path, "%s/agents/agent000000.yaml", d->mount);
	uint64_t begin = now_ns();
	if (kill(worker, SIGKILL) < 0)
		die("kill");
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof text) != sizeof SPEC_TEXT - 1)
		die("%s after the worker was killed", path);
	double ms = (double)(now_ns() - begin) / 1e6;
	close(fd);
	errno = 0;
	if (symbid_pid(d, "worker_pid") == worker)
		die("the worker was not killed");
	return ms;
}

static void many_rows(const struct scratch *s, struct memory idle)
{
	static const struct listing names = {"  ls agents, two names each", false, 0, GOAL_NONE, 0};
	char what[100], dir[PATH_MAX];
	struct server d, minimal;
	fill_agents(s, "many", many);
	double floor_ms = scan_ms(s, "many");
	symbid_start(&d, s, "many");
	usleep(1000000); /* it gives back what starting took */
	struct memory m = symbid_memory(&d);
	snprintf(what, sizeof what, "an idle agent, of %u: RSS", many);
	row(what, "B", (m.rss - idle.rss) / many, 0, GOAL_OURS_MAX, 4096);
	row("  its PSS", "B", (m.pss - idle.pss) / many, 0, GOAL_NONE, 0);
	row("  start-up with them (journal scan)", "ms", (double)d.ready_ns / 1e6, floor_ms,
	    GOAL_NONE, 0);
	floor_start(&minimal, s, 2 * many);
	snprintf(dir, sizeof dir, "%s/dir", minimal.mount);
	list_row(&d, dir, many, &names);
	row("  requests for it", "requests", list_requests(&d, false), 0, GOAL_NONE, 0);
	server_stop(&minimal);
	row("  kill -9 of the worker to the next answer", "ms", recovery_ms(&d), floor_ms,
	    GOAL_NONE, 0);
	server_kill(&d);
	symbid_start(&d, s, "many");
	row("  start-up after kill -9 of everything", "ms", (double)d.ready_ns / 1e6, floor_ms,
	    GOAL_NONE, 0);
	server_stop(&d);
}

int main(int argc, char **argv)
{
	struct scratch s;
	if (argc > 1)
		many = (unsigned)strtoul(argv[1], NULL, 10);
	if (argc > 2 || many < 1000 || many > 1000000) {
		fputs("usage: bench_scale [AGENTS], 1000 to 1000000\n", stderr);
		return 2;
	}
	scratch_init(&s);
	struct memory idle = idle_rows(&s);
	few_rows(&s);
	many_rows(&s, idle);
	scratch_done(&s);
	return 0;
}
