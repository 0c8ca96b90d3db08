/* SPDX-License-Identifier: MIT */
/* engine.h - the engine in the benchmark's own process, without daemon, mount or spawner. Main thread. */
#pragma once

#include "runtime/runtime.h"
#include "tests/bench/server.h"

struct engine {
	struct loop loop;
	struct config *config;
	struct runtime *rt;
	unsigned asked, done; /* changes of state: begun, and said to be durable */
};

/* On the state directory `name` below s; transitions is the value of journal.transitions. */
void engine_open(struct engine *g, const struct scratch *s, const char *name,
		 const char *transitions);
void engine_close(struct engine *g);

/* Begin to create an agent from SPEC_TEXT; counted in asked, later in done. Dies when it is refused. */
void engine_put(struct engine *g, const char *file);
/* What is to be given to other changes of state; count them in asked. */
struct runtime_done engine_done(struct engine *g);
/* Until at most `left` are not done. Waits as the daemon does: 30 us awake, then in the kernel. */
void engine_wait(struct engine *g, unsigned left);
