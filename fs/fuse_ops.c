/* SPDX-License-Identifier: MIT */
/* fuse_ops.c - the low-level callbacks: each turns a kernel request into a tree request and replies
 * exactly once, now or later. L3; loop thread only. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fuse_i.h"
#include "lib/mem.h"

#define ATTR_SECONDS   0.01 /* one stat is then one request, and no reader sees an old text */
#define STABLE_SECONDS 1.0  /* names whose objects are told to the kernel when they go */

/* ---- a request of the tree that answers a request of the kernel ---- */

struct pending {
	struct fs_req req;
	fuse_req_t fuse;
	struct fuse_front *front;
	fs_id id;
	char *name; /* for the record of a failure; owned */
	const char *op;
	void (*ok)(struct pending *p, int r, const void *data, size_t len);
	bool replied;
};

static struct fuse_front *front_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static struct actor actor_of(fuse_req_t req)
{
	const struct fuse_ctx *c = fuse_req_ctx(req);
	return (struct actor){.uid = c->uid, .gid = c->gid, .pid = c->pid};
}

static bool worth_recording(int r)
{
	return r != -EINTR && r != -EAGAIN && r != -ENOENT;
}

static void failed(struct fuse_front *f, const struct actor *who, fs_id id, const char *name,
		   const char *op, int r, const struct err *e)
{
	struct err made;
	if (!worth_recording(r))
		return;
	if (!e || e->code == ERR_NONE) {
		err_sys(&made, ERR_SYS_IO, -r, "%s", op);
		e = &made;
	}
	tree_failed(f->t, who, id, name, op, e);
}

static void refuse(fuse_req_t req, fs_id id, const char *name, const char *op, int r,
		   const struct err *e)
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
	fs_req_cancel(&p->req);
}

static struct pending *pending_new(fuse_req_t fuse, fs_id id, const char *name, const char *op,
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
	p->req.reply = pending_reply;
	return p;
}

/* To be called when the operation was begun and may still be pending. p may be gone by then, so the
 * interrupt handler is set before: libfuse calls it at once when the interrupt came first. */
static void arm(struct pending *p)
{
	fuse_req_interrupt_func(p->fuse, on_interrupt, p);
}

static void ok_plain(struct pending *p, int r, const void *data, size_t len)
{
	(void)r, (void)data, (void)len;
	fuse_reply_err(p->fuse, 0);
}

static void ok_write(struct pending *p, int r, const void *data, size_t len)
{
	(void)data, (void)len;
	fuse_reply_write(p->fuse, (size_t)r);
}

static void ok_read(struct pending *p, int r, const void *data, size_t len)
{
	(void)r;
	fuse_reply_buf(p->fuse, data, len);
}

/* ---- attributes ---- */

static void fill_stat(const struct fs_attr *a, struct stat *st)
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
	st->st_mtim.tv_nsec = (long)(a->mtime_ms % 1000) * 1000000;
	st->st_ctim.tv_sec = (time_t)(a->ctime_ms / 1000);
	st->st_ctim.tv_nsec = (long)(a->ctime_ms % 1000) * 1000000;
	st->st_atim = st->st_mtim;
}

static double attr_seconds(const struct fs_attr *a)
{
	if (a->kind == FS_CALL || a->kind == FS_LOG)
		return 0;
	return a->kind == FS_DIR || a->kind == FS_STORE ? STABLE_SECONDS : ATTR_SECONDS;
}

static void fill_entry(const struct fs_attr *a, struct fuse_entry_param *ret)
{
	*ret = (struct fuse_entry_param){.ino = a->id, .generation = 1};
	ret->attr_timeout = attr_seconds(a);
	ret->entry_timeout = !a->stable ? 0 : a->kind == FS_DIR || a->kind == FS_STORE ?
			     STABLE_SECONDS : ATTR_SECONDS;
	fill_stat(a, &ret->attr);
}

static void ok_entry(struct pending *p, int r, const void *data, size_t len)
{
	(void)r, (void)data, (void)len;
	struct fuse_entry_param entry;
	fill_entry(&p->req.attr, &entry);
	fuse_reply_entry(p->fuse, &entry);
}

static void ok_attr(struct pending *p, int r, const void *data, size_t len)
{
	(void)r, (void)data, (void)len;
	struct stat st;
	fill_stat(&p->req.attr, &st);
	fuse_reply_attr(p->fuse, &st, attr_seconds(&p->req.attr));
}

static void do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct pending *p = pending_new(req, parent, name, "lookup", ok_entry);
	if (!p)
		return;
	arm(p);
	tree_stat(p->front->t, &p->req, parent, name);
}

static void do_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	(void)ino, (void)n;
	fuse_reply_none(req); /* ids are computed; there is nothing to forget */
}

static void do_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	(void)count, (void)forgets;
	fuse_reply_none(req);
}

static void do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	struct pending *p = pending_new(req, ino, NULL, "stat", ok_attr);
	if (!p)
		return;
	arm(p);
	tree_stat(p->front->t, &p->req, ino, NULL);
}

