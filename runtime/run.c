/* SPDX-License-Identifier: MIT */
/* run.c - runs of an agent: their life from question to outcome, their files, what is kept. L2; loop
 * thread only. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/metric.h"
#include "lib/parse.h"
#include "runtime/runtime_i.h"

/* ---- objects ---- */

struct run *run_make(struct agent *a, uint32_t number, bool process, uint64_t time_ms)
{
	struct agent_live *l = agent_live(a);
	if (l->runs_n == l->runs_cap) {
		size_t cap = l->runs_cap ? 2 * l->runs_cap : 4;
		struct run **p = realloc(l->runs, cap * sizeof(struct run *));
		if (!p)
			return NULL;
		l->runs = p;
		l->runs_cap = cap;
	}
	struct run *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	*r = (struct run){.agent = a,
			  .rt = a->rt,
			  .serial = a->serial,
			  .number = number,
			  .refs = 1,
			  .process = process,
			  .queued_ms = time_ms};
	l->runs[l->runs_n++] = r; /* numbers only grow */
	if (number > a->runs_total)
		a->runs_total = number;
	return r;
}

struct run *run_ref(struct run *r)
{
	r->refs++;
	return r;
}

void run_unref(struct run *r)
{
	if (--r->refs)
		return;
	free(r->message);
	free(r);
}

static size_t place_of(const struct agent_live *l, uint32_t number) /* first with >= number */
{
	return sorted_place(l->runs, l->runs_n, r, r->number, number);
}

struct run *run_find(struct runtime *rt, struct agent *a, uint32_t number)
{
	(void)rt;
	struct agent_live *l = a ? a->live : NULL;
	size_t i = l ? place_of(l, number) : 0;
	return l && i < l->runs_n && l->runs[i]->number == number ? l->runs[i] : NULL;
}

struct run *run_next(struct runtime *rt, struct agent *a, uint32_t after)
{
	(void)rt;
	struct agent_live *l = a ? a->live : NULL;
	size_t i = l ? place_of(l, after + 1) : 0;
	return l && i < l->runs_n ? l->runs[i] : NULL;
}

/* Take r out of its agent, which is deleted or keeps it no longer. Whoever waits for it learns it. */
void run_detach(struct run *r)
{
	struct agent *a = r->agent;
	struct agent_live *l = a->live;
	size_t i = place_of(l, r->number);
	run_unpark(r);
	if (r->state == RUN_QUEUED)
		run_dequeue(r);
	if (r->active) {
		if (r->rt->spawn) /* a worker that ends leaves its processes to the next */
			sandbox_kill(r->rt->spawn, run_id(r), NULL);
		run_unhold(r);
	}
	timer_clear(&r->rt->timers, &r->timer);
	if (r->state != RUN_DONE) {
		r->code = ERR_AGENT_NOT_FOUND;
		r->eno = err_code_errno(r->code);
		free(r->message);
		r->message = strdup("the agent was deleted");
		r->state = RUN_DONE;
	}
	if (l->process == r)
		l->process = NULL;
	memmove(&l->runs[i], &l->runs[i + 1], (--l->runs_n - i) * sizeof(struct run *));
	run_wake(r);
	r->agent = NULL;
	run_unref(r);
}

uint32_t run_number(const struct run *r)
{
	return r->number;
}

enum run_state run_state(const struct run *r)
{
	return r->state;
}

uint64_t run_mtime_ms(const struct run *r)
{
	return r->done_ms ? r->done_ms : r->started_ms ? r->started_ms : r->queued_ms;
}

int run_outcome(const struct run *r, struct err *e)
{
	if (r->code == ERR_NONE)
		return 0;
	err_set(e, r->code, "%s", r->message ? r->message : "");
	if (e)
		e->eno = r->eno;
	return -r->eno;
}

/* ---- files ---- */

int run_file_path(struct runtime *rt, const struct run *r, enum run_file f, char *out, size_t cap)
{
	static const char *const ends[] = {"in", "out", "err"};
	int n = snprintf(out, cap, "%s/agents/%u/runs/%u.%s", rt->state_dir, r->serial, r->number,
			 ends[f]);
	return n > 0 && (size_t)n < cap ? 0 : -ENAMETOOLONG;
}

void run_remove_files(struct runtime *rt, const struct run *r)
{
	char path[AGENT_DIR_MAX + 32];
	for (int f = RUN_INPUT; f <= RUN_STDERR; f++)
		if (run_file_path(rt, r, (enum run_file)f, path, sizeof path) == 0)
			unlink(path);
}

