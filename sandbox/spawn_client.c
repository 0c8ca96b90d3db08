/* SPDX-License-Identifier: MIT */
/* spawn_client.c - the worker's side of symbi-spawn. L1; loop thread only. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/mem.h"
#include "sandbox/spawn_msg.h"
#include "sandbox/spec.h"

struct spawn_client {
	int fd;
	uv_poll_t watch;
	struct sandbox_events ev;
	void *arg;
	void (*resynced)(void *arg);
};

static void on_message(struct spawn_client *c, const struct spawn_event *m)
{
	if (m->op == SPAWN_STARTED) {
		c->ev.started(c->arg, m->id, m->pid);
	} else if (m->op == SPAWN_ENDED) {
		c->ev.ended(c->arg, m->id, &m->result);
	} else if (m->op == SPAWN_MEASURED && c->ev.measured) {
		c->ev.measured(c->arg, m->id, &m->usage);
	} else if (m->op == SPAWN_LISTED && c->resynced) {
		void (*done)(void *) = c->resynced;
		c->resynced = NULL;
		done(c->arg);
	}
}

static void on_readable(uv_poll_t *watch, int status, int events)
{
	(void)status, (void)events;
	struct spawn_client *c = watch->data;
	struct spawn_event m;
	int fds[SPAWN_FDS], n;
	while ((n = spawn_recv(c->fd, &m, sizeof m, fds)) >= 0) {
		while (n > 0)
			close(fds[--n]);
		on_message(c, &m);
	}
	if (n != -EAGAIN) {
		uv_poll_stop(&c->watch);
		c->ev.lost(c->arg);
	}
}

int spawn_client_open(struct spawn_client **ret, int fd, struct loop *l,
		      const struct sandbox_events *ev, void *arg, struct err *e)
{
	struct spawn_client *c = calloc(1, sizeof *c);
	if (!c)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the spawner's client");
	c->fd = fd;
	c->ev = *ev;
	c->arg = arg;
	if (uv_poll_init(&l->uv, &c->watch, fd) != 0) {
		free(c);
		return err_set(e, ERR_SPAWN_LOST, "the spawner's socket cannot be watched");
	}
	c->watch.data = c;
	uv_poll_start(&c->watch, UV_READABLE, on_readable);
	*ret = c;
	return 0;
}

static void closed(uv_handle_t *h)
{
	struct spawn_client *c = h->data;
	close(c->fd);
	free(c);
}

void spawn_client_close(struct spawn_client *c)
{
	if (c)
		uv_close((uv_handle_t *)&c->watch, closed);
}

static int request(struct spawn_client *c, const struct spawn_req *q, const int *fds, unsigned n,
		   struct err *e)
{
	int r;
	while ((r = spawn_send(c->fd, q, sizeof *q, fds, n)) == -EAGAIN)
		usleep(50); /* the spawner reads at once; its queue is full for microseconds */
	return r < 0 ? err_sys(e, ERR_SPAWN_LOST, -r, "the spawner does not answer") : 0;
}

int spawn_client_resync(struct spawn_client *c, void (*done)(void *arg), struct err *e)
{
	c->resynced = done;
	return request(c, &(struct spawn_req){.op = SPAWN_LIST}, NULL, 0, e);
}

static int simple(struct spawn_client *c, uint32_t op, uint64_t id, int arg, struct err *e)
{
	return request(c, &(struct spawn_req){.op = op, .id = id, .arg = arg}, NULL, 0, e);
}

int sandbox_signal(struct spawn_client *c, uint64_t id, int sig, struct err *e)
{
	return simple(c, SPAWN_SIGNAL, id, sig, e);
}

int sandbox_kill(struct spawn_client *c, uint64_t id, struct err *e)
{
	return simple(c, SPAWN_KILL, id, 0, e);
}

int sandbox_freeze(struct spawn_client *c, uint64_t id, bool frozen, struct err *e)
{
	return simple(c, SPAWN_FREEZE, id, frozen, e);
}

int sandbox_ack(struct spawn_client *c, uint64_t id, struct err *e)
{
	return simple(c, SPAWN_ACK, id, 0, e);
}

int sandbox_measure(struct spawn_client *c, uint64_t id, struct err *e)
{
	return simple(c, SPAWN_MEASURE, id, 0, e);
}

int sandbox_set_limits(struct spawn_client *c, uint64_t id, const struct sandbox_limits *l,
		       struct err *e)
{
	return request(c, &(struct spawn_req){.op = SPAWN_LIMITS, .id = id, .limits = *l}, NULL, 0,
		       e);
}

static uint32_t add_strings(struct buf *b, const char *const *list)
{
	uint32_t n = 0;
	for (; list && list[n]; n++)
		buf_add(b, list[n], strlen(list[n]) + 1);
	return n;
}

static int text_fd(const struct buf *b)
{
	autoclose int fd = memfd_create("symbi-start", MFD_CLOEXEC);
	if (fd < 0 || write(fd, b->data, b->len) != (ssize_t)b->len)
		return -1;
	return take_fd(&fd);
}

int sandbox_start(struct spawn_client *c, enum sandbox_tier tier, const struct sandbox_spec *s,
		  struct err *e)
{
	char program[PATH_MAX];
	int r = sandbox_spec_check(tier, s, program, e);
	if (r < 0)
		return r;
	autobuf struct buf text;
	buf_init(&text, SPAWN_TEXT_MAX);
	buf_add(&text, program, strlen(program) + 1);
	buf_add(&text, s->cwd, strlen(s->cwd) + 1);
	struct spawn_req q = {.op = SPAWN_START,
			      .id = s->id,
			      .limits = s->limits,
			      .enforce = s->enforce,
			      .uid = s->uid == (uid_t)-1 ? -1 : (int64_t)s->uid,
			      .gid = s->gid == (gid_t)-1 ? -1 : (int64_t)s->gid};
	q.argc = add_strings(&text, s->argv);
	q.envc = add_strings(&text, s->envp);
	q.text_len = (uint32_t)text.len;
	if (text.fail)
		return err_set(e, ERR_RESOURCE_TOO_BIG, "arguments and environment together have at "
			       "most %u bytes", SPAWN_TEXT_MAX);
	autoclose int t = text_fd(&text);
	if (t < 0)
		return err_sys(e, ERR_SYS_IO, errno, "memfd");
	autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return err_sys(e, ERR_SYS_IO, errno, "'/dev/null'");
	int fds[SPAWN_FDS] = {t, s->stdin_fd, s->stdout_fd, s->stderr_fd, s->cwd_fd > 0 ? s->cwd_fd : null};
	for (int i = 1; i < 4; i++)
		if (fds[i] < 0)
			fds[i] = null;
	q.cwd_by_fd = s->cwd_fd > 0;
	return request(c, &q, fds, SPAWN_FDS, e);
}
