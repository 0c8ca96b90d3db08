/* SPDX-License-Identifier: MIT */
/* request.c - replies, and requests that come again after a crash. L3; loop thread only. */
#include <errno.h>

#include "fs/tree_i.h"
#include "lib/mem.h"
#include "lib/metric.h"

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

static void nothing(void *arg, const struct err *e)
{
	(void)arg, (void)e;
}
const struct runtime_done req_nobody = {nothing, NULL};

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

bool req_was_done(struct tree *t, const struct fs_req *req)
{
	return req->again && runtime_was_done(t->rt, &req->who, NULL);
}

void req_note_done(struct tree *t, const struct fs_req *req)
{
	if (req->who.req)
		keep_state(t->keep, KEEP_DONE, req->who.req, NULL, 0);
}
