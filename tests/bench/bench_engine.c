/* SPDX-License-Identifier: MIT */
/* bench_engine.c - the engine's own steps, in process: a state transition of each class of durability, taking
 * and giving back resources, and the choice of who goes next among a million. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/metric.h"
#include "runtime/quota.h"
#include "runtime/runtime.h"
#include "runtime/sched.h"
#include "tests/bench/measure.h"
#include "tests/bench/server.h"

#define ROUNDS      8
#define TRANSITIONS 500 /* in one round */
#define BATCH       1000
#define ENTITIES    1000000u
#define RECORD_SIZE 256

/* ---- transitions: suspend and resume an agent that runs nothing ---- */

struct engine {
	struct loop loop;
	struct config *config;
	struct runtime *rt;
	struct agent *agent;
	bool done;
};

static void on_done(void *arg, const struct err *e)
{
	struct engine *g = arg;
	errno = 0;
	if (e)
		die("%s", e->msg);
	g->done = true;
}

static void wait_done(struct engine *g)
{
	while (!g->done)
		if (!loop_drain(&g->loop))
			uv_run(&g->loop.uv, UV_RUN_NOWAIT);
	g->done = false;
}

static void engine_open(struct engine *g, const struct scratch *s, const char *class)
{
	struct actor root = {0};
	struct err e = {0};
	char state[PATH_MAX];
	snprintf(state, sizeof state, "%s/%s", s->dir, class);
	*g = (struct engine){0};
	struct runtime_opts o = {.state_dir = state, .loop = &g->loop, .spawn_fd = -1};
	errno = 0;
	if (loop_init(&g->loop, &e) < 0 || config_new(&g->config, &e) < 0 ||
	    config_set(g->config, "security.allow_native_execution", "true", "benchmark", &e) < 0 ||
	    config_set(g->config, "journal.transitions", class, "benchmark", &e) < 0)
		die("%s", e.msg);
	o.config = g->config;
	if (runtime_open(&g->rt, &o, &e) < 0 ||
	    agent_put(g->rt, &root, "a.yaml", SPEC_TEXT, sizeof SPEC_TEXT - 1, true,
		      (struct runtime_done){on_done, g}, &e) < 0)
		die("%s", e.msg);
	wait_done(g);
	g->agent = agent_find(g->rt, "a", 1);
}

static void engine_close(struct engine *g)
{
	runtime_close(g->rt);
	loop_done(&g->loop);
	config_free(g->config);
}

static void transitions(struct engine *g, struct samples *us)
{
	static const char *const words[] = {"suspend", "resume"};
	static const enum agent_state becomes[] = {AGENT_SUSPENDED, AGENT_READY};
	struct actor root = {0};
	struct err e;
	for (int i = 0; i < TRANSITIONS; i++) {
		const char *w = words[i % 2];
		uint64_t begin = now_ns();
		errno = 0;
		if (agent_ctl(g->rt, &root, g->agent, w, strlen(w),
			      (struct runtime_done){on_done, g}, &e) < 0)
			die("%s: %s", w, e.msg);
		wait_done(g);
		samples_add(us, (double)(now_ns() - begin) / 1e3);
		if (agent_state(g->agent) != becomes[i % 2])
			die("%s had no effect", w);
	}
}

static void transition_rows(const struct scratch *s)
{
	struct engine fast, safe;
	struct disk d;
	struct samples f = {0}, a = {0}, sync = {0};
	disk_open(&d, s->dir);
	engine_open(&fast, s, "fast");
	engine_open(&safe, s, "safe");
	int64_t commits = 0;
	for (int round = 0; round < ROUNDS; round++) {
		transitions(&fast, &f);
		commits -= metric_get(METRIC_JOURNAL_COMMITS);
		transitions(&safe, &a);
		commits += metric_get(METRIC_JOURNAL_COMMITS);
		for (int i = 0; i < TRANSITIONS; i++) {
			uint64_t begin = now_ns();
			disk_commit(&d, RECORD_SIZE);
			samples_add(&sync, (double)(now_ns() - begin) / 1e3);
		}
	}
	figure_print(&(struct figure){"state transition, fast", "us", samples_median(&f), 0,
				      GOAL_OURS_MAX, 5});
	/* A figure of something that was not done is none. */
	bool synced = commits >= ROUNDS * TRANSITIONS;
	figure_print(&(struct figure){synced ? "state transition, safe (fdatasync)"
					     : "state transition, safe: WAS NOT SYNCED",
				      "us", samples_median(&a), samples_median(&sync),
				      synced ? GOAL_RATIO_MAX : GOAL_RATIO_MIN,
				      synced ? 1.3 : 0.9});
	engine_close(&fast);
	engine_close(&safe);
	disk_close(&d);
	samples_done(&f);
	samples_done(&a);
	samples_done(&sync);
}

