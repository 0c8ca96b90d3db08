/* SPDX-License-Identifier: MIT */
/* pool.h - worker threads for what would block or busy the loop: a job goes in, runs on one of them, and its
 * done is called back on the loop. L0.
 *
 * A job is moved to the pool and moved back: between pool_run and done the submitter leaves it alone. */
#pragma once

#include "lib/loop.h"

struct pool;

struct pool_job {                           /* embed in the object that holds input and result */
	void (*work)(struct pool_job *job); /* on a worker thread */
	void (*done)(struct pool_job *job); /* on the loop thread, after work or cancelling */
	bool cancelled;                     /* set before done: work was not called */
	struct pool_job *next;              /* private */
	struct pool *pool;                  /* private */
	struct loop_job back;               /* private */
};

/* Start `threads` workers (at least one) for the loop. -errno SYS_002 or -ENOMEM. Loop thread. */
int pool_open(struct pool **ret, unsigned threads, struct loop *l, struct err *e);

/* Queue a job; jobs begin in the order of the calls. Its done may queue further ones. Cannot fail: the
 * queue is made of the jobs. Loop thread. */
void pool_run(struct pool *p, struct pool_job *job);

/* Take back a job that no worker has begun: its done is called, with cancelled set, on the next turn of the
 * loop, and true returned. False: it runs or ran, its done comes as ever. Loop thread. */
bool pool_cancel(struct pool *p, struct pool_job *job);

/* Lets the jobs that run end, cancels those that wait, calls every done, joins and frees. NULL is fine. Loop
 * thread, not from within a done. */
void pool_close(struct pool *p);
