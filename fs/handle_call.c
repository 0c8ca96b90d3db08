/* SPDX-License-Identifier: MIT */
/* handle_call.c - call files: write a question, read its answer. Writes only gather; the question is
 * put at flush, release or the first read; reads wait for the answer without holding a thread. L3;
 * loop thread only. */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>

#include "fs/handle_i.h"
#include "lib/mem.h"

struct waiting_read { /* a read of an unfinished answer */
	struct answer_waiter waiter;
	struct handle *h;      /* owned reference */
	struct answer *answer; /* owned reference */
	struct fs_req *req;
	uint64_t off;
	size_t size;
};

static int bind_slot(struct handle *h, struct err *e)
{
	if (h->at.row->part != PART_CALL)
		return 0;
	h->slot = slot_by_id(h->t, h->at.sub);
	if (!h->slot)
		return err_set(e, ERR_FS_NOT_FOUND, "the exchange is gone");
	h->slot->opens++;
	return 0;
}

static int call_open(struct handle *h, struct err *e)
{
	return bind_slot(h, e);
}

static void poll_ready(struct answer_waiter *w)
{
	struct handle *h = container_of(w, struct handle, poll_waiter);
	h->polling = false;
	if (h->wake)
		h->wake(h->wake_arg);
}

/* Wake who polls when the present answer is there. */
static void watch(struct handle *h)
{
	if (h->polling)
		answer_wait_cancel(&h->poll_waiter);
	h->polling = h->wake && h->answer && !answer_ready(h->answer);
	h->poll_waiter = (struct answer_waiter){.fn = poll_ready};
	if (h->polling)
		answer_wait(h->answer, &h->poll_waiter);
}

static void set_answer(struct handle *h, struct answer *a)
{
	answer_unref(h->t, h->answer);
	h->answer = answer_ref(a);
	h->st.answer = a ? a->id : 0;
	watch(h); /* who waits for edges does not poll again */
}

/* Put the question that was gathered. When that fails it stays in what is kept, not here. */
static int ask(struct handle *h, const struct actor *who, bool again, struct err *e)
{
	struct answer *a = NULL;
	h->st.dirty = false;
	h->t->changes++;
	int r = answer_ask(h->t, &h->at, who, again, h->in.data, h->in.len, &a, e);
	buf_clear(&h->in);
	if (r < 0)
		return r;
	set_answer(h, a);
	h->st.base_set = false;
	if (h->slot)
		slot_set_answer(h->t, h->slot, a);
	else
		slot_file_answer(h->t, who, &h->at, a);
	answer_unref(h->t, a);
	handle_keep(h);
	handle_keep_in(h, 0);
	return 0;
}

static int gather(struct handle *h, const struct actor *who, const char *data, size_t len, struct err *e)
{
	struct fs_ctx c;
	if (buf_add(&h->in, data, len) < 0)
		return err_set(e, ERR_RESOURCE_TOO_BIG, "a question has at most %u bytes", FS_DOC_MAX);
	if (!len || data[len - 1] != '\n' || !h->at.row->node->check)
		return 0;
	int r = place_bind(h->t, &h->at, who, &c, e);
	return r < 0 ? r : c.node->check(&c, h->in.data, h->in.len, e);
}

static void call_write(struct handle *h, struct fs_req *req, uint64_t off, const char *data,
		       size_t len, bool nonblock)
{
	(void)nonblock;
	struct err e;
	if (handle_wrote(h, req)) {
		req_ok(req, (int)h->st.wrote);
		return;
	}
	int r = gather(h, &req->who, data, len, &e);
	if (r < 0) {
		buf_clear(&h->in);
		h->st.dirty = false;
		handle_keep(h);
		handle_keep_in(h, 0);
		req_fail(req, r, &e);
		return;
	}
	h->st.dirty = true;
	h->st.end_of_write = off + len;
	handle_set_wrote(h, req, len);
	handle_keep_in(h, h->in.len - len);
	req_ok(req, (int)len);
}

static void call_flush(struct handle *h, struct fs_req *req)
{
	struct err e;
	int r = ask(h, &req->who, req->again, &e);
	if (r < 0)
		req_fail(req, r, &e);
	else
		req_ok(req, 0);
}

/* ---- reading ---- */

