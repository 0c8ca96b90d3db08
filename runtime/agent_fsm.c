/* SPDX-License-Identifier: MIT */
/* agent_fsm.c - the states of an agent and the one table of what may follow what. L2; loop thread. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/metric.h"
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

static const char *const names[AGENT_STATE_COUNT] = {
	"Created",   "Initializing", "Ready",	    "Running",	 "Waiting",
	"Suspended", "Failed",	     "Terminating", "Terminated"};

const char *agent_state_name(enum agent_state s)
{
	return s < AGENT_STATE_COUNT ? names[s] : "?";
}

int agent_state_parse(const char *name, uint32_t *ret)
{
	for (uint32_t i = 0; i < AGENT_STATE_COUNT; i++)
		if (strcmp(names[i], name) == 0) {
			*ret = i;
			return 0;
		}
	return -EINVAL;
}

bool agent_may(enum agent_state from, enum agent_state to)
{
	return next_of[from] & (1u << to);
}

int agent_move_by(struct agent *a, enum agent_state to, const char *why, const struct actor *who,
		  struct runtime_done done, struct err *e)
{
	if (!agent_may((enum agent_state)a->state, to))
		return err_set(e, ERR_AGENT_STATE, "agent '%s' is %s", a->name,
			       agent_state_name((enum agent_state)a->state));
	struct facts f = {.type = REC_STATE, .object = a->name, .serial = a->serial, .state = to,
			  .why = why && *why ? why : NULL};
	return record(a->rt, who, &f, done, e);
}

int agent_move(struct agent *a, enum agent_state to, const char *why)
{
	return agent_move_by(a, to, why, &actor_self, done_nobody, NULL);
}

void agent_apply_state(struct agent *a, const struct facts *f)
{
	char line[300];
	a->state = (uint8_t)f->state;
	a->ctime_ms = f->time_ms;
	metric_add(METRIC_AGENT_TRANSITIONS, 1);
	if (!a->rt->replaying) {
		snprintf(line, sizeof line, "%s%s%s", agent_state_name((enum agent_state)f->state),
			 f->why ? ": " : "", f->why ? f->why : "");
		agent_log(a, line);
	}
}

void agent_settle(struct agent *a)
{
	struct agent_live *l = a->live;
	char why[120] = "";
	enum agent_state now = (enum agent_state)a->state, to = AGENT_READY;
	if (l && l->running)
		to = AGENT_RUNNING;
	else if (l && (l->queued || l->parked))
		to = AGENT_WAITING;
	else
		agent_spec_drop(a);
	if (now == to || (now != AGENT_READY && now != AGENT_RUNNING && now != AGENT_WAITING))
		return;
	if (to == AGENT_WAITING)
		queue_wait_reason(a, why, sizeof why);
	agent_move(a, to, why);
}

void agent_set_error(struct agent *a, const struct err *e)
{
	char text[480];
	free(a->error);
	snprintf(text, sizeof text, "%s %s", err_code_name(e->code), e->msg);
	a->error = strdup(text);
	store_dirty(a);
	if (!a->rt->replaying)
		agent_log(a, text);
}
