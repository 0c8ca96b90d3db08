/* SPDX-License-Identifier: MIT */
/* server.c - connections: accepted by us, because their number per user is limited and because who is
 * calling is asked once, then handed to libmicrohttpd, whose epoll descriptor our loop watches. L3;
 * loop thread only. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/api_i.h"
#include "api/status.h"
#include "lib/log.h"
#include "lib/metric.h"

#define ACCEPT_BURST    64  /* connections taken per turn of the loop */
#define ACCEPT_PAUSE_MS 100 /* when no descriptor is left */
#define RUN_BURST       16  /* turns of libmicrohttpd per turn of the loop */
#define SPIN_NS         30000u
#define TURN_NS         500000u

/* ---- who is there ---- */

static struct api_user *user_of(struct api_server *s, uid_t uid)
{
	for (struct api_user *u = s->users; u; u = u->next)
		if (u->uid == uid)
			return u;
	struct api_user *u = calloc(1, sizeof *u);
	if (!u)
		return NULL;
	*u = (struct api_user){.next = s->users, .uid = uid};
	s->users = u;
	return u;
}

static void user_left(struct api_server *s, struct api_user *user)
{
	struct api_user **at = &s->users;
	if (--user->connections)
		return;
	while (*at != user)
		at = &(*at)->next;
	*at = user->next;
	free(user);
}

static bool may_connect(const struct api_server *s, const struct api_user *u)
{
	if (u->uid == 0 || u->uid == geteuid())
		return true; /* up to libmicrohttpd's own limit */
	return u->connections <= s->opts.max_connections_per_user; /* itself included */
}

static void on_hang_up(uv_poll_t *watch, int status, int events);

/* uv_poll for one event that is reported again and again until it is handled; POLLHUP comes always. */
static void watch_peer(struct api_peer *p)
{
	uv_poll_start(&p->watch, p->half_closed ? UV_PRIORITIZED : UV_DISCONNECT, on_hang_up);
}

/* Closed for good: what it waits for is cancelled. Only shut down for sending (nc -N, socat): it gets
 * its answer and then the end; libmicrohttpd does not see that when it came together with the
 * request, and would keep the connection for the next one. */
static void on_hang_up(uv_poll_t *watch, int status, int events)
{
	(void)status, (void)events;
	struct api_peer *p = watch->data;
	int fd = -1;
	uv_fileno((uv_handle_t *)watch, &fd);
	struct pollfd now = {fd, POLLRDHUP, 0};
	bool gone = poll(&now, 1, 0) == 1 && (now.revents & (POLLHUP | POLLERR | POLLNVAL));
	uv_poll_stop(watch);
	p->s->woken = true; /* its timeouts may have changed */
	if (gone && p->request) {
		request_abandon(p->request);
	} else if (!gone && !p->half_closed) {
		p->half_closed = true;
		if (!p->request)
			MHD_set_connection_option(p->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 1u);
		watch_peer(p);
	}
}

static struct api_peer *peer_new(struct api_server *s, int fd)
{
	struct ucred c;
	socklen_t len = sizeof c;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len) < 0)
		return NULL;
	struct api_peer *p = calloc(1, sizeof *p);
	struct api_user *u = p ? user_of(s, c.uid) : NULL;
	if (!u || uv_poll_init(&s->loop->uv, &p->watch, fd) < 0) {
		free(p);
		return NULL;
	}
	p->watch.data = p;
	p->s = s;
	p->who = (struct actor){
		.uid = c.uid, .gid = c.gid, .pid = c.pid, .groups = groups_of_peer(fd)};
	p->user = u;
	u->connections++;
	s->connections++;
	return p;
}

static void peer_closed(uv_handle_t *watch)
{
	free(watch->data);
}

static void peer_free(struct api_peer *p)
{
	struct api_server *s = p->s;
	s->connections--;
	user_left(s, p->user);
	uv_close((uv_handle_t *)&p->watch, peer_closed);
	metric_set(METRIC_API_CONNECTIONS, s->connections);
}

