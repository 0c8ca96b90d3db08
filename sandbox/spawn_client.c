/* SPDX-License-Identifier: MIT */
/* spawn_client.c - the worker's side of symbi-spawn. L1; loop thread only. Requests that the socket does not
 * take at once wait in a queue, so that the loop never waits for the spawner. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/mem.h"
#include "sandbox/door.h"
#include "sandbox/spawn_msg.h"
#include "sandbox/spec.h"

#define WAITING_MAX 65536 /* requests */

struct waiting {
	struct waiting *next;
	int fds[SPAWN_FDS]; /* owned */
	unsigned n;
	size_t text_len;
	struct spawn_req req;
	char text[];
};

struct talk { /* to the door of a network */
	struct talk *next;
	struct spawn_client *client;
	uint64_t id;
	int fd;
	uv_poll_t watch;
};

struct spawn_client {
	struct talk *talks;
	int fd;
	bool lost;
	uv_poll_t watch;
	struct sandbox_events ev;
	void *arg;
	uint64_t token; /* of the list that was asked for; 0: none */
	bool listing;   /* it has begun */
	void (*resynced)(void *arg);
	struct waiting *first, **last;
	size_t waiting;
};

/* ---- doors ---- */

static void talk_closed(uv_handle_t *h)
{
	struct talk *t = h->data;
	close(t->fd);
	free(t);
}

