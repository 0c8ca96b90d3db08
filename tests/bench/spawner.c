/* SPDX-License-Identifier: MIT */
/* spawner.c - see spawner.h. */
#include "spawner.h"

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/paths.h"
#include "measure.h"

static char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", NULL};

static void on_started(void *arg, uint64_t id, pid_t pid, const struct sandbox_layers *l)
{
	(void)id, (void)pid, (void)l;
	struct spawner *b = arg;
	b->started++;
}

static void on_ended(void *arg, uint64_t id, const struct sandbox_result *r)
{
	struct spawner *b = arg;
	if (r->end != END_KILLED && (r->end != END_EXITED || r->code != 0))
		die("a start ended with %d, code %d: %s", r->end, r->code, r->err.msg);
	sandbox_ack(b->client, id, NULL);
	b->ended++;
}

static void on_lost(void *arg)
{
	(void)arg;
	die("the spawner is gone");
}

void spawner_open(struct spawner *b)
{
	static const struct sandbox_events events = {.started = on_started, .ended = on_ended, .lost = on_lost};
	char path[PATH_MAX];
	int sv[2];
	scratch_init(&b->scratch);
	b->cwd = b->scratch.dir;
	if (chmod(b->cwd, 0755) < 0 || paths_beside("../bin/symbi-spawn", path) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		die("spawner");
	b->pid = fork();
	if (b->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(sv[1], 3);
		execl(path, "symbi-spawn", "--fd", "3", "--state", b->scratch.dir, (char *)NULL);
		_exit(127);
	}
	close(sv[1]);
	if (loop_init(&b->loop, NULL) < 0 || spawn_client_open(&b->client, sv[0], &b->loop, &events, b, NULL) < 0)
		die("client");
}

void spawner_close(struct spawner *b)
{
	spawn_client_close(b->client);
	uv_run(&b->loop.uv, UV_RUN_NOWAIT);
	waitpid(b->pid, NULL, 0);
	loop_done(&b->loop);
	scratch_done(&b->scratch);
}

uint64_t spawner_start(struct spawner *b)
{
	struct err e = {0};
	bool apart = b->tier != TIER_NONE && geteuid() == 0;
	struct sandbox_spec s = {
		.id = ++b->next_id,
		.owner = "bench",
		.argv = (const char *const *)b->argv,
		.envp = (const char *const *)env,
		.cwd = b->cwd,
		.stdin_fd = -1,
		.stdout_fd = STDERR_FILENO,
		.stderr_fd = STDERR_FILENO,
		.uid = apart ? BOXED_UID : (uid_t)-1,
		.gid = apart ? BOXED_UID : (gid_t)-1,
		.driver = b->driver,
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
	return s.id;
}

void spawner_wait(struct spawner *b, unsigned ended)
{
	while (b->ended < ended)
		uv_run(&b->loop.uv, UV_RUN_ONCE);
}

double spawner_us(struct spawner *b, unsigned count)
{
	uint64_t begin = now_ns();
	b->ended = 0;
	for (unsigned i = 0; i < count; i++)
		spawner_start(b);
	spawner_wait(b, count);
	return (double)(now_ns() - begin) / 1000;
}

double process_us(char *const *argv, unsigned count)
{
	int status;
	bool bad = false;
	pid_t pid;
	uint64_t begin = now_ns();
	for (unsigned i = 0; i < count; i++)
		if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, env) != 0)
			return -1;
	for (unsigned i = 0; i < count; i++)
		bad |= waitpid(-1, &status, 0) < 0 || status != 0;
	return bad ? -1 : (double)(now_ns() - begin) / 1000;
}

char *spawner_build(const struct spawner *b, const char *name, const char *text, const char *flag)
{
	char source[PATH_MAX], out[PATH_MAX];
	snprintf(source, sizeof source, "%s/%s.c", b->scratch.dir, name);
	snprintf(out, sizeof out, "%s/%s", b->scratch.dir, name);
	FILE *f = fopen(source, "we");
	if (!f || fputs(text, f) < 0 || fclose(f) != 0)
		die("%s", source);
	char *argv[] = {"cc", "-O2", (char *)flag, "-o", out, source, NULL};
	if (process_us(argv, 1) < 0)
		die("cc");
	return strdup(out);
}

double bubblewrap_us(const struct spawner *b, char *const *argv)
{
	char *dir = (char *)b->cwd;
	char *words[32] = {"bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/usr",
			   "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--proc",
			   "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--bind", dir, dir, "--chdir", dir};
	size_t n = 24;
	for (char *const *a = argv; *a && n + 1 < ARRAY_LEN(words); a++)
		words[n++] = *a;
	return process_us(words, 1);
}