static void ok_setattr(struct pending *p, int r, const void *data, size_t len)
{
	(void)r, (void)data, (void)len;
	struct stat st;
	struct fs_attr a;
	struct err e;
	int n = tree_getattr(p->front->t, &p->req.who, p->id, &a, &e);
	if (n < 0) {
		fuse_reply_err(p->fuse, -n);
		return;
	}
	fill_stat(&a, &st);
	fuse_reply_attr(p->fuse, &st, 0);
}

static void do_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		       struct fuse_file_info *fi)
{
	struct fuse_front *f = front_of(req);
	struct err e = {0};
	struct handle *h = fi ? fuse_handle_get(f, fi->fh) : NULL;
	if ((to_set & FUSE_SET_ATTR_SIZE) && h) {
		int r = handle_truncate(h, (uint64_t)attr->st_size, &e);
		if (r < 0) {
			refuse(req, ino, NULL, "truncate", r, &e);
			return;
		}
	}
	struct pending *p = pending_new(req, ino, NULL, "setattr", ok_setattr);
	if (p)
		tree_chattr(f->t, &p->req, ino,
			    to_set & FUSE_SET_ATTR_UID ? attr->st_uid : (uid_t)-1,
			    to_set & FUSE_SET_ATTR_GID ? attr->st_gid : (gid_t)-1,
			    to_set & FUSE_SET_ATTR_MODE ? attr->st_mode & 07777 : (mode_t)-1);
}

/* ---- directories ---- */

struct dir_fill {
	fuse_req_t req;
	char *data;
	size_t len, size;
	bool plus;
};

static bool dir_add(void *arg, const char *name, const struct fs_attr *a, uint64_t cookie)
{
	struct dir_fill *d = arg;
	struct fuse_entry_param entry;
	size_t n;
	fill_entry(a, &entry);
	if (d->plus)
		n = fuse_add_direntry_plus(d->req, d->data + d->len, d->size - d->len, name, &entry,
					   (off_t)cookie);
	else
		n = fuse_add_direntry(d->req, d->data + d->len, d->size - d->len, name, &entry.attr,
				      (off_t)cookie);
	if (n > d->size - d->len)
		return false;
	d->len += n;
	return true;
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool plus)
{
	struct err e = {0};
	struct actor who = actor_of(req);
	autofree char *data = malloc(size);
	struct dir_fill d = {req, data, 0, size, plus};
	int r = data ? tree_readdir(front_of(req)->t, &who, ino, (uint64_t)off, dir_add, &d, &e)
		     : -ENOMEM;
	if (r < 0)
		refuse(req, ino, NULL, "list", r, &e);
	else
		fuse_reply_buf(req, data, d.len);
}

static void do_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, false);
}

static void do_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			   struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, true);
}

static void do_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	fuse_reply_open(req, fi);
}

static void do_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino, (void)fi;
	fuse_reply_err(req, 0);
}

static void do_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	(void)mode;
	struct pending *p = pending_new(req, parent, name, "mkdir", ok_plain);
	if (p)
		tree_mkdir(p->front->t, &p->req, parent, name);
}

static void do_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct pending *p = pending_new(req, parent, name, "rm", ok_plain);
	if (p)
		tree_unlink(p->front->t, &p->req, parent, name);
}

static void do_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct pending *p = pending_new(req, parent, name, "rmdir", ok_plain);
	if (p)
		tree_rmdir(p->front->t, &p->req, parent, name);
}

static void do_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		      const char *new_name, unsigned flags)
{
	if (flags & ~1u /* RENAME_NOREPLACE */) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	struct pending *p = pending_new(req, parent, name, "rename", ok_plain);
	if (p)
		tree_rename(p->front->t, &p->req, parent, name, new_parent, new_name, flags & 1);
}

/* ---- files ---- */

static void fill_open(const struct fuse_front *f, struct handle *h, struct fuse_file_info *fi,
		      uint64_t fh)
{
	(void)f;
	fi->fh = fh;
	fi->direct_io = 1;
	fi->noflush = (fi->flags & O_ACCMODE) == O_RDONLY;
	fi->nonseekable = handle_kind(h) == FS_STREAM || handle_kind(h) == FS_SINK;
}

static void do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fuse_front *f = front_of(req);
	struct err e = {0};
	struct handle *h = NULL;
	struct actor who = actor_of(req);
	int r = tree_open(f->t, &who, ino, fi->flags, &h, &e);
	uint64_t fh = r < 0 ? 0 : fuse_handle_add(f, h);
	if (r == 0 && !fh) {
		handle_release(h);
		r = -ENFILE;
	}
	if (r < 0) {
		refuse(req, ino, NULL, "open", r, &e);
		return;
	}
	fill_open(f, h, fi, fh);
	if (fuse_reply_open(req, fi) < 0) /* the caller is gone */
		fuse_handle_drop(f, fuse_handle_entry(f, fh));
}

