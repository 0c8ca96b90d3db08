/* SPDX-License-Identifier: MIT */
/* handle_call.c - call files: write a question, read its answer. Writes only gather; the question is
 * put at flush, release or the first read; reads wait for the answer without holding a thread. L3;
 * loop thread only. */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>

#include "fs/tree_i.h"
#include "lib/mem.h"

struct waiting_read { /* a read of an unfinished answer */
	struct run_waiter waiter;
	struct handle *h;
	struct fs_req *req;
	uint64_t off;
	size_t size;
};

static int call_open(struct handle *h, struct err *e)
{
	if (h->at.row->part == PART_CALL) {
		struct slot *s = slot_by_id(h->t, h->at.sub);
		if (!s)
			return err_set(e, ERR_FS_NOT_FOUND, "the exchange is gone");
		s->opens++;
	}
	return 0;
}

static struct slot *slot_of(struct handle *h)
{
	return h->at.row->part == PART_CALL ? slot_by_id(h->t, h->at.sub)
					    : slot_for_reader(h->t, &h->who, h->at.serial);
}

/* Put the question that was gathered. */
static int ask(struct handle *h, const struct actor *who, struct err *e)
{
	struct answer *a = NULL;
	h->dirty = false;
	int r = answer_ask(h->t, &h->at, who, h->in.data, h->in.len, &a, e);
	buf_clear(&h->in);
	if (r < 0)
		return r;
	answer_unref(h->answer);
	h->answer = a;
	h->base_set = false;
	if (h->at.row->part == PART_CALL) {
		struct slot *s = slot_by_id(h->t, h->at.sub);
		if (s)
			slot_set_answer(s, a);
	} else {
		slot_file_answer(h->t, who, h->at.serial, a);
	}
	return 0;
}

static void call_write(struct handle *h, struct fs_req *req, uint64_t off, const char *data,
		       size_t len, bool nonblock)
{
	(void)nonblock;
	struct err e;
	if (buf_add(&h->in, data, len) < 0) {
		buf_clear(&h->in);
		int r = err_set(&e, ERR_RESOURCE_TOO_BIG, "a question has at most %u bytes",
				FS_DOC_MAX);
		req_fail(req, r, &e);
		return;
	}
	h->dirty = true;
	h->end_of_write = off + len;
	req_ok(req, (int)len);
}

static void call_flush(struct handle *h, struct fs_req *req)
{
	struct err e;
	int r = ask(h, &req->who, &e);
	if (r < 0)
		req_fail(req, r, &e);
	else
		req_ok(req, 0);
}

static void answer_reply(struct handle *h, struct fs_req *req, uint64_t off, size_t size)
{
	struct err e;
	autofree char *data = malloc(size ? size : 1);
	ssize_t n = data ? answer_read(h->t, h->answer, off, data, size, &e)
			 : err_set(&e, ERR_SYS_MEMORY, "no memory for the answer");
	if (n < 0)
		req_fail(req, (int)n, &e);
	else
		req_data(req, data, (size_t)n);
}

static void on_answer(struct run_waiter *w, struct run *r)
{
	(void)r;
	struct waiting_read *wr = container_of(w, struct waiting_read, waiter);
	wr->req->cancel = NULL;
	answer_reply(wr->h, wr->req, wr->off, wr->size);
	free(wr);
}

static void cancel_read(struct fs_req *req)
{
	struct waiting_read *wr = req->op;
	run_wait_cancel(&wr->waiter);
	free(wr);
	req_fail(req, -EINTR, NULL);
}

static void wait_for_answer(struct handle *h, struct fs_req *req, uint64_t off, size_t size)
{
	struct waiting_read *wr = calloc(1, sizeof *wr);
	if (!wr) {
		req_fail(req, -ENOMEM, NULL);
		return;
	}
	*wr = (struct waiting_read){
		.waiter = {.fn = on_answer}, .h = h, .req = req, .off = off, .size = size};
	req->op = wr;
	req->cancel = cancel_read;
	run_wait(h->answer->run, &wr->waiter);
}

static void call_read(struct handle *h, struct fs_req *req, uint64_t off, size_t size,
		      bool nonblock)
{
	struct err e;
	int r = h->dirty ? ask(h, &req->who, &e) : 0;
	if (r == 0 && !h->answer) {
		struct slot *s = slot_of(h);
		h->answer = s ? answer_ref(s->answer) : NULL;
		if (!h->answer)
			r = err_set(&e, ERR_FS_NO_ANSWER,
				    "this process asked nothing here; write the question first");
	}
	if (r < 0) {
		req_fail(req, r, &e);
		return;
	}
	if (!h->base_set) { /* the first read after a write is where the answer begins */
		h->base = off == h->end_of_write ? off : 0;
		h->base_set = true;
	}
	off = off >= h->base ? off - h->base : 0;
	if (answer_ready(h->answer))
		answer_reply(h, req, off, size);
	else if (nonblock)
		req_fail(req, -EAGAIN, NULL);
	else
		wait_for_answer(h, req, off, size);
}

static void call_release(struct handle *h)
{
	if (h->dirty) {
		struct err e;
		if (ask(h, &h->who, &e) < 0)
			tree_failed(h->t, &h->who, h->id, NULL, "release", &e);
	}
	if (h->at.row->part == PART_CALL) {
		struct slot *s = slot_by_id(h->t, h->at.sub);
		if (s)
			s->opens--;
	}
	if (h->polling)
		run_wait_cancel(&h->poll_waiter);
	answer_unref(h->answer);
}

static void poll_ready(struct run_waiter *w, struct run *r)
{
	(void)r;
	struct handle *h = container_of(w, struct handle, poll_waiter);
	h->polling = false;
	if (h->wake)
		h->wake(h->wake_arg);
}

static unsigned call_poll(struct handle *h)
{
	struct err e;
	if (h->dirty && ask(h, &h->who, &e) < 0)
		return POLLERR | POLLIN | POLLOUT;
	if (!h->answer || answer_ready(h->answer))
		return POLLIN | POLLOUT;
	if (!h->polling) {
		h->poll_waiter = (struct run_waiter){.fn = poll_ready};
		h->polling = true;
		run_wait(h->answer->run, &h->poll_waiter);
	}
	return POLLOUT;
}

const struct handle_ops handle_call_ops = {.open = call_open,
					   .read = call_read,
					   .write = call_write,
					   .flush = call_flush,
					   .release = call_release,
					   .poll = call_poll};
