/* SPDX-License-Identifier: MIT */
/* handle_store.c - an open document: gathered in a buffer of its own, checked while it grows, committed
 * whole at flush. Of two who write at once the later commit stands, whole. L3; loop thread only. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "fs/handle_i.h"
#include "lib/mem.h"

static struct buf *text_of(struct handle *h)
{
	return h->doc ? &h->doc->text : h->have_snap ? &h->snap : &h->in;
}

static const struct fs_store *store_of(const struct handle *h)
{
	return place_store(&h->at);
}

static const char *file_name(const struct handle *h)
{
	uint32_t serial = h->doc ? h->doc->serial : h->at.serial;
	if (!serial)
		return h->doc->st.name;
	struct stored st;
	return store_of(h)->by_serial(h->t->rt, serial, &st) ? st.file : NULL;
}

static void keep_text_from(struct handle *h, uint64_t from)
{
	if (h->doc) {
		doc_keep(h->t, h->doc);
		keep_text(h->t->keep, KEEP_DOC, h->doc->st.seq, from, h->doc->text.data + from,
			  h->doc->text.len - from);
	} else {
		handle_keep_in(h, from);
	}
}

static int open_doc(struct handle *h, struct doc *d)
{
	h->doc = d;
	h->st.doc = d->st.seq;
	d->opens++;
	if (h->st.flags & O_TRUNC) {
		buf_clear(&d->text);
		keep_text_from(h, 0);
	}
	return 0;
}

static int store_open(struct handle *h, struct err *e)
{
	if (!h->at.serial) {
		struct doc *d = doc_by_id(h->t, h->at.sub);
		return d ? open_doc(h, d) : err_set(e, ERR_FS_NOT_FOUND, "the document is gone");
	}
	if (h->st.flags & O_TRUNC)
		return 0; /* the buffer starts empty; the agent keeps its spec until a commit */
	h->have_snap = (h->st.flags & O_ACCMODE) == O_RDONLY;
	return store_of(h)->text(h->t->rt, h->at.serial, text_of(h), e);
}

static int store_restore(struct handle *h, struct err *e)
{
	if (!h->st.doc)
		return 0;
	h->doc = doc_by_id(h->t, (uint32_t)(h->st.doc & 0xffffff));
	if (!h->doc)
		return err_set(e, ERR_FS_NOT_FOUND, "the document is gone");
	h->doc->opens++;
	return 0;
}

static void store_read(struct handle *h, struct fs_req *req, uint64_t off, size_t size,
		       bool nonblock)
{
	(void)nonblock;
	req_slice(req, text_of(h), off, size);
}

/* ---- writing ---- */

static int resize(struct buf *b, uint64_t size, struct err *e)
{
	if (size > FS_DOC_MAX)
		return err_set(e, ERR_RESOURCE_TOO_BIG, "a document has at most %u bytes",
			       FS_DOC_MAX);
	if (size > b->len && buf_reserve(b, size - b->len) < 0)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the document");
	if (size > b->len)
		memset(b->data + b->len, 0, size - b->len);
	if (b->cap) {
		b->len = size;
		b->data[size] = 0;
	}
	return 0;
}

static int put_bytes(struct buf *b, uint64_t off, const char *data, size_t len, struct err *e)
{
	uint64_t end = off + len;
	int r = end < off      ? err_set(e, ERR_RESOURCE_TOO_BIG, "a document is not that large")
		: end > b->len ? resize(b, end, e)
			       : 0;
	if (r == 0 && len)
		memcpy(b->data + off, data, len);
	return r;
}

/* Is an odd number of a TOML text's triple quotes in b, so that it ends inside such a string? */
static bool in_long_string(const struct buf *b)
{
	bool in = false;
	for (const char *p = b->data; (p = strstr(p, "\"\"\"")); p += 3)
		in = !in;
	for (const char *p = b->data; (p = strstr(p, "'''")); p += 3)
		in = !in;
	return in;
}

/* Does the last line open a bracket or quote and close neither nor go on ("{bad", "[sh", "'x")? It goes
 * on when its last character is an open bracket or a comma. */
