/* SPDX-License-Identifier: MIT */
/* fuse_file.c - requests about open files. L3; loop thread only. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <string.h>

#include "fs/fuse_i.h"

/* What the kernel is told about an open file: whether its pages may be cached (texts that never change under
 * their id, read only), that closing what was only read needs no request, and that streams have no
 * position, or reads and writes of one descriptor would wait for each other. */
static uint32_t open_flags(const struct handle *h, int flags)
{
	enum fs_kind kind = handle_kind(h);
	enum fs_hold hold = handle_hold(h);
	bool read_only = (flags & O_ACCMODE) == O_RDONLY;
	uint32_t ret = read_only ? FOPEN_NOFLUSH : 0;
	if (read_only && hold == FS_HOLD_FIXED)
		return ret | FOPEN_KEEP_CACHE;
	if (read_only && hold == FS_HOLD_VERSION)
		return ret;
	if (kind == FS_STREAM || kind == FS_SINK)
		ret |= FOPEN_STREAM | FOPEN_NONSEEKABLE;
	return ret | FOPEN_DIRECT_IO;
}

static struct fuse_handle *add(struct fuse_front *f, struct handle *h, int *r)
{
	struct fuse_handle *entry = *r < 0 ? NULL : fuse_handle_add(f, h);
	if (*r == 0 && !entry) {
		handle_release(h);
		*r = -ENFILE;
	}
	return entry;
}

static void reply_open(fuse_req_t req, struct fuse_handle *entry, const struct fuse_file_info *fi)
{
	struct fuse_open_out out = {.fh = entry->number,
				    .open_flags = open_flags(entry->h, fi->flags)};
	if (fuse_reply_buf(req, (const char *)&out, sizeof out) == -ENOENT) /* the caller is gone */
		fuse_handle_drop(entry->front, entry);
}

void do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fuse_front *f = front_of(req);
	struct err e = {0};
	struct handle *h = NULL;
	struct actor who = actor_of(req);
	struct fuse_handle *entry = f->again ? fuse_handle_opened_by(f, f->request) : NULL;
	if (!entry) {
		int r = tree_open(f->t, &who, ino, fi->flags, &h, &e);
		entry = add(f, h, &r);
		if (r < 0) {
			refuse(req, ino, NULL, "open", r, &e);
			return;
		}
	}
	if ((fi->flags & O_ACCMODE) == O_RDONLY && handle_kind(entry->h) == FS_CALL &&
	    tree_unsized(f->t, ino))
		fuse_notify_grow(f, ino);
	reply_open(req, entry, fi);
}

static void reply_create(fuse_req_t req, struct fuse_handle *entry, const struct fs_attr *a,
			 struct fuse_file_info *fi)
{
	struct fuse_entry_param param;
	fill_entry(a, &param);
	fi->fh = entry->number;
	fi->direct_io = 1;
	if (fuse_reply_create(req, &param, fi) == -ENOENT)
		fuse_handle_drop(entry->front, entry);
}

void do_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	struct fuse_front *f = front_of(req);
	struct err e = {0};
	struct handle *h = NULL;
	struct fs_attr a;
	struct actor who = actor_of(req);
	struct fuse_handle *entry = f->again ? fuse_handle_opened_by(f, f->request) : NULL;
	int r = entry ? tree_getattr(f->t, &who, handle_id(entry->h), &a, &e)
		      : tree_create(f->t, &who, parent, name, mode, fi->flags, &a, &h, &e);
	if (!entry)
		entry = add(f, h, &r);
	if (r < 0)
		refuse(req, parent, name, "create", r, &e);
	else
		reply_create(req, entry, &a, fi);
}

/* The file of fi, or NULL when the request was answered. Every open file is known here, whichever worker
 * opened it (keep.h), unless its memory ran out. */
static struct fuse_handle *handle_of(fuse_req_t req, fuse_ino_t ino,
				     const struct fuse_file_info *fi, const char *op)
{
	struct fuse_handle *entry = fuse_handle_of(front_of(req), fi->fh);
	struct err e;
	if (entry)
		return entry;
	int r = err_set(&e, ERR_SYS_IO,
			"the daemon was restarted and knows this open file no more; open "
			"it again");
	refuse(req, ino, NULL, op, r, &e);
	return NULL;
}

static void ok_read(struct pending *p, int r, const void *data, size_t len)
{
	(void)r;
	fuse_reply_buf(p->fuse, data, len);
}

void do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct fuse_handle *entry = gone_already(req) ? NULL : handle_of(req, ino, fi, "read");
	struct pending *p = entry ? pending_new(req, ino, NULL, "read", ok_read) : NULL;
	if (p)
		handle_read(entry->h, &p->req, (uint64_t)off, size, fi->flags & O_NONBLOCK);
}

static void ok_write(struct pending *p, int r, const void *data, size_t len)
{
	(void)data, (void)len;
	fuse_reply_write(p->fuse, (size_t)r);
}

void do_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off,
	      struct fuse_file_info *fi)
{
	struct fuse_handle *entry = gone_already(req) ? NULL : handle_of(req, ino, fi, "write");
	struct pending *p = entry ? pending_new(req, ino, NULL, "write", ok_write) : NULL;
	if (p)
		handle_write(entry->h, &p->req, (uint64_t)off, data, size, fi->flags & O_NONBLOCK);
}

void do_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fuse_handle *entry = handle_of(req, ino, fi, "close");
	struct pending *p = entry ? pending_new(req, ino, NULL, "close", ok_plain) : NULL;
	if (p)
		handle_flush(entry->h, &p->req);
}

void do_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)datasync;
	do_flush(req, ino, fi);
}

void do_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	struct fuse_front *f = front_of(req);
	struct fuse_handle *entry = fuse_handle_of(f, fi->fh);
	if (entry)
		fuse_handle_drop(f, entry);
	fuse_reply_err(req, 0);
}

/* ---- poll ---- */

static void wake_poll(void *arg)
{
	struct fuse_handle *entry = arg;
	fuse_notify_poll(entry->front, handle_poll_key(entry->h));
}

/* The key by which the kernel wants to be woken, from the request itself: libfuse hides it in its own
 * struct, which another process could not make again. */
static uint64_t poll_key(const struct fuse_front *f)
{
	struct fuse_poll_in in;
	memcpy(&in, (const char *)f->in.mem + sizeof(struct fuse_in_header), sizeof in);
	return in.kh;
}

void do_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *ph)
{
	struct fuse_front *f = front_of(req);
	struct fuse_handle *entry = handle_of(req, ino, fi, "poll");
	struct actor who = actor_of(req);
	bool wanted = ph != NULL;
	if (ph)
		fuse_pollhandle_destroy(ph);
	if (!entry)
		return;
	/* Kept until release, also when ready now: an edge-triggered waiter needs the next edge. */
	if (wanted)
		handle_set_poll_key(entry->h, poll_key(f));
	fuse_reply_poll(req, handle_poll(entry->h, &who, f->again, wake_poll, entry));
}
