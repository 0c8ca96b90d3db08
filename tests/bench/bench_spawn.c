/* SPDX-License-Identifier: MIT */
/* bench_spawn.c - a start until its end is told, native and in a box (Tier1), through the real client and spawner
 * over the socket, beside posix_spawn and waitpid of the same program, and bubblewrap, in turns. All limits of an agent
 * are set. */
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/parse.h"
#include "measure.h"
#include "sandbox/sandbox.h"
#include "server.h"

#define ROUNDS 1000
#define BURST  200
#define BOXED_UID 64322

struct bench {
	struct loop loop;
	struct spawn_client *client;
	pid_t spawner;
	uint64_t next_id;
	unsigned ended;
	const char *cwd;
	char *program;
	enum sandbox_tier tier;
	struct scratch scratch;
};

static void on_started(void *arg, uint64_t id, pid_t pid, const struct sandbox_layers *l)
{
	(void)arg, (void)id, (void)pid, (void)l;
}

static void on_ended(void *arg, uint64_t id, const struct sandbox_result *r)
{
	struct bench *b = arg;
	if (r->end != END_EXITED || r->code != 0)
		die("a start ended with %d, code %d: %s", r->end, r->code, r->err.msg);
	sandbox_ack(b->client, id, NULL);
	b->ended++;
}

static void on_lost(void *arg)
{
	(void)arg;
	die("the spawner is gone");
}

static void open_spawner(struct bench *b)
{
	static const struct sandbox_events events = {
		.started = on_started, .ended = on_ended, .lost = on_lost};
	char self[PATH_MAX], path[PATH_MAX + 32];
	int sv[2];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		die("spawner");
	self[n] = 0;
	*strrchr(self, '/') = 0;
	snprintf(path, sizeof path, "%s/../bin/symbi-spawn", self);
	b->spawner = fork();
	if (b->spawner == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(sv[1], 3);
		execl(path, "symbi-spawn", "--fd", "3", "--state", b->scratch.dir, (char *)NULL);
		_exit(127);
	}
	close(sv[1]);
	if (loop_init(&b->loop, NULL) < 0 ||
	    spawn_client_open(&b->client, sv[0], &b->loop, &events, b, NULL) < 0)
		die("client");
}

static char *const env[] = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", NULL};

static void start(struct bench *b)
{
	char *argv[] = {b->program, NULL};
	struct err e = {0};
	struct sandbox_spec s = {
		.id = ++b->next_id,
		.owner = "bench",
		.argv = (const char *const *)argv,
		.envp = (const char *const *)env,
		.cwd = b->cwd,
		.stdin_fd = -1,
		.stdout_fd = STDERR_FILENO,
		.stderr_fd = STDERR_FILENO,
		.uid = b->tier != TIER_NONE && geteuid() == 0 ? BOXED_UID : (uid_t)-1,
		.gid = b->tier != TIER_NONE && geteuid() == 0 ? BOXED_UID : (gid_t)-1,
		.limits = {.memory_bytes = 512u << 20,
			   .cpu_millis = 1000,
			   .cpu_seconds = 300,
			   .pids = 64,
			   .disk_bytes_per_s = 100u << 20,
			   .file_bytes = 64u << 20},
		.enforce = true,
	};
	if (sandbox_start(b->client, b->tier, &s, &e) < 0)
		die("start: %s", e.msg);
}

static double ours(struct bench *b, unsigned count)
{
	uint64_t begin = now_ns();
	b->ended = 0;
	for (unsigned i = 0; i < count; i++)
		start(b);
	while (b->ended < count)
		uv_run(&b->loop.uv, UV_RUN_ONCE);
	return (double)(now_ns() - begin) / 1000;
}

static double floor_us(struct bench *b, unsigned count)
{
	char *argv[] = {b->program, NULL};
	pid_t pid;
	int status;
	uint64_t begin = now_ns();
	for (unsigned i = 0; i < count; i++)
		if (posix_spawn(&pid, b->program, NULL, NULL, argv, env) != 0)
			die("posix_spawn");
	for (unsigned i = 0; i < count; i++)
		if (waitpid(-1, &status, 0) < 0 || status != 0)
			die("wait: %d", status);
	return (double)(now_ns() - begin) / 1000;
}

static void measure(struct bench *b, const char *what, unsigned rounds)
{
	struct samples us = {0}, floor = {0}, burst = {0}, burst_floor = {0};
	char text[80];
	for (unsigned i = 0; i < 20; i++)
		ours(b, 1);
	for (unsigned i = 0; i < rounds; i++) {
		samples_add(&us, ours(b, 1));
		samples_add(&floor, floor_us(b, 1));
	}
	for (unsigned i = 0; i < 5; i++) {
		samples_add(&burst, BURST / ours(b, BURST) * 1e6);
		samples_add(&burst_floor, BURST / floor_us(b, BURST) * 1e6);
	}
	snprintf(text, sizeof text, "native start to exit, %s, p50", what);
	figure_print(&(struct figure){text, "us", samples_quantile(&us, 0.5),
				      samples_quantile(&floor, 0.5), GOAL_RATIO_MAX, 1.2});
	snprintf(text, sizeof text, "native start to exit, %s, p99", what);
	figure_print(&(struct figure){text, "us", samples_quantile(&us, 0.99),
				      samples_quantile(&floor, 0.99), GOAL_NONE, 0});
	snprintf(text, sizeof text, "native starts, %d at once, %s", BURST, what);
	figure_print(&(struct figure){text, "/s", samples_median(&burst),
				      samples_median(&burst_floor), GOAL_NONE, 0});
	samples_done(&us);
	samples_done(&floor);
	samples_done(&burst);
	samples_done(&burst_floor);
}

