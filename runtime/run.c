/* SPDX-License-Identifier: MIT */
/* run.c - runs: queue, scheduling, outcome, retention. L2; loop thread only.
 *
 * Scheduling is weighted fair queueing over agents: each agent has a virtual time that grows by
 * 1/weight with every start; the queued run of the agent with the least goes first. An agent that was
 * idle starts at the present virtual time, so it neither saves up nor starves. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/metric.h"
#include "lib/parse.h"
#include "runtime/runtime_i.h"

struct run *run_add(struct agent *a, uint32_t number, bool main)
{
	struct run *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	*r = (struct run){.agent = a, .serial = a->serial, .number = number, .refs = 1, .main = main};
	r->queued_ms = clock_wall_ms();
	*a->runs_end = r;
	a->runs_end = &r->next;
	a->kept++;
	a->queued++;
	if (number >= a->next_run)
		a->next_run = number + 1;
	if (main)
		a->main = r;
	return r;
}

struct run *run_ref(struct run *r)
{
	r->refs++;
	return r;
}

void run_unref(struct run *r)
{
	if (--r->refs == 0) {
		timer_free(r->timer);
		free(r);
	}
}

int run_file_path(struct runtime *rt, const struct run *r, enum run_file f, char *out, size_t cap)
{
	static const char *const names[] = {"input", "output", "stderr"};
	int n = snprintf(out, cap, "%s/agents/%u/runs/%u/%s", rt->state_dir, r->serial, r->number,
			 names[f]);
	return n > 0 && (size_t)n < cap ? 0 : -ENAMETOOLONG;
}

static void remove_files(struct runtime *rt, struct run *r)
{
	char path[4096];
	for (int f = RUN_INPUT; f <= RUN_STDERR; f++)
		if (run_file_path(rt, r, (enum run_file)f, path, sizeof path) == 0)
			unlink(path);
	*strrchr(path, '/') = 0;
	rmdir(path);
}

/* Take r out of its agent. */
void run_remove(struct run *r)
{
	struct agent *a = r->agent;
	struct run **at = &a->runs;
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	if (!*at)
		a->runs_end = at;
	if (a->main == r)
		a->main = NULL;
	a->kept--;
	r->agent = NULL;
	run_unref(r);
}

struct run *run_find(struct runtime *rt, struct agent *a, uint32_t number)
{
	(void)rt;
	for (struct run *r = a ? a->runs : NULL; r; r = r->next)
		if (r->number == number)
			return r;
	return NULL;
}

struct run *run_next(struct runtime *rt, struct agent *a, uint32_t after)
{
	(void)rt;
	for (struct run *r = a ? a->runs : NULL; r; r = r->next)
		if (r->number > after)
			return r;
	return NULL;
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
	if (r->failure.code == ERR_NONE)
		return 0;
	if (e)
		*e = r->failure;
	return -r->failure.eno;
}

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

/* ---- queue ---- */

static int save_input(struct runtime *rt, struct run *r, const char *input, size_t len,
		      struct err *e)
{
	char path[4096];
	run_file_path(rt, r, RUN_INPUT, path, sizeof path);
	for (char *p = path + strlen(rt->state_dir) + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		mkdir(path, 0711);
		*p = '/';
	}
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, input, len) != (ssize_t)len)
		return err_sys(e, ERR_SYS_IO, errno, "input of a run");
	return 0;
}

static void enqueue(struct runtime *rt, struct run *r)
{
	if (r->agent->active == 0 && r->agent->vtime < rt->vtime)
		r->agent->vtime = rt->vtime;
	r->queue_next = NULL;
	*rt->queue_end = run_ref(r);
	rt->queue_end = &r->queue_next;
	metric_add(METRIC_RUNS_QUEUED, 1);
}

int run_queue(struct agent *a, const struct actor *who, const char *input, size_t len, bool main,
	      struct run **ret, struct err *e)
{
	struct runtime *rt = a->rt;
	if (rt->stopping)
		return err_set(e, ERR_SYS_STOPPING, "the daemon is stopping");
	if (a->state == AGENT_TERMINATED || a->state == AGENT_TERMINATING)
		return err_set(e, ERR_AGENT_STATE, "agent '%s' is %s; `echo start > ctl` first", a->name,
			       agent_state_name(a->state));
	struct run tmp = {.serial = a->serial, .number = a->next_run};
	int r = save_input(rt, &tmp, input, len, e);
	if (r == 0)
		r = record(rt, who, REC_RUN_QUEUED, a->name,
			   json_pack("{s:i,s:b}", "run", a->next_run, "main", main), done_nobody, e);
	if (r < 0)
		return r;
	struct run *run = run_find(rt, a, tmp.number);
	if (!run)
		return err_set(e, ERR_SYS_MEMORY, "no memory for a run");
	enqueue(rt, run);
	if (ret)
		*ret = run_ref(run);
	sched_kick(rt);
	return 0;
}