static void do_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	struct fuse_front *f = front_of(req);
	struct err e = {0};
	struct handle *h = NULL;
	struct fs_attr a;
	struct fuse_entry_param entry;
	struct actor who = actor_of(req);
	int r = tree_create(f->t, &who, parent, name, mode, fi->flags, &a, &h, &e);
	uint64_t fh = r < 0 ? 0 : fuse_handle_add(f, h);
	if (r == 0 && !fh) {
		handle_release(h);
		r = -ENFILE;
	}
	if (r < 0) {
		refuse(req, parent, name, "create", r, &e);
		return;
	}
	fill_open(f, h, fi, fh);
	fill_entry(&a, &entry);
	if (fuse_reply_create(req, &entry, fi) < 0)
		fuse_handle_drop(f, fuse_handle_entry(f, fh));
}

/* The handle of fi; one that an earlier worker gave out is opened again from its node. */
static struct handle *handle_of(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fuse_front *f = front_of(req);
	struct handle *h = fuse_handle_get(f, fi->fh);
	struct err e = {0};
	struct actor who = actor_of(req);
	if (h)
		return h;
	struct fuse_handle *known = fuse_handle_by_old(f, fi->fh);
	if (known)
		return known->h;
	/* The kernel checked the mode when the file was opened; flags of a read request carry them. */
	int r = tree_open(f->t, &who, ino, fi->flags & ~(O_TRUNC | O_EXCL | O_CREAT), &h, &e);
	uint64_t fh = r < 0 ? 0 : fuse_handle_add(f, h);
	if (!fh) {
		if (h)
			handle_release(h);
		refuse(req, ino, NULL, "reopen", r < 0 ? r : -ENFILE, &e);
		return NULL;
	}
	fuse_handle_entry(f, fh)->old_fh = fi->fh;
	return h;
}

static void do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct handle *h = handle_of(req, ino, fi);
	struct pending *p = h ? pending_new(req, ino, NULL, "read", ok_read) : NULL;
	if (!p)
		return;
	arm(p);
	handle_read(h, &p->req, (uint64_t)off, size, fi->flags & O_NONBLOCK);
}

static void do_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	struct handle *h = handle_of(req, ino, fi);
	struct pending *p = h ? pending_new(req, ino, NULL, "write", ok_write) : NULL;
	if (!p)
		return;
	arm(p);
	handle_write(h, &p->req, (uint64_t)off, data, size, fi->flags & O_NONBLOCK);
}

static void do_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct handle *h = fuse_handle_get(front_of(req), fi->fh);
	struct pending *p = pending_new(req, ino, NULL, "close", ok_plain);
	if (!p)
		return;
	if (h)
		handle_flush(h, &p->req);
	else
		req_ok(&p->req, 0);
}

static void do_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)datasync;
	do_flush(req, ino, fi);
}

static void do_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	struct fuse_front *f = front_of(req);
	struct fuse_handle *entry = fuse_handle_entry(f, fi->fh);
	if (!entry)
		entry = fuse_handle_by_old(f, fi->fh);
	if (entry)
		fuse_handle_drop(f, entry);
	fuse_reply_err(req, 0);
}

static void wake_poll(void *arg)
{
	struct fuse_handle *e = arg;
	if (e->poll)
		fuse_lowlevel_notify_poll(e->poll);
}

static void do_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		    struct fuse_pollhandle *ph)
{
	struct handle *h = handle_of(req, ino, fi);
	struct fuse_handle *entry = h ? fuse_handle_entry(front_of(req), fi->fh) : NULL;
	if (!entry) {
		if (ph)
			fuse_pollhandle_destroy(ph);
		if (h)
			fuse_reply_poll(req, POLLIN | POLLOUT);
		return;
	}
	/* Kept until release, also when ready now: an edge-triggered waiter needs the next edge. */
	if (ph) {
		if (entry->poll)
			fuse_pollhandle_destroy(entry->poll);
		entry->poll = ph;
	}
	fuse_reply_poll(req, handle_poll(h, wake_poll, entry));
}

static void do_statfs(fuse_req_t req, fuse_ino_t ino)
{
	(void)ino;
	struct statvfs s = {.f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255};
	fuse_reply_statfs(req, &s);
}

static void do_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	conn->want &= ~(unsigned)(FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_SPLICE_READ |
				  FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	conn->want |= conn->capable & (FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_READDIRPLUS |
				       FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_ASYNC_READ);
	conn->max_background = 64;
}

const struct fuse_lowlevel_ops symbi_fuse_ops = {
	.init = do_init,
	.lookup = do_lookup,
	.forget = do_forget,
	.forget_multi = do_forget_multi,
	.getattr = do_getattr,
	.setattr = do_setattr,
	.mkdir = do_mkdir,
	.unlink = do_unlink,
	.rmdir = do_rmdir,
	.rename = do_rename,
	.open = do_open,
	.create = do_create,
	.read = do_read,
	.write = do_write,
	.flush = do_flush,
	.fsync = do_fsync,
	.release = do_release,
	.opendir = do_opendir,
	.readdir = do_readdir,
	.readdirplus = do_readdirplus,
	.releasedir = do_releasedir,
	.poll = do_poll,
	.statfs = do_statfs,
};