static double bubblewrap_us(struct bench *b)
{
	char *dir = (char *)b->cwd;
	char *argv[] = {"bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/usr",
			"/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--proc",
			"/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--bind", dir, dir, "--chdir", dir,
			b->program, NULL};
	pid_t pid;
	int status;
	uint64_t begin = now_ns();
	if (posix_spawnp(&pid, "bwrap", NULL, NULL, argv, env) != 0 || waitpid(pid, &status, 0) < 0 ||
	    status != 0)
		return 0;
	return (double)(now_ns() - begin) / 1000;
}

/* In turns, beside the floor and the sandbox that everybody knows. */
static void measure_box(struct bench *b, const char *what, unsigned rounds)
{
	struct samples us = {0}, floor = {0}, bwrap = {0};
	struct err e = {0};
	char text[80];
	const struct sandbox_driver *const *d = sandbox_drivers;
	while (*d && (*d)->tier != TIER_1)
		d++;
	if (!*d || (*d)->available(&(struct sandbox_layers){0}, &e) < 0) {
		fprintf(stderr, "bench_spawn: no box: %s\n", e.msg);
		return;
	}
	bool have = bubblewrap_us(b) > 0;
	b->tier = TIER_1;
	for (unsigned i = 0; i < 20; i++)
		ours(b, 1);
	for (unsigned i = 0; i < rounds; i++) {
		samples_add(&us, ours(b, 1));
		samples_add(&floor, floor_us(b, 1));
		if (have)
			samples_add(&bwrap, bubblewrap_us(b));
	}
	double mine = samples_quantile(&us, 0.5);
	snprintf(text, sizeof text, "Tier1 start to exit, %s, beside posix_spawn", what);
	figure_print(&(struct figure){text, "us", mine, samples_quantile(&floor, 0.5), GOAL_RATIO_MAX, 4});
	snprintf(text, sizeof text, "Tier1 start to exit, %s, beside bubblewrap", what);
	figure_print(&(struct figure){text, "us", mine, samples_quantile(&bwrap, 0.5),
				      have ? GOAL_RATIO_MAX : GOAL_NONE, 0.6});
	struct samples burst = {0};
	for (unsigned i = 0; i < 3; i++)
		samples_add(&burst, BURST / ours(b, BURST) * 1e6);
	snprintf(text, sizeof text, "Tier1 starts, %d at once, %s", BURST, what);
	figure_print(&(struct figure){text, "/s", samples_median(&burst), 0, GOAL_NONE, 0});
	b->tier = TIER_NONE;
	samples_done(&us);
	samples_done(&floor);
	samples_done(&bwrap);
	samples_done(&burst);
}

/* The smallest static and dynamic programs, built from the same line. */
static void build(struct bench *b, const char *name, const char *flag)
{
	char src[PATH_MAX], out[PATH_MAX];
	pid_t pid;
	int status;
	snprintf(src, sizeof src, "%s/true.c", b->scratch.dir);
	snprintf(out, sizeof out, "%s/%s", b->scratch.dir, name);
	FILE *f = fopen(src, "we");
	if (!f || fputs("int main(void) { return 0; }\n", f) < 0 || fclose(f) != 0)
		die("%s", src);
	char *argv[] = {"cc", "-O2", (char *)flag, "-o", out, src, NULL};
	if (posix_spawnp(&pid, "cc", NULL, NULL, argv, environ) != 0 ||
	    waitpid(pid, &status, 0) < 0 || status != 0)
		die("cc");
	b->program = strdup(out);
}

int main(int argc, char **argv)
{
	static struct bench b;
	uint64_t rounds = ROUNDS;
	if (argc > 2 || (argc == 2 && parse_u64(argv[1], 1, 100000, &rounds, NULL) < 0)) {
		fputs("usage: bench_spawn [ROUNDS]\n", stderr);
		return 2;
	}
	scratch_init(&b.scratch);
	b.cwd = b.scratch.dir;
	if (chmod(b.cwd, 0755) < 0)
		die("%s", b.cwd);
	open_spawner(&b);
	build(&b, "true-static", "-static");
	measure(&b, "static program", (unsigned)rounds);
	measure_box(&b, "static program", (unsigned)(rounds + 3) / 4);
	free(b.program);
	build(&b, "true-dynamic", "-pie");
	measure(&b, "dynamic program", (unsigned)rounds);
	measure_box(&b, "dynamic program", (unsigned)(rounds + 3) / 4);
	free(b.program);
	spawn_client_close(b.client);
	uv_run(&b.loop.uv, UV_RUN_NOWAIT);
	waitpid(b.spawner, NULL, 0);
	loop_done(&b.loop);
	scratch_done(&b.scratch);
	return 0;
}
