/* SPDX-License-Identifier: MIT */
/* fuse_i.h - shared by the files of the FUSE front. L3; loop thread only. */
#pragma once

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "fs/fuse.h"
#include "fs/tree_i.h"

#define FUSE_HANDLES_MAX 65536

struct fuse_handle {
	struct fuse_front *front;
	struct handle *h;
	uint64_t number;          /* what the kernel calls it */
	struct fuse_handle *next; /* of those that are free */
};

struct fuse_front {
	struct tree *t;
	struct loop *loop;
	struct fuse_session *se;
	int fd;
	uv_poll_t watch;
	bool closing;
	struct fuse_buf in;
	uint64_t request;             /* the one being served, as struct actor names it */
	bool again;                   /* an earlier worker got it too */
	struct fuse_handle **handles; /* each of its own, so that it stays where it is */
	uint32_t handle_cap,
		handle_count; /* places; places in use, free ones among them included */
	struct fuse_handle *free;
};

extern const struct fuse_lowlevel_ops symbi_fuse_ops;

/* ---- a request of the tree that answers a request of the kernel (fuse_request.c) ---- */

struct pending {
	struct fs_req req;
	fuse_req_t fuse;
	struct fuse_front *front;
	fs_id id;
	char *name; /* for the record of a failure; owned */
	const char *op;
	bool interrupting; /* it is being cancelled by libfuse's interrupt callback */
	void (*ok)(struct pending *p, int r, const void *data, size_t len);
};

struct fuse_front *front_of(fuse_req_t req);
struct actor actor_of(fuse_req_t req);
/* NULL: out of memory; the request was answered. */
struct pending *pending_new(fuse_req_t fuse, fs_id id, const char *name, const char *op,
			    void (*ok)(struct pending *, int, const void *, size_t));
/* Was it interrupted before it began? Then nothing would cancel it any more, and it was answered. */
bool gone_already(fuse_req_t req);
void refuse(fuse_req_t req, fs_id id, const char *name, const char *op, int r, const struct err *e);
void ok_plain(struct pending *p, int r, const void *data, size_t len);
void fill_stat(const struct fs_attr *a, struct stat *st);
void fill_entry(const struct fs_attr *a, struct fuse_entry_param *ret);
double attr_seconds(const struct fs_attr *a);

/* ---- open files: fuse_file.c ---- */
void do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void do_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi);
void do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void do_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off,
	      struct fuse_file_info *fi);
void do_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void do_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void do_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void do_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *ph);

/* ---- their numbers: fuse_handle.c. A number is generation << 32 | place + 1; the clock makes the
 * generation, so that one is never used twice. ---- */
struct fuse_handle *fuse_handle_add(struct fuse_front *f, struct handle *h); /* NULL: too many */
/* From an earlier worker; when all are there, fuse_handle_adopted. */
void fuse_handle_adopt(void *front, struct handle *h, uint64_t number);
void fuse_handle_adopted(struct fuse_front *f);
struct fuse_handle *fuse_handle_of(struct fuse_front *f, uint64_t number); /* NULL: no such */
/* The one that this request opened for a worker that could not say so any more. */
struct fuse_handle *fuse_handle_opened_by(struct fuse_front *f, uint64_t request);
void fuse_handle_drop(struct fuse_front *f, struct fuse_handle *entry);

/* ---- messages to the kernel: fuse_notify.c ---- */
void fuse_notify_resend(struct fuse_front *f);
void fuse_notify_poll(struct fuse_front *f, uint64_t key);
void fuse_notify_attr(void *front, fs_id id);
/* The kernel is to believe that the file is longer than anything that it will read from it. */
void fuse_notify_grow(struct fuse_front *f, fs_id id);
