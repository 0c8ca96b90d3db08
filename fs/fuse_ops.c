/* SPDX-License-Identifier: MIT */
/* fuse_ops.c - requests about names, attributes and directories, and the table of all. Each callback turns a
 * kernel request into a tree request and replies exactly once, now or later. L3; loop thread only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fuse_i.h"
#include "lib/mem.h"

/* ---- attributes ---- */

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
	struct pending *p = gone_already(req) ? NULL
					      : pending_new(req, parent, name, "lookup", ok_entry);
	if (p)
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
	struct pending *p = gone_already(req) ? NULL : pending_new(req, ino, NULL, "stat", ok_attr);
	if (p)
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

/* Cut the open file of fi; without one only what has no length can be cut. */
static int truncate_it(struct fuse_front *f, const struct actor *who, fuse_ino_t ino,
		       const struct fuse_file_info *fi, uint64_t size, struct err *e)
{
	struct fuse_handle *entry = fi ? fuse_handle_of(f, fi->fh) : NULL;
	struct fs_attr a;
	if (entry)
		return handle_truncate(entry->h, size, e);
	int r = tree_getattr(f->t, who, ino, &a, e);
	if (r < 0 || (a.kind != FS_STORE && a.kind != FS_FILE && a.kind != FS_SECRET) || a.size == size)
		return r;
	return err_set(e, ERR_FS_NOT_SUPPORTED,
		       "a document is cut by who has it open, and with its new "
		       "text");
}

static void do_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		       struct fuse_file_info *fi)
{
	struct fuse_front *f = front_of(req);
	struct err e = {0};
	struct actor who = actor_of(req);
	int r = to_set & FUSE_SET_ATTR_SIZE
			? truncate_it(f, &who, ino, fi, (uint64_t)attr->st_size, &e)
			: 0;
	if (r < 0) {
		refuse(req, ino, NULL, "truncate", r, &e);
		return;
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
	size_t n, left = d->size - d->len;
	fill_entry(a, &entry);
	/* Streams are shown as pipes, which is what they are like: `grep -r` passes pipes by. */
	if (a->kind == FS_STREAM)
		entry.attr.st_mode = (entry.attr.st_mode & 07777) | S_IFIFO;
	if (entry.entry_timeout == 0 || (a->kind != FS_DIR && a->kind != FS_STORE))
		entry.ino =
			0; /* the name alone: its size is not known here, or may not be believed */
	if (d->plus)
		n = fuse_add_direntry_plus(d->req, d->data + d->len, left, name, &entry,
					   (off_t)cookie);
	else
		n = fuse_add_direntry(d->req, d->data + d->len, left, name, &entry.attr,
				      (off_t)cookie);
	if (n > left)
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
	struct fs_attr a;
	struct err e = {0};
	struct actor who = actor_of(req);
	int r = tree_opendir(front_of(req)->t, &who, ino, &a, &e);
	if (r < 0) {
		refuse(req, ino, NULL, "list", r, &e);
		return;
	}
	/* The kernel lists it by itself for as long as its times stay. */
	fi->cache_readdir = fi->keep_cache = a.hold == FS_HOLD_NAME;
	fuse_reply_open(req, fi);
}

static void do_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino, (void)fi;
	fuse_reply_err(req, 0);
}

/* ---- names ---- */

static void do_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct pending *p = pending_new(req, parent, name, "mkdir", ok_entry);
	if (p)
		tree_mkdir(p->front->t, &p->req, parent, name, mode);
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

/* ---- the whole ---- */

static void do_statfs(fuse_req_t req, fuse_ino_t ino)
{
	(void)ino;
	struct statvfs s;
	tree_statfs(front_of(req)->t, &s);
	fuse_reply_statfs(req, &s);
}

static void do_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	conn->want &= ~(unsigned)(FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_SPLICE_READ |
				  FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
				  FUSE_CAP_ASYNC_READ);
	conn->want |= conn->capable &
		      (FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_READDIRPLUS | FUSE_CAP_PARALLEL_DIROPS);
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
