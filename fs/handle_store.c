/* SPDX-License-Identifier: MIT */
/* handle_store.c - an open document: gathered in a buffer, checked while it grows, committed whole at
 * flush. L3; loop thread only. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "fs/tree_i.h"

static struct buf *text_of(struct handle *h)
{
	return h->doc ? &h->doc->text : &h->in;
}

static const char *file_name(const struct handle *h)
{
	if (h->doc)
		return h->doc->name;
	struct agent *a = agent_by_serial(h->t->rt, h->at.serial);
	return a ? agent_file_name(a) : NULL;
}

static int store_open(struct handle *h, struct err *e)
{
	if (!h->at.serial) {
		h->doc = doc_by_id(h->t, h->at.sub);
		if (!h->doc)
			return err_set(e, ERR_FS_NOT_FOUND, "the document is gone");
		h->doc->opens++;
		if (h->flags & O_TRUNC)
			buf_clear(&h->doc->text);
		return 0;
	}
	if (h->flags & O_TRUNC)
		return 0; /* the buffer starts empty; the agent keeps its spec until a commit */
	struct agent *a = agent_by_serial(h->t->rt, h->at.serial);
	return agent_text(h->t->rt, a, &h->in, e);
}

static void store_read(struct handle *h, struct fs_req *req, uint64_t off, size_t size,
		       bool nonblock)
{
	(void)nonblock;
	req_slice(req, text_of(h), off, size);
}

static int put_bytes(struct buf *b, uint64_t off, const char *data, size_t len, struct err *e)
{
	uint64_t end = off + len;
	if (end > FS_DOC_MAX || end < off)
		return err_set(e, ERR_RESOURCE_TOO_BIG, "a document has at most %u bytes",
			       FS_DOC_MAX);
	if (end > b->len && buf_reserve(b, end - b->len) < 0)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the document");
	if (off > b->len)
		memset(b->data + b->len, 0, off - b->len);
	memcpy(b->data + off, data, len);
	if (end > b->len) {
		b->len = end;
		b->data[end] = 0;
	}
	return 0;
}

/* Shells ignore what close(2) says, so a short text that ends its last line inside a bracket or quote is
 * refused in the write, although more lines could in principle close it. */
static bool ends_badly(const struct buf *b, const struct err *e)
{
	return e->code == ERR_TEXT_SYNTAX && b->len && b->len < 4096 && b->data[b->len - 1] == '\n';
}

static void store_write(struct handle *h, struct fs_req *req, uint64_t off, const char *data,
			size_t len, bool nonblock)
{
	(void)nonblock;
	struct err e;
	struct buf *b = text_of(h);
	size_t before = b->len;
	/* Shells write a text line by line and do not stop at a refused one: what follows it would close
	 * the gap, and what precedes it may be valid by itself. So nothing of such a text is taken. */
	if (h->refused.code != ERR_NONE && off > 0) {
		req_fail(req, -h->refused.eno, &h->refused);
		return;
	}
	h->refused.code = ERR_NONE;
	int r = put_bytes(b, h->flags & O_APPEND ? b->len : off, data, len, &e);
	const char *name = file_name(h);
	bool unfinished = false;
	/* Only a text written from its start to its end can be judged before it is whole. */
	if (r == 0 && name && doc_is_spec_name(name) && off == before) {
		r = agent_check(h->t->rt, name, b->data, b->len, &unfinished, &e);
		if (r < 0 && (!unfinished || ends_badly(b, &e)))
			b->len = before;
		else
			r = 0;
	}
	if (r < 0) {
		h->refused = e;
		h->dirty = false;
		req_fail(req, r, &e);
		return;
	}
	h->dirty = true;
	if (h->doc)
		h->doc->mtime_ms = clock_wall_ms();
	req_ok(req, (int)len);
}

static void store_flush(struct handle *h, struct fs_req *req)
{
	struct err e;
	const char *name = file_name(h);
	h->dirty = false;
	if (h->doc && h->doc->scratch) {
		req_ok(req, 0);
		return;
	}
	if (!name) {
		int r = err_set(&e, ERR_AGENT_NOT_FOUND, "the agent was deleted meanwhile");
		req_fail(req, r, &e);
		return;
	}
	struct buf *b = text_of(h);
	struct runtime_done done = req_done(req, 0);
	int r = agent_put(h->t->rt, &req->who, name, b->data, b->len, false, done, &e);
	if (r < 0)
		done.fn(done.arg, &e);
	else if (h->doc)
		h->doc->committed = true; /* from now on the name is the agent's */
}

static void release_reply(struct fs_req *req, int r, const void *data, size_t len,
			  const struct err *e)
{
	(void)data;
	(void)len;
	struct tree *t = req->arg;
	if (r < 0 && e)
		errors_record(t->rt, &req->who, "agents", "release", NULL, e);
	free(req);
}

static void store_release(struct handle *h)
{
	if (h->dirty && !(h->doc && h->doc->scratch)) {
		/* Written after the last flush: committed here, a failure can only be recorded. */
		struct fs_req *req = calloc(1, sizeof *req);
		if (req) {
			req->who = h->who;
			req->arg = h->t;
			req->reply = release_reply;
			store_flush(h, req);
		}
	}
	if (h->doc && --h->doc->opens == 0 && !h->doc->scratch)
		doc_drop(h->t, h->doc);
}

const struct handle_ops handle_store_ops = {.open = store_open,
					    .read = store_read,
					    .write = store_write,
					    .flush = store_flush,
					    .release = store_release};
