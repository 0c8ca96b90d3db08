/* SPDX-License-Identifier: MIT */
/* handle_stream.c - files below wait/: reads wait for what happens next, without a thread. wait/events
 * gives every event from the moment of its opening; wait/agents/NAME gives the next state, once. And
 * stdin, which passes bytes on to a process's pipe. L3; loop thread only. */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>

#include "fs/tree_i.h"
#include "lib/mem.h"

struct stream_read {
	struct stream_read *next;
	struct handle *h;
	struct fs_req *req;
	size_t size;
};

/* What is there now: bytes to give, 0 with *end for end of file, or -EAGAIN. */
static int stream_ready(struct handle *h, bool *end)
{
	*end = false;
	if (h->at.row->part == PART_AGENT) {
		if (h->answered) {
			*end = h->queue.len == 0;
			return 0;
		}
		return h->queue.len ? 0 : -EAGAIN;
	}
	return h->queue.len ? 0 : -EAGAIN;
}

static void stream_give(struct handle *h, struct fs_req *req, size_t size)
{
	size_t n = h->queue.len < size ? h->queue.len : size;
	autobuf struct buf out;
	buf_init(&out, STREAM_MAX);
	if (buf_add(&out, h->queue.data, n) < 0) {
		req_fail(req, -ENOMEM, NULL);
		return;
	}
	memmove(h->queue.data, h->queue.data + n, h->queue.len - n);
	h->queue.len -= n;
	req_data(req, out.data, out.len);
}

static void stream_wake(struct handle *h)
{
	bool end;
	while (h->readers && stream_ready(h, &end) == 0) {
		struct stream_read *sr = h->readers;
		struct fs_req *req = sr->req;
		h->readers = sr->next;
		size_t size = sr->size;
		free(sr);
		req->cancel = NULL;
		stream_give(h, req, size);
	}
	if (h->wake && stream_ready(h, &end) == 0)
		h->wake(h->wake_arg);
}

static void on_event(struct event_sub *sub, uint64_t seq, const struct agent *about,
		     const char *line, size_t len)
{
	(void)seq;
	struct handle *h = container_of(sub, struct handle, sub);
	if (h->at.row->part == PART_AGENT) {
		if (!about || agent_serial(about) != h->at.serial || h->answered ||
		    agent_state(about) == h->seen)
			return;
		buf_printf(&h->queue, "%s\n", agent_state_name(agent_state(about)));
		h->answered = true;
	} else if (buf_reserve(&h->queue, len + 1) == 0) {
		buf_add(&h->queue, line, len);
		buf_add(&h->queue, "\n", 1);
	} else { /* a reader that does not read loses lines, and is told */
		static const char lost[] = "{\"type\":\"lost\"}\n";
		buf_clear(&h->queue);
		buf_add(&h->queue, lost, sizeof lost - 1);
	}
	stream_wake(h);
}

static int stream_open(struct handle *h, struct err *e)
{
	(void)e;
	buf_init(&h->queue, STREAM_MAX);
	if (h->at.row->part == PART_AGENT)
		h->seen = agent_state(agent_by_serial(h->t->rt, h->at.serial));
	h->sub.fn = on_event;
	event_subscribe(h->t->rt, &h->sub);
	return 0;
}

static void cancel_stream_read(struct fs_req *req)
{
	struct stream_read *sr = req->op;
	struct stream_read **at = &sr->h->readers;
	while (*at && *at != sr)
		at = &(*at)->next;
	if (*at)
		*at = sr->next;
	free(sr);
	req_fail(req, -EINTR, NULL);
}

static void stream_read(struct handle *h, struct fs_req *req, uint64_t off, size_t size,
			bool nonblock)
{
	(void)off;
	bool end;
	int r = h->readers ? -EAGAIN : stream_ready(h, &end);
	if (r == 0) {
		stream_give(h, req, size);
		return;
	}
	struct stream_read *sr = nonblock ? NULL : calloc(1, sizeof *sr);
	if (!sr) {
		req_fail(req, nonblock ? -EAGAIN : -ENOMEM, NULL);
		return;
	}
	*sr = (struct stream_read){NULL, h, req, size};
	struct stream_read **last = &h->readers;
	while (*last)
		last = &(*last)->next;
	*last = sr;
	req->op = sr;
	req->cancel = cancel_stream_read;
}

