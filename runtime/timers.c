/* SPDX-License-Identifier: MIT */
/* timers.c - many timers on one uv_timer. L2; loop thread. */
#include "runtime/timers.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t now_ms(void)
{
	return clock_mono_ns() / 1000000u;
}

static void place(struct timers *t, size_t i, struct rt_timer *x)
{
	t->heap[i] = x;
	x->place = i + 1;
}

static void sift(struct timers *t, size_t i)
{
	struct rt_timer *x = t->heap[i];
	while (i > 0 && t->heap[(i - 1) / 2]->at_ms > x->at_ms) {
		place(t, i, t->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	for (;;) {
		size_t c = 2 * i + 1;
		if (c + 1 < t->n && t->heap[c + 1]->at_ms < t->heap[c]->at_ms)
			c++;
		if (c >= t->n || t->heap[c]->at_ms >= x->at_ms)
			break;
		place(t, i, t->heap[c]);
		i = c;
	}
	place(t, i, x);
}

static void arm(struct timers *t);

static void fire(uv_timer_t *uv)
{
	struct timers *t = uv->data;
	uint64_t now = now_ms();
	while (t->n && t->heap[0]->at_ms <= now) {
		struct rt_timer *x = t->heap[0];
		timer_clear(t, x);
		x->fn(x->arg);
		if (!t->uv)
			return;
	}
	arm(t);
}

static void arm(struct timers *t)
{
	if (!t->uv)
		return;
	if (!t->n) {
		uv_timer_stop(t->uv);
		return;
	}
	uint64_t now = now_ms(), at = t->heap[0]->at_ms;
	uv_update_time(t->uv->loop);
	uv_timer_start(t->uv, fire, at > now ? at - now : 0, 0);
}

int timers_open(struct timers *t, struct loop *l)
{
	*t = (struct timers){.uv = calloc(1, sizeof *t->uv)};
	if (!t->uv)
		return -ENOMEM;
	uv_timer_init(&l->uv, t->uv);
	t->uv->data = t;
	return 0;
}

static void closed(uv_handle_t *h)
{
	free(h);
}

void timers_close(struct timers *t)
{
	if (t->uv)
		uv_close((uv_handle_t *)t->uv, closed);
	free(t->heap);
	*t = (struct timers){0};
}

void timer_set(struct timers *t, struct rt_timer *x, uint64_t delay_ms, void (*fn)(void *), void *arg)
{
	timer_clear(t, x);
	if (t->n == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 64;
		struct rt_timer **heap = realloc(t->heap, cap * sizeof(struct rt_timer *));
		if (!heap)
			abort(); /* a lost timeout would let an agent run for ever */
		t->heap = heap;
		t->cap = cap;
	}
	x->at_ms = now_ms() + delay_ms;
	x->fn = fn;
	x->arg = arg;
	place(t, t->n++, x);
	sift(t, t->n - 1);
	if (x->place == 1)
		arm(t);
}

void timer_clear(struct timers *t, struct rt_timer *x)
{
	if (!x->place || !t->n)
		return;
	size_t i = x->place - 1;
	struct rt_timer *last = t->heap[--t->n];
	x->place = 0;
	if (last != x) {
		place(t, i, last);
		sift(t, i);
	}
}