int run_submit(struct runtime *rt, const struct actor *who, struct agent *a, const char *input,
	       size_t len, struct run **ret, struct err *e)
{
	(void)rt;
	if (a->spec && a->spec->mode == MODE_PERSISTENT)
		return err_set(e, ERR_AGENT_STATE,
			       "agent '%s' is persistent: write to its stdin, read its stdout", a->name);
	return run_queue(a, who, input, len, false, ret, e);
}

/* ---- scheduler and admission ---- */

/* Does r fit now? Else why not, in its waits_for. */
static bool fits(struct runtime *rt, struct run *r)
{
	const struct agent_limits *l = &r->agent->spec->limits;
	uint64_t total = config_u64(rt->config, "resource.total_memory") >> 20;
	double cores = config_real(rt->config, "resource.total_cpu_cores");
	if (!total)
		total = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) >> 20;
	r->waits_for[0] = 0;
	if (r->agent->state == AGENT_SUSPENDED)
		snprintf(r->waits_for, sizeof r->waits_for, "the agent is suspended");
	else if (rt->running >= config_u64(rt->config, "scheduler.max_concurrent_tasks"))
		snprintf(r->waits_for, sizeof r->waits_for, "scheduler.max_concurrent_tasks: %u run",
			 rt->running);
	else if (rt->running && rt->memory_mb_used + l->memory_mb > total)
		snprintf(r->waits_for, sizeof r->waits_for, "memory_mb: needs %llu, %llu of %llu free",
			 (unsigned long long)l->memory_mb,
			 (unsigned long long)(total > rt->memory_mb_used ? total - rt->memory_mb_used
									  : 0),
			 (unsigned long long)total);
	else if (rt->running && cores > 0 && rt->cpu_used + l->cpu_cores > cores)
		snprintf(r->waits_for, sizeof r->waits_for, "cpu_cores: needs %g, %g of %g free",
			 l->cpu_cores, cores - rt->cpu_used, cores);
	return r->waits_for[0] == 0;
}

static struct run **best(struct runtime *rt)
{
	struct run **found = NULL;
	for (struct run **at = &rt->queue; *at; at = &(*at)->queue_next) {
		struct agent *a = (*at)->agent;
		if (a && !fits(rt, *at))
			continue;
		if (!a)
			return at;
		if (!found || a->vtime < (*found)->agent->vtime)
			found = at;
	}
	return found;
}

static void take(struct runtime *rt, struct run **at)
{
	*at = (*at)->queue_next;
	if (!*at)
		rt->queue_end = at;
	metric_add(METRIC_RUNS_QUEUED, -1);
}

static void begin(struct runtime *rt, struct run *r)
{
	static const double weights[] = {1, 2, 4, 8};
	struct agent *a = r->agent;
	struct err e = {0};
	rt->vtime = a->vtime;
	a->vtime += 1 / weights[a->spec->priority];
	a->queued--;
	a->active++;
	rt->running++;
	rt->memory_mb_used += r->held_mb = a->spec->limits.memory_mb;
	rt->cpu_used += r->held_cpu = a->spec->limits.cpu_cores;
	r->state = RUN_RUNNING;
	r->started_ms = clock_wall_ms();
	if (exec_start(r, &e) < 0)
		run_done(r, &(struct sandbox_result){.end = END_START_FAILED, .err = e});
	else if (a->state == AGENT_READY || a->state == AGENT_WAITING)
		agent_move(a, AGENT_RUNNING, NULL);
}

void sched_kick(struct runtime *rt)
{
	struct run **at;
	while (!rt->stopping && rt->spawn && (at = best(rt))) {
		struct run *r = *at;
		take(rt, at);
		if (r->agent && r->state == RUN_QUEUED)
			begin(rt, r);
		run_unref(r);
	}
	for (struct run *r = rt->queue; r; r = r->queue_next)
		if (r->agent && r->agent->state == AGENT_READY && !r->agent->active)
			agent_move(r->agent, AGENT_WAITING, r->waits_for);
}

/* ---- the end ---- */

