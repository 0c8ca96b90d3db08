/* SPDX-License-Identifier: MIT */
/* fuse_request.c - a request of the kernel while the tree works on it: answered exactly once, now or later,
 * and its failure recorded. L3; loop thread only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fuse_i.h"
#include "lib/mem.h"

#define SHORT_SECONDS 0.01
#define NAME_SECONDS  60.0
#define PLACE_SECONDS 1.0 /* what is in it comes and goes without a word */
#define FIXED_SECONDS 3600.0

struct fuse_front *front_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

struct actor actor_of(fuse_req_t req)
{
	const struct fuse_ctx *c = fuse_req_ctx(req);
	return (struct actor){
		.uid = c->uid, .gid = c->gid, .pid = c->pid, .req = front_of(req)->request};
}

/* A name that is not there is an answer, not a failure; a run whose program is not there is one. -ESTALE: the
 * kernel looks the name up again, and only then it is a failure or not. */
static bool worth_recording(int r, const struct err *e)
{
	if (r == -ENOENT)
		return e && e->code == ERR_SPAWN_FAILED;
	return r != -EINTR && r != -EAGAIN && r != -ESTALE;
}

static void failed(struct fuse_front *f, const struct actor *who, fs_id id, const char *name,
		   const char *op, int r, const struct err *e)
{
	struct err made;
	if (!worth_recording(r, e))
		return;
	if (!e || e->code == ERR_NONE) {
		err_sys(&made, ERR_SYS_IO, -r, "%s", op);
		e = &made;
	}
	tree_failed(f->t, who, id, name, op, e);
}

void refuse(fuse_req_t req, fs_id id, const char *name, const char *op, int r, const struct err *e)
{
	struct actor who = actor_of(req);
	failed(front_of(req), &who, id, name, op, r, e);
	fuse_reply_err(req, -r);
}

static void pending_free(struct pending *p)
{
	free(p->name);
	free(p);
}

static void pending_reply(struct fs_req *req, int r, const void *data, size_t len,
			  const struct err *e)
{
	struct pending *p = container_of(req, struct pending, req);
	if (!p->interrupting) /* then libfuse holds the lock that this takes */
		fuse_req_interrupt_func(p->fuse, NULL, NULL);
	if (r < 0) {
		failed(p->front, &req->who, p->id, p->name, p->op, r, e);
		fuse_reply_err(p->fuse, -r);
	} else {
		p->ok(p, r, data, len);
	}
	pending_free(p);
}

static void on_interrupt(fuse_req_t fuse, void *data)
{
	(void)fuse;
	struct pending *p = data;
	p->interrupting = true;
	if (p->req.cancel)
		fs_req_cancel(&p->req); /* p is gone */
	else
		p->interrupting = false;
}

struct pending *pending_new(fuse_req_t fuse, fs_id id, const char *name, const char *op,
			    void (*ok)(struct pending *, int, const void *, size_t))
{
	struct pending *p = calloc(1, sizeof *p);
	if (p && name && !(p->name = strdup(name))) {
		free(p);
		p = NULL;
	}
	if (!p) {
		fuse_reply_err(fuse, ENOMEM);
		return NULL;
	}
	p->fuse = fuse;
	p->front = front_of(fuse);
	p->id = id;
	p->op = op;
	p->ok = ok;
	p->req.who = actor_of(fuse);
	p->req.again = p->front->again;
	p->req.reply = pending_reply;
	fuse_req_interrupt_func(fuse, on_interrupt, p);
	return p;
}

bool gone_already(fuse_req_t req)
{
	bool gone = fuse_req_interrupted(req);
	if (gone)
		fuse_reply_err(req, EINTR);
	return gone;
}

void ok_plain(struct pending *p, int r, const void *data, size_t len)
{
	(void)r, (void)data, (void)len;
	fuse_reply_err(p->fuse, 0);
}

/* ---- attributes ---- */

void fill_stat(const struct fs_attr *a, struct stat *st)
{
	*st = (struct stat){.st_ino = a->id,
			    .st_mode = a->mode,
			    .st_nlink = S_ISDIR(a->mode) ? 2 : 1,
			    .st_uid = a->uid,
			    .st_gid = a->gid,
			    .st_size = (off_t)a->size,
			    .st_blocks = (blkcnt_t)((a->size + 511) / 512),
			    .st_blksize = 4096};
	st->st_mtim.tv_sec = (time_t)(a->mtime_ms / 1000);
	st->st_mtim.tv_nsec = (long)(a->mtime_ms % 1000) * 1000000 + a->mtime_ns;
	st->st_ctim.tv_sec = (time_t)(a->ctime_ms / 1000);
	st->st_ctim.tv_nsec = (long)(a->ctime_ms % 1000) * 1000000 + a->mtime_ns;
	st->st_atim = st->st_mtim;
}

double attr_seconds(const struct fs_attr *a)
{
	switch (a->hold) {
	case FS_HOLD_NOT: return 0;
	case FS_HOLD_SHORT: return SHORT_SECONDS;
	case FS_HOLD_PLACE: return PLACE_SECONDS;
	case FS_HOLD_NAME: return NAME_SECONDS;
	case FS_HOLD_VERSION:
	case FS_HOLD_FIXED: break;
	}
	return FIXED_SECONDS;
}

void fill_entry(const struct fs_attr *a, struct fuse_entry_param *ret)
{
	*ret = (struct fuse_entry_param){.ino = a->id, .generation = 1};
	ret->attr_timeout = attr_seconds(a);
	bool named = a->hold == FS_HOLD_NAME || a->hold == FS_HOLD_PLACE;
	ret->entry_timeout = named ? NAME_SECONDS : a->hold == FS_HOLD_FIXED ? FIXED_SECONDS : 0;
	fill_stat(a, &ret->attr);
}
