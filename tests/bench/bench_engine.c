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
#include "runtime/sched.h"
#include "tests/bench/engine.h"
#include "tests/bench/measure.h"
#include "tests/bench/server.h"

#define ROUNDS      8
#define TRANSITIONS 500 /* in one round */
#define BATCH       1000
#define ENTITIES    1000000u
#define RECORD_SIZE 256

/* ---- transitions: suspend and resume an agent that runs nothing ---- */

static void transitions(struct engine *g, struct samples *us)
{
	static const char *const words[] = {"suspend", "resume"};
	static const enum agent_state becomes[] = {AGENT_SUSPENDED, AGENT_READY};
	struct agent *a = agent_find(g->rt, "a", 1);
	struct actor root = {0};
	struct err e;
	for (int i = 0; i < TRANSITIONS; i++) {
		const char *w = words[i % 2];
		uint64_t begin = now_ns();
		errno = 0;
		g->asked++;
		if (agent_ctl(g->rt, &root, a, w, strlen(w), engine_done(g), &e) < 0)
			die("%s: %s", w, e.msg);
		engine_wait(g, 0);
		samples_add(us, (double)(now_ns() - begin) / 1e3);
		if (agent_state(a) != becomes[i % 2])
			die("%s had no effect", w);
	}
}

static void open_with_agent(struct engine *g, const struct scratch *s, const char *durability)
{
	engine_open(g, s, durability, durability);
	engine_put(g, "a.yaml");
	engine_wait(g, 0);
}

static void transition_rows(const struct scratch *s)
{
	struct engine fast, safe;
	struct disk d;
	struct samples f = {0}, a = {0}, sync = {0};
	disk_open(&d, s->dir);
	open_with_agent(&fast, s, "fast");
	open_with_agent(&safe, s, "safe");
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
