/* SPDX-License-Identifier: MIT */
/* sched.c - start-time fair queueing with virtual deadlines over agents. L2; loop thread. */
#include "runtime/sched.h"

#include <stdlib.h>

static bool before(const struct sched_entity *a, const struct sched_entity *b)
{
	return a->deadline != b->deadline ? a->deadline < b->deadline : a->order < b->order;
}

static void place(struct sched *s, size_t i, struct sched_entity *e)
{
	s->heap[i] = e;
	e->place = i + 1;
}

static void sift(struct sched *s, size_t i)
{
	struct sched_entity *e = s->heap[i];
	while (i > 0 && before(e, s->heap[(i - 1) / 2])) {
		place(s, i, s->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	for (;;) {
		size_t c = 2 * i + 1;
		if (c + 1 < s->n && before(s->heap[c + 1], s->heap[c]))
			c++;
		if (c >= s->n || !before(s->heap[c], e))
			break;
		place(s, i, s->heap[c]);
		i = c;
	}
	place(s, i, e);
}

static uint64_t cost(const struct sched_entity *e, uint64_t us)
{
	return us * SCHED_SCALE / e->weight;
}

static void set_deadline(struct sched_entity *e)
{
	e->deadline = e->vtime + cost(e, e->expect_us);
}

void sched_done(struct sched *s)
{
	free(s->heap);
	*s = (struct sched){0};
}

void sched_add(struct sched *s, struct sched_entity *e, unsigned weight)
{
	if (e->place)
		return;
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 64;
		struct sched_entity **heap = realloc(s->heap, cap * sizeof(struct sched_entity *));
		if (!heap)
			abort();
		s->heap = heap;
		s->cap = cap;
	}
	e->weight = weight;
	if (!e->expect_us)
		e->expect_us = SCHED_EXPECT_US;
	if (e->vtime < s->vtime)
		e->vtime = s->vtime;
	e->order = s->order++;
	set_deadline(e);
	place(s, s->n++, e);
	sift(s, s->n - 1);
}

void sched_remove(struct sched *s, struct sched_entity *e)
{
	if (!e->place)
		return;
	size_t i = e->place - 1;
	struct sched_entity *last = s->heap[--s->n];
	e->place = 0;
	if (last != e) {
		place(s, i, last);
		sift(s, i);
	}
}

struct sched_entity *sched_first(const struct sched *s)
{
	return s->n ? s->heap[0] : NULL;
}

void sched_charge(struct sched *s, struct sched_entity *e)
{
	if (e->vtime > s->vtime)
		s->vtime = e->vtime;
	e->vtime += cost(e, e->expect_us);
	set_deadline(e);
	if (e->place)
		sift(s, e->place - 1);
}

void sched_measured(struct sched *s, struct sched_entity *e, uint64_t used_us)
{
	if (!e->weight)
		return;
	uint64_t charged = cost(e, e->expect_us), real = cost(e, used_us ? used_us : 1);
	e->vtime = real >= charged ? e->vtime + (real - charged)
		 : e->vtime > charged - real ? e->vtime - (charged - real) : 0;
	uint64_t capped = used_us > 3600000000u ? 3600000000u : used_us;
	e->expect_us = (uint32_t)((7ull * e->expect_us + capped) / 8);
	if (!e->expect_us)
		e->expect_us = 1;
	set_deadline(e);
	if (e->place)
		sift(s, e->place - 1);
}