static bool leaves_open(const char *line)
{
	int depth = 0;
	char quote = 0, last = 0;
	for (const char *p = line; *p; p++) {
		if (*p == '#' && !quote && (p == line || p[-1] == ' '))
			break;
		if (quote)
			quote = *p == quote ? 0 : quote;
		else if (*p == '"' || *p == '\'')
			quote = *p;
		else if (*p == '[' || *p == '{')
			depth++;
		else if ((*p == ']' || *p == '}') && depth)
			depth--;
		if (*p != ' ' && *p != '\n' && *p != '\t')
			last = *p;
	}
	return quote || (depth && last != '[' && last != '{' && last != ',');
}

/* Shells ignore what close(2) says, so a short text whose last line leaves a bracket or quote open is
 * refused in the write, although more lines could in principle close it. A bracket that was left open
 * by a line before is one of a text that comes line by line. */
static bool ends_badly(const struct buf *b, const struct err *e)
{
	if (e->code != ERR_TEXT_SYNTAX || !b->len || b->len >= 4096 || b->data[b->len - 1] != '\n' ||
	    in_long_string(b))
		return false;
	const char *nl = memrchr(b->data, '\n', b->len - 1);
	return leaves_open(nl ? nl + 1 : b->data);
}

/* Is what was written so far beyond cure? Only a text written from its start to its end can be judged
 * before it is whole. */
static int check_so_far(struct handle *h, const struct buf *b, uint64_t off, size_t before,
			struct err *e)
{
	const char *name = file_name(h);
	bool unfinished = false;
	if (!name || !store_of(h)->is_name(name) || off != before)
		return 0;
	int r = store_of(h)->check(h->t->rt, name, b->data, b->len, &unfinished, e);
	return r < 0 && (!unfinished || ends_badly(b, e)) ? r : 0;
}

static void store_write(struct handle *h, struct fs_req *req, uint64_t off, const char *data,
			size_t len, bool nonblock)
{
	(void)nonblock;
	struct err e;
	struct buf *b = text_of(h);
	size_t before = b->len;
	if (handle_wrote(h, req)) {
		req_ok(req, (int)h->st.wrote);
		return;
	}
	/* Shells write a text line by line and do not stop at a refused one: what follows it would close
	 * the gap, and what precedes it or follows it may be valid by itself. So nothing of such a text is
	 * taken. Who goes back to the start of what was taken, or truncates, writes another one. */
	if (h->st.refused.code != ERR_NONE && (off > 0 || before == 0)) {
		req_fail(req, -h->st.refused.eno, &h->st.refused);
		return;
	}
	h->st.refused.code = ERR_NONE;
	if (h->st.flags & O_APPEND)
		off = before;
	int r = put_bytes(b, off, data, len, &e);
	if (r == 0 && (r = check_so_far(h, b, off, before, &e)) < 0)
		resize(b, before, NULL);
	if (r < 0) {
		h->st.refused = e;
		h->st.dirty = false;
		handle_keep(h);
		req_fail(req, r, &e);
		return;
	}
	h->st.dirty = true;
	h->writes++;
	if (h->doc)
		h->doc->st.mtime_ms = clock_wall_ms();
	handle_set_wrote(h, req, len);
	keep_text_from(h, off < before ? off : before);
	req_ok(req, (int)len);
}

static int store_truncate(struct handle *h, uint64_t size, struct err *e)
{
	struct buf *b = text_of(h);
	size_t before = b->len;
	int r = resize(b, size, e);
	if (r < 0)
		return r;
	h->st.refused.code = ERR_NONE;
	h->st.dirty = h->st.dirty || size > 0;
	h->writes++;
	handle_keep(h);
	keep_text_from(h, size < before ? size : before);
	return 0;
}

/* ---- commit ---- */

struct waiting_flush {
	struct waiting_flush *next;
	struct fs_req *req;
};

struct commit {           /* a text on its way into the journal */
	struct handle *h; /* owned reference */
	struct fs_req *req;
	unsigned pending;              /* records that are not durable yet, and the caller */
	uint64_t writes;               /* of h when it began */
	bool late;		       /* the object was made after put had returned */
	struct waiting_flush *waiting; /* flushes that found it under way; newest first */
	struct err e;
};

static void reply(struct fs_req *req, const struct err *e)
{
	if (e->code == ERR_NONE)
		req_ok(req, 0);
	else
		req_fail(req, -e->eno, e);
}

