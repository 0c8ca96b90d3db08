/* SPDX-License-Identifier: MIT */
/* engine.h - a real engine for tests: its own state directory, loop and, when asked for, symbi-spawn. */
#pragma once

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/loop.h"
#include "lib/mem.h"
#include "runtime/runtime.h"

struct engine {
	char dir[128];
	struct loop loop;
	struct config *config;
	struct runtime *rt;
	pid_t spawner;
	int spawn_fd; /* the test's end; -1 none */
};

static const struct actor root_actor;

static inline int engine_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static inline void engine_spawner(struct engine *t)
{
	int sv[2];
	char num[16];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	t->spawner = fork();
	if (t->spawner == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fcntl(sv[1], F_SETFD, 0);
		snprintf(num, sizeof num, "%d", sv[1]);
		execl(SYMBI_BIN_DIR "/symbi-spawn", "symbi-spawn", "--fd", num, "--state", t->dir,
		      (char *)NULL);
		_exit(127);
	}
	close(sv[1]);
	t->spawn_fd = sv[0];
}

static inline void engine_set(struct engine *t, const char *key, const char *value)
{
	struct err e = {0};
	if (config_set(t->config, key, value, "test", &e) < 0)
		fail_msg("%s", e.msg);
}

/* Directory and settings; nothing runs yet. */
static inline void engine_init(struct engine *t)
{
	struct err e = {0};
	memset(t, 0, sizeof *t);
	t->spawn_fd = -1;
	snprintf(t->dir, sizeof t->dir, "/tmp/symbi-test-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	assert_int_equal(config_new(&t->config, &e), 0);
	engine_set(t, "security.allow_native_execution", "true");
	engine_set(t, "journal.segment_mb", "3");
	engine_set(t, "policies.defaults", "false");
	char work[160];
	snprintf(work, sizeof work, "%s/work", t->dir);
	engine_set(t, "native_execution.working_directory", work);
}

static inline void engine_open(struct engine *t, bool resumed)
{
	struct err e = {0};
	assert_int_equal(loop_init(&t->loop, &e), 0);
	struct runtime_opts o = {.state_dir = t->dir,
				 .config = t->config,
				 .loop = &t->loop,
				 .spawn_fd = t->spawn_fd >= 0 ? dup(t->spawn_fd) : -1,
				 .resumed = resumed,
				 .worker_restarts = resumed};
	if (runtime_open(&t->rt, &o, &e) < 0)
		fail_msg("runtime_open: %s", e.msg);
}

static inline void engine_close(struct engine *t)
{
	runtime_close(t->rt);
	t->rt = NULL;
	loop_done(&t->loop);
}

static inline void engine_done(struct engine *t)
{
	if (t->rt)
		engine_close(t);
	if (t->spawn_fd >= 0) {
		close(t->spawn_fd);
		waitpid(t->spawner, NULL, 0);
	}
	config_free(t->config);
	nftw(t->dir, engine_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* cmocka: an engine of its own for each test, without a spawner. */
static inline int engine_setup(void **state)
{
	struct engine *t = calloc(1, sizeof *t);
	assert_non_null(t);
	engine_init(t);
	engine_open(t, false);
	*state = t;
	return 0;
}

static inline int engine_teardown(void **state)
{
	engine_done(*state);
	free(*state);
	return 0;
}

static inline void engine_tick(uv_timer_t *t)
{
	(void)t;
}

/* Turn the loop until is(arg), at most ms milliseconds. Whether it came true. */
static inline bool engine_until(struct engine *t, bool (*is)(void *arg), void *arg, unsigned ms)
{
	uint64_t end = clock_mono_ns() + (uint64_t)ms * 1000000;
	uv_timer_t tick;
	uv_timer_init(&t->loop.uv, &tick);
	uv_timer_start(&tick, engine_tick, 5, 5);
	bool yes;
	while (!(yes = is(arg)) && clock_mono_ns() < end) {
		uv_run(&t->loop.uv, UV_RUN_ONCE);
		loop_drain(&t->loop);
	}
	uv_close((uv_handle_t *)&tick, NULL);
	uv_run(&t->loop.uv, UV_RUN_NOWAIT);
	return yes;
}

struct engine_answer {
	bool there;
	int r;
	struct err e;
};

static inline void engine_on_done(void *arg, const struct err *e)
{
	struct engine_answer *a = arg;
	assert_false(a->there); /* once */
	a->there = true;
	a->r = e ? -e->eno : 0;
	if (e)
		a->e = *e;
}

static inline bool engine_is_answered(void *arg)
{
	return ((struct engine_answer *)arg)->there;
}

/* Wait for the reply to a command that returned r. */
static inline int engine_reply(struct engine *t, int r, struct engine_answer *a)
{
	if (r < 0)
		return r;
	assert_true(engine_until(t, engine_is_answered, a, 10000));
	return a->r;
}

#define ENGINE_DONE(a) ((struct runtime_done){engine_on_done, a})

static inline int engine_put(struct engine *t, const char *file, const char *text, struct err *e)
{
	struct engine_answer a = {0};
	return engine_reply(t, agent_put(t->rt, &root_actor, file, text, strlen(text), false,
					 ENGINE_DONE(&a), e), &a);
}

static inline struct agent *engine_agent(struct engine *t, const char *name)
{
	return agent_find(t->rt, name, strlen(name));
}

static inline int engine_ctl(struct engine *t, const char *name, const char *line, struct err *e)
{
	struct engine_answer a = {0};
	return engine_reply(t, agent_ctl(t->rt, &root_actor, engine_agent(t, name), line, strlen(line),
					 ENGINE_DONE(&a), e), &a);
}

struct engine_wait_state {
	struct engine *t;
	const char *name;
	enum agent_state state;
};

static inline bool engine_is_state(void *arg)
{
	struct engine_wait_state *w = arg;
	struct agent *a = engine_agent(w->t, w->name);
	return a && agent_state(a) == w->state;
}

static inline void engine_expect_state(struct engine *t, const char *name, enum agent_state s)
{
	struct engine_wait_state w = {t, name, s};
	if (!engine_until(t, engine_is_state, &w, 10000))
		fail_msg("agent '%s' is %s, not %s", name,
			 agent_state_name(agent_state(engine_agent(t, name))), agent_state_name(s));
}

static inline bool engine_is_run_done(void *arg)
{
	return run_state(arg) == RUN_DONE;
}

/* Has it a process, told by the spawner and recorded? */
static inline bool engine_is_run_started(void *arg)
{
	struct buf b;
	buf_init(&b, 4096);
	run_render_status(NULL, arg, &b);
	bool yes = b.data && strstr(b.data, "\npid ");
	buf_done(&b);
	return yes;
}

/* Run an agent to its end: outcome and output (NUL-terminated) of the run. */
static inline int engine_run(struct engine *t, const char *name, const char *input, char *out,
			     size_t cap, struct err *e)
{
	struct run *run;
	char path[512];
	int r = run_submit(t->rt, &root_actor, engine_agent(t, name), input, strlen(input), &run, e);
	if (r < 0)
		return r;
	assert_true(engine_until(t, engine_is_run_done, run, 20000));
	r = run_outcome(run, e);
	run_file_path(t->rt, run, RUN_OUTPUT, path, sizeof path);
	int fd = open(path, O_RDONLY);
	ssize_t n = fd >= 0 ? read(fd, out, cap - 1) : 0;
	out[n > 0 ? n : 0] = 0;
	if (fd >= 0)
		close(fd);
	run_unref(run);
	return r;
}

/* A file of the agent as text, in a buffer that the next call reuses. */
static inline const char *engine_file(struct engine *t, const char *name, enum agent_file f)
{
	static char text[65536];
	char path[512];
	agent_file_path(t->rt, engine_agent(t, name), f, path, sizeof path);
	int fd = open(path, O_RDONLY);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
	text[n > 0 ? n : 0] = 0;
	if (fd >= 0)
		close(fd);
	return text;
}

static inline bool engine_never(void *arg)
{
	(void)arg;
	return false;
}

static inline void engine_turn(struct engine *t, unsigned ms)
{
	engine_until(t, engine_never, NULL, ms);
}
