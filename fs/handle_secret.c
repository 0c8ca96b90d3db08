/* SPDX-License-Identifier: MIT */
/* handle_secret.c - an open secret: opened for a reader in locked memory, gathered from a writer and sealed at flush. Nothing of
 * it is kept for a next worker, or anywhere in the clear: who writes while a worker is replaced has to write again. L3; loop
 * thread only. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "fs/handle_i.h"
#include "runtime/secrets.h"

static int lost(const struct handle *h, struct err *e)
{
	return err_sys(e, ERR_SYS_IO, EIO, "the worker was replaced while '%s' was being written: write it again", h->at.row->name);
}

static bool reads(const struct handle *h)
{
	return (h->st.flags & O_ACCMODE) != O_WRONLY;
}

static int secret_begin(struct handle *h, struct err *e)
{
	const struct secret *s = place_secret(h->t, &h->at);
	struct actor who = place_actor(&h->at, &h->st.who);
	if (!s)
		return err_sys(e, ERR_FS_NOT_FOUND, ESTALE, "the secret is gone");
	h->in.max = SECRET_MAX;
	if ((h->st.flags & O_ACCMODE) != O_RDONLY && secret_may_write(h->t->rt, e) < 0)
		return -e->eno;
	if (!reads(h) || (h->st.flags & O_TRUNC)) /* cut and not written to, it stays: a shell closes a copy first */
		return 0;
	return secret_read(h->t->rt, &who, s, &h->value, e);
}

static int secret_restore(struct handle *h, struct err *e)
{
	h->st.gone = h->st.dirty; /* it stays dirty: its flush has to say so, or that it was done after all */
	h->in.max = SECRET_MAX;
	return h->st.gone ? 0 : secret_begin(h, e);
}

static void secret_get(struct handle *h, struct fs_req *req, uint64_t off, size_t size, bool nonblock)
{
	(void)nonblock;
	size_t at = off < h->value.len ? (size_t)off : h->value.len;
	size_t n = h->value.len - at < size ? h->value.len - at : size;
	char *out = n ? memcpy(read_buffer(), h->value.data + at, n) : read_buffer();
	req_data(req, out, n);
	sodium_memzero(out, n);
}

/* What was written so far is no secret, and no more of it will be. */
static void refuse(struct handle *h, const struct err *e)
{
	if (h->in.cap)
		sodium_memzero(h->in.data, h->in.cap);
	buf_clear(&h->in);
	h->st.dirty = false;
	h->st.refused = *e;
	handle_keep(h);
}

static void secret_put(struct handle *h, struct fs_req *req, uint64_t off, const char *data, size_t len, bool nonblock)
{
	(void)nonblock;
	struct err e;
	int r = h->st.gone ? lost(h, &e) : 0;
	if (r == 0 && h->st.refused.code != ERR_NONE) {
		e = h->st.refused;
		r = -e.eno;
	}
	if (r == 0 && handle_wrote(h, req)) {
		req_ok(req, (int)h->st.wrote);
		return;
	}
	if (h->st.flags & O_APPEND)
		off = h->in.len;
	if (r == 0 && off != h->in.len)
		r = err_set(&e, ERR_SECRET_INVALID, "a secret is written from its beginning to its end");
	/* All of the room at once: growing would leave copies behind. */
	if (r == 0 && (len > SECRET_MAX - h->in.len || buf_reserve(&h->in, SECRET_MAX - h->in.len) < 0))
		r = err_set(&e, ERR_RESOURCE_TOO_BIG, "a secret has at most %u bytes", SECRET_MAX);
	if (r < 0) {
		refuse(h, &e);
		req_fail(req, r, &e);
		return;
	}
	buf_add(&h->in, data, len);
	h->st.dirty = true;
	handle_set_wrote(h, req, len);
	req_ok(req, (int)len);
}

static int secret_truncate(struct handle *h, uint64_t size, struct err *e)
{
	if (size != 0)
		return err_set(e, ERR_SECRET_INVALID, "a secret is written from its beginning to its end");
	sodium_memzero(h->in.data, h->in.len);
	h->in.len = 0;
	h->st.dirty = h->st.gone = false;
	return 0;
}

struct flushing {
	struct handle *h; /* a reference */
	struct fs_req *req;
};

/* Nothing is to be written any more once it is durable, and not before: a flush that comes again to the next worker asks. */
static void flushed(void *arg, const struct err *why)
{
	struct flushing *f = arg;
	if (!why) {
		f->h->st.dirty = false;
		handle_keep(f->h);
		req_ok(f->req, 0);
	} else {
		req_fail(f->req, -why->eno, why);
	}
	handle_unref(f->h);
	free(f);
}

static void secret_flush(struct handle *h, struct fs_req *req)
{
	struct err e = {0};
	struct flushing *f = malloc(sizeof *f);
	if (!f) {
		req_fail(req, -ENOMEM, NULL);
		return;
	}
	*f = (struct flushing){handle_ref(h), req};
	h->t->changes++;
	if (req_was_done(h->t, req)) {
		flushed(f, NULL);
	} else if (h->st.gone) {
		h->st.dirty = false; /* said once */
		handle_keep(h);
		lost(h, &e);
		flushed(f, &e);
	} else if (secret_write(h->t->rt, &req->who, h->at.sub, h->in.data, h->in.len, (struct runtime_done){flushed, f}, &e) < 0) {
		flushed(f, &e);
	}
}

static void secret_release(struct handle *h)
{
	if (h->in.cap)
		sodium_memzero(h->in.data, h->in.cap);
	secret_text_free(&h->value);
	const struct secret *s = h->st.refused.code != ERR_NONE ? place_secret(h->t, &h->at) : NULL;
	if (s && s->generation == 0) /* a first value that was refused leaves no name */
		secret_delete(h->t->rt, &h->st.who, h->at.sub, req_nobody, NULL);
}

const struct handle_ops handle_secret_ops = {.open = secret_begin,
					     .restore = secret_restore,
					     .read = secret_get,
					     .write = secret_put,
					     .truncate = secret_truncate,
					     .flush = secret_flush,
					     .release = secret_release};
