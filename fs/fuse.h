/* SPDX-License-Identifier: MIT */
/* fuse.h - the tree on a mount. L3; loop thread only, but for fuse_mount_* which the parent calls.
 *
 * The parent process opens and mounts /dev/fuse and keeps the descriptor; each worker serves it
 * through libfuse's low-level API with all replies deferred. A worker that takes over asks the
 * kernel to send again what its predecessor did not answer (FUSE_NOTIFY_RESEND, kernel >= 6.9). */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "fs/tree.h"
#include "lib/loop.h"

struct fuse_front;

/* ---- parent ---- */
struct fuse_place {
	const char *dir;
	/* NULL: none. A directory that is made a shared mount, where it is none, and stays one: the tree is
	 * mounted in it as FUSE_SHARED_NAME, and dir is a bind of that. A bind of a mount dies with its
	 * daemon; a bind of the directory above it gets the next one's mount. Root only. */
	const char *shared;
};
#define FUSE_SHARED_NAME "symbi"

/* Where the tree itself is mounted. -ENAMETOOLONG. */
int fuse_tree_path(const struct fuse_place *p, char out[PATH_MAX], struct err *e);

/* Mount (directories are made when absent; a dead mount there is detached first). As root by mount(2) with
 * allow_other and default_permissions, else through fusermount3. Returns the descriptor in *ret_fd. */
int fuse_mount(const struct fuse_place *p, int *ret_fd, struct err *e);
/* Detach; open files of others stay dead. Errors are ignored, there is nobody to tell. */
void fuse_unmount(const struct fuse_place *p);
/* Read the kernel's INIT request into buf; the worker replays it. Returns its length or -errno. */
int fuse_read_init(int fd, void *buf, size_t size, struct err *e);

/* ---- worker ---- */
struct fuse_opts {
	int fd;           /* /dev/fuse, borrowed */
	const void *init; /* the INIT request the parent read */
	size_t init_len;
	bool resumed; /* there was an earlier worker: ask for what it did not answer */
	int keep_fd; /* memory of keep_create, borrowed; -1: what is open is lost with the worker */
};
int fuse_open_front(struct fuse_front **ret, struct tree *t, struct loop *l,
		    const struct fuse_opts *o, struct err *e);
void fuse_close_front(struct fuse_front *f);
