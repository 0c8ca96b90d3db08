/* SPDX-License-Identifier: MIT */
/* handle.c - open files: dispatch by kind, and the kinds whose content is a text or a log. L3; loop
 * thread only. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "fs/tree_i.h"
#include "lib/mem.h"
#include "lib/metric.h"

#define READ_MAX (1u << 20)

static const struct handle_ops *const ops_of[] = {
	[FS_DIR] = &handle_text_ops,    [FS_RENDERED] = &handle_text_ops,
	[FS_LOG] = &handle_log_ops,     [FS_VALUE] = &handle_text_ops,
	[FS_LINES] = &handle_text_ops,  [FS_STORE] = &handle_store_ops,
	[FS_CALL] = &handle_call_ops,   [FS_STREAM] = &handle_stream_ops,
	[FS_SINK] = &handle_sink_ops,
};

/* ---- replies ---- */

void req_ok(struct fs_req *req, int r)
{
	req->cancel = NULL;
	req->reply(req, r, NULL, 0, NULL);
}

void req_data(struct fs_req *req, const void *data, size_t len)
{
	req->cancel = NULL;
	req->reply(req, (int)len, data, len, NULL);
}

void req_fail(struct fs_req *req, int r, const struct err *e)
{
	metric_add(METRIC_FS_ERRORS, 1);
	req->cancel = NULL;
	req->reply(req, r, NULL, 0, e);
}

void req_slice(struct fs_req *req, const struct buf *text, uint64_t off, size_t size)
{
	size_t left = off < text->len ? text->len - off : 0;
	req_data(req, text->data + (left ? off : 0), size < left ? size : left);
}

struct done_of {
	struct fs_req *req;
	int r;
};

static void on_done(void *arg, const struct err *e)
{
	struct done_of *d = arg;
	if (e)
		req_fail(d->req, -e->eno, e);
	else
		req_ok(d->req, d->r);
	free(d);
}

struct runtime_done req_done(struct fs_req *req, int r)
{
	struct done_of *d = malloc(sizeof *d);
	if (!d)
		abort(); /* 16 bytes; there is nobody left to tell */
	*d = (struct done_of){req, r};
	return (struct runtime_done){on_done, d};
}

void fs_req_cancel(struct fs_req *req)
{
	if (req->cancel)
		req->cancel(req);
}

/* ---- dispatch ---- */

static int want_of(int flags)
{
	int acc = flags & O_ACCMODE;
	return (acc != O_WRONLY ? R_OK : 0) | (acc != O_RDONLY ? W_OK : 0);
}

int tree_open(struct tree *t, const struct actor *who, fs_id id, int flags, struct handle **ret,
	      struct err *e)
{
	struct place p;
	struct fs_attr a;
	int r = place_of(t, id, &p, e);
	if (r == 0 && row_kind(p.row) == FS_DIR)
		return err_sys(e, ERR_FS_INVALID, EISDIR, "a directory");
	struct fs_ctx c;
	if (r == 0)
		r = place_bind(t, &p, who, &c, e);
	if (r < 0)
		return r;
	/* Mode and owner only: place_attr would render the text a second time. */
	a = (struct fs_attr){.mode = c.node->mode,
			     .uid = c.agent ? agent_uid(c.agent) : geteuid(),
			     .gid = c.agent ? agent_gid(c.agent) : getegid()};
	if (p.row->part == PART_SPEC || p.row->part == PART_CALL)
		r = place_attr(t, &p, who, &a, e);
	if (r == 0)
		r = access_check(t, who, &a, p.row->node, want_of(flags), e);
	if (r < 0)
		return r;
	struct handle *h = calloc(1, sizeof *h);
	if (!h)
		return err_set(e, ERR_SYS_MEMORY, "no memory for an open file");
	*h = (struct handle){.t = t, .at = p, .id = id, .who = *who, .flags = flags, .fd = -1};
	h->ops = ops_of[row_kind(p.row)];
	buf_init(&h->in, FS_DOC_MAX);
	buf_init(&h->snap, RENDER_MAX);
	if (h->ops->open && (r = h->ops->open(h, e)) < 0) {
		handle_release(h);
		return r;
	}
	*ret = h;
	return 0;
}

