/* SPDX-License-Identifier: MIT */
/* fuse_i.h - shared by the files of the FUSE front. L3; loop thread only. */
#pragma once

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "fs/fuse.h"
#include "fs/tree_i.h"

#define FUSE_HANDLES_MAX 65536

struct fuse_handle {
	struct handle *h;   /* NULL: free */
	uint32_t generation;
	uint64_t old_fh; /* what an earlier worker called it; 0 none */
	struct fuse_pollhandle *poll;
	uint32_t index;
};

struct fuse_front {
	struct tree *t;
	struct loop *loop;
	struct fuse_session *se;
	int fd;
	uv_poll_t watch;
	bool closing;
	bool swallow; /* replies go nowhere: a replayed INIT */
	struct fuse_buf in;
	struct fuse_handle **handles; /* each of its own, so that it stays where it is */
	uint32_t handle_cap;
	uint32_t handle_count; /* slots in use, holes included */
	uint32_t free_hint;
};

extern const struct fuse_lowlevel_ops symbi_fuse_ops;

/* Handle numbers: generation << 32 | index + 1. The clock makes the generation, which separates the
 * handles of one worker from those of its predecessor. */
uint64_t fuse_handle_add(struct fuse_front *f, struct handle *h); /* 0: too many */
struct fuse_handle *fuse_handle_entry(struct fuse_front *f, uint64_t fh);
struct fuse_handle *fuse_handle_by_old(struct fuse_front *f, uint64_t old_fh);
struct handle *fuse_handle_get(struct fuse_front *f, uint64_t fh);
void fuse_handle_drop(struct fuse_front *f, struct fuse_handle *entry);