static struct talk **talk_at(struct spawn_client *c, uint64_t id)
{
	struct talk **at = &c->talks;
	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

static void talk_close(struct spawn_client *c, uint64_t id)
{
	struct talk **at = talk_at(c, id), *t = *at;
	if (!t)
		return;
	*at = t->next;
	uv_close((uv_handle_t *)&t->watch, talk_closed);
}

/* All that was said; false behind the last when nothing more can come. */
static bool talk_drain(struct spawn_client *c, const struct talk *t)
{
	struct sandbox_connect m;
	ssize_t n;
	while ((n = recv(t->fd, &m, sizeof m, MSG_DONTWAIT)) > 0) {
		if ((size_t)n != sizeof m)
			continue;
		m.host[sizeof m.host - 1] = m.rule[sizeof m.rule - 1] = m.why[sizeof m.why - 1] = 0;
		for (unsigned i = 0; i < SANDBOX_ADDRESSES; i++)
			m.addresses[i][sizeof m.addresses[i] - 1] = 0;
		m.addresses_n = m.addresses_n < SANDBOX_ADDRESSES ? m.addresses_n : SANDBOX_ADDRESSES;
		if (c->ev.connects)
			c->ev.connects(c->arg, t->id, &m);
		else if (m.number)
			sandbox_answer(c, t->id, m.number, false, NULL, NULL, NULL);
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void on_talk(uv_poll_t *watch, int status, int events)
{
	struct talk *t = watch->data;
	(void)events;
	if (!talk_drain(t->client, t) || status < 0)
		talk_close(t->client, t->id);
}

/* What its door was asked before we came it asks again. */
static void talk_open(struct spawn_client *c, uint64_t id, int fd)
{
	const struct door_answer hello = {0};
	uv_loop_t *loop = c->watch.loop;
	talk_close(c, id);
	struct talk *t = calloc(1, sizeof *t);
	if (!t || uv_poll_init(loop, &t->watch, fd) != 0) {
		free(t);
		close(fd);
		return;
	}
	t->client = c;
	t->id = id;
	t->fd = fd;
	t->watch.data = t;
	t->next = c->talks;
	c->talks = t;
	uv_poll_start(&t->watch, UV_READABLE, on_talk);
	if (send(fd, &hello, sizeof hello, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		errno = 0; /* it ended already, which the watch will tell */
}

int sandbox_answer(struct spawn_client *c, uint64_t id, uint64_t number, bool allowed, const char *rule, const char *why,
		   struct err *e)
{
	const struct talk *t = *talk_at(c, id);
	struct door_answer a = {.number = number, .allowed = allowed};
	snprintf(a.rule, sizeof a.rule, "%s", rule ? rule : "");
	snprintf(a.why, sizeof a.why, "%s", why ? why : "");
	if (!t || send(t->fd, &a, sizeof a, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return err_sys(e, ERR_SPAWN_LOST, t ? errno : ENOENT, "the door of its network");
	return 0;
}

/* ---- events ---- */

static void on_message(struct spawn_client *c, const struct spawn_event *m, int *fd)
{
	if (m->op == SPAWN_CAPS_ARE && c->ev.caps)
		c->ev.caps(c->arg, &m->caps);
	if (m->op == SPAWN_LISTING && c->token && m->id == c->token)
		c->listing = true;
	if (c->token && !c->listing)
		return; /* meant for an earlier worker; the list has it all again */
	if (m->op == SPAWN_STARTED) {
		c->ev.started(c->arg, m->id, m->pid, &m->layers);
		if (*fd >= 0)
			talk_open(c, m->id, take_fd(fd));
	} else if (m->op == SPAWN_ENDED) {
		if (*talk_at(c, m->id))
			talk_drain(c, *talk_at(c, m->id));
		talk_close(c, m->id);
		c->ev.ended(c->arg, m->id, &m->result);
	} else if (m->op == SPAWN_MEASURED && c->ev.measured)
		c->ev.measured(c->arg, m->id, &m->usage);
	if (m->op != SPAWN_LISTED || m->id != c->token)
		return;
	c->token = 0;
	c->listing = false;
	if (c->resynced)
		c->resynced(c->arg);
}

static void drop_waiting(struct spawn_client *c)
{
	for (struct waiting *w; (w = c->first);) {
		c->first = w->next;
		while (w->n > 0)
			close(w->fds[--w->n]);
		free(w);
	}
	c->last = &c->first;
	c->waiting = 0;
}

static void lost(struct spawn_client *c)
{
	c->lost = true;
	uv_poll_stop(&c->watch);
	drop_waiting(c);
	c->ev.lost(c->arg);
}

static void on_ready(uv_poll_t *watch, int status, int events);

static void send_waiting(struct spawn_client *c)
{
	for (struct waiting *w; (w = c->first);) {
		if (spawn_send(c->fd, &w->req, sizeof w->req, w->text, w->text_len, w->fds, w->n) ==
		    -EAGAIN)
			return;
		c->first = w->next;
		c->waiting--;
		while (w->n > 0)
			close(w->fds[--w->n]);
		free(w);
	}
	c->last = &c->first;
	uv_poll_start(&c->watch, UV_READABLE, on_ready);
}

static void on_ready(uv_poll_t *watch, int status, int events)
{
	struct spawn_client *c = watch->data;
	struct spawn_event m;
	int fds[SPAWN_FDS];
	unsigned nfds;
	ssize_t n;
	if (status == 0 && (events & UV_WRITABLE))
		send_waiting(c);
	while ((n = spawn_recv(c->fd, &m, sizeof m, fds, &nfds)) > 0) {
		int fd = nfds > 0 ? fds[--nfds] : -1;
		while (nfds > 0)
			close(fds[--nfds]);
		if ((size_t)n == sizeof m)
			on_message(c, &m, &fd);
		if (fd >= 0)
			close(fd);
		if (uv_is_closing((uv_handle_t *)watch))
			return;
	}
	if (n != -EAGAIN && n != -EINTR)
		lost(c);
}

/* ---- requests ---- */

static int wait_for_room(struct spawn_client *c, const struct spawn_req *q, const struct buf *text,
			 const int *fds, unsigned n, struct err *e)
{
	size_t len = text ? text->len : 0;
	struct waiting *w = c->waiting < WAITING_MAX ? malloc(sizeof *w + len) : NULL;
	if (!w)
		return err_sys(e, ERR_SPAWN_LOST, EAGAIN, "the spawner does not answer");
	*w = (struct waiting){.req = *q, .text_len = len};
	if (len)
		memcpy(w->text, text->data, len);
	for (; w->n < n; w->n++)
		if ((w->fds[w->n] = fcntl(fds[w->n], F_DUPFD_CLOEXEC, 0)) < 0) {
			int r = err_sys(e, ERR_SPAWN_FAILED, errno, "descriptors of a start");
			while (w->n > 0)
				close(w->fds[--w->n]);
			free(w);
			return r;
		}
	*c->last = w;
	c->last = &w->next;
	if (c->waiting++ == 0)
		uv_poll_start(&c->watch, UV_READABLE | UV_WRITABLE, on_ready);
	return 0;
}

static int request(struct spawn_client *c, const struct spawn_req *q, const struct buf *text,
		   const int *fds, unsigned n, struct err *e)
{
	int r = -EAGAIN;
	if (c->lost)
		return err_set(e, ERR_SPAWN_LOST, "the spawner is gone");
	if (!c->first)
		r = spawn_send(c->fd, q, sizeof *q, text ? text->data : NULL, text ? text->len : 0,
			       fds, n);
	if (r == -EAGAIN)
		return wait_for_room(c, q, text, fds, n, e);
	return r < 0 ? err_sys(e, ERR_SPAWN_LOST, -r, "the spawner's socket") : 0;
}

static int simple(struct spawn_client *c, uint32_t op, uint64_t id, int arg, struct err *e)
{
	return request(c, &(struct spawn_req){.op = op, .id = id, .arg = arg}, NULL, NULL, 0, e);
}

/* ---- open and close ---- */

int spawn_client_open(struct spawn_client **ret, int fd, struct loop *l,
		      const struct sandbox_events *ev, void *arg, struct err *e)
{
	struct spawn_client *c = calloc(1, sizeof *c);
	if (!c)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the spawner's client");
	c->fd = fd;
	c->ev = *ev;
	c->arg = arg;
	c->last = &c->first;
	if (uv_poll_init(&l->uv, &c->watch, fd) != 0) {
		free(c);
		return err_set(e, ERR_SPAWN_LOST, "the spawner's socket cannot be watched");
	}
	c->watch.data = c;
	uv_poll_start(&c->watch, UV_READABLE, on_ready);
	*ret = c;
	return ev->caps ? simple(c, SPAWN_CAPS, 0, 0, e) : 0;
}

static void closed(uv_handle_t *h)
{
	struct spawn_client *c = h->data;
	close(c->fd);
	free(c);
}

void spawn_client_close(struct spawn_client *c)
{
	if (!c)
		return;
	drop_waiting(c);
	while (c->talks)
		talk_close(c, c->talks->id);
	uv_close((uv_handle_t *)&c->watch, closed);
}

int spawn_client_resync(struct spawn_client *c, void (*done)(void *arg), struct err *e)
{
	c->resynced = done;
	c->listing = false;
	c->token = clock_mono_ns() << 16 | ((uint64_t)getpid() & 0xffff);
	return request(c, &(struct spawn_req){.op = SPAWN_LIST, .id = c->token}, NULL, NULL, 0, e);
}

int sandbox_signal(struct spawn_client *c, uint64_t id, int sig, struct err *e)
{
	return simple(c, SPAWN_SIGNAL, id, sig, e);
}

int sandbox_release(struct spawn_client *c, uint64_t id, struct err *e)
{
	return simple(c, SPAWN_RELEASE, id, 0, e);
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
	struct spawn_req q = {.op = SPAWN_LIMITS, .id = id, .limits = *l};
	return request(c, &q, NULL, NULL, 0, e);
}

/* ---- start ---- */

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

static void add_fd(struct spawn_req *q, int fds[static SPAWN_FDS], unsigned *n,
		   enum spawn_flag flag, int fd)
{
	if (fd < 0)
		return;
	q->flags |= flag;
	fds[(*n)++] = fd;
}

int sandbox_start(struct spawn_client *c, enum sandbox_tier tier, const struct sandbox_spec *s,
		  struct err *e)
{
	char program[PATH_MAX];
	const struct sandbox_driver *driver = NULL;
	int r = sandbox_spec_check(tier, s, program, e);
	if (r == 0)
		r = sandbox_driver_find(tier, s->driver, s->allow_degraded, &driver, e);
	if (r < 0)
		return r;
	autobuf struct buf text;
	buf_init(&text, SPAWN_TEXT_MAX);
	buf_add(&text, program, strlen(program) + 1);
	buf_add(&text, s->cwd, strlen(s->cwd) + 1);
	buf_add(&text, s->view ? s->view : "", s->view ? strlen(s->view) + 1 : 1);
	buf_add(&text, s->destinations ? s->destinations : "", s->destinations ? strlen(s->destinations) + 1 : 1);
	buf_add(&text, s->image ? s->image : "", s->image ? strlen(s->image) + 1 : 1);
	struct spawn_req q = {.op = SPAWN_START,
			      .id = s->id,
			      .limits = s->limits,
			      .flags = (s->enforce ? SPAWN_ENFORCE : 0u) |
				       (s->allow_degraded ? SPAWN_DEGRADED : 0u) |
				       (s->no_temp ? SPAWN_NO_TEMP : 0u) |
				       (s->ask_connects ? SPAWN_ASK : 0u),
			      .network = s->network,
			      .driver = sandbox_driver_number(driver),
			      .uid = s->uid == (uid_t)-1 ? -1 : (int64_t)s->uid,
			      .gid = s->gid == (gid_t)-1 ? -1 : (int64_t)s->gid};
	q.argc = add_strings(&text, s->argv);
	q.envc = add_strings(&text, s->envp);
	if (text.fail || q.argc > SPAWN_STRINGS || q.envc > SPAWN_STRINGS)
		return err_set(
			e, ERR_RESOURCE_TOO_BIG,
			"arguments and environment together have at most %u bytes and %u strings "
			"each",
			SPAWN_TEXT_MAX, SPAWN_STRINGS);
	q.text_len = (uint32_t)text.len;
	bool inlined = text.len <= SPAWN_INLINE_MAX;
	autoclose int t = inlined ? -1 : text_fd(&text);
	if (!inlined && t < 0)
		return err_sys(e, ERR_SYS_IO, errno, "memfd");
	int fds[SPAWN_FDS];
	unsigned n = 0;
	add_fd(&q, fds, &n, SPAWN_TEXT, t);
	add_fd(&q, fds, &n, SPAWN_STDIN, s->stdin_fd);
	add_fd(&q, fds, &n, SPAWN_STDOUT, s->stdout_fd);
	add_fd(&q, fds, &n, SPAWN_STDERR, s->stderr_fd);
	add_fd(&q, fds, &n, SPAWN_CWD, s->cwd_fd > 0 ? s->cwd_fd : -1);
	add_fd(&q, fds, &n, SPAWN_HOLD, s->hold_fd > 0 ? s->hold_fd : -1);
	return request(c, &q, inlined ? &text : NULL, fds, n, e);
}
