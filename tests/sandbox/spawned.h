/* SPDX-License-Identifier: MIT */
/* spawned.h - a real symbi-spawn with a client on a loop of its own, for tests: start programs, wait for
 * what is told. Everything happens on the test's thread. */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/parse.h"
#include "sandbox/sandbox.h"
#include "tests/support/check.h"
#include "tests/support/tempdir.h"

#define BOXED_UID 64322 /* of nobody on this machine */
#define GIVE_UP_S 60 /* a wait that takes this long is a failure, not a slow machine */

struct heard { /* what was told about one id */
	uint64_t id;
	pid_t pid;
	unsigned started, ended, measured;
	struct sandbox_result result;
	struct sandbox_usage usage;
	struct sandbox_layers layers;
};

struct spawned {
	char dir[64]; /* temporary: state/ work/ out err */
	char state[96], work[96], out[96], err[96];
	int keep;  /* the worker's end of the socket, as the daemon's parent keeps it */
	pid_t pid; /* of symbi-spawn */
	struct loop loop;
	struct spawn_client *client;
	struct heard heard[2048];
	size_t n;
	bool lost, resynced;
	uint64_t next_id;
	uv_timer_t timer;
	const struct sandbox_driver *driver; /* to start with; NULL: native */
	struct sandbox_connect told[64]; /* connections, in their order */
	size_t told_n, asked;
	bool (*may)(const struct sandbox_connect *c); /* what is asked; NULL: nothing */
	void (*before)(void); /* in the spawner's process, before it is one; NULL: nothing */
};

static inline struct heard *heard_of(struct spawned *s, uint64_t id)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->heard[i].id == id)
			return &s->heard[i];
	assert_true(s->n < ARRAY_LEN(s->heard));
	s->heard[s->n] = (struct heard){.id = id};
	return &s->heard[s->n++];
}

static inline void spawned_started(void *arg, uint64_t id, pid_t pid, const struct sandbox_layers *l)
{
	struct heard *h = heard_of(arg, id);
	h->started++;
	h->pid = pid;
	h->layers = *l;
}

static inline void spawned_ended(void *arg, uint64_t id, const struct sandbox_result *r)
{
	struct heard *h = heard_of(arg, id);
	h->ended++;
	h->result = *r;
}

static inline void spawned_measured(void *arg, uint64_t id, const struct sandbox_usage *u)
{
	struct heard *h = heard_of(arg, id);
	h->measured++;
	h->usage = *u;
}

static inline void spawned_lost(void *arg)
{
	((struct spawned *)arg)->lost = true;
}

static inline void spawned_resynced(void *arg)
{
	((struct spawned *)arg)->resynced = true;
}

static inline void spawned_connects(void *arg, uint64_t id, const struct sandbox_connect *c)
{
	struct spawned *s = arg;
	if (!c->number) {
		assert_true(s->told_n < ARRAY_LEN(s->told));
		s->told[s->told_n++] = *c;
		return;
	}
	s->asked++;
	sandbox_answer(s->client, id, c->number, s->may && s->may(c), "asked", "by the test", NULL);
}

static const struct sandbox_events spawned_events = {
	.started = spawned_started,
	.ended = spawned_ended,
	.lost = spawned_lost,
	.measured = spawned_measured,
	.connects = spawned_connects,
};

/* ---- the spawner and its clients ---- */

