/* SPDX-License-Identifier: MIT */
/* fill.c - many agents in a state directory, put there by the engine itself without its daemon. */
#include <stdio.h>

#include "tests/bench/engine.h"

#define IN_FLIGHT 512u

void fill_agents(const struct scratch *s, const char *name, unsigned count)
{
	struct engine g;
	char file[32];
	engine_open(&g, s, name, "fast");
	for (unsigned i = 0; i < count; i++) {
		snprintf(file, sizeof file, "agent%06u.yaml", i);
		engine_put(&g, file);
		engine_wait(&g, IN_FLIGHT);
	}
	engine_wait(&g, 0);
	engine_close(&g);
}