/* A new spec was committed, and is in the journal. */
static void doc_committed(struct handle *h)
{
	struct doc *d = h->doc;
	if (!d || !d->hidden || d->st.unnamed)
		return;
	d->st.serial = d->serial;
	doc_unname(h->t, d);
}

static void became_object(struct commit *c);

static void commit_part(void *arg, const struct err *e)
{
	struct commit *c = arg;
	struct handle *h = c->h;
	if (e && c->e.code == ERR_NONE)
		c->e = *e;
	if (--c->pending)
		return;
	if (c->e.code == ERR_NONE && h->doc && !h->doc->hidden && !c->late) { /* its store took its time */
		c->late = true;
		c->pending = 1;
		became_object(c);
		if (--c->pending)
			return;
	}
	h->commit = NULL;
	if (h->writes == c->writes) /* a text that was refused is not tried again either */
		h->st.dirty = false;
	if (c->e.code == ERR_NONE) {
		doc_committed(h);
		handle_keep(h);
	}
	reply(c->req, &c->e);
	for (struct waiting_flush *w; (w = c->waiting);) {
		c->waiting = w->next;
		reply(w->req, &c->e);
		free(w);
	}
	handle_unref(h);
	free(c);
}

/* The name is the object's from now on. */
static void became_object(struct commit *c)
{
	struct tree *t = c->h->t;
	struct doc *d = c->h->doc;
	struct stored st;
	if (d->hidden || !doc_store(t, d)->find(t->rt, d->st.name, &st))
		return;
	d->serial = st.serial;
	doc_hide(t, d);
	struct runtime_done done = {commit_part, c};
	c->pending++;
	if (!doc_mode_to_object(t, d, d->st.name, &c->req->who, done))
		c->pending--; /* the caller is still counted */
}

static void commit_begin(struct handle *h, struct fs_req *req, const char *name)
{
	struct err e;
	struct commit *c = calloc(1, sizeof *c);
	if (!c) {
		req_fail(req, -ENOMEM, NULL);
		return;
	}
	*c = (struct commit){.h = handle_ref(h), .req = req, .pending = 1, .writes = h->writes};
	h->commit = c;
	int r = 0;
	if (!req_was_done(h->t, req)) {
		struct buf *b = text_of(h);
		struct runtime_done done = {commit_part, c};
		const struct fs_store *store = store_of(h);
		struct stored st;
		bool there = store->find(h->t->rt, name, &st);
		struct actor who = there ? actor_with_groups(&req->who, st.gid) : req->who;
		c->pending++;
		if (there)
			tree_stored_stale(h->t, store, st.serial, STALE_TEXT);
		r = store->put(h->t->rt, &who, name, b->data, b->len, done, &e);
		if (r < 0)
			commit_part(c, &e);
	}
	if (r == 0 && h->doc)
		became_object(c);
	commit_part(c, NULL);
}

static void store_flush(struct handle *h, struct fs_req *req)
{
	struct err e;
	const struct doc *d = h->doc;
	struct waiting_flush *w = h->commit ? calloc(1, sizeof *w) : NULL;
	if (w) {
		*w = (struct waiting_flush){h->commit->waiting, req};
		h->commit->waiting = w;
		return;
	}
	/* A scratch file has no commit; a new spec that was removed before its first one has none either. */
	if (d && (d->st.scratch || (d->st.unnamed && !d->serial))) {
		h->st.dirty = false;
		handle_keep(h);
		req_ok(req, 0);
		return;
	}
	const char *name = file_name(h);
	if (!name) {
		int r = err_set(&e, ERR_FS_NOT_FOUND, "the file was removed meanwhile");
		req_fail(req, r, &e);
		return;
	}
	commit_begin(h, req, name);
}

static void store_release(struct handle *h)
{
	if (h->st.dirty) /* written after the last flush: committed here, a failure can only be recorded */
		handle_flush_last(h);
	if (h->doc)
		doc_closed(h->t, h->doc);
	h->doc = NULL;
}

const struct handle_ops handle_store_ops = {.open = store_open,
					    .restore = store_restore,
					    .read = store_read,
					    .write = store_write,
					    .truncate = store_truncate,
					    .flush = store_flush,
					    .release = store_release};
