/* SPDX-License-Identifier: MIT */
/* handle_text.c - rendered texts, values and command files. L3; loop thread only.
 *
 * Each line written is a command, and is carried out before the write that ends it returns. All lines of a
 * write are checked first; when one fails all the same, the write is short: it took the lines before, and
 * whoever writes the rest again is told of the line that failed. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "fs/handle_i.h"
#include "lib/mem.h"

#define LINES_MAX 65535 /* of one write: actor.req has 16 bits for their numbers */

/* ---- reading ---- */

static int text_open(struct handle *h, struct err *e)
{
	if (!row_has_text(h->at.row) || (h->st.flags & O_ACCMODE) == O_WRONLY)
		return 0;
	int r = text_for_open(h->t, &h->at, &h->st.who, &h->snap, e);
	h->have_snap = r == 0;
	return r;
}

static void text_read(struct handle *h, struct fs_req *req, uint64_t off, size_t size,
		      bool nonblock)
{
	(void)nonblock;
	struct err e;
	struct place p = h->at;
	p.version = 0;
	if (!h->have_snap && row_has_text(p.row)) { /* it was set through this descriptor */
		int r = text_for_open(h->t, &p, &req->who, &h->snap, &e);
		if (r < 0) {
			req_fail(req, r, &e);
			return;
		}
		h->have_snap = true;
		handle_keep_all(h);
	}
	req_slice(req, &h->snap, off, size);
}

/* ---- lines ---- */

struct lines_job {        /* a write or flush whose lines are being carried out */
	struct handle *h; /* owned reference */
	struct fs_req *req;
	size_t begin, end; /* in h->in: where what this request wrote begins, and the lines end */
	size_t line;       /* length of the line that goes on, with its '\n' */
	int reply;
	bool in_call, waiting;
	struct err e;
};

/* Drop the lines that are done, or everything behind a failure. */
static void lines_trim(struct lines_job *j, bool failed)
{
	struct handle *h = j->h;
	size_t drop = failed ? h->in.len : j->end;
	if (h->have_snap && h->st.taken) { /* the text may be another one now */
		h->have_snap = false;
		if (h->number)
			keep_gone(h->t->keep, KEEP_SNAP, h->number);
	}
	memmove(h->in.data, h->in.data + drop, h->in.len - drop);
	h->in.len -= drop;
	h->st.dirty = h->in.len > 0;
	h->st.taken = h->st.lines = 0;
}

static void lines_end(struct lines_job *j)
{
	struct handle *h = j->h;
	bool failed = j->e.code != ERR_NONE;
	int r = failed ? -j->e.eno : j->reply;
	if (failed && h->st.taken > j->begin)
		r = (int)(h->st.taken - j->begin);
	lines_trim(j, failed);
	h->st.wrote = r < 0 ? 0 : (uint32_t)r;
	if (r < 0)
		h->st.wrote_by = 0;
	h->running = false;
	handle_keep(h);
	handle_keep_in(h, 0);
	if (r < 0)
		req_fail(j->req, r, &j->e);
	else
		req_ok(j->req, r);
	handle_unref(h);
	free(j);
}

static void lines_go_on(struct lines_job *j);

static void line_done(void *arg, const struct err *e)
{
	struct lines_job *j = arg;
	if (e)
		j->e = *e;
	j->waiting = false;
	if (!j->in_call) /* else lines_go_on sees it: however many lines, the stack does not grow */
		lines_go_on(j);
}

/* Carry out the line [at, at+len) of h->in. */
static void line_run(struct lines_job *j, size_t at, size_t len)
{
	struct handle *h = j->h;
	struct fs_ctx c;
	struct actor who = j->req->who;
	if (who.req) /* each line is an act of its own */
		who.req += h->st.lines < LINES_MAX ? h->st.lines : LINES_MAX;
	h->st.lines++;
	if (j->req->again && runtime_was_done(h->t->rt, &who, NULL))
		return;
	j->in_call = j->waiting = true;
	int r = place_bind(h->t, &h->at, &who, &c, &j->e);
	if (r == 0)
		r = c.node->write(&c, h->in.data + at, len, (struct runtime_done){line_done, j},
				  &j->e);
	if (r < 0)
		j->waiting = false;
	j->in_call = false;
}