static inline void spawned_run_spawner(struct spawned *s)
{
	int sv[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	s->pid = fork();
	if (s->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (s->before)
			s->before();
		dup2(sv[1], 3);
		execl(SYMBI_BIN_DIR "/symbi-spawn", "symbi-spawn", "--fd", "3", "--state", s->state,
		      (char *)NULL);
		_exit(127);
	}
	close(sv[1]);
	s->keep = sv[0];
}

static inline void spawned_connect(struct spawned *s)
{
	struct err e = {0};
	assert_int_equal(
		spawn_client_open(&s->client, dup(s->keep), &s->loop, &spawned_events, s, &e), 0);
}

static inline void spawned_disconnect(struct spawned *s)
{
	spawn_client_close(s->client);
	s->client = NULL;
	uv_run(&s->loop.uv, UV_RUN_NOWAIT);
}

static inline void spawned_open(struct spawned *s)
{
	struct err e = {0};
	*s = (struct spawned){.keep = -1, .next_id = 1, .before = s->before};
	tempdir_make(s->dir);
	chmod(s->dir, 0755);
	snprintf(s->state, sizeof s->state, "%s/state", s->dir);
	snprintf(s->work, sizeof s->work, "%s/work", s->dir);
	snprintf(s->out, sizeof s->out, "%s/out", s->dir);
	snprintf(s->err, sizeof s->err, "%s/err", s->dir);
	assert_int_equal(mkdir(s->state, 0711), 0);
	assert_int_equal(mkdir(s->work, 0777), 0);
	chmod(s->work, 0777);
	assert_int_equal(loop_init(&s->loop, &e), 0);
	uv_timer_init(&s->loop.uv, &s->timer);
	spawned_run_spawner(s);
	spawned_connect(s);
}

/* Close the socket and wait for the spawner to go. */
static inline void spawned_stop(struct spawned *s)
{
	int status;
	if (s->client)
		spawned_disconnect(s);
	if (s->keep >= 0)
		close(take_fd(&s->keep));
	if (s->pid > 0)
		assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	s->pid = 0;
}

static inline void spawned_close(struct spawned *s)
{
	spawned_stop(s);
	uv_close((uv_handle_t *)&s->timer, NULL);
	uv_run(&s->loop.uv, UV_RUN_NOWAIT);
	loop_done(&s->loop);
	tempdir_remove(s->dir);
}

/* ---- waiting ---- */

static inline void spawned_tick(uv_timer_t *t)
{
	(void)t;
}

/* Run the loop until cond is true. The timer only makes the condition be looked at again. */
#define spawned_until(s, cond)                                                                     \
	do {                                                                                       \
		uint64_t until_ = clock_mono_ns() + GIVE_UP_S * 1000000000ull;                     \
		uv_timer_start(&(s)->timer, spawned_tick, 5, 5);                                   \
		while (!(cond)) {                                                                  \
			if (clock_mono_ns() > until_)                                              \
				fail_msg("gave up waiting for: %s", #cond);                        \
			uv_run(&(s)->loop.uv, UV_RUN_ONCE);                                        \
		}                                                                                  \
		uv_timer_stop(&(s)->timer);                                                        \
	} while (0)

/* ---- programs ---- */

/* A spec for `sh -c script` with output to s->out; the caller may change it before it is started. */
struct shell_spec {
	struct sandbox_spec spec;
	const char *argv[4];
	const char *env[3];
};

static inline void shell_spec(struct spawned *s, struct shell_spec *sh, const char *script)
{
	*sh = (struct shell_spec){.argv = {"/bin/sh", "-c", script, NULL},
				  .env = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", NULL}};
	sh->spec = (struct sandbox_spec){.id = s->next_id++,
					 .owner = "test",
					 .argv = sh->argv,
					 .envp = sh->env,
					 .cwd = s->work,
					 .stdin_fd = -1,
					 .stdout_fd = -1,
					 .stderr_fd = -1,
					 .uid = (uid_t)-1,
					 .gid = (gid_t)-1,
					 .enforce = true};
	if (s->driver && s->driver->tier != TIER_NONE && geteuid() == 0)
		sh->spec.uid = sh->spec.gid = BOXED_UID; /* never root */
}

/* Start with new files for output; the id. */
static inline uint64_t spawned_start(struct spawned *s, struct sandbox_spec *spec)
{
	struct err e = {0};
	int out = open(s->out, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	int err = open(s->err, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (out < 0 || err < 0)
		fail_msg("output: %s", strerror(errno));
	if (geteuid() == 0 && spec->uid != (uid_t)-1 && (fchown(out, spec->uid, spec->gid) < 0 ||
				       fchown(err, spec->uid, spec->gid) < 0))
		fail_msg("output: %s", strerror(errno));
	if (spec->stdout_fd < 0)
		spec->stdout_fd = out;
	if (spec->stderr_fd < 0)
		spec->stderr_fd = err;
	spec->driver = s->driver ? s->driver->name : NULL;
	if (sandbox_start(s->client, s->driver ? s->driver->tier : TIER_NONE, spec, &e) < 0)
		fail_msg("%s", e.msg);
	close(out);
	close(err);
	return spec->id;
}

static inline struct heard *spawned_wait(struct spawned *s, uint64_t id)
{
	spawned_until(s, heard_of(s, id)->ended);
	return heard_of(s, id);
}

static inline struct heard *spawned_run(struct spawned *s, struct sandbox_spec *spec)
{
	struct heard *h = spawned_wait(s, spawned_start(s, spec));
	sandbox_ack(s->client, h->id, NULL);
	return h;
}

static inline struct heard *spawned_sh(struct spawned *s, const char *script)
{
	struct shell_spec sh;
	shell_spec(s, &sh, script);
	return spawned_run(s, &sh.spec);
}

/* The text of a file, NUL-ended; static. */
static inline const char *text_of(const char *path)
{
	static char text[65536];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	text[n > 0 ? n : 0] = 0;
	if (fd >= 0)
		close(fd);
	return text;
}

/* State letter of a process, 0 when it is gone. */
static inline char state_of_pid(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	const char *p = strrchr(text_of(path), ')');
	return p ? p[2] : 0;
}

/* How many living processes have word in their command line or are called it (state Z is not living). */
static inline unsigned running(const char *word)
{
	unsigned n = 0;
	DIR *d = opendir("/proc");
	assert_non_null(d);
	for (struct dirent *ent; (ent = readdir(d));) {
		char path[300], text[4096];
		uint64_t pid;
		if (parse_u64(ent->d_name, 1, INT32_MAX, &pid, NULL) < 0)
			continue;
		snprintf(path, sizeof path, "/proc/%s/cmdline", ent->d_name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof text);
		if (fd >= 0)
			close(fd);
		n += len > 0 && memmem(text, (size_t)len, word, strlen(word)) &&
		     (pid_t)pid != getpid() && state_of_pid((pid_t)pid) != 'Z' &&
		     state_of_pid((pid_t)pid) != 0;
	}
	closedir(d);
	return n;
}

/* Directories of cgroups that lie below the spawner's own, as it recorded them. */
static inline unsigned groups_of(const struct spawned *s)
{
	char record[128], line[512];
	unsigned n = 0;
	snprintf(record, sizeof record, "%s/spawn.cgroups", s->state);
	FILE *f = fopen(record, "re");
	while (f && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = 0;
		DIR *d = opendir(line);
		for (struct dirent *ent; d && (ent = readdir(d));)
			n += ent->d_type == DT_DIR && ent->d_name[0] != '.';
		if (d)
			closedir(d);
	}
	if (f)
		fclose(f);
	return n;
}