static void say_why(struct run *r, const struct sandbox_result *res)
{
	const struct agent_limits *l = &r->agent->spec->limits;
	struct err *e = &r->failure;
	char t[32];
	if (r->timed_out) {
		format_duration_ms(l->execution_timeout_ms, t);
		err_set(e, ERR_SCHED_TIMEOUT, "run %u: execution_timeout of %s exceeded", r->number, t);
		return;
	}
	switch (res->end) {
	case END_EXITED:
		if (res->code)
			err_set(e, ERR_AGENT_FAILED, "run %u: exit code %d", r->number, res->code);
		return;
	case END_SIGNALED:
	case END_KILLED:
		if (r->stopping && r->main)
			return;
		err_set(e, ERR_AGENT_FAILED, "run %u: ended by signal %d (SIG%s)", r->number, res->code,
			sigabbrev_np(res->code) ? sigabbrev_np(res->code) : "?");
		return;
	case END_MEMORY:
		err_set(e, ERR_RESOURCE_SHORT, "run %u: out of memory (limit %llu MB)", r->number,
			(unsigned long long)l->memory_mb);
		return;
	case END_FILE_SIZE:
		err_set(e, ERR_RESOURCE_TOO_BIG,
			"run %u: wrote more than native_execution.max_output_mb", r->number);
		return;
	case END_CPU_TIME:
		err_set(e, ERR_SCHED_TIMEOUT, "run %u: native_execution.max_cpu_seconds exceeded",
			r->number);
		return;
	case END_START_FAILED:
		*e = res->err;
		return;
	case END_LOST:
		err_set(e, ERR_SCHED_FAILED, "run %u: ended with the daemon that had started it",
			r->number);
		return;
	}
}

/* Journal the end of r; what follows from it is in run_apply_done and exec.c. */
void run_done(struct run *r, const struct sandbox_result *res)
{
	struct agent *a = r->agent;
	struct runtime *rt = a->rt;
	bool counted = r->state == RUN_RUNNING;
	if (r->state == RUN_DONE)
		return;
	r->result = *res;
	say_why(r, res);
	json_t *b = json_pack("{s:i,s:i,s:I,s:I,s:I}", "run", r->number, "exit", res->code, "wall_ns",
			      (json_int_t)res->wall_ns, "cpu_ns", (json_int_t)res->cpu_ns,
			      "memory_peak", (json_int_t)res->memory_peak_bytes);
	if (r->failure.code != ERR_NONE) {
		json_object_set_new(b, "code", json_string(err_code_name(r->failure.code)));
		json_object_set_new(b, "error", json_string(r->failure.msg));
		agent_set_error(a, &r->failure);
		metric_add(METRIC_RUNS_FAILED, 1);
	}
	metric_observe_ns(METRIC_RUN_SECONDS, res->wall_ns);
	if (counted) {
		rt->running--;
		a->active--;
		rt->memory_mb_used -= r->held_mb;
		rt->cpu_used -= r->held_cpu;
	} else {
		a->queued--;
	}
	timer_free(r->timer);
	r->timer = NULL;
	run_ref(r);
	record(rt, &actor_self, REC_RUN_DONE, a->name, b, done_nobody, NULL);
	if (r->state != RUN_DONE)
		run_apply_done(r); /* the journal refused; the run has ended all the same */
	run_unref(r);
}

void run_apply_done(struct run *r)
{
	struct agent *a = r->agent;
	struct runtime *rt = a->rt;
	if (rt->replaying && a->queued)
		a->queued--;
	r->state = RUN_DONE;
	while (r->waiters) {
		struct run_waiter *w = r->waiters;
		run_wait_cancel(w);
		w->fn(w, r);
	}
	while (a->kept > config_u64(rt->config, "runs.keep") && a->runs->state == RUN_DONE &&
	       a->runs != r) {
		if (!rt->replaying)
			remove_files(rt, a->runs);
		run_remove(a->runs);
	}
}

/* ---- texts ---- */

int run_render_status(struct runtime *rt, const struct run *r, struct buf *out)
{
	static const char *const names[] = {"queued", "running", "done"};
	(void)rt;
	buf_printf(out, "run %u\nstate %s\n", r->number, names[r->state]);
	if (r->state == RUN_QUEUED && r->waits_for[0])
		buf_printf(out, "waits_for %s\n", r->waits_for);
	buf_printf(out, "queued_ms %llu\nstarted_ms %llu\ndone_ms %llu\n",
		   (unsigned long long)r->queued_ms, (unsigned long long)r->started_ms,
		   (unsigned long long)r->done_ms);
	if (r->state == RUN_DONE)
		buf_printf(out, "exit %d\nresult %s%s%s\n", r->result.code,
			   r->failure.code ? err_code_name(r->failure.code) : "ok",
			   r->failure.code ? " " : "", r->failure.code ? r->failure.msg : "");
	return out->fail;
}

int run_render_usage(struct runtime *rt, const struct run *r, struct buf *out)
{
	(void)rt;
	return buf_printf(out, "wall_seconds %.6f\ncpu_seconds %.6f\nmemory_peak_mb %.2f\n",
			  (double)r->result.wall_ns / 1e9, (double)r->result.cpu_ns / 1e9,
			  (double)r->result.memory_peak_bytes / 1048576);
}