static void lines_go_on(struct lines_job *j)
{
	struct handle *h = j->h;
	while (!j->waiting && j->e.code == ERR_NONE) {
		if (j->line) {
			h->st.taken += (uint32_t)j->line;
			j->line = 0;
			handle_keep(h);
			keep_publish(
				h->t->keep); /* a command without a record is not given twice */
		}
		if (h->st.taken >= j->end)
			break;
		size_t at = h->st.taken, left = j->end - at;
		const char *nl = memchr(h->in.data + at, '\n', left);
		size_t len = nl ? (size_t)(nl - h->in.data) - at : left;
		j->line = len + (nl != NULL);
		if (len)
			line_run(j, at, len);
	}
	if (!j->waiting)
		lines_end(j);
}

static void lines_run(struct handle *h, struct fs_req *req, size_t begin, size_t end, int reply)
{
	struct lines_job *j = calloc(1, sizeof *j);
	if (!j) {
		req_fail(req, -ENOMEM, NULL);
		return;
	}
	*j = (struct lines_job){
		.h = handle_ref(h), .req = req, .begin = begin, .end = end, .reply = reply};
	h->running = true;
	lines_go_on(j);
}

static size_t whole_lines(const struct handle *h)
{
	const char *last = memrchr(h->in.data, '\n', h->in.len);
	return last ? (size_t)(last - h->in.data) + 1 : 0;
}

static int check_one_value(struct handle *h, size_t whole, struct err *e)
{
	const char *first = memchr(h->in.data, '\n', whole);
	if (whole && (first != h->in.data + whole - 1 || h->in.len > whole))
		return err_set(e, ERR_FS_INVALID, "'%s' takes one line", place_name(&h->at));
	return 0;
}

/* Are the lines of [0, end) right? */
static int lines_check(struct handle *h, const struct actor *who, size_t end, struct err *e)
{
	struct fs_ctx c;
	unsigned lines = 0;
	int r = place_bind(h->t, &h->at, who, &c, e);
	for (size_t at = 0; r == 0 && at < end;) {
		const char *nl = memchr(h->in.data + at, '\n', end - at);
		size_t n = nl ? (size_t)(nl - h->in.data) - at : end - at;
		if (n && c.node->check)
			r = c.node->check(&c, h->in.data + at, n, e);
		if (++lines > LINES_MAX)
			r = err_set(e, ERR_RESOURCE_TOO_BIG, "more than %d lines in one write",
				    LINES_MAX);
		at += n + 1;
	}
	return r;
}

static int text_add(struct handle *h, const struct fs_req *req, const char *data, size_t len,
		    struct err *e)
{
	size_t before = h->in.len;
	if (buf_add(&h->in, data, len) < 0) {
		h->in.fail = 0;
		return err_set(e, ERR_RESOURCE_TOO_BIG, "more than %u bytes", FS_DOC_MAX);
	}
	size_t whole = whole_lines(h), check = whole;
	/* `printf stop > ctl`: shells say what a write refuses and not what the close does, so a short
	 * text without a line's end is judged as it is. */
	if (!whole && before == 0 && len < 4096)
		check = len;
	int r = handle_kind(h) == FS_VALUE ? check_one_value(h, whole, e) : 0;
	if (r == 0)
		r = lines_check(h, &req->who, check, e);
	if (r < 0)
		h->in.len = before;
	return r;
}

static void text_write(struct handle *h, struct fs_req *req, uint64_t off, const char *data,
		       size_t len, bool nonblock)
{
	(void)off, (void)nonblock;
	struct err e;
	if (!h->at.row->node->write || h->running) {
		int r = h->running ? err_sys(&e, ERR_FS_INVALID, EBUSY, "a write goes on")
				   : err_set(&e, ERR_FS_MODE, "'%s' is only to be read",
					     place_name(&h->at));
		req_fail(req, r, &e);
		return;
	}
	if (handle_wrote(h, req)) {
		len = h->st.wrote;
	} else {
		int r = text_add(h, req, data, len, &e);
		if (r < 0) {
			req_fail(req, r, &e);
			return;
		}
		h->st.dirty = true;
		handle_set_wrote(h, req, len);
		handle_keep_in(h, h->in.len - len);
	}
	size_t whole = whole_lines(h);
	if (whole)
		lines_run(h, req, h->in.len - len, whole, (int)len);
	else
		req_ok(req, (int)len);
}

/* The last line may have no '\n'. */
static void text_flush(struct handle *h, struct fs_req *req)
{
	if (h->running) /* that write takes its own lines */
		req_ok(req, 0);
	else
		lines_run(h, req, h->in.len, h->in.len, 0);
}

const struct handle_ops handle_text_ops = {
	.open = text_open, .read = text_read, .write = text_write, .flush = text_flush};
