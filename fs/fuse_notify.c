/* SPDX-License-Identifier: MIT */
/* fuse_notify.c - messages to the kernel that answer no request. L3; loop thread only.
 *
 * Only those are sent that take no lock which a caller may hold while it waits for us: a wake-up of
 * pollers, attributes that are not true any more, the wish to get unanswered requests again, and a byte of a
 * page that nobody can be waiting for. To drop a
 * name (FUSE_NOTIFY_INVAL_ENTRY) the kernel takes its directory's lock. On the loop thread that is a
 * deadlock; on another one the worker could be killed and not be reaped while that thread waits, and would
 * never be replaced. Ids that go stale make it unnecessary (tree_on_stale). */
#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/fuse_i.h"
#include "lib/log.h"
#include "lib/mem.h"

#define NOTIFY_RESEND 7 /* FUSE_NOTIFY_RESEND, kernel >= 6.9; not in older headers */

static int notify(struct fuse_front *f, int code, const void *data, size_t len)
{
	struct fuse_out_header out = {.len = (uint32_t)(sizeof out + len), .error = code};
	struct iovec iov[] = {{&out, sizeof out}, {(void *)(uintptr_t)data, len}};
	return writev(f->fd, iov, len ? 2 : 1) < 0 ? -errno : 0;
}

/* Older kernels refuse this; those callers wait until they are interrupted. */
void fuse_notify_resend(struct fuse_front *f)
{
	int r = notify(f, NOTIFY_RESEND, NULL, 0);
	if (r < 0)
		log_warn("fuse.resend_refused", "error", strerror(-r), NULL);
}

void fuse_notify_poll(struct fuse_front *f, uint64_t key)
{
	struct fuse_notify_poll_wakeup_out out = {.kh = key};
	notify(f, FUSE_NOTIFY_POLL, &out, sizeof out); /* nobody waits: nobody is woken */
}

/* sendfile(2) and splice(2) end at the size that the kernel knows, without asking us. With a size beyond any
 * answer they ask, and the answer's end corrects it. The only way to say so is to store a byte there, for
 * which the kernel locks its page; it is one at random, lest somebody has it locked and waits for us. */
void fuse_notify_grow(struct fuse_front *f, fs_id id)
{
	struct {
		struct fuse_notify_store_out out;
		char byte;
	} __attribute__((packed)) store = {.out = {.nodeid = id, .size = 1}};
	sys->random(&store.out.offset, sizeof store.out.offset);
	store.out.offset = 1ull << 50 | (store.out.offset & ((1ull << 50) - 4096));
	notify(f, FUSE_NOTIFY_STORE, &store, sizeof store);
}

void fuse_notify_attr(void *front, fs_id id)
{
	struct fuse_notify_inval_inode_out out = {.ino = id, .off = -1};
	notify(front, FUSE_NOTIFY_INVAL_INODE, &out, sizeof out); /* -ENOENT: it is not cached */
}
