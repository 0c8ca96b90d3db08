/* SPDX-License-Identifier: MIT */
/* stat.c - lookup and getattr that wait for an answer that is being made, so that readers which trust a file's
 * size (busybox cat, sendfile) see the true one. A process that has the file open to read it would wait in its
 * read anyway: its fstat(2) waits as long. Others wait a little, and are told a guess. L3; loop thread only. */
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "fs/tree_i.h"
#include "lib/mem.h"

struct held { /* a stat that waits for a run or for its time limit */
	struct answer_waiter waiter;
	uv_timer_t timer;
	struct fs_req *req;
	struct tree *t;
	struct place place;
	struct answer *answer; /* owned reference */
};

/* Two files in one place: the one that was stated before is taken for sized again. */
static size_t unsized_at(fs_id id)
{
	return (id * 0x9e3779b97f4a7c15u) >> 32 & (UNSIZED - 1);
}

bool tree_unsized(const struct tree *t, fs_id id)
{
	return t->unsized[unsized_at(id)].id == id;
}

/* Who asked may be about to ask again. Who waited just now is opening the file: the kernel looks at it twice. */
static bool is_hold_due(const struct tree *t, const struct place *p, const struct answer *a,
			const struct actor *who)
{
	size_t at = unsized_at(place_id(p));
	bool again = t->unsized[at].id == place_id(p) && clock_mono_ns() < t->unsized[at].until_ns;
	return a->who.pid != who->pid && !again;
}

static void held_closed(uv_handle_t *timer)
{
	free(timer->data);
}

static void stat_reply(struct tree *t, struct fs_req *req, const struct place *p,
		       const struct answer *a)
{
	struct err e = {0};
	int r = place_attr_short(t, p, &req->who, &req->attr, &e);
	req->attr.size = a ? answer_size(t, a) : 0;
	size_t at = unsized_at(req->attr.id);
	if (a && !answer_ready(a)) {
		t->unsized[at].id = req->attr.id;
		t->unsized[at].until_ns = clock_mono_ns() + UNSIZED_NS;
		req->attr.hold = FS_HOLD_NOT;
	} else if (t->unsized[at].id == req->attr.id) {
		t->unsized[at].id = 0;
	}
	if (r < 0)
		req_fail(req, r, &e);
	else
		req_ok(req, 0);
}

static void held_end(struct held *h, bool cancelled)
{
	answer_wait_cancel(&h->waiter);
	uv_close((uv_handle_t *)&h->timer, held_closed);
	if (cancelled)
		req_fail(h->req, -EINTR, NULL);
	else
		stat_reply(h->t, h->req, &h->place, h->answer);
	answer_unref(h->t, h->answer);
}

static void held_answer(struct answer_waiter *w)
{
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

static void hold(struct tree *t, struct fs_req *req, const struct place *p, struct answer *a,
		 bool patient)
{
	struct held *h = calloc(1, sizeof *h);
	if (!h) {
		req_fail(req, -ENOMEM, NULL);
		return;
	}
	*h = (struct held){.waiter = {.fn = held_answer},
			   .req = req,
			   .t = t,
			   .place = *p,
			   .answer = answer_ref(a)};
	uv_timer_init(&runtime_loop(t->rt)->uv, &h->timer);
	h->timer.data = h;
	req->op = h;
	req->cancel = held_cancel;
	if (!patient)
		uv_timer_start(&h->timer, held_timeout, STAT_HOLD_MS, 0);
	answer_wait(a, &h->waiter);
}

void tree_stat(struct tree *t, struct fs_req *req, fs_id id, const char *name)
{
	struct err e = {0};
	struct place p, dir;
	int r = place_of(t, id, &p, &e);
	if (r == 0 && name) {
		dir = p;
		r = place_child(t, &req->who, &dir, name, &p, &e);
	}
	if (r == 0 && row_kind(p.row) == FS_CALL) {
		struct answer *a = place_answer(t, &p, &req->who);
		bool patient = a && !name && handle_will_read(t, id, &req->who);
		if (a && !answer_ready(a) && (patient || is_hold_due(t, &p, a, &req->who)))
			hold(t, req, &p, a, patient);
		else
			stat_reply(t, req, &p, a);
		return;
	}
	if (r == 0)
		r = place_attr(t, &p, &req->who, &req->attr, &e);
	if (r < 0)
		req_fail(req, r, &e);
	else
		req_ok(req, 0);
}

void tree_statfs(struct tree *t, struct statvfs *ret)
{
	char path[PATH_MAX];
	*ret = (struct statvfs){.f_bsize = 4096, .f_frsize = 4096};
	if (runtime_events_path(t->rt, path, sizeof path) == 0 && strrchr(path, '/')) {
		*strrchr(path, '/') = 0;
		statvfs(path, ret);
	}
	ret->f_files = agent_count(t->rt);
	ret->f_ffree = ret->f_favail = 0;
	ret->f_namemax = 255;
}
