/* SPDX-License-Identifier: MIT */
/* server.c - daemons of the benchmark's own. */
#include "tests/bench/server.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/measure.h"

#define CONFIG_TEXT                                                                                \
	"[native_execution]\nallowed_executables = [\"true\", \"sh\", \"cat\"]\n"                  \
	"[logging]\nlevel = \"warn\"\n"

/* ---- the directory, and what to take down when the benchmark ends early ---- */

static struct scratch *scratch;
static struct server *running[4];
static pid_t owner;

static void note(struct server *old, struct server *new)
{
	for (size_t i = 0; i < sizeof running / sizeof running[0]; i++)
		if (running[i] == old) {
			running[i] = new;
			return;
		}
	die("too many servers");
}

static void take_down(void)
{
	if (getpid() != owner) /* a child that could not become its program */
		return;
	for (size_t i = 0; i < sizeof running / sizeof running[0]; i++)
		if (running[i])
			server_stop(running[i]);
	if (scratch)
		scratch_done(scratch);
}

void scratch_init(struct scratch *s)
{
	const char *tmp = getenv("TMPDIR");
	char name[sizeof s->dir];
	snprintf(name, sizeof name, "%s/symbi-bench.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(name))
		die("%s", name);
	snprintf(s->dir, sizeof s->dir, "%s", name);
	scratch = s;
	owner = getpid();
	atexit(take_down);
	signal(SIGPIPE, SIG_IGN); /* a reader that left, as head does, is an error like another */
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void scratch_done(struct scratch *s)
{
	scratch = NULL;
	nftw(s->dir, remove_one, 64, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* ---- programs ---- */

static void beside(const char *name, char *out, size_t cap)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n < 0)
		die("/proc/self/exe");
	self[n] = 0;
	*strrchr(self, '/') = 0;
	snprintf(out, cap, "%s/%s", self, name);
}

/* Start argv in the background; it ends when the benchmark does. */
static pid_t start(char *const *argv)
{
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		signal(SIGPIPE, SIG_DFL);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(null, 0);
		dup2(2, 1); /* its talk must not become a row */
		execv(argv[0], argv);
		die("%s", argv[0]);
	}
	return pid;
}

static void write_config(const struct scratch *s, char *path, size_t cap)
{
	snprintf(path, cap, "%s/config.toml", s->dir);
	FILE *f = fopen(path, "we");
	if (!f || fputs(CONFIG_TEXT, f) < 0 || fclose(f) != 0)
		die("%s", path);
}

static void wait_ok(int fd)
{
	char line[700];
	ssize_t n, len = 0;
	while ((n = read(fd, line + len, sizeof line - 1 - (size_t)len)) > 0)
		len += n;
	line[len] = 0;
	errno = 0;
	if (strcmp(line, "ok\n") != 0)
		die("symbid did not start: %s", line);
	close(fd);
}

void symbid_start(struct server *d, const struct scratch *s, const char *name)
{
	char program[PATH_MAX + 32], config[PATH_MAX], fd[16];
	int p[2];
	*d = (struct server){0};
	snprintf(d->mount, sizeof d->mount, "%s/%s.mnt", s->dir, name);
	snprintf(d->state, sizeof d->state, "%s/%s", s->dir, name);
	snprintf(d->socket, sizeof d->socket, "%s/%s.sock", s->dir, name);
	beside("../bin/symbid", program, sizeof program);
	write_config(s, config, sizeof config);
	if (pipe(p) < 0 || fcntl(p[0], F_SETFD, FD_CLOEXEC) < 0)
		die("pipe");
	snprintf(fd, sizeof fd, "%d", p[1]);
	char *argv[] = {program,    "--mount",        d->mount,   "--state", d->state,
			"--socket", d->socket,        "--config", config,    "--ready-fd",
			fd,         "--allow-native", NULL};
	uint64_t begin = now_ns();
	d->pid = start(argv);
	note(NULL, d);
	close(p[1]);
	wait_ok(p[0]);
	d->ready_ns = now_ns() - begin;
}

/* Start argv and wait until there is a file `probe`. */
static void start_floor(struct server *d, char *const *argv, const char *probe)
{
	struct stat st;
	uint64_t begin = now_ns();
	d->pid = start(argv);
	note(NULL, d);
	while (stat(probe, &st) < 0) {
		if (waitpid(d->pid, NULL, WNOHANG) != 0)
			die("%s ended", argv[0]);
		usleep(1000);
	}
	d->ready_ns = now_ns() - begin;
}

void floor_start(struct server *d, const struct scratch *s, unsigned names)
{
	char program[PATH_MAX + 32], count[16], probe[PATH_MAX];
	*d = (struct server){0};
	snprintf(d->mount, sizeof d->mount, "%s/floor.mnt", s->dir);
	snprintf(probe, sizeof probe, "%s/hello", d->mount);
	snprintf(count, sizeof count, "%u", names);
	beside("floor_fuse", program, sizeof program);
	if (mkdir(d->mount, 0755) < 0 && errno != EEXIST)
		die("%s", d->mount);
	start_floor(d, (char *[]){program, "-n", count, d->mount, NULL}, probe);
}

void floor_http_start(struct server *d, const struct scratch *s)
{
	char program[PATH_MAX + 32];
	*d = (struct server){0};
	snprintf(d->socket, sizeof d->socket, "%s/floor.sock", s->dir);
	beside("floor_http", program, sizeof program);
	start_floor(d, (char *[]){program, d->socket, NULL}, d->socket);
}

void server_stop(struct server *d)
{
	note(d, NULL);
	kill(d->pid, SIGTERM);
	while (waitpid(d->pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (!*d->mount)
		return;
	umount2(d->mount, MNT_DETACH); /* gone already when all went well */
	rmdir(d->mount);
}

void server_kill(struct server *d)
{
	pid_t worker = symbid_pid(d, "worker_pid");
	note(d, NULL);
	kill(d->pid, SIGKILL);
	kill(worker, SIGKILL);
	while (waitpid(d->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* ---- what it says of itself ---- */

/* Number after `key` and a space at the start of a line of a file; dies without one. */
static double number_in(const char *path, const char *key)
{
	char line[512];
	size_t n = strlen(key);
	FILE *f = fopen(path, "re");
	if (!f)
		die("%s", path);
	while (fgets(line, sizeof line, f)) {
		char *end, *at = line + n;
		if (strncmp(line, key, n) != 0 || (*at != ' ' && *at != ':' && *at != '\t'))
			continue;
		double v = strtod(at + 1, &end);
		if (end == at + 1)
			continue;
		fclose(f);
		return v;
	}
	errno = 0;
	die("%s has no '%s'", path, key);
}

pid_t symbid_pid(const struct server *d, const char *key)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/status", d->mount);
	return (pid_t)number_in(path, key);
}

double symbid_metric(const struct server *d, const char *name)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/metrics", d->mount);
	return number_in(path, name);
}

static void add_memory(struct memory *m, pid_t pid)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
	m->rss += number_in(path, "Rss") * 1024;
	m->pss += number_in(path, "Pss") * 1024;
}

static void add_children(struct memory *m, pid_t pid)
{
	char path[64];
	int child;
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
	FILE *f = fopen(path, "re");
	if (!f)
		die("%s", path);
	while (fscanf(f, "%d", &child) == 1)
		add_memory(m, child);
	fclose(f);
}

struct memory symbid_memory(const struct server *d)
{
	struct memory m = {0};
	add_memory(&m, d->pid);
	add_children(&m, d->pid);
	return m;
}