static void stream_release(struct handle *h)
{
	event_unsubscribe(&h->sub);
	while (h->readers)
		cancel_stream_read(h->readers->req);
	buf_done(&h->queue);
}

static unsigned stream_poll(struct handle *h)
{
	bool end;
	return stream_ready(h, &end) == 0 ? POLLIN : 0;
}

const struct handle_ops handle_stream_ops = {.open = stream_open,
					     .read = stream_read,
					     .release = stream_release,
					     .poll = stream_poll};

/* ---- stdin ---- */

#define SINK_RETRY_MS 10

struct sink_write { /* a write that waits for room in the pipe */
	uv_timer_t timer;
	struct handle *h;
	struct fs_req *req;
	struct buf data;
	size_t at;
};

static void sink_closed(uv_handle_t *timer)
{
	struct sink_write *w = timer->data;
	buf_done(&w->data);
	free(w);
}

static void sink_end(struct sink_write *w, int r, const struct err *e)
{
	struct fs_req *req = w->req;
	uv_close((uv_handle_t *)&w->timer, sink_closed);
	if (r < 0)
		req_fail(req, r, e);
	else
		req_ok(req, r);
}

static void sink_cancel(struct fs_req *req)
{
	struct sink_write *w = req->op;
	sink_end(w, w->at ? (int)w->at : -EINTR, NULL);
}

static void sink_try(uv_timer_t *timer)
{
	struct sink_write *w = timer->data;
	struct err e;
	struct agent *a = agent_by_serial(w->h->t->rt, w->h->at.serial);
	ssize_t n = a ? agent_stdin(w->h->t->rt, a, w->data.data + w->at, w->data.len - w->at,
				    &e)
		      : err_set(&e, ERR_AGENT_NOT_FOUND, "the agent is gone");
	if (n >= 0)
		w->at += (size_t)n;
	if (n < 0 && n != -EAGAIN)
		sink_end(w, (int)n, &e);
	else if (w->at == w->data.len)
		sink_end(w, (int)w->at, NULL);
	else
		uv_timer_start(timer, sink_try, SINK_RETRY_MS, 0);
}

static void sink_write_bytes(struct handle *h, struct fs_req *req, uint64_t off, const char *data,
			     size_t len, bool nonblock)
{
	(void)off;
	struct err e;
	struct agent *a = agent_by_serial(h->t->rt, h->at.serial);
	ssize_t n = a ? agent_stdin(h->t->rt, a, data, len, &e)
		      : err_set(&e, ERR_AGENT_NOT_FOUND, "the agent is gone");
	if (n == (ssize_t)len || (n > 0 && nonblock)) {
		req_ok(req, (int)n);
		return;
	}
	if (n < 0 && (n != -EAGAIN || nonblock)) {
		req_fail(req, (int)n, &e);
		return;
	}
	struct sink_write *w = calloc(1, sizeof *w);
	if (!w) {
		req_fail(req, -ENOMEM, NULL);
		return;
	}
	*w = (struct sink_write){.h = h, .req = req, .at = n > 0 ? (size_t)n : 0};
	buf_init(&w->data, len);
	buf_add(&w->data, data, len);
	uv_timer_init(&runtime_loop(h->t->rt)->uv, &w->timer);
	w->timer.data = w;
	req->op = w;
	req->cancel = sink_cancel;
	uv_timer_start(&w->timer, sink_try, SINK_RETRY_MS, 0);
}

static void sink_read(struct handle *h, struct fs_req *req, uint64_t off, size_t size, bool nonblock)
{
	(void)h, (void)off, (void)size, (void)nonblock;
	req_data(req, "", 0);
}

const struct handle_ops handle_sink_ops = {.read = sink_read, .write = sink_write_bytes};
