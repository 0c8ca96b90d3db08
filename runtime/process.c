/* SPDX-License-Identifier: MIT */
/* process.c - what an agent's mode asks for: the process of a persistent agent and its restarts, the
 * next start of a scheduled one; ending all that an agent runs; its stdin. L2; loop thread only. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "runtime/runtime_i.h"

/* ---- start ---- */

void process_start(struct agent *a)
{
	struct err e = {0};
	struct agent_live *l = agent_live(a);
	if (l->process || (a->state != AGENT_READY && a->state != AGENT_WAITING))
		return;
	l->stop_wanted = l->restart_wanted = false;
	if (run_queue(a, &actor_self, "", 0, true, NULL, &e) < 0) {
		agent_set_error(a, &e);
		agent_move(a, AGENT_FAILED, e.msg);
	}
}

static void on_interval(void *arg);

static void arm_interval(struct agent *a)
{
	timer_set(&a->rt->timers, &agent_live(a)->timer, a->interval_ms, on_interval, a);
}

static void on_interval(void *arg)
{
	struct agent *a = arg;
	struct err e = {0};
	if (a->rt->stopping)
		return;
	arm_interval(a);
	/* A run that takes longer than its interval is not overtaken by the next. */
	if (!a->live->running && !a->live->queued && a->state == AGENT_READY &&
	    run_queue(a, &actor_self, "", 0, false, NULL, &e) < 0)
		agent_set_error(a, &e);
}

void agent_begin(struct agent *a)
{
	if (a->mode == MODE_PERSISTENT && a->state == AGENT_READY)
		process_start(a);
	if (a->mode == MODE_SCHEDULED && a->interval_ms && a->state == AGENT_READY)
		arm_interval(a);
	else if (a->live && a->live->timer.fn == on_interval)
		timer_clear(&a->rt->timers, &a->live->timer);
}

/* ---- end and restart ---- */

static void start_again(void *arg)
{
	struct agent *a = arg;
	if (a->state == AGENT_FAILED && agent_move(a, AGENT_INITIALIZING, "restart") == 0)
		agent_move(a, AGENT_READY, NULL);
	process_start(a);
}

/* OTP's restart intensity: more than max_restarts within the window, and it stays down. The delay
 * doubles with every restart in the window. */
static bool restart_later(struct agent *a, const struct agent_spec *s, bool failed)
{
	struct agent_live *l = a->live;
	uint64_t now = clock_wall_ms();
	char line[80];
	if (s->restart.policy == RESTART_NEVER ||
	    (s->restart.policy == RESTART_ON_FAILURE && !failed))
		return false;
	if (clock_since_ms(l->window_start_ms) > s->restart.window_ms) {
		l->window_start_ms = now;
		l->restarts_in_window = 0;
	}
	if (l->restarts_in_window >= s->restart.max_restarts) {
		snprintf(line, sizeof line, "not restarted: %u restarts within the window",
			 l->restarts_in_window);
		agent_log(a, line);
		return false;
	}
	unsigned n = l->restarts_in_window++;
	uint64_t delay = (uint64_t)RESTART_DELAY_MS << (n < 12 ? n : 12);
	l->restarts++;
	timer_set(&a->rt->timers, &l->timer, delay < RESTART_DELAY_MAX ? delay : RESTART_DELAY_MAX,
		  start_again, a);
	return true;
}

void process_ended(struct agent *a, const struct run *r)
{
	struct agent_live *l = a->live;
	bool failed = r->code != ERR_NONE;
	stdin_close(a);
	if (a->state == AGENT_TERMINATING) {
		if (!l->running)
			agent_move(a, AGENT_TERMINATED, NULL);
		return;
	}
	if (l->restart_wanted) {
		l->restart_wanted = false;
		agent_settle(a);
		agent_begin(a);
		return;
	}
	if (l->stop_wanted || a->rt->stopping) {
		/* The daemon's own stop leaves the state as it is: it comes back with the daemon. */
		bool stopped = l->stop_wanted;
		l->stop_wanted = false;
		if (stopped)
			agent_move(a, AGENT_READY, r->end_why);
		return;
	}
	agent_move(a, failed ? AGENT_FAILED : AGENT_READY, failed && r->message ? r->message : "ended");
	const struct agent_spec *s = a->mode == MODE_PERSISTENT ? agent_spec_get(a, NULL) : NULL;
	if (s)
		restart_later(a, s, failed);
}

void agent_end_all(struct agent *a, enum err_code code, const char *why)
{
	struct agent_live *l = a->live;
	if (!l)
		return;
	timer_clear(&a->rt->timers, &l->timer);
	for (uint32_t after = 0;;) { /* by number: ending a queued run changes the list */
		struct run *r = run_next(a->rt, a, after);
		if (!r)
			break;
		after = r->number;
		/* The process of a persistent agent that is stopped has not failed. */
		if (r->state != RUN_DONE)
			run_end(r, r->process ? ERR_NONE : code, why);
	}
}

/* ---- stdin ---- */

ssize_t agent_stdin(struct runtime *rt, struct agent *a, const char *data, size_t len, struct err *e)
{
	(void)rt;
	struct agent_live *l = a->live;
	if (!l || !l->process || l->stdin_fd < 0)
		return err_sys(e, ERR_AGENT_STATE, EPIPE, "agent '%s' has no process that reads",
			       a->name);
	ssize_t n = len ? write(l->stdin_fd, data, len) : 0;
	if (n < 0)
		return err_sys(e, ERR_SYS_IO, errno, "stdin of agent '%s'", a->name);
	l->process->busy_ms = clock_mono_ns() / 1000000;
	return n;
}