static void on_connection(void *cls, struct MHD_Connection *c, void **socket_context,
			  enum MHD_ConnectionNotificationCode what)
{
	struct api_server *s = cls;
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		struct api_peer *p = take_ptr(s->accepting);
		*socket_context = p;
		p->mhd = c;
		watch_peer(p);
	} else if (*socket_context) {
		peer_free(*socket_context);
		*socket_context = NULL;
	}
}

/* ---- accepting ---- */

/* One write into an empty socket buffer: it is taken whole or the client has gone. */
static void turn_away(int fd)
{
	static const struct err busy = {ERR_RESOURCE_SHORT, EDQUOT, 0,
					"too many connections; close some, or raise "
					"socket.max_connections"};
	char head[256];
	autobuf struct buf b;
	buf_init(&b, 4096);
	status_body(&busy, NULL, &b);
	int n = snprintf(head, sizeof head,
			 "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
			 "Content-Length: %zu\r\nRetry-After: 1\r\nConnection: close\r\n\r\n",
			 b.len);
	if (send(fd, head, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE) == n)
		send(fd, b.data, b.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static void hand_over(struct api_server *s, int fd)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct api_peer *p = peer_new(s, fd);
	if (!p) {
		close(fd);
		return;
	}
	if (s->connections > s->opts.max_connections || !may_connect(s, p->user)) {
		peer_free(p);
		turn_away(fd);
		return;
	}
	s->accepting = p;
	/* Closes fd when it fails. */
	MHD_add_connection(s->mhd, fd, (const struct sockaddr *)&at, sizeof at.sun_family);
	if (s->accepting)
		peer_free(take_ptr(s->accepting));
	metric_set(METRIC_API_CONNECTIONS, s->connections);
}

static void on_connect(uv_poll_t *watch, int status, int events);

static void accept_again(uv_timer_t *t)
{
	struct api_server *s = t->data;
	uv_poll_start(&s->accept_watch, UV_READABLE, on_connect);
}

static void mhd_turn(struct api_server *s);

static void on_connect(uv_poll_t *watch, int status, int events)
{
	(void)status, (void)events;
	struct api_server *s = watch->data;
	for (int i = 0; i < ACCEPT_BURST; i++) {
		int fd = accept4(s->opts.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			hand_over(s, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			log_warn("api.no_descriptors", "error", strerror(errno), NULL);
			uv_poll_stop(&s->accept_watch);
			uv_timer_start(&s->pause, accept_again, ACCEPT_PAUSE_MS, 0);
		}
		if (errno != ECONNABORTED && errno != EINTR)
			break;
	}
	mhd_turn(s);
}

/* ---- libmicrohttpd in our loop ---- */

static void on_timeout(uv_timer_t *t)
{
	mhd_turn(t->data);
}

/* Returns whether libmicrohttpd wants to go on at once. */
static bool mhd_run(struct api_server *s)
{
	MHD_UNSIGNED_LONG_LONG ms;
	MHD_run(s->mhd);
	if (MHD_get_timeout(s->mhd, &ms) != MHD_YES) {
		uv_timer_stop(&s->mhd_timer);
		return false;
	}
	uv_timer_start(&s->mhd_timer, on_timeout, ms, 0);
	return ms == 0;
}

static void mhd_turn(struct api_server *s)
{
	bool more = true;
	for (int i = 0; i < RUN_BURST && more; i++) {
		s->woken = false;
		more = mhd_run(s) || s->woken;
	}
	if (more)
		uv_timer_start(&s->mhd_timer, on_timeout, 0, 0);
}

/* Without a thread of its own libmicrohttpd does not notice by itself that a connection was resumed. */
static void before_sleep(uv_prepare_t *p)
{
	struct api_server *s = p->data;
	if (s->woken)
		mhd_turn(s);
}

static void on_mhd(uv_poll_t *watch, int status, int events)
{
	(void)status, (void)events;
	mhd_turn(watch->data);
}

static __attribute__((format(printf, 2, 0))) void on_log(void *cls, const char *format, va_list ap)
{
	(void)cls;
	char text[300];
	vsnprintf(text, sizeof text, format, ap);
	text[strcspn(text, "\n")] = 0;
	log_debug("api.http", "text", text, NULL);
}

/* Paths are decoded by us, once and strictly. */
static size_t leave_escaped(void *cls, struct MHD_Connection *c, char *s)
{
	(void)cls, (void)c;
	return strlen(s);
}

static struct MHD_Daemon *start_mhd(struct api_server *s)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET |
					MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
				0, NULL, NULL, api_on_request, s, MHD_OPTION_EXTERNAL_LOGGER,
				on_log, NULL, MHD_OPTION_NOTIFY_COMPLETED, api_on_completed, s,
				MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
				MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
				MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)API_IDLE_SECONDS,
				MHD_OPTION_CONNECTION_LIMIT, s->opts.max_connections,
				MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
}

