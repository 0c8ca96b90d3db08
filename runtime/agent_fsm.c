/* SPDX-License-Identifier: MIT */
/* agent_fsm.c - the states of an agent and the one table of what may follow what. L2. */
#include <errno.h>

#include "runtime/runtime_i.h"

#define S(name) (1u << AGENT_##name)

static const unsigned next_of[AGENT_STATE_COUNT] = {
	[AGENT_CREATED] = S(INITIALIZING) | S(TERMINATING),
	[AGENT_INITIALIZING] = S(READY) | S(FAILED) | S(TERMINATING),
	[AGENT_READY] = S(RUNNING) | S(WAITING) | S(SUSPENDED) | S(FAILED) | S(TERMINATING),
	[AGENT_RUNNING] = S(READY) | S(WAITING) | S(SUSPENDED) | S(FAILED) | S(TERMINATING),
	[AGENT_WAITING] = S(RUNNING) | S(READY) | S(SUSPENDED) | S(FAILED) | S(TERMINATING),
	[AGENT_SUSPENDED] = S(RUNNING) | S(READY) | S(WAITING) | S(FAILED) | S(TERMINATING),
	[AGENT_FAILED] = S(INITIALIZING) | S(TERMINATING),
	[AGENT_TERMINATING] = S(TERMINATED),
	[AGENT_TERMINATED] = S(INITIALIZING),
};

const char *agent_state_name(enum agent_state s)
{
	static const char *const names[] = {"Created",	 "Initializing", "Ready",
					    "Running",	 "Waiting",	 "Suspended",
					    "Failed",	 "Terminating",	 "Terminated"};
	return names[s];
}

bool agent_may(enum agent_state from, enum agent_state to)
{
	return next_of[from] & (1u << to);
}

int agent_move(struct agent *a, enum agent_state to, const char *why)
{
	struct err e;
	if (!agent_may(a->state, to))
		return -EBUSY;
	json_t *b = json_pack("{s:i,s:s}", "state", to, "name", agent_state_name(to));
	if (why && *why)
		json_object_set_new(b, "why", json_string(why));
	return record(a->rt, &actor_self, REC_AGENT_STATE, a->name, b, done_nobody, &e);
}