/* ---- resources ---- */

static void quota_row(void)
{
	struct quota q = {.total = {1u << 20, 64000}};
	struct quota_need held[BATCH];
	struct samples us = {0};
	for (int round = 0; round < 500; round++) {
		uint64_t begin = now_ns();
		for (unsigned i = 0; i < BATCH; i++) {
			held[i] = (struct quota_need){64 + i % 64, 10};
			if (!quota_take(&q, &held[i], NULL, 0))
				die("the quota is too small");
		}
		for (unsigned i = 0; i < BATCH; i++)
			quota_give(&q, &held[i]);
		samples_add(&us, (double)(now_ns() - begin) / 1e3 / BATCH);
	}
	figure_print(&(struct figure){"resource allocation: take and give back", "us",
				      samples_median(&us), 0, GOAL_OURS_MAX, 1});
	samples_done(&us);
}

/* ---- the scheduler ---- */

/* The floor of a turn: replace the least of a million numbers in a heap and restore its order. */
static void replace_least(uint64_t *heap, size_t n, uint64_t v)
{
	size_t i = 0;
	for (size_t c; (c = 2 * i + 1) < n; i = c) {
		if (c + 1 < n && heap[c + 1] < heap[c])
			c++;
		if (heap[c] >= v)
			break;
		heap[i] = heap[c];
	}
	heap[i] = v;
}

static double floor_turn_us(uint64_t *heap)
{
	uint64_t begin = now_ns();
	for (unsigned i = 0; i < BATCH; i++)
		replace_least(heap, ENTITIES, heap[0] + (1u << 20) / (1 + i % 4));
	return (double)(now_ns() - begin) / 1e3 / BATCH;
}

static double turn_us(struct sched *s, unsigned *used)
{
	uint64_t begin = now_ns();
	for (unsigned i = 0; i < BATCH; i++) {
		struct sched_entity *e = sched_first(s);
		sched_charge(s, e);
		*used = *used * 1103515245u + 12345;
		sched_measured(s, e, 50000 + *used % 100000);
	}
	return (double)(now_ns() - begin) / 1e3 / BATCH;
}

static void sched_row(void)
{
	static const unsigned weights[] = {1, 2, 4, 8};
	struct sched s = {0};
	struct samples a = {0}, b = {0};
	struct sched_entity *all = calloc(ENTITIES, sizeof *all);
	uint64_t *heap = malloc(ENTITIES * sizeof *heap);
	unsigned used = 1;
	if (!all || !heap)
		die("a million entities");
	for (unsigned i = 0; i < ENTITIES; i++) {
		heap[i] = i;
		sched_add(&s, &all[i], weights[i % 4]);
	}
	for (int round = 0; round < 300; round++) {
		samples_add(&a, turn_us(&s, &used));
		samples_add(&b, floor_turn_us(heap));
	}
	figure_print(&(struct figure){"whose turn of 1,000,000: pick, charge, measure", "us",
				      samples_median(&a), samples_median(&b), GOAL_NONE, 0});
	sched_done(&s);
	free(all);
	free(heap);
	samples_done(&a);
	samples_done(&b);
}

int main(void)
{
	struct scratch s;
	scratch_init(&s);
	transition_rows(&s);
	quota_row();
	sched_row();
	scratch_done(&s);
	return 0;
}
