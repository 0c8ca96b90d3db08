/* SPDX-License-Identifier: MIT */
/* run_queue.c - which waiting run is started next, and whether there is room for it. Agents take turns by
 * sched.c; a run holds its memory and cores from its start to its end. L2; loop thread only. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "lib/metric.h"
#include "runtime/runtime_i.h"

static const unsigned weights[] = {
	[PRIORITY_LOW] = 1, [PRIORITY_NORMAL] = 2, [PRIORITY_HIGH] = 4, [PRIORITY_CRITICAL] = 8};

struct quota_need quota_need_of(const struct agent_limits *l)
{
	return (struct quota_need){l->memory_mb, (uint64_t)llround(l->cpu_cores * 1000)};
}

void quota_refresh(struct runtime *rt)
{
	uint64_t mb = config_u64(rt->config, "resource.total_memory") >> 20;
	if (!mb)
		mb = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) >> 20;
	rt->quota.total.memory_mb = mb;
	rt->quota.total.cpu_millis =
		(uint64_t)llround(config_real(rt->config, "resource.total_cpu_cores") * 1000);
}

/* ---- the agent's own queue ---- */

static void queue_turn(struct agent *a)
{
	struct agent_live *l = a->live;
	if (l->queue && a->state != AGENT_SUSPENDED)
		sched_add(&a->rt->sched, &l->turn, weights[a->priority]);
	else
		sched_remove(&a->rt->sched, &l->turn);
}

void queue_changed(struct agent *a)
{
	if (a->live)
		queue_turn(a);
	queue_fill(a->rt);
}

void run_enqueue(struct run *r)
{
	struct agent_live *l = r->agent->live;
	if (!l->queued)
		l->waiting_since_ms = clock_wall_ms();
	r->queue_next = NULL;
	*l->queue_end = r;
	l->queue_end = &r->queue_next;
	l->queued++;
	metric_add(METRIC_RUNS_QUEUED, 1);
	queue_turn(r->agent);
}

void run_dequeue(struct run *r)
{
	struct agent_live *l = r->agent->live;
	for (struct run **at = &l->queue; *at; at = &(*at)->queue_next) {
		if (*at != r)
			continue;
		*at = r->queue_next;
		if (!*at)
			l->queue_end = at;
		r->queue_next = NULL;
		l->queued--;
		l->waiting_since_ms = clock_wall_ms();
		metric_add(METRIC_RUNS_QUEUED, -1);
		queue_turn(r->agent);
		return;
	}
}

void run_park(struct run *r)
{
	run_dequeue(r);
	r->parked = true;
	r->agent->live->parked++;
}

void run_unpark(struct run *r)
{
	if (r->parked)
		r->agent->live->parked--;
	r->parked = false;
}

/* ---- room ---- */

static bool tasks_full(const struct runtime *rt)
{
	return rt->tasks >= config_u64(rt->config, "scheduler.max_concurrent_tasks");
}

static struct quota_need need_of(struct agent *a)
{
	struct agent_limits l = agent_limits_of(a);
	return quota_need_of(&l);
}

void queue_wait_reason(struct agent *a, char *out, size_t cap)
{
	struct runtime *rt = a->rt;
	struct quota_need need = need_of(a), saved = rt->quota.used;
	struct run *first = a->live ? a->live->queue : NULL;
	char why[120];
	unsigned long long since =
		a->live && a->live->queued ? clock_since_ms(a->live->waiting_since_ms) / 1000 : 0;
	if (!first && a->live && a->live->parked)
		snprintf(out, cap, "an approval");
	else if (!first)
		snprintf(out, cap, "its start");
	else if (a->state == AGENT_SUSPENDED)
		snprintf(out, cap, "resume: the agent is suspended (%llus)", since);
	else if (!rt->spawn || rt->spawn_lost || rt->resyncing)
		snprintf(out, cap, "the spawner");
	else if (!first->process && tasks_full(rt))
		snprintf(out, cap, "scheduler.max_concurrent_tasks: %u run (%llus)", rt->tasks, since);
	else if (!quota_take(&rt->quota, &need, why, sizeof why))
		snprintf(out, cap, "%s (%llus)", why, since);
	else
		snprintf(out, cap, "its turn (%llus)", since);
	rt->quota.used = saved;
}

