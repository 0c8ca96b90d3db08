/* SPDX-License-Identifier: MIT */
/* handle_file.c - an open file of a user's (runtime/files.h): read from its content, written to a new one that becomes the
 * file's at flush, whole. Of two who write at once the later commit stands. L3; loop thread only. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/handle_i.h"
#include "lib/mem.h"
#include "runtime/files.h"

#define PATCH_MAX (64u << 20) /* bytes of a file that may be changed in place: it is copied first, and others wait */

static const struct file *file_of(const struct handle *h)
{
	const struct file *f = file_by_serial(h->t->rt, h->at.serial);
	return h->at.serial ? f : NULL;
}

static void set_fd(struct handle *h, int fd)
{
	if (h->fd >= 0)
		close(h->fd);
	h->fd = fd;
}

static int io_error(const struct handle *h, int eno, struct err *e)
{
	const struct file *f = file_of(h);
	return err_sys(e, ERR_SYS_IO, eno, "'%s'", f ? f->name : "file");
}

/* ---- open ---- */

static int file_truncate(struct handle *h, uint64_t size, struct err *e);

static int file_begin(struct handle *h, struct err *e)
{
	const struct file *f = file_of(h);
	if (!f)
		return err_set(e, ERR_FS_NOT_FOUND, "the file is gone");
	h->fd = file_open(h->t->rt, f->content);
	if (h->fd < 0 && f->content)
		return io_error(h, errno, e);
	if ((h->st.flags & O_TRUNC) && (h->st.flags & O_ACCMODE) != O_RDONLY)
		return file_truncate(h, 0, e);
	return 0;
}

static int file_restore(struct handle *h, struct err *e)
{
	const struct file *f = file_of(h);
	if (f && h->st.upload && f->content == h->st.upload) { /* it was committed, and the reply was lost */
		h->st.upload = 0;
		h->st.dirty = false;
	}
	if (h->st.upload)
		h->fd = content_reopen(h->t->rt, h->st.upload);
	else if (f)
		h->fd = file_open(h->t->rt, f->content);
	return h->fd < 0 && (h->st.upload || (f && f->content)) ? io_error(h, errno, e) : 0;
}

/* ---- reading ---- */

static void file_read(struct handle *h, struct fs_req *req, uint64_t off, size_t size, bool nonblock)
{
	(void)nonblock;
	struct err e;
	char *data = read_buffer();
	ssize_t n = h->fd < 0 ? 0 : pread(h->fd, data, size, (off_t)off);
	if (n >= 0) {
		req_data(req, data, (size_t)n);
		return;
	}
	int r = io_error(h, errno, &e);
	req_fail(req, r, &e);
}

/* ---- writing ---- */

static int copy_all(int from, int to, uint64_t size)
{
	for (uint64_t at = 0; at < size;) {
		off_t in = (off_t)at, out = (off_t)at;
		ssize_t n = copy_file_range(from, &in, to, &out, size - at, 0);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += (uint64_t)n;
	}
	return 0;
}

/* From here on h writes to a content of its own, which begins with the first `keep` bytes of what it shows now. */
static int begin_upload(struct handle *h, uint64_t keep, struct err *e)
{
	struct stat st = {0};
	uint64_t content;
	int fd;
	if (h->fd >= 0 && fstat(h->fd, &st) < 0)
		return io_error(h, errno, e);
	keep = keep < (uint64_t)st.st_size ? keep : (uint64_t)st.st_size;
	if (keep > PATCH_MAX)
		return err_set(e, ERR_RESOURCE_TOO_BIG,
			       "a file of more than %u MiB is not changed in place; write it whole, or remove it and write it anew",
			       PATCH_MAX >> 20);
	int r = content_new(h->t->rt, &content, &fd, e);
	if (r < 0)
		return r;
	r = h->fd >= 0 ? copy_all(h->fd, fd, keep) : 0;
	if (r < 0) {
		close(fd);
		content_drop(h->t->rt, content);
		return io_error(h, -r, e);
	}
	set_fd(h, fd);
	h->st.upload = content;
	handle_keep(h);
	return 0;
}

