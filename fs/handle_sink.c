/* SPDX-License-Identifier: MIT */
/* handle_sink.c - stdin of a persistent agent: bytes go to its pipe as they come, and wait for room in it.
 * Closing the file is no end of file for the agent, since many may write one after the other; `eof` in its
 * ctl is. L3; loop thread only. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "fs/handle_i.h"
#include "lib/mem.h"

#define RETRY_MIN_MS 1
#define RETRY_MAX_MS 16

struct sink_write { /* a write that waits for room in the pipe */
	uv_timer_t timer;
	struct handle *h; /* owned reference */
	struct fs_req *req;
	unsigned wait_ms;
	struct buf data;
	size_t at;
};

static ssize_t put(struct handle *h, const char *data, size_t len, struct err *e)
{
	struct agent *a = agent_by_serial(h->t->rt, h->at.serial);
	return a ? agent_stdin(h->t->rt, a, data, len, e)
		 : err_set(e, ERR_AGENT_NOT_FOUND, "the agent is gone");
}

/* At once, so that a write which comes again goes on where this worker stood. */
static void took(struct handle *h, const struct fs_req *req, size_t n)
{
	handle_set_wrote(h, req, n);
	keep_publish(h->t->keep);
}

static void closed(uv_handle_t *timer)
{
	struct sink_write *w = timer->data;
	buf_done(&w->data);
	free(w);
}

static void end(struct sink_write *w, int r, const struct err *e)
{
	struct fs_req *req = w->req;
	handle_unref(w->h);
	uv_close((uv_handle_t *)&w->timer, closed);
	if (r < 0)
		req_fail(req, r, e);
	else
		req_ok(req, r);
}

static void cancel(struct fs_req *req)
{
	struct sink_write *w = req->op;
	end(w, w->at ? (int)w->at : -EINTR, NULL);
}

static void try_again(uv_timer_t *timer)
{
	struct sink_write *w = timer->data;
	struct err e;
	ssize_t n = put(w->h, w->data.data + w->at, w->data.len - w->at, &e);
	if (n > 0) {
		w->at += (size_t)n;
		took(w->h, w->req, w->at);
	}
	if (n < 0 && n != -EAGAIN) {
		end(w, w->at ? (int)w->at : (int)n, &e);
		return;
	}
	if (w->at == w->data.len) {
		end(w, (int)w->at, NULL);
		return;
	}
	w->wait_ms = n > 0                           ? RETRY_MIN_MS
		     : w->wait_ms * 2 < RETRY_MAX_MS ? w->wait_ms * 2
						     : RETRY_MAX_MS;
	uv_timer_start(timer, try_again, w->wait_ms, 0);
}

static void wait_for_room(struct handle *h, struct fs_req *req, const char *data, size_t len,
			  size_t at)
{
	struct sink_write *w = calloc(1, sizeof *w);
	if (!w) {
		req_fail(req, -ENOMEM, NULL);
		return;
	}
	*w = (struct sink_write){.req = req, .at = at, .wait_ms = RETRY_MIN_MS};
	buf_init(&w->data, len);
	if (buf_add(&w->data, data, len) < 0) {
		free(w);
		req_fail(req, -ENOMEM, NULL);
		return;
	}
	w->h = handle_ref(h);
	uv_timer_init(&runtime_loop(h->t->rt)->uv, &w->timer);
	w->timer.data = w;
	req->op = w;
	req->cancel = cancel;
	uv_timer_start(&w->timer, try_again, w->wait_ms, 0);
}

static void sink_write(struct handle *h, struct fs_req *req, uint64_t off, const char *data,
		       size_t len, bool nonblock)
{
	(void)off;
	struct err e;
	size_t at = handle_wrote(h, req) ? h->st.wrote : 0;
	ssize_t n = at < len ? put(h, data + at, len - at, &e) : 0;
	if (n > 0) {
		at += (size_t)n;
		took(h, req, at);
	}
	if (at == len || (at && (nonblock || (n < 0 && n != -EAGAIN))))
		req_ok(req, (int)at);
	else if (n < 0 && (n != -EAGAIN || nonblock))
		req_fail(req, (int)n, &e);
	else
		wait_for_room(h, req, data, len, at);
}

static void sink_read(struct handle *h, struct fs_req *req, uint64_t off, size_t size,
		      bool nonblock)
{
	(void)h, (void)off, (void)size, (void)nonblock;
	req_data(req, "", 0);
}

const struct handle_ops handle_sink_ops = {.read = sink_read, .write = sink_write};
