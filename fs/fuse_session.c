/* SPDX-License-Identifier: MIT */
/* fuse_session.c - reading requests from /dev/fuse: non-blocking, with a short spin before sleeping,
 * because the requests of one shell command follow each other within microseconds. L3; loop thread. */
#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/fuse_i.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/metric.h"

#define SPIN_NS   30000u
#define TURN_NS   500000u      /* the loop's other work waits at most this long for the mount */
#define AGAIN_BIT (1ull << 63) /* of a request's number: it was sent before (FUSE_UNIQUE_RESEND) */
#define TAG_SHIFT 48 /* struct actor: 15 bits of the mount, 32 of the request, 16 of the act */

static ssize_t io_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	struct fuse_front *f = userdata;
	tree_publish(f->t);
	return writev(fd, iov, count);
}

static ssize_t io_read(int fd, void *buf, size_t len, void *userdata)
{
	(void)userdata;
	return read(fd, buf, len);
}

static const struct fuse_custom_io custom_io = {.writev = io_writev, .read = io_read};

static void unmounted(struct fuse_front *f)
{
	log_info("fuse.unmounted", NULL);
	uv_poll_stop(&f->watch);
}

/* The kernel counts its requests by twos. */
static void name_request(struct fuse_front *f)
{
	struct fuse_in_header in;
	memcpy(&in, f->in.mem, sizeof in);
	f->again = in.unique & AGAIN_BIT;
	f->request = (uint64_t)(tree_tag(f->t) & 0x7fff) << TAG_SHIFT |
		     (uint64_t)(uint32_t)(in.unique >> 1) << 16;
}

/* A request that comes again after it ended two workers: it is refused here, where it can do no harm. */
static void refuse_deadly(struct fuse_front *f)
{
	struct fuse_in_header in;
	struct err e;
	memcpy(&in, f->in.mem, sizeof in);
	struct actor who = {.uid = in.uid, .gid = in.gid, .pid = (pid_t)in.pid, .req = f->request};
	err_set(&e, ERR_SYS_IO, "this request (FUSE operation %u) ended the daemon's worker twice and is not "
		"tried again; please report it", in.opcode);
	log_err(LOG_LEVEL_ERROR, "fuse.deadly_request", &e, NULL, NULL);
	tree_failed(f->t, &who, in.nodeid, NULL, "request", &e);
	struct fuse_out_header out = {.len = sizeof out, .error = -EIO, .unique = in.unique};
	bool silent = in.opcode == FUSE_FORGET || in.opcode == FUSE_BATCH_FORGET;
	if (!silent && write(f->fd, &out, sizeof out) < 0)
		log_warn("fuse.reply_failed", NULL);
}

/* Serve one request. 1 served, 0 nothing there, -1 the mount is gone. */
static int serve_one(struct fuse_front *f)
{
	int n = fuse_session_receive_buf(f->se, &f->in);
	if (n == -EAGAIN || n == -EINTR)
		return 0;
	if (n <= 0) {
		unmounted(f);
		return -1;
	}
	name_request(f);
	tree_turn(f->t);
	if (f->again && tree_is_deadly(f->t, f->request)) {
		refuse_deadly(f);
		return 1;
	}
	tree_doing(f->t, f->request);
	fuse_session_process_buf(f->se, &f->in);
	tree_doing(f->t, 0);
	metric_add(METRIC_FS_REQUESTS, 1);
	return 1;
}

static void on_readable(uv_poll_t *watch, int status, int events)
{
	(void)events;
	struct fuse_front *f = watch->data;
	if (status < 0) {
		unmounted(f);
		return;
	}
	uint64_t begin = clock_mono_ns(), last = begin;
	while (!f->closing) {
		int r = serve_one(f);
		uint64_t now = clock_mono_ns();
		if (r < 0)
			return;
		if (r > 0 || loop_drain(f->loop))
			last = now;
		if (now - last > SPIN_NS || now - begin > TURN_NS)
			return;
	}
}

/* The kernel's INIT tells libfuse what it speaks with. An earlier worker may have answered it, or may have
 * been killed before: the kernel ignores an answer that it does not wait for. */
static int replay_init(struct fuse_front *f, const struct fuse_opts *o, struct err *e)
{
	struct fuse_buf init = {.mem = malloc(o->init_len), .size = o->init_len};
	if (!init.mem)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the mount");
	memcpy(init.mem, o->init, o->init_len);
	fuse_session_process_buf(f->se, &init);
	free(init.mem);
	return 0;
}

static int open_session(struct fuse_front *f, struct err *e)
{
	char *argv[] = {"symbid", NULL};
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	int fd = dup(f->fd);
	f->se = fuse_session_new(&args, &symbi_fuse_ops, sizeof symbi_fuse_ops, f);
	fuse_opt_free_args(&args); /* parsing made a copy */
	if (f->se && fuse_session_custom_io(f->se, &custom_io, fd) == 0)
		return 0;
	if (fd >= 0)
		close(fd);
	return err_set(e, ERR_SYS_IO, "libfuse session cannot be made");
}

static int open_front(struct fuse_front *f, const struct fuse_opts *o, struct err *e)
{
	int r = open_session(f, e);
	if (r == 0 && o->keep_fd >= 0)
		r = tree_recover(f->t, o->keep_fd, fuse_handle_adopt, f, e);
	fuse_handle_adopted(f);
	if (r == 0)
		r = replay_init(f, o, e);
	if (r == 0 && uv_poll_init(&f->loop->uv, &f->watch, f->fd) != 0)
		r = err_set(e, ERR_SYS_IO, "the mount cannot be served");
	return r;
}

int fuse_open_front(struct fuse_front **ret, struct tree *t, struct loop *l,
		    const struct fuse_opts *o, struct err *e)
{
	struct fuse_front *f = calloc(1, sizeof *f);
	if (!f)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the mount");
	f->t = t;
	f->loop = l;
	f->fd = o->fd;
	int r = open_front(f, o, e);
	if (r < 0) {
		if (f->se)
			fuse_session_destroy(f->se);
		free(f->handles);
		free(f);
		return r;
	}
	tree_on_stale(t, fuse_notify_attr, f);
	f->watch.data = f;
	uv_poll_start(&f->watch, UV_READABLE, on_readable);
	if (o->resumed) {
		tree_all_changed(t); /* the last worker may have died before it said so */
		fuse_notify_resend(f);
	}
	for (uint32_t i = 0; i < f->handle_count;
	     i++) /* what they wait for may have come meanwhile */
		if (f->handles[i]->h && handle_poll_key(f->handles[i]->h))
			fuse_notify_poll(f, handle_poll_key(f->handles[i]->h));
	*ret = f;
	return 0;
}

static void watch_closed(uv_handle_t *h)
{
	struct fuse_front *f = h->data;
	for (uint32_t i = 0; i < f->handle_count; i++)
		free(f->handles[i]);
	free(f->handles);
	free(f);
}

void fuse_close_front(struct fuse_front *f)
{
	if (!f)
		return;
	f->closing = true;
	f->request = 0;
	tree_on_stale(f->t, NULL, NULL);
	for (uint32_t i = 0; i < f->handle_count; i++)
		if (f->handles[i]->h)
			fuse_handle_drop(f, f->handles[i]);
	fuse_session_destroy(f->se);
	free(f->in.mem);
	uv_close((uv_handle_t *)&f->watch, watch_closed);
}
