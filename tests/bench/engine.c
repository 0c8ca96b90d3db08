/* SPDX-License-Identifier: MIT */
/* engine.c - the engine in the benchmark's own process. */
#include "tests/bench/engine.h"

#include <errno.h>
#include <stdio.h>

#include "tests/bench/measure.h"

#define SPIN_NS 30000u

void engine_open(struct engine *g, const struct scratch *s, const char *name,
		 const char *transitions)
{
	struct err e = {0};
	char state[PATH_MAX];
	snprintf(state, sizeof state, "%s/%s", s->dir, name);
	*g = (struct engine){0};
	errno = 0;
	if (loop_init(&g->loop, &e) < 0 || config_new(&g->config, &e) < 0 ||
	    config_set(g->config, "security.allow_native_execution", "true", "benchmark", &e) < 0 ||
	    config_set(g->config, "journal.transitions", transitions, "benchmark", &e) < 0)
		die("%s", e.msg);
	struct runtime_opts o = {
		.state_dir = state, .config = g->config, .loop = &g->loop, .spawn_fd = -1};
	if (runtime_open(&g->rt, &o, &e) < 0)
		die("%s", e.msg);
}

void engine_close(struct engine *g)
{
	runtime_close(g->rt);
	loop_done(&g->loop);
	config_free(g->config);
}

static void on_done(void *arg, const struct err *e)
{
	struct engine *g = arg;
	errno = 0;
	if (e)
		die("refused: %s", e->msg);
	g->done++;
}

struct runtime_done engine_done(struct engine *g)
{
	return (struct runtime_done){on_done, g};
}

void engine_put(struct engine *g, const char *file)
{
	static const char text[] = SPEC_TEXT;
	struct actor root = {0};
	struct err e = {0};
	errno = 0;
	g->asked++;
	if (agent_put(g->rt, &root, file, text, sizeof text - 1, true, engine_done(g), &e) < 0)
		die("%s: %s", file, e.msg);
}

void engine_wait(struct engine *g, unsigned left)
{
	uint64_t last = now_ns();
	while (g->asked - g->done > left) {
		if (loop_drain(&g->loop))
			last = now_ns();
		else
			uv_run(&g->loop.uv,
			       now_ns() - last < SPIN_NS ? UV_RUN_NOWAIT : UV_RUN_ONCE);
	}
}