static void answer_reply(struct tree *t, const struct answer *a, struct fs_req *req, uint64_t off,
			 size_t size)
{
	struct err e;
	char *data = read_buffer();
	ssize_t n = answer_read(t, a, off, data, size, &e);
	if (n < 0)
		req_fail(req, (int)n, &e);
	else
		req_data(req, data, (size_t)n);
}

static void waiting_free(struct waiting_read *wr)
{
	answer_unref(wr->h->t, wr->answer);
	handle_unref(wr->h);
	free(wr);
}

static void on_answer(struct answer_waiter *w)
{
	struct waiting_read *wr = container_of(w, struct waiting_read, waiter);
	answer_reply(wr->h->t, wr->answer, wr->req, wr->off, wr->size);
	waiting_free(wr);
}

static void cancel_read(struct fs_req *req)
{
	struct waiting_read *wr = req->op;
	answer_wait_cancel(&wr->waiter);
	waiting_free(wr);
	req_fail(req, -EINTR, NULL);
}

static void wait_for_answer(struct handle *h, struct fs_req *req, uint64_t off, size_t size)
{
	struct waiting_read *wr = calloc(1, sizeof *wr);
	if (!wr) {
		req_fail(req, -ENOMEM, NULL);
		return;
	}
	*wr = (struct waiting_read){.waiter = {.fn = on_answer},
				    .h = handle_ref(h),
				    .answer = answer_ref(h->answer),
				    .req = req,
				    .off = off,
				    .size = size};
	req->op = wr;
	req->cancel = cancel_read;
	answer_wait(h->answer, &wr->waiter);
}

/* The answer to what this process, or the one that it came from, asked last. */
static int find_answer(struct handle *h, const struct actor *who, struct err *e)
{
	struct answer *a = h->slot ? h->slot->answer : slot_answer(h->t, who, &h->at);
	if (a) {
		set_answer(h, a);
		handle_keep(h);
		return 0;
	}
	if (!h->slot && !who->pid)
		return err_set(e, ERR_FS_NO_ANSWER,
			       "processes of another pid namespace are not told apart; use a named "
			       "exchange, %s.d/NAME",
			       h->at.row->name);
	return err_set(e, ERR_FS_NO_ANSWER,
		       "this process asked nothing here; write the question first");
}

static void call_read(struct handle *h, struct fs_req *req, uint64_t off, size_t size,
		      bool nonblock)
{
	struct err e;
	int r = h->st.dirty ? ask(h, &req->who, req->again, &e) : 0;
	if (r == 0 && !h->answer)
		r = find_answer(h, &req->who, &e);
	if (r == -ENODATA && place_walked(h->t, &h->at, &req->who)) {
		req_data(req, "", 0);
		return;
	}
	if (r < 0) {
		req_fail(req, r, &e);
		return;
	}
	if (!h->st.base_set) { /* the first read after a write is where the answer begins */
		h->st.base = off == h->st.end_of_write ? off : 0;
		h->st.base_set = true;
		handle_keep(h);
	}
	off = off >= h->st.base ? off - h->st.base : 0;
	if (answer_ready(h->answer))
		answer_reply(h->t, h->answer, req, off, size);
	else if (nonblock)
		req_fail(req, -EAGAIN, NULL);
	else
		wait_for_answer(h, req, off, size);
}

/* ---- poll ---- */

static unsigned call_poll(struct handle *h, const struct actor *who, bool again)
{
	struct err e;
	if (h->st.dirty && ask(h, who, again, &e) < 0)
		return POLLERR | POLLIN | POLLOUT;
	watch(h);
	return h->polling ? POLLOUT : POLLIN | POLLOUT;
}

/* ---- end, and a new worker ---- */

static void call_release(struct handle *h)
{
	struct err e;
	if (h->st.dirty && ask(h, &h->st.who, h->again, &e) < 0)
		tree_failed(h->t, &h->st.who, h->st.id, NULL, "release", &e);
	if (h->slot)
		slot_closed(h->t, h->slot);
	h->slot = NULL;
	set_answer(h, NULL);
}

static int call_restore(struct handle *h, struct err *e)
{
	struct answer *a = answer_of(h->t, h->st.answer);
	h->answer = answer_ref(a);
	return bind_slot(h, e);
}

const struct handle_ops handle_call_ops = {.open = call_open,
					   .restore = call_restore,
					   .read = call_read,
					   .write = call_write,
					   .flush = call_flush,
					   .release = call_release,
					   .poll = call_poll};
