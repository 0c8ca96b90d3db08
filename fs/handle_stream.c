/* SPDX-License-Identifier: MIT */
/* handle_stream.c - files below wait/: reads wait for what happens next, without a thread. wait/events
 * gives every event from the moment of its opening, in a view those about its agent; wait/agents/NAME gives the next
 * state, once. L3; loop thread only. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/handle_i.h"
#include "lib/mem.h"

struct stream_read {
	struct stream_read *next;
	struct handle *h;
	struct fs_req *req;
	size_t size;
};

static bool is_state(const struct handle *h)
{
	return h->at.row->node->states;
}

/* Is there something to be read now, be it the end of the file? */
static bool is_ready(const struct handle *h)
{
	return h->queue.len > 0 || (is_state(h) && h->st.answered);
}

/* ---- the queue: whole lines, but for the first of which `part` bytes were given ---- */

static uint64_t seq_of(const char *line, size_t len)
{
	static const char key[] = "\"seq\":";
	const char *p = memmem(line, len, key, sizeof key - 1);
	return p ? parse_leading_u64(p + sizeof key - 1) : 0;
}

/* Take note that the first n bytes of the queue are given: up to which event, and how far into the next. */
static void count_given(struct handle *h, size_t n)
{
	const char *at = h->queue.data, *end = at + n, *all = at + h->queue.len;
	while (at < end) {
		const char *nl = memchr(at, '\n', (size_t)(all - at));
		uint64_t seq = h->st.part ? h->st.begun : seq_of(at, (size_t)(nl - at));
		if (nl >= end) {
			h->st.begun = seq;
			h->st.part += (uint32_t)(end - at);
			return;
		}
		if (is_state(h))
			h->st.given = 1;
		else if (seq > h->st.given)
			h->st.given = seq;
		h->st.part = 0;
		at = nl + 1;
	}
}

static void give(struct handle *h, struct fs_req *req, size_t size)
{
	size_t n = h->queue.len < size ? h->queue.len : size;
	count_given(h, n);
	h->st.read_by = req->who.req;
	buf_clear(&h->in);
	if (h->number && buf_add(&h->in, h->queue.data, n) == 0) {
		handle_keep(h); /* if this read comes again it is given the same */
		handle_keep_in(h, 0);
	}
	char *out = memcpy(read_buffer(), h->queue.data, n);
	memmove(h->queue.data, h->queue.data + n, h->queue.len - n);
	h->queue.len -= n;
	req_data(req, out, n);
}

static void wake(struct handle *h)
{
	handle_ref(h);
	while (h->readers && is_ready(h)) {
		struct stream_read *sr = h->readers;
		struct fs_req *req = sr->req;
		size_t size = sr->size;
		h->readers = sr->next;
		free(sr);
		give(h, req, size);
	}
	if (h->wake && is_ready(h))
		h->wake(h->wake_arg);
	handle_unref(h);
}

static void add_line(struct handle *h, const char *line, size_t len)
{
	if (buf_reserve(&h->queue, len + 1) == 0) {
		buf_add(&h->queue, line, len);
		buf_add(&h->queue, "\n", 1);
		return;
	}
	/* A reader that does not read loses lines, and is told; of a line that was begun it gets the end. */
	static const char lost[] = "{\"type\":\"lost\"}\n";
	const char *nl = h->st.part ? memchr(h->queue.data, '\n', h->queue.len) : NULL;
	size_t begun = nl ? (size_t)(nl - h->queue.data) + 1 : 0;
	h->queue.fail = 0;
	h->queue.len = begun;
	buf_add(&h->queue, lost, sizeof lost - 1);
	buf_add(&h->queue, line, len);
	buf_add(&h->queue, "\n", 1);
}

static void add_state(struct handle *h, enum agent_state s)
{
	if (h->st.answered || s == (enum agent_state)h->st.seen)
		return;
	buf_printf(&h->queue, "%s\n", agent_state_name(s));
	h->st.answered = true;
	h->st.seen = s;
}

/* The agent is gone: no state follows, reads find the end of the file. */
static bool is_gone(struct handle *h, const struct agent *about, const char *line, size_t len)
{
	static const char type[] = "\"type\":\"agent.deleted\"";
	if (about && agent_serial(about) == h->at.serial)
		return memmem(line, len, type, sizeof type - 1) != NULL;
	return !agent_by_serial(h->t->rt, h->at.serial);
}

/* Is the line of a type that this file is about? */
static bool is_wanted(const struct handle *h, const char *line, size_t len)
{
	char key[64];
	const char *only = h->at.row->node->only;
	if (!only)
		return true;
	int n = snprintf(key, sizeof key, "\"type\":\"%s", only);
	return memmem(line, len, key, (size_t)n) != NULL;
}