void handle_read(struct handle *h, struct fs_req *req, uint64_t off, size_t size, bool nonblock)
{
	h->ops->read(h, req, off, size < READ_MAX ? size : READ_MAX, nonblock);
}

void handle_write(struct handle *h, struct fs_req *req, uint64_t off, const char *data, size_t len,
		  bool nonblock)
{
	const struct fs_node *n = h->at.row->node;
	bool text = h->ops == &handle_text_ops; /* whose write is the row's */
	if (h->ops->write && (!text || n->write)) {
		h->ops->write(h, req, off, data, len, nonblock);
		return;
	}
	struct err e;
	int r = err_set(&e, ERR_FS_MODE, "'%s' is only to be read", place_name(&h->at));
	req_fail(req, r, &e);
}

void handle_flush(struct handle *h, struct fs_req *req)
{
	if (h->dirty && h->ops->flush)
		h->ops->flush(h, req);
	else
		req_ok(req, 0);
}

void handle_release(struct handle *h)
{
	if (h->ops->release)
		h->ops->release(h);
	if (h->fd >= 0)
		close(h->fd);
	buf_done(&h->in);
	buf_done(&h->snap);
	free(h);
}

unsigned handle_poll(struct handle *h, void (*wake)(void *arg), void *arg)
{
	h->wake = wake;
	h->wake_arg = arg;
	return h->ops->poll ? h->ops->poll(h) : POLLIN | POLLOUT;
}

enum fs_kind handle_kind(const struct handle *h)
{
	return row_kind(h->at.row);
}

int handle_fd(const struct handle *h)
{
	return h->fd;
}

uint32_t handle_run(const struct handle *h)
{
	return h->answer && h->answer->run ? run_number(h->answer->run) : 0;
}

int handle_truncate(struct handle *h, uint64_t size, struct err *e)
{
	if (handle_kind(h) != FS_STORE)
		return 0; /* `>` on a command or value file: there is nothing to cut */
	if (size > FS_DOC_MAX)
		return err_set(e, ERR_RESOURCE_TOO_BIG, "a document has at most %u bytes",
			       FS_DOC_MAX);
	struct buf *b = h->doc ? &h->doc->text : &h->in;
	if (size > b->len) {
		size_t more = size - b->len;
		if (buf_reserve(b, more) < 0)
			return err_set(e, ERR_SYS_MEMORY, "no memory for the document");
		memset(b->data + b->len, 0, more);
	}
	if (b->cap) {
		b->len = size;
		b->data[size] = 0;
	}
	h->dirty = h->dirty || size > 0;
	return 0;
}

/* ---- rendered texts, values, command lines ---- */

static void text_read(struct handle *h, struct fs_req *req, uint64_t off, size_t size, bool nonblock)
{
	(void)nonblock;
	struct err e;
	if (!h->have_snap) {
		if (!rendering_take(h->t, h->id, req->who.pid, &h->snap)) {
			int r = render_place(h->t, &h->at, &h->who, &h->snap, &e);
			if (r < 0) {
				req_fail(req, r, &e);
				return;
			}
		}
		h->have_snap = true;
	}
	req_slice(req, &h->snap, off, size);
}

/* Lines are carried out one after the other; the first failure ends it and is the reply. */
struct lines_job {
	struct handle *h;
	struct fs_req *req;
	struct buf text;
	size_t at;
	int reply;
};

static void lines_next(void *arg, const struct err *e)
{
	struct lines_job *j = arg;
	struct err err;
	while (!e && j->at < j->text.len) {
		const char *line = j->text.data + j->at;
		const char *nl = memchr(line, '\n', j->text.len - j->at);
		size_t len = nl ? (size_t)(nl - line) : j->text.len - j->at;
		j->at += len + 1;
		if (len == 0)
			continue;
		struct fs_ctx c;
		int r = place_bind(j->h->t, &j->h->at, &j->req->who, &c, &err);
		if (r == 0)
			r = c.node->write(&c, line, len,
					  (struct runtime_done){lines_next, j}, &err);
		if (r == 0)
			return; /* goes on in lines_next when that one is done */
		e = &err;
	}
	if (e)
		req_fail(j->req, -e->eno, e);
	else
		req_ok(j->req, j->reply);
	buf_done(&j->text);
	free(j);
}