static void file_write(struct handle *h, struct fs_req *req, uint64_t off, const char *data, size_t len, bool nonblock)
{
	(void)nonblock;
	struct err e;
	struct stat st;
	if (handle_wrote(h, req)) {
		req_ok(req, (int)h->st.wrote);
		return;
	}
	int r = h->st.upload ? 0 : begin_upload(h, UINT64_MAX, &e);
	if (r == 0 && (h->st.flags & O_APPEND) && fstat(h->fd, &st) == 0)
		off = (uint64_t)st.st_size;
	ssize_t n = r == 0 ? pwrite(h->fd, data, len, (off_t)off) : 0;
	if (n < 0)
		r = io_error(h, errno, &e);
	if (r < 0) {
		req_fail(req, r, &e);
		return;
	}
	h->st.dirty = true;
	handle_set_wrote(h, req, (size_t)n);
	req_ok(req, (int)n);
}

static int file_truncate(struct handle *h, uint64_t size, struct err *e)
{
	int r = h->st.upload ? 0 : begin_upload(h, size, e);
	if (r == 0 && ftruncate(h->fd, (off_t)size) < 0)
		r = io_error(h, errno, e);
	if (r == 0) {
		h->st.dirty = true;
		handle_keep(h);
	}
	return r;
}

/* ---- commit ---- */

struct committing { /* a content on its way to be the file's */
	struct content_sync sync;
	struct handle *h; /* owned reference */
	struct fs_req *req;
	uint64_t content;
};

static void commit_end(struct committing *c, const struct err *e)
{
	struct handle *h = c->h;
	close(c->sync.fd);
	if (e && h->st.upload) { /* something newer is being written */
		content_drop(h->t->rt, c->content);
	} else if (e) {
		h->st.upload = c->content;
		h->st.dirty = true;
		set_fd(h, content_reopen(h->t->rt, c->content));
	}
	if (!e)
		handle_keep(h);
	if (e)
		req_fail(c->req, -e->eno, e);
	else
		req_ok(c->req, 0);
	handle_unref(h);
	free(c);
}

static void commit_done(void *arg, const struct err *e)
{
	commit_end(arg, e);
}

static void commit_synced(struct content_sync *s)
{
	struct committing *c = container_of(s, struct committing, sync);
	struct tree *t = c->h->t;
	struct err e = {0};
	const struct file *f = file_of(c->h);
	int r = s->result < 0 ? io_error(c->h, -s->result, &e) : 0;
	struct actor who = f ? actor_with_groups(&c->req->who, f->gid) : c->req->who;
	t->changes++;
	if (r == 0)
		r = file_commit(t->rt, &who, c->h->at.serial, c->content, s->size, s->digest,
				(struct runtime_done){commit_done, c}, &e);
	if (r < 0)
		commit_end(c, &e);
}

static void file_flush(struct handle *h, struct fs_req *req)
{
	struct committing *c = req_was_done(h->t, req) ? NULL : calloc(1, sizeof *c);
	if (!c && !req_was_done(h->t, req)) {
		req_fail(req, -ENOMEM, NULL);
		return;
	}
	uint64_t content = h->st.upload;
	h->st.upload = 0; /* a later write begins another content; what is kept changes when this one is committed */
	h->st.dirty = false;
	if (!c) {
		handle_keep(h);
		req_ok(req, 0);
		return;
	}
	*c = (struct committing){.h = handle_ref(h), .req = req, .content = content, .sync = {.done = commit_synced}};
	c->sync.fd = fcntl(h->fd, F_DUPFD_CLOEXEC, 3);
	content_sync(h->t->rt, &c->sync);
}

static void file_release(struct handle *h)
{
	if (h->st.dirty)
		handle_flush_last(h);
}

const struct handle_ops handle_file_ops = {.open = file_begin,
					   .restore = file_restore,
					   .read = file_read,
					   .write = file_write,
					   .truncate = file_truncate,
					   .flush = file_flush,
					   .release = file_release};
