/* SPDX-License-Identifier: MIT */
/* timers.h - many timers on one uv_timer: a heap; setting and clearing is O(log n). L2; loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "lib/loop.h"

struct rt_timer { /* embed; zeroed is "not set" */
	uint64_t at_ms;
	size_t place; /* in the heap + 1; 0: not set */
	void (*fn)(void *arg);
	void *arg;
};

struct timers {
	uv_timer_t *uv; /* freed when it is closed */
	struct rt_timer **heap;
	size_t n, cap;
};

int timers_open(struct timers *t, struct loop *l);
void timers_close(struct timers *t);
/* In delay_ms; replaces an earlier setting. */
void timer_set(struct timers *t, struct rt_timer *timer, uint64_t delay_ms, void (*fn)(void *),
	       void *arg);
void timer_clear(struct timers *t, struct rt_timer *timer);