static void lines_run(struct handle *h, struct fs_req *req, size_t len, int reply)
{
	struct lines_job *j = calloc(1, sizeof *j);
	if (!j)
		abort();
	j->h = h;
	j->req = req;
	j->reply = reply;
	buf_init(&j->text, FS_DOC_MAX);
	buf_add(&j->text, h->in.data, len);
	memmove(h->in.data, h->in.data + len, h->in.len - len);
	h->in.len -= len;
	h->dirty = h->in.len > 0;
	h->have_snap = false;
	lines_next(j, NULL);
}

static int lines_check(struct handle *h, const struct actor *who, size_t len, struct err *e)
{
	struct fs_ctx c;
	int r = place_bind(h->t, &h->at, who, &c, e);
	for (size_t at = 0; r == 0 && at < len && c.node->check;) {
		const char *nl = memchr(h->in.data + at, '\n', len - at);
		size_t n = nl ? (size_t)(nl - h->in.data) - at : len - at;
		if (n)
			r = c.node->check(&c, h->in.data + at, n, e);
		at += n + 1;
	}
	return r;
}

static void text_write(struct handle *h, struct fs_req *req, uint64_t off, const char *data,
		       size_t len, bool nonblock)
{
	(void)off;
	(void)nonblock;
	struct err e;
	size_t before = h->in.len;
	if (buf_add(&h->in, data, len) < 0) {
		h->in.fail = 0;
		int r = err_set(&e, ERR_RESOURCE_TOO_BIG, "more than %u bytes", FS_DOC_MAX);
		req_fail(req, r, &e);
		return;
	}
	const char *last = memrchr(h->in.data, '\n', h->in.len);
	size_t whole = last ? (size_t)(last - h->in.data) + 1 : 0;
	int r = lines_check(h, &req->who, whole, &e);
	if (r < 0) {
		h->in.len = before;
		req_fail(req, r, &e);
		return;
	}
	h->dirty = true;
	if (whole)
		lines_run(h, req, whole, (int)len);
	else
		req_ok(req, (int)len);
}

static void text_flush(struct handle *h, struct fs_req *req)
{
	lines_run(h, req, h->in.len, 0);
}

const struct handle_ops handle_text_ops = {
	.read = text_read, .write = text_write, .flush = text_flush};

/* ---- logs: a growing file on disk ---- */

static int log_open(struct handle *h, struct err *e)
{
	char path[PATH_MAX];
	struct fs_ctx c;
	int r = place_bind(h->t, &h->at, &h->who, &c, e);
	if (r == 0)
		r = c.node->file(&c, path, sizeof path, e);
	if (r < 0)
		return r;
	h->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (h->fd < 0 && errno != ENOENT)
		return err_sys(e, ERR_SYS_IO, errno, "'%s'", place_name(&h->at));
	return 0; /* absent: nothing was logged yet */
}

static void log_read(struct handle *h, struct fs_req *req, uint64_t off, size_t size, bool nonblock)
{
	struct err e;
	autofree char *data = malloc(size ? size : 1);
	if (h->fd < 0)
		log_open(h, NULL);
	if (h->fd < 0 && h->at.row->node->read) { /* what the file will begin with */
		text_read(h, req, off, size, nonblock);
		return;
	}
	ssize_t n = h->fd < 0 ? 0 : data ? pread(h->fd, data, size, (off_t)off) : -1;
	if (n < 0) {
		int r = err_sys(&e, ERR_SYS_IO, errno, "'%s'", place_name(&h->at));
		req_fail(req, r, &e);
		return;
	}
	req_data(req, data, (size_t)n);
}

const struct handle_ops handle_log_ops = {.open = log_open, .read = log_read};
