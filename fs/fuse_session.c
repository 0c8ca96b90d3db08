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
#include "lib/metric.h"

#define SPIN_NS        30000u
#define TURN_NS        500000u /* the loop's other work waits at most this long for the mount */
#define NOTIFY_RESEND  7       /* FUSE_NOTIFY_RESEND, kernel >= 6.9; not in older headers */

static ssize_t io_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	struct fuse_front *f = userdata;
	if (f->swallow) {
		ssize_t n = 0;
		for (int i = 0; i < count; i++)
			n += (ssize_t)iov[i].iov_len;
		return n;
	}
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
	fuse_session_process_buf(f->se, &f->in);
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

static int replay_init(struct fuse_front *f, const struct fuse_opts *o, struct err *e)
{
	struct fuse_buf init = {.mem = malloc(o->init_len), .size = o->init_len};
	if (!init.mem)
		return err_set(e, ERR_SYS_MEMORY, "no memory");
	memcpy(init.mem, o->init, o->init_len);
	f->swallow = o->resumed;
	fuse_session_process_buf(f->se, &init);
	f->swallow = false;
	free(init.mem);
	return 0;
}

/* Requests that the last worker read and did not answer come again; older kernels refuse this and
 * those callers get their error from the connection's abort or wait for their own timeout. */
static void ask_resend(struct fuse_front *f)
{
	struct fuse_out_header out = {.len = sizeof out, .error = NOTIFY_RESEND};
	if (write(f->fd, &out, sizeof out) < 0)
		log_warn("fuse.resend_refused", "error", strerror(errno), NULL);
}

int fuse_open_front(struct fuse_front **ret, struct tree *t, struct loop *l,
		    const struct fuse_opts *o, struct err *e)
{
	struct fuse_front *f = calloc(1, sizeof *f);
	char *argv[] = {"symbid", NULL};
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	if (!f)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the mount");
	f->t = t;
	f->loop = l;
	f->fd = o->fd;
	f->se = fuse_session_new(&args, &symbi_fuse_ops, sizeof symbi_fuse_ops, f);
	if (!f->se || fuse_session_custom_io(f->se, &custom_io, dup(o->fd)) != 0) {
		free(f);
		return err_set(e, ERR_SYS_IO, "libfuse session cannot be made");
	}
	int r = replay_init(f, o, e);
	if (r == 0)
		r = uv_poll_init(&l->uv, &f->watch, f->fd);
	if (r != 0) {
		fuse_session_destroy(f->se);
		free(f);
		return r < 0 && !o->init ? r : err_set(e, ERR_SYS_IO, "the mount cannot be served");
	}
	f->watch.data = f;
	uv_poll_start(&f->watch, UV_READABLE, on_readable);
	if (o->resumed)
		ask_resend(f);
	*ret = f;
	return 0;
}

static void watch_closed(uv_handle_t *h)
{
	free(h->data);
}

void fuse_close_front(struct fuse_front *f)
{
	if (!f)
		return;
	f->closing = true;
	for (uint32_t i = 0; i < f->handle_count; i++)
		if (f->handles[i])
			fuse_handle_drop(f, f->handles[i]);
	fuse_session_destroy(f->se);
	free(f->in.mem);
	free(f->handles);
	uv_close((uv_handle_t *)&f->watch, watch_closed);
}
