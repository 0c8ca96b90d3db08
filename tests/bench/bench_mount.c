/* SPDX-License-Identifier: MIT */
/* bench_mount.c - what one operation on the mount costs its caller, in rounds that alternate between
 * symbid, the minimal libfuse program and, where something is to be durable, the disk. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/agent_spec.h"
#include "tests/bench/measure.h"
#include "tests/bench/server.h"

#define ROUND_NS    60000000u
#define NAMES       900 /* looked up in turn, so that 10 ms have passed before one comes again */
#define COUNTED     200 /* operations whose requests are counted */
#define NAME_AGE_US 15000

static struct server ours, minimal;
static struct disk disk;
static int dirs[NAMES],
	minimal_dir;           /* O_PATH descriptors of agents/NAME, and of the floor's root */
static int held, minimal_held; /* question files that stay open */
static unsigned serial;

/* ---- operations: each does one, i counts them ---- */

static void path_of(char out[PATH_MAX], const struct server *s, const char *name)
{
	snprintf(out, PATH_MAX, "%s/%s", s->mount, name);
}

static int open_at(int dir, const char *name, int flags)
{
	int fd = openat(dir, name, flags | O_CLOEXEC, 0644);
	if (fd < 0)
		die("open '%s'", name);
	return fd;
}

static void read_to_end(int fd, off_t from)
{
	char buf[65536];
	ssize_t n;
	while ((n = pread(fd, buf, sizeof buf, from)) > 0)
		from += n;
	if (n < 0)
		die("read");
}

static void read_at(int dir, const char *name)
{
	int fd = open_at(dir, name, O_RDONLY);
	read_to_end(fd, 0);
	close(fd);
}

static void stat_at(int dir, const char *name)
{
	struct stat st;
	if (fstatat(dir, name, &st, 0) < 0)
		die("stat '%s'", name);
}

static void write_at(int dir, const char *name, int flags, const char *text, size_t len)
{
	int fd = open_at(dir, name, O_WRONLY | flags);
	if (write(fd, text, len) != (ssize_t)len || close(fd) < 0)
		die("write '%s'", name);
}

static void ask_fd(int fd, const char *question, size_t len)
{
	if (pwrite(fd, question, len, 0) != (ssize_t)len)
		die("question");
	read_to_end(fd, 0);
}

static void ask_at(int dir, const char *name, const char *question, size_t len)
{
	int fd = open_at(dir, name, O_RDWR);
	ask_fd(fd, question, len);
	close(fd);
}

static char mount_text[2][PATH_MAX]; /* whole paths are walked, as a shell's are */

static void ours_version(unsigned i)
{
	(void)i;
	path_of(mount_text[0], &ours, "version");
	read_at(AT_FDCWD, mount_text[0]);
}

static void ours_status(unsigned i)
{
	(void)i;
	path_of(mount_text[0], &ours, "status");
	read_at(AT_FDCWD, mount_text[0]);
}

static void ours_read_new(unsigned i)
{
	read_at(dirs[i % NAMES], "status");
}

static void ours_stat_new(unsigned i)
{
	stat_at(dirs[i % NAMES], "status");
}

static void ours_command(unsigned i)
{
	(void)i;
	path_of(mount_text[0], &ours, "ctl");
	write_at(AT_FDCWD, mount_text[0], O_TRUNC, "log warn\n", 9);
}

static void ours_ask(unsigned i)
{
	(void)i;
	path_of(mount_text[0], &ours, "agents/.check");
	ask_at(AT_FDCWD, mount_text[0], SPEC_TEXT, sizeof SPEC_TEXT - 1);
}

static void ours_ask_held(unsigned i)
{
	(void)i;
	ask_fd(held, SPEC_TEXT, sizeof SPEC_TEXT - 1);
}

static void ours_create(unsigned i)
{
	(void)i;
	char name[64];
	snprintf(name, sizeof name, "agents/made%06u.yaml", serial++);
	path_of(mount_text[0], &ours, name);
	write_at(AT_FDCWD, mount_text[0], O_CREAT | O_EXCL, SPEC_TEXT, sizeof SPEC_TEXT - 1);
}

static void ours_run(unsigned i)
{
	(void)i;
	path_of(mount_text[0], &ours, "agents/agent000000/run");
	ask_at(AT_FDCWD, mount_text[0], "x\n", 2);
}

static void floor_read(unsigned i)
{
	(void)i;
	path_of(mount_text[1], &minimal, "hello");
	read_at(AT_FDCWD, mount_text[1]);
}

static void floor_read_at(unsigned i)
{
	(void)i;
	read_at(minimal_dir, "hello");
}

static void floor_stat(unsigned i)
{
	(void)i;
	stat_at(minimal_dir, "hello");
}

static void floor_write(unsigned i)
{
	(void)i;
	path_of(mount_text[1], &minimal, "sink");
	write_at(AT_FDCWD, mount_text[1], O_TRUNC, "log warn\n", 9);
}

static void floor_ask(unsigned i)
{
	(void)i;
	path_of(mount_text[1], &minimal, "ask");
	ask_at(AT_FDCWD, mount_text[1], SPEC_TEXT, sizeof SPEC_TEXT - 1);
}

static void floor_ask_held(unsigned i)
{
	(void)i;
	ask_fd(minimal_held, SPEC_TEXT, sizeof SPEC_TEXT - 1);
}

static void floor_create(unsigned i)
{
	(void)i;
	char name[64];
	snprintf(name, sizeof name, "dir/made%06u.yaml", serial++);
	path_of(mount_text[1], &minimal, name);
	write_at(AT_FDCWD, mount_text[1], O_CREAT | O_EXCL, SPEC_TEXT, sizeof SPEC_TEXT - 1);
}

