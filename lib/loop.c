/* SPDX-License-Identifier: MIT */
/* loop.c - the event loop on libuv with a lock-free inbox. L0. */
#include "lib/loop.h"

static void on_wake(uv_async_t *wake)
{
	loop_drain(wake->data);
}

int loop_init(struct loop *l, struct err *e)
{
	*l = (struct loop){0};
	int r = uv_loop_init(&l->uv);
	if (r == 0) {
		r = uv_async_init(&l->uv, &l->wake, on_wake);
		if (r != 0)
			uv_loop_close(&l->uv);
	}
	if (r != 0)
		return err_sys(e, ERR_SYS_IO, -r, "event loop cannot be made");
	l->wake.data = l;
	l->thread = pthread_self();
	return 0;
}

void loop_run(struct loop *l)
{
	l->thread = pthread_self();
	while (!l->stopping) {
		uv_run(&l->uv, UV_RUN_ONCE);
		loop_drain(l);
	}
}

void loop_stop(struct loop *l)
{
	l->stopping = true;
	uv_async_send(&l->wake);
}

static void close_handle(uv_handle_t *h, void *arg)
{
	(void)arg;
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

void loop_done(struct loop *l)
{
	uv_walk(&l->uv, close_handle, NULL);
	while (uv_run(&l->uv, UV_RUN_DEFAULT) != 0)
		;
	uv_loop_close(&l->uv);
}

void loop_post(struct loop *l, struct loop_job *job)
{
	struct loop_job *old = atomic_load_explicit(&l->inbox, memory_order_relaxed);
	do
		job->next = old;
	while (!atomic_compare_exchange_weak_explicit(&l->inbox, &old, job, memory_order_release,
						      memory_order_relaxed));
	if (!old) /* the one that finds the inbox empty rings; the others ride along */
		uv_async_send(&l->wake);
}

/* Move the inbox, newest first, to the end of what is due, oldest first. */
static void fetch(struct loop *l)
{
	struct loop_job *list = atomic_exchange_explicit(&l->inbox, NULL, memory_order_acquire);
	struct loop_job *in_order = NULL, *last = list;
	while (list) {
		struct loop_job *next = list->next;
		list->next = in_order;
		in_order = list;
		list = next;
	}
	if (!in_order)
		return;
	if (l->due)
		l->due_last->next = in_order;
	else
		l->due = in_order;
	l->due_last = last;
}

bool loop_drain(struct loop *l)
{
	fetch(l);
	bool ran = l->due;
	while (l->due) { /* a job that drains in turn goes on where this left off */
		struct loop_job *job = l->due;
		l->due = job->next;
		job->fn(job);
	}
	return ran;
}
