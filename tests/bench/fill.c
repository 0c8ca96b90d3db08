/* SPDX-License-Identifier: MIT */
/* fill.c - many agents in a state directory, put there by the engine itself without its daemon. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/runtime.h"
#include "tests/bench/measure.h"
#include "tests/bench/server.h"

#define IN_FLIGHT 512u

struct fill {
	unsigned done;
};

static void put_done(void *arg, const struct err *e)
{
	struct fill *f = arg;
	errno = 0;
	if (e)
		die("an agent was refused: %s", e->msg);
	f->done++;
}

static void turn(struct loop *l)
{
	if (!loop_drain(l))
		uv_run(&l->uv, UV_RUN_NOWAIT);
}

static void put_all(struct runtime *rt, struct loop *l, unsigned count)
{
	static const char text[] = SPEC_TEXT;
	struct actor root = {0};
	struct fill f = {0};
	struct err e = {0};
	char file[32];
	errno = 0;
	for (unsigned i = 0; i < count; i++) {
		snprintf(file, sizeof file, "agent%06u.yaml", i);
		if (agent_put(rt, &root, file, text, sizeof text - 1, true,
			      (struct runtime_done){put_done, &f}, &e) < 0)
			die("%s: %s", file, e.msg);
		while (i - f.done >= IN_FLIGHT && i > f.done)
			turn(l);
	}
	while (f.done < count)
		turn(l);
}

void fill_agents(const struct scratch *s, const char *name, unsigned count)
{
	char state[PATH_MAX];
	struct loop l;
	struct config *c = NULL;
	struct runtime *rt = NULL;
	struct err e = {0};
	snprintf(state, sizeof state, "%s/%s", s->dir, name);
	struct runtime_opts o = {.state_dir = state, .loop = &l, .spawn_fd = -1};
	errno = 0;
	if (loop_init(&l, &e) < 0 || config_new(&c, &e) < 0 ||
	    config_set(c, "security.allow_native_execution", "true", "benchmark", &e) < 0)
		die("%s", e.msg);
	o.config = c;
	if (runtime_open(&rt, &o, &e) < 0)
		die("%s", e.msg);
	put_all(rt, &l, count);
	runtime_close(rt);
	loop_done(&l);
	config_free(c);
}
