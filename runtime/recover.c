/* SPDX-License-Identifier: MIT */
/* recover.c - what becomes of agents and runs after a restart. L2; loop thread only.
 *
 *   what restarted   the run was          what becomes of it
 *   worker           running              adopted: the spawner says that it is started
 *   worker           ended meanwhile      the spawner tells its end, which is recorded
 *   worker           queued               queued again
 *   worker           started, but the     ends with SCHED_001
 *                    spawner knows nothing
 *   daemon           queued               queued again
 *   daemon           running              was killed with its group before this start; SCHED_001
 *
 * Persistent agents whose process is gone start again (lifecycle.enable_auto_recovery), unless they
 * had been stopped, have failed or were terminated; scheduled ones go on. */
#include <string.h>

#include "lib/log.h"
#include "runtime/runtime_i.h"

static bool was_up(const struct agent *a)
{
	return a->state == AGENT_RUNNING || a->state == AGENT_WAITING || a->state == AGENT_SUSPENDED;
}

/* Queued runs queue, those that ran wait for the spawner's word. */
static void runs_again(struct agent *a)
{
	for (uint32_t after = 0;;) {
		struct run *r = run_next(a->rt, a, after);
		if (!r)
			break;
		after = r->number;
		if (r->state == RUN_DONE)
			continue;
		if (r->process)
			a->live->process = r;
		if (a->rt->resumed)
			r->adopting = true; /* also the queued: their start may have been sent */
		else if (!r->started && !r->process)
			run_enqueue(r);
		else
			run_finish(r, &(struct sandbox_result){.end = END_LOST});
	}
	if (a->live && a->live->process && a->rt->resumed)
		stdin_open(a);
}

static void settle(struct agent *a, bool up)
{
	struct runtime *rt = a->rt;
	if (a->state == AGENT_TERMINATING && !(a->live && a->live->running))
		agent_move(a, AGENT_TERMINATED, NULL);
	if (a->state == AGENT_CREATED)
		agent_move(a, AGENT_INITIALIZING, NULL);
	if (a->state == AGENT_INITIALIZING)
		agent_move(a, AGENT_READY, NULL);
	if (a->state == AGENT_SUSPENDED && !(a->live && (a->live->running || a->live->queued)))
		agent_move(a, AGENT_READY, "the daemon was restarted");
	agent_settle(a);
	bool recovers = config_bool(rt->config, "lifecycle.enable_auto_recovery");
	if (a->mode == MODE_SCHEDULED || (a->mode == MODE_PERSISTENT && up && recovers)) {
		if (a->state == AGENT_FAILED && up) { /* its process ended with the daemon */
			agent_move(a, AGENT_INITIALIZING, "recovery");
			agent_move(a, AGENT_READY, NULL);
		}
		agent_begin(a);
	}
}

/* The spawner has told all it knows. */
static void resynced(void *arg)
{
	struct runtime *rt = arg;
	rt->resyncing = false;
	for (struct agent *a = agent_next(rt, 0); a; a = agent_next(rt, a->serial)) {
		bool up = was_up(a);
		if (!a->live) {
			if (a->mode == MODE_SCHEDULED || a->mode == MODE_PERSISTENT)
				settle(a, up);
			continue;
		}
		for (uint32_t after = 0;;) {
			struct run *r = run_next(rt, a, after);
			if (!r)
				break;
			after = r->number;
			if (!r->adopting)
				continue;
			r->adopting = false;
			if (r->started)
				run_finish(r, &(struct sandbox_result){.end = END_LOST});
			else
				run_enqueue(r);
		}
		settle(a, up && !a->live->process);
	}
	queue_fill(rt);
}

void recover(struct runtime *rt)
{
	struct err e = {0};
	rt->resyncing = true; /* nothing is started before all is known */
	for (struct agent *a = agent_next(rt, 0); a; a = agent_next(rt, a->serial)) {
		bool up = was_up(a);
		if (a->live)
			runs_again(a);
		if (!rt->resumed && (a->live || a->mode == MODE_SCHEDULED || a->mode == MODE_PERSISTENT))
			settle(a, up);
	}
	if (!rt->resumed) {
		rt->resyncing = false;
		queue_fill(rt);
	} else if (!rt->spawn) {
		resynced(rt);
	} else if (spawn_client_resync(rt->spawn, resynced, &e) < 0) {
		log_err(LOG_LEVEL_ERROR, "spawn.resync_failed", &e, NULL, NULL);
		resynced(rt);
	}
}