static void floor_commit(unsigned i)
{
	(void)i;
	disk_commit(&disk, 512);
}

/* The same exchange without an agent: a process whose input is given and whose output is read. */
static void floor_spawn(unsigned i)
{
	(void)i;
	static char *const argv[] = {"true", NULL};
	int in[2], out[2];
	pid_t pid;
	posix_spawn_file_actions_t fa;
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || write(in[1], "x\n", 2) != 2)
		die("pipe");
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, in[0], 0);
	posix_spawn_file_actions_adddup2(&fa, out[1], 1);
	errno = posix_spawnp(&pid, "true", &fa, NULL, argv, environ);
	if (errno)
		die("posix_spawn");
	posix_spawn_file_actions_destroy(&fa);
	close(in[0]);
	close(in[1]);
	close(out[1]);
	char c;
	while (read(out[0], &c, 1) > 0)
		;
	close(out[0]);
	if (waitpid(pid, NULL, 0) < 0)
		die("waitpid");
}

/* What the question costs without any mount. */
static void parse(unsigned i)
{
	(void)i;
	struct agent_spec *spec = NULL;
	struct err e = {0};
	if (agent_spec_parse(VALUE_YAML, SPEC_TEXT, sizeof SPEC_TEXT - 1, TIER_NONE, &spec, NULL,
			     &e) < 0)
		die("%s", e.msg);
	agent_spec_free(spec);
}

static double parse_us(void)
{
	struct samples s = {0};
	unsigned i = 0;
	samples_time(&s, ROUND_NS, parse, &i);
	double us = samples_median(&s);
	samples_done(&s);
	return us;
}

/* ---- rows ---- */

struct row {
	struct versus v;
	bool work;       /* what the question itself costs is added to the goal */
	double requests; /* goal of requests per operation; 0: none */
};

static const struct row rows[] = {
	{.v = {"read version (open, read, close)",
	       ours_version,
	       {floor_read},
	       GOAL_RATIO_MAX,
	       0.7}},
	{.v = {"read status", ours_status, {floor_read}, GOAL_RATIO_MAX, 0.7}},
	{.v = {"read agents/NAME/status, name not cached",
	       ours_read_new,
	       {floor_read_at},
	       GOAL_RATIO_MAX,
	       0.7}},
	{.v = {"stat agents/NAME/status, name not cached",
	       ours_stat_new,
	       {floor_stat},
	       GOAL_NONE,
	       0},
	 .requests = 1},
	{.v = {"write a command (ctl)", ours_command, {floor_write}, GOAL_RATIO_MAX, 1}},
	{.v = {"ask and answer (agents/.check)", ours_ask, {floor_ask}, GOAL_OURS_MAX, 75},
	 .work = true},
	{.v = {"ask and answer, descriptor held",
	       ours_ask_held,
	       {floor_ask_held},
	       GOAL_OURS_MAX,
	       75},
	 .work = true},
	{.v = {"create an agent, durable (+ fdatasync)",
	       ours_create,
	       {floor_create, floor_commit},
	       GOAL_RATIO_MAX,
	       1.5}},
	{.v = {"run true and read its answer (posix_spawn)",
	       ours_run,
	       {floor_spawn},
	       GOAL_NONE,
	       0}},
};

/* Requests that one operation costs the daemon: its own counter before and after, less what reading the
 * counter costs. The pauses let names expire and the last release arrive. */
static double requests_of(void (*op)(unsigned i))
{
	double count[3];
	for (int k = 0; k < 3; k++) {
		usleep(NAME_AGE_US);
		count[k] = symbid_metric(&ours, "symbi_fs_requests_total");
		usleep(NAME_AGE_US);
		for (unsigned i = 0; k == 1 && i < COUNTED; i++)
			op(i);
	}
	return (count[2] - count[1] - (count[1] - count[0])) / COUNTED;
}

static void measure(const struct row *r)
{
	struct versus v = r->v;
	if (r->work)
		v.bound += parse_us();
	versus_print(&v);
	figure_print(&(struct figure){"  requests for it", "requests", requests_of(v.ours), 0,
				      r->requests != 0 ? GOAL_OURS_MAX : GOAL_NONE, r->requests});
}

static void open_names(void)
{
	struct rlimit l;
	char path[PATH_MAX], name[64];
	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_max < NAMES + 64)
		die("%d descriptors are needed", NAMES + 64);
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof name, "agents/agent%06d", i);
		path_of(path, &ours, name);
		dirs[i] = open_at(AT_FDCWD, path, O_PATH);
	}
	minimal_dir = open_at(AT_FDCWD, minimal.mount, O_PATH);
	path_of(path, &ours, "agents/.check");
	held = open_at(AT_FDCWD, path, O_RDWR);
	path_of(path, &minimal, "ask");
	minimal_held = open_at(AT_FDCWD, path, O_RDWR);
}

static void close_names(void)
{
	for (int i = 0; i < NAMES; i++)
		close(dirs[i]);
	close(minimal_dir);
	close(held);
	close(minimal_held);
}

int main(int argc, char **argv)
{
	struct scratch s;
	scratch_init(&s);
	fill_agents(&s, "state", NAMES);
	symbid_start(&ours, &s, "state");
	floor_start(&minimal, &s, 0);
	disk_open(&disk, s.dir);
	open_names();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (argc < 2 || strstr(rows[i].v.what, argv[1]))
			measure(&rows[i]);
	close_names();
	disk_close(&disk);
	server_stop(&minimal);
	server_stop(&ours);
	scratch_done(&s);
	return 0;
}
