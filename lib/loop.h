/* SPDX-License-Identifier: MIT */
/* loop.h - the one event loop of a process, on libuv. L0; loop thread unless said.
 *
 * The loop thread owns every object of runtime/ and fs/. Other threads hand work back with
 * loop_post. `loop->uv` is an ordinary uv_loop_t: polls and timers are used directly. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "lib/err.h"
#include "lib/sys.h"

struct loop_job { /* embed in the object that is posted; must stay alive until fn runs */
	struct loop_job *next;
	void (*fn)(struct loop_job *job); /* runs on the loop thread, once per post */
};

struct loop {
	uv_loop_t uv;
	uv_async_t wake;
	pthread_t thread;
	_Atomic(struct loop_job *) inbox; /* shared: lock-free stack, newest first */
	/* loop thread only */
	struct loop_job *due, *due_last; /* taken from the inbox, oldest first */
	bool stopping;
};

int loop_init(struct loop *l, struct err *e);
void loop_run(struct loop *l); /* until loop_stop */
void loop_stop(struct loop *l);
void loop_done(struct loop *l); /* closes what is left; the loop must not be running */

/* Run job->fn on the loop thread. Any thread; order per poster is kept. */
void loop_post(struct loop *l, struct loop_job *job);

/* Run everything that was posted, without waiting. For code that spins on the loop thread, or that
 * frees an object whose job may have been posted; a job may call it. Returns whether anything ran. */
bool loop_drain(struct loop *l);