void run_hold(struct run *r)
{
	struct agent_live *l = r->agent->live;
	r->held = need_of(r->agent);
	r->rt->quota.used.memory_mb += r->held.memory_mb;
	r->rt->quota.used.cpu_millis += r->held.cpu_millis;
	r->active = true;
	r->active_next = r->rt->active;
	r->active_at = &r->rt->active;
	if (r->active_next)
		r->active_next->active_at = &r->active_next;
	r->rt->active = r;
	r->state = RUN_RUNNING;
	l->running++;
	*(r->process ? &r->rt->processes : &r->rt->tasks) += 1;
	metric_set(METRIC_AGENTS_RUNNING, (int64_t)(r->rt->processes + r->rt->tasks));
}

void run_unhold(struct run *r)
{
	struct agent_live *l = r->agent->live;
	quota_give(&r->rt->quota, &r->held);
	r->active = false;
	*r->active_at = r->active_next;
	if (r->active_next)
		r->active_next->active_at = r->active_at;
	l->running--;
	*(r->process ? &r->rt->processes : &r->rt->tasks) -= 1;
	metric_set(METRIC_AGENTS_RUNNING, (int64_t)(r->rt->processes + r->rt->tasks));
	sched_measured(&r->rt->sched, &l->turn,
		       r->started_ms ? clock_since_ms(r->started_ms) * 1000 : 1);
}

/* ---- the next ones ---- */

static bool fits(struct runtime *rt, const struct run *r)
{
	struct quota_need need;
	if (!r->process && tasks_full(rt))
		return false;
	need = need_of(r->agent);
	if (!quota_take(&rt->quota, &need, NULL, 0))
		return false;
	quota_give(&rt->quota, &need);
	return true;
}

static void begin(struct runtime *rt, struct agent_live *l)
{
	struct run *r = l->queue;
	struct agent *a = l->agent;
	struct err e = {0};
	sched_charge(&rt->sched, &l->turn);
	int may = run_may_start(r, &e);
	if (may < 0 && e.code == ERR_APPROVAL_PENDING) {
		run_park(r);
		agent_settle(a);
		return;
	}
	run_dequeue(r);
	run_hold(r);
	run_ref(r);
	if (may < 0 || run_launch(r, &e) < 0)
		run_finish(r, &(struct sandbox_result){.end = END_START_FAILED, .err = e});
	else
		agent_settle(a);
	run_unref(r);
}

/* Start what fits. An agent whose run does not fit is stepped over, so that small runs use the room
 * that a large one cannot; but not once it has waited for long, or it would starve. */
void queue_fill(struct runtime *rt)
{
	struct sched_entity *aside[BACKFILL_DEPTH], *e;
	unsigned n = 0;
	if (rt->filling || rt->stopping || rt->resyncing || !rt->spawn ||
	    rt->spawn_lost || rt->replaying)
		return;
	rt->filling = true;
	while ((e = sched_first(&rt->sched)) && n < BACKFILL_DEPTH) {
		struct agent_live *l = container_of(e, struct agent_live, turn);
		if (fits(rt, l->queue)) {
			begin(rt, l);
			continue;
		}
		if (clock_since_ms(l->waiting_since_ms) > BACKFILL_MS)
			break;
		sched_remove(&rt->sched, e);
		aside[n++] = e;
	}
	while (n) {
		struct agent_live *l = container_of(aside[--n], struct agent_live, turn);
		queue_turn(l->agent);
	}
	rt->filling = false;
}
