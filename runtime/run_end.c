/* SPDX-License-Identifier: MIT */
/* run_end.c - how a run ended, in one sentence; what follows from it; what is kept; what the tree shows
 * of a run. L2; loop thread only. */
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include "lib/metric.h"
#include "runtime/runtime_i.h"

static void say(struct run *r, enum err_code code, int eno, char **msg, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
static void say(struct run *r, enum err_code code, int eno, char **msg, const char *fmt, ...)
{
	va_list ap;
	r->code = code;
	r->eno = eno ? eno : err_code_errno(code);
	va_start(ap, fmt);
	if (vasprintf(msg, fmt, ap) < 0)
		*msg = NULL;
	va_end(ap);
}

/* The outcome in one sentence. */
static void say_why(struct run *r, const struct sandbox_result *res, char **msg)
{
	unsigned n = r->number;
	char limit[160] = "";
	struct run_bounds b = {0};
	if (res->pids_refused || res->end == END_MEMORY || res->end == END_FILE_SIZE || res->end == END_CPU_TIME)
		run_bounds(r->rt, r->agent ? agent_spec_get(r->agent, NULL) : NULL, &b, NULL); /* they name it */
	if (res->pids_refused)
		snprintf(limit, sizeof limit, " after %s%s refused it %llu processes", b.by, b.pids_key,
			 (unsigned long long)res->pids_refused);
	else if (res->oom_kills)
		snprintf(limit, sizeof limit, " after memory_mb ended %llu of its processes",
			 (unsigned long long)res->oom_kills);
	if (r->asked_end) {
		say(r, r->end_code, 0, msg, "run %u: %s%s", n, r->end_why, limit);
		return;
	}
	switch (res->end) {
	case END_EXITED:
		if (res->code)
			say(r, limit[0] ? ERR_RESOURCE_SHORT : ERR_AGENT_FAILED, 0, msg,
			    "run %u: exit code %d%s", n, res->code, limit);
		break;
	case END_SIGNALED:
	case END_KILLED:
		say(r, limit[0] ? ERR_RESOURCE_SHORT : ERR_AGENT_FAILED, 0, msg,
		    "run %u: ended by signal %d (SIG%s)%s", n, res->code,
		    sigabbrev_np(res->code) ? sigabbrev_np(res->code) : "?", limit);
		break;
	case END_MEMORY:
		if (b.limits.memory_bytes && b.limits.memory_bytes >> 20 < r->held.memory_mb)
			say(r, ERR_RESOURCE_SHORT, 0, msg, "run %u: out of memory (%smax_memory_mb is %llu)", n, b.by,
			    (unsigned long long)b.limits.memory_bytes >> 20);
		else
			say(r, ERR_RESOURCE_SHORT, 0, msg, "run %u: out of memory (memory_mb is %llu)", n,
			    (unsigned long long)r->held.memory_mb);
		break;
	case END_FILE_SIZE:
		say(r, ERR_RESOURCE_TOO_BIG, 0, msg,
		    "run %u: wrote more than %s%s", n, b.by, b.file_key);
		break;
	case END_CPU_TIME:
		say(r, ERR_SCHED_TIMEOUT, 0, msg, "run %u: %smax_cpu_seconds exceeded", n, b.by);
		break;
	case END_START_FAILED:
		say(r, res->err.code, res->err.eno, msg, "run %u: %s", n, res->err.msg);
		break;
	case END_LOST:
		say(r, ERR_SCHED_FAILED, EIO, msg, "run %u: ended with the daemon that had started it",
		    n);
		break;
	}
}

/* Journal the end of r, then what follows from it for its agent. */
void run_finish(struct run *r, const struct sandbox_result *res)
{
	struct agent *a = r->agent;
	struct runtime *rt = r->rt;
	autofree char *msg = NULL;
	if (r->state == RUN_DONE)
		return;
	run_ref(r);
	say_why(r, res, &msg);
	run_unpark(r);
	if (r->state == RUN_QUEUED)
		run_dequeue(r);
	if (r->active)
		run_unhold(r);
	timer_clear(&rt->timers, &r->timer);
	metric_observe_ns(METRIC_RUN_SECONDS, res->wall_ns);
	if (r->code != ERR_NONE)
		metric_add(METRIC_RUNS_FAILED, 1);
	struct facts f = {.type = REC_RUN_DONE,
			  .object = a->name,
			  .serial = a->serial,
			  .run = r->number,
			  .exit_code = res->end == END_EXITED ? res->code : -res->code,
			  .code = r->code ? err_code_name(r->code) : NULL,
			  .eno = r->code ? r->eno : 0,
			  .message = msg,
			  .wall_ns = res->wall_ns,
			  .cpu_ns = res->cpu_ns,
			  .memory = res->memory_peak_bytes};
	if (record(rt, &actor_self, &f, done_nobody, NULL) < 0)
		run_apply_done(a, &f); /* the journal refused; the run has ended all the same */
	if (r->process && r->agent) {
		process_ended(a, r);
	} else if (r->agent) {
		if (a->state == AGENT_TERMINATING && !a->live->running)
			agent_move(a, AGENT_TERMINATED, NULL);
		agent_settle(a);
	}
	run_unref(r);
}

void run_finish_with(struct run *r, enum err_code code, const char *why)
{
	r->asked_end = true;
	r->end_code = code;
	snprintf(r->end_why, sizeof r->end_why, "%s", why);
	run_finish(r, &(struct sandbox_result){.end = END_KILLED});
}

static void forget_oldest(struct agent *a, const struct run *not_this)
{
	struct agent_live *l = a->live;
	size_t keep = config_u64(a->rt->config, "runs.keep");
	while (l->runs_n > keep && l->runs[0]->state == RUN_DONE && l->runs[0] != not_this) {
		char key[40];
		store_run_key(a->serial, l->runs[0]->number, key);
		store_forget(a->rt, key);
		run_remove_files(a->rt, l->runs[0]);
		run_detach(l->runs[0]);
	}
}

void run_apply_done(struct agent *a, const struct facts *f)
{
	struct run *r = run_find(a->rt, a, f->run);
	if (!r || r->state == RUN_DONE)
		return;
	struct err e = {0};
	approvals_withdraw(a->rt, a->serial, r->number);
	r->state = RUN_DONE;
	r->saved = false;
	r->done_ms = f->time_ms ? f->time_ms : clock_wall_ms();
	r->result = (struct sandbox_result){.code = (int)f->exit_code,
					    .wall_ns = f->wall_ns,
					    .cpu_ns = f->cpu_ns,
					    .memory_peak_bytes = f->memory};
	r->code = f->code ? err_code_find(f->code) : ERR_NONE;
	r->eno = (int)f->eno;
	free(r->message);
	r->message = f->message ? strdup(f->message) : NULL;
	a->cpu_ns += f->cpu_ns;
	a->wall_ns += f->wall_ns;
	a->memory_peak = f->memory > a->memory_peak ? f->memory : a->memory_peak;
	if (r->code != ERR_NONE) {
		a->runs_failed++;
		run_outcome(r, &e);
		if (!r->asked_end || r->end_code != ERR_NONE)
			agent_set_error(a, &e);
	}
	if (a->live->process == r)
		a->live->process = NULL;
	run_wake(r);
	forget_oldest(a, r);
}

/* ---- texts ---- */

int run_render_status(struct runtime *rt, const struct run *r, struct buf *out)
{
	static const char *const names[] = {"queued", "running", "done"};
	char why[160] = "";
	(void)rt;
	buf_printf(out, "run %u\nstate %s\n", r->number, r->frozen ? "suspended" : names[r->state]);
	if (r->parked)
		snprintf(why, sizeof why, "approval %u", approval_of_run(r->rt, r->serial, r->number));
	else if (r->state == RUN_QUEUED && r->agent)
		queue_wait_reason(r->agent, why, sizeof why);
	if (why[0])
		buf_printf(out, "waits_for %s\n", why);
	buf_printf(out, "queued_ms %llu\nstarted_ms %llu\ndone_ms %llu\n",
		   (unsigned long long)r->queued_ms, (unsigned long long)r->started_ms,
		   (unsigned long long)r->done_ms);
	if (r->state == RUN_RUNNING && r->pid)
		buf_printf(out, "pid %d\n", r->pid);
	if (r->state != RUN_DONE)
		return out->fail;
	if (r->result.code >= 0)
		buf_printf(out, "exit %d\n", r->result.code);
	else
		buf_printf(out, "signal %d\n", -r->result.code);
	return buf_printf(out, "result %s%s%s\n", r->code ? err_code_name(r->code) : "ok",
			  r->message ? " " : "", r->message ? r->message : "");
}

int run_render_usage(struct runtime *rt, const struct run *r, struct buf *out)
{
	(void)rt;
	bool done = r->state == RUN_DONE;
	uint64_t wall_ms = r->state == RUN_RUNNING && r->started_ms ? clock_since_ms(r->started_ms) : 0;
	uint64_t cpu = done ? r->result.cpu_ns : r->usage.cpu_ns;
	uint64_t peak = done ? r->result.memory_peak_bytes : r->usage.memory_peak_bytes;
	return buf_printf(out, "wall_seconds %.6f\ncpu_seconds %.6f\nmemory_peak_mb %.2f\n",
			  done ? (double)r->result.wall_ns / 1e9 : (double)wall_ms / 1e3,
			  (double)cpu / 1e9, (double)peak / 1048576);
}