static int watch(struct api_server *s, uv_poll_t *w, int fd, uv_poll_cb fn)
{
	int r = uv_poll_init(&s->loop->uv, w, fd);
	if (r == 0) {
		w->data = s;
		s->open_watches++;
		r = uv_poll_start(w, UV_READABLE, fn);
	}
	return r;
}

static void timer(struct api_server *s, uv_timer_t *t)
{
	uv_timer_init(&s->loop->uv, t);
	t->data = s;
	s->open_watches++;
}

int api_open(struct api_server **ret, struct tree *t, struct loop *l, const struct api_opts *o,
	     struct err *e)
{
	struct api_server *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the socket");
	*s = (struct api_server){.tree = t, .loop = l, .opts = *o};
	s->mhd = start_mhd(s);
	if (!s->mhd) {
		free(s);
		return err_set(e, ERR_SYS_IO, "libmicrohttpd cannot be started");
	}
	timer(s, &s->mhd_timer);
	timer(s, &s->pause);
	uv_prepare_init(&l->uv, &s->before_sleep);
	s->before_sleep.data = s;
	s->open_watches++;
	uv_prepare_start(&s->before_sleep, before_sleep);
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	int r = info ? watch(s, &s->mhd_watch, info->epoll_fd, on_mhd) : UV_EBADF;
	if (r == 0)
		r = watch(s, &s->accept_watch, o->listen_fd, on_connect);
	if (r < 0) {
		api_close(s);
		return err_sys(e, ERR_SYS_IO, -r, "the socket cannot be watched");
	}
	*ret = s;
	return 0;
}

static void watch_closed(uv_handle_t *h)
{
	struct api_server *s = h->data;
	if (--s->open_watches == 0)
		free(s);
}

static void close_watch(struct api_server *s, uv_handle_t *h)
{
	if (h->data == s) /* it was made */
		uv_close(h, watch_closed);
}

void api_close(struct api_server *s)
{
	if (!s)
		return;
	s->closing = true;
	for (struct api_request *r = s->requests, *next; r; r = next) {
		next = r->list_next;
		request_cancel(r);
	}
	/* libmicrohttpd refuses to stop with suspended connections. */
	for (struct api_request *r = s->requests; r; r = r->list_next) {
		r->broken = true;
		request_wake(r);
	}
	MHD_run(s->mhd);
	MHD_stop_daemon(s->mhd);
	for (struct api_request *r = s->requests; r; r = r->list_next)
		r->s = NULL; /* its reply is still on the way */
	close_watch(s, (uv_handle_t *)&s->mhd_watch);
	close_watch(s, (uv_handle_t *)&s->accept_watch);
	close_watch(s, (uv_handle_t *)&s->mhd_timer);
	close_watch(s, (uv_handle_t *)&s->pause);
	close_watch(s, (uv_handle_t *)&s->before_sleep);
}