static void on_event(struct event_sub *sub, uint64_t seq, const struct agent *about,
		     const char *line, size_t len)
{
	(void)seq;
	struct handle *h = container_of(sub, struct handle, sub);
	bool own = about && agent_serial(about) == h->at.serial;
	if (!is_state(h) && (own || !h->at.row->in_view) && is_wanted(h, line, len))
		add_line(h, line, len);
	else if (!is_state(h))
		return;
	else if (is_gone(h, about, line, len))
		h->st.answered = h->st.gone = true;
	else if (own)
		add_state(h, agent_state(about));
	if (is_ready(h))
		wake(h);
}

static void subscribe(struct handle *h)
{
	h->sub.fn = on_event;
	event_subscribe(h->t->rt, &h->sub);
}

static int stream_open(struct handle *h, struct err *e)
{
	(void)e;
	h->st.given = is_state(h) ? 0 : runtime_events_seq(h->t->rt);
	if (is_state(h))
		h->st.seen = agent_state(agent_by_serial(h->t->rt, h->at.serial));
	subscribe(h);
	return 0;
}

/* ---- reading ---- */

static void cancel_read(struct fs_req *req)
{
	struct stream_read *sr = req->op;
	struct stream_read **at = &sr->h->readers;
	while (*at != sr)
		at = &(*at)->next;
	*at = sr->next;
	free(sr);
	req_fail(req, -EINTR, NULL);
}

static void stream_read(struct handle *h, struct fs_req *req, uint64_t off, size_t size,
			bool nonblock)
{
	(void)off;
	if (req->again && req->who.req && h->st.read_by == req->who.req) {
		req_data(req, h->in.data, h->in.len);
		return;
	}
	if (!h->readers && is_ready(h)) {
		give(h, req, size);
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
	req->cancel = cancel_read;
}

static void stream_release(struct handle *h)
{
	event_unsubscribe(&h->sub);
	while (h->readers)
		cancel_read(h->readers->req);
}

static unsigned stream_poll(struct handle *h, const struct actor *who, bool again)
{
	(void)who, (void)again;
	return is_ready(h) ? POLLIN : 0;
}

/* ---- a new worker: what happened meanwhile is in the event log ---- */

/* The last bytes of the log from the beginning of a line, at most size; the text is in read_buffer. */
static size_t read_tail(const struct handle *h, size_t size, const char **ret, bool *ret_whole)
{
	char path[PATH_MAX];
	struct runtime *rt = h->t->rt;
	struct agent *a = h->at.row->in_view ? agent_by_serial(rt, h->at.serial) : NULL;
	*ret = read_buffer();
	*ret_whole = true;
	if (h->at.row->in_view ? !a || agent_file_path(rt, a, AGENT_EVENTS, path, sizeof path) < 0
			       : runtime_events_path(rt, path, sizeof path) < 0)
		return 0;
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	off_t from = end > (off_t)size ? end - (off_t)size : 0;
	ssize_t n = fd < 0 ? 0 : pread(fd, read_buffer(), size, from);
	const char *nl = from && n > 0 ? memchr(*ret, '\n', (size_t)n) : NULL;
	*ret_whole = from == 0;
	if (n <= 0 || (from && !nl))
		return 0;
	size_t skip = nl ? (size_t)(nl - *ret) + 1 : 0;
	*ret += skip;
	return (size_t)n - skip;
}

static void add_missed(struct handle *h)
{
	const char *text, *nl;
	bool whole;
	size_t len, size = 16 << 10;
	do { /* until it reaches back to what was given */
		size *= 4;
		len = read_tail(h, size, &text, &whole);
		nl = memchr(text, '\n', len);
	} while (!whole && size < STREAM_MAX &&
		 (!nl || seq_of(text, (size_t)(nl - text)) > h->st.given));
	const char *end = text + len;
	for (; (nl = memchr(text, '\n', (size_t)(end - text))); text = nl + 1)
		if (seq_of(text, (size_t)(nl - text)) > h->st.given && is_wanted(h, text, (size_t)(nl - text)))
			add_line(h, text, (size_t)(nl - text));
}

/* The bytes of the first line that were given before. */
static void skip_part(struct handle *h)
{
	size_t n = h->st.part < h->queue.len ? h->st.part : 0;
	memmove(h->queue.data, h->queue.data + n, h->queue.len - n);
	h->queue.len -= n;
}

static void restore_state(struct handle *h)
{
	struct agent *a = agent_by_serial(h->t->rt, h->at.serial);
	if (h->st.answered && !h->st.gone && !h->st.given) /* what it would have been given */
		buf_printf(&h->queue, "%s\n", agent_state_name((enum agent_state)h->st.seen));
	else if (a)
		add_state(h, agent_state(a));
	else
		h->st.answered = true;
}

static int stream_restore(struct handle *h, struct err *e)
{
	(void)e;
	if (is_state(h))
		restore_state(h);
	else if (h->st.given < runtime_events_seq(h->t->rt))
		add_missed(h);
	skip_part(h);
	subscribe(h);
	return 0;
}

const struct handle_ops handle_stream_ops = {.open = stream_open,
					     .restore = stream_restore,
					     .read = stream_read,
					     .release = stream_release,
					     .poll = stream_poll};