static int save_input(struct agent *a, uint32_t number, const char *input, size_t len, struct err *e)
{
	char path[AGENT_DIR_MAX + 32];
	struct run tmp = {.serial = a->serial, .number = number};
	agent_dir_make(a);
	run_file_path(a->rt, &tmp, RUN_INPUT, path, sizeof path);
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd >= 0)
		errno = ENOSPC; /* what a short write means */
	if (fd < 0 || write(fd, input, len) != (ssize_t)len)
		return err_sys(e, ERR_SYS_IO, errno, "input of run %u of agent '%s'", number, a->name);
	return 0;
}

/* ---- waiting for the end ---- */

void run_wait(struct run *r, struct run_waiter *w)
{
	w->next = r->waiters;
	w->pprev = &r->waiters;
	if (w->next)
		w->next->pprev = &w->next;
	r->waiters = w;
}

void run_wait_cancel(struct run_waiter *w)
{
	if (!w->pprev)
		return;
	*w->pprev = w->next;
	if (w->next)
		w->next->pprev = w->pprev;
	w->pprev = NULL;
}

void run_wake(struct run *r) /* the caller holds a reference */
{
	while (r->waiters) {
		struct run_waiter *w = r->waiters;
		run_wait_cancel(w);
		w->fn(w, r);
	}
}

/* ---- queueing ---- */

static int may_queue(struct agent *a, struct err *e)
{
	struct runtime *rt = a->rt;
	char why[120];
	if (rt->stopping)
		return err_set(e, ERR_SYS_STOPPING, "the daemon is stopping");
	if (a->state == AGENT_TERMINATED || a->state == AGENT_TERMINATING || a->state == AGENT_FAILED)
		return err_set(e, ERR_AGENT_STATE, "agent '%s' is %s; `echo start > ctl` first", a->name,
			       agent_state_name((enum agent_state)a->state));
	if (a->live && a->live->queued >= RUN_QUEUE_MAX)
		return err_set(e, ERR_SCHED_FAILED, "%d runs of agent '%s' wait already", RUN_QUEUE_MAX,
			       a->name);
	if (!agent_spec_get(a, e))
		return -EINVAL;
	struct agent_limits l = agent_limits_of(a);
	struct quota_need need = quota_need_of(&l);
	if (!quota_possible(&rt->quota, &need, why, sizeof why))
		return err_set(e, ERR_RESOURCE_SHORT, "agent '%s' can never run here: %s", a->name, why);
	return 0;
}

int run_queue(struct agent *a, const struct actor *who, const char *input, size_t len, bool process,
	      struct run **ret, struct err *e)
{
	uint32_t number = a->runs_total + 1;
	if (len > RUN_INPUT_MAX)
		return err_set(e, ERR_RESOURCE_TOO_BIG, "an input has at most %u bytes", RUN_INPUT_MAX);
	int r = may_queue(a, e);
	if (r == 0 && !process)
		r = save_input(a, number, input, len, e);
	struct facts f = {.type = REC_RUN, .object = a->name, .serial = a->serial, .run = number,
			  .process = process};
	if (r == 0)
		r = record(a->rt, who, &f, done_nobody, e);
	if (r < 0)
		return r;
	struct run *run = run_find(a->rt, a, number);
	if (ret)
		*ret = run_ref(run);
	run_ref(run); /* what follows may end it */
	run_enqueue(run);
	queue_fill(a->rt);
	if (run->agent)
		agent_settle(a);
	run_unref(run);
	return 0;
}

int run_submit(struct runtime *rt, const struct actor *who, struct agent *a, const char *input,
	       size_t len, struct run **ret, struct err *e)
{
	(void)rt;
	if (a->mode == MODE_PERSISTENT)
		return err_set(e, ERR_AGENT_STATE,
			       "agent '%s' is persistent: write to its stdin, read its stdout", a->name);
	return run_queue(a, who, input, len, false, ret, e);
}

void run_apply_queued(struct agent *a, const struct facts *f)
{
	if (run_find(a->rt, a, f->run))
		return;
	struct run *r = run_make(a, f->run, f->process, f->time_ms);
	if (!r)
		abort(); /* journalled; see agent_apply_put */
	if (f->process)
		a->live->process = r;
}

void run_apply_started(struct agent *a, const struct facts *f)
{
	struct run *r = run_find(a->rt, a, f->run);
	if (!r || r->state == RUN_DONE)
		return;
	r->started = true;
	r->pid = (pid_t)f->pid;
	r->started_ms = f->time_ms;
}
