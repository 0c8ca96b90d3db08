/* SPDX-License-Identifier: MIT */
/* stat.c - lookup and getattr that wait a little for an answer that is being made, so that readers
 * which trust a file's size (busybox cat, sendfile) see the true one. L3; loop thread only. */
#include <errno.h>
#include <stddef.h>

#include "fs/tree_i.h"
#include "lib/mem.h"

struct held { /* a stat that waits for a run or for its time limit */
	struct run_waiter waiter;
	uv_timer_t timer;
	struct fs_req *req;
	struct tree *t;
	struct place place;
};

static void held_closed(uv_handle_t *timer)
{
	free(timer->data);
}

static void held_end(struct held *h, bool cancelled)
{
	struct fs_req *req = h->req;
	struct err e = {0};
	run_wait_cancel(&h->waiter);
	uv_timer_stop(&h->timer);
	int r = cancelled ? -EINTR : place_attr(h->t, &h->place, &req->who, &req->attr, &e);
	uv_close((uv_handle_t *)&h->timer, held_closed);
	if (r < 0)
		req_fail(req, r, &e);
	else
		req_ok(req, 0);
}

static void held_answer(struct run_waiter *w, struct run *r)
{
	(void)r;
	held_end(container_of(w, struct held, waiter), false);
}

static void held_timeout(uv_timer_t *timer)
{
	held_end(timer->data, false);
}

static void held_cancel(struct fs_req *req)
{
	held_end(req->op, true);
}

void tree_stat(struct tree *t, struct fs_req *req, fs_id id, const char *name)
{
	struct err e = {0};
	struct place p;
	int r = place_of(t, id, &p, &e);
	if (r == 0 && name) {
		struct place dir = p;
		r = place_child(t, &req->who, &dir, name, &p, &e);
	}
	if (r == 0)
		r = place_attr(t, &p, &req->who, &req->attr, &e);
	if (r < 0) {
		req_fail(req, r, &e);
		return;
	}
	struct slot *s = req->attr.kind == FS_CALL ? slot_by_id(t, p.sub) : NULL;
	struct held *h = s && s->answer && !answer_ready(s->answer) ? calloc(1, sizeof *h) : NULL;
	if (!h) {
		req_ok(req, 0);
		return;
	}
	*h = (struct held){.waiter = {.fn = held_answer}, .req = req, .t = t, .place = p};
	uv_timer_init(&runtime_loop(t->rt)->uv, &h->timer);
	h->timer.data = h;
	req->op = h;
	req->cancel = held_cancel;
	uv_timer_start(&h->timer, held_timeout, SLOT_HOLD_MS, 0);
	run_wait(s->answer->run, &h->waiter);
}
