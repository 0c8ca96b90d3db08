/* SPDX-License-Identifier: MIT */
/* door_conn.c - a connection through the door, from what it asks for to a server or a refusal. L1. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/mem.h"
#include "sandbox/door_i.h"

#define HEAD_MS	  30000
#define DIAL_MS	  30000
#define LINGER_MS 2000

/* ---- its end ---- */

static void maybe_free(struct conn *c)
{
	struct door *d = c->door;
	if (c->handles || c->looking)
		return;
	*c->at = c->next;
	if (c->next)
		c->next->at = c->at;
	free(c->first);
	free(c);
	d->n--;
	door_accept(d);
}

static void on_closed(uv_handle_t *h)
{
	struct conn *c = h->data;
	c->handles--;
	maybe_free(c);
}

static void close_one(struct conn *c, uv_tcp_t *t)
{
	if (!uv_is_closing((uv_handle_t *)t))
		uv_close((uv_handle_t *)t, on_closed);
	(void)c;
}

void conn_close(struct conn *c)
{
	if (c->state == CONN_CLOSING)
		return;
	c->state = CONN_CLOSING;
	c->number = 0;
	c->until_ms = 0;
	if (c->looking)
		uv_cancel((uv_req_t *)&c->lookup);
	close_one(c, &c->in);
	if (c->has_out)
		close_one(c, &c->out);
}

/* ---- refusals ---- */

static void room(uv_handle_t *h, size_t size, uv_buf_t *b)
{
	struct conn *c = h->data;
	(void)size;
	size_t from = c->state == CONN_HEAD ? c->len : 0;
	*b = uv_buf_init(c->head + from, (unsigned)(sizeof c->head - from));
}

static void on_discarded(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	(void)b;
	if (n < 0)
		conn_close(s->data);
}

static void on_shut(uv_shutdown_t *s, int status)
{
	if (status < 0)
		conn_close(s->data);
}

/* Say so, and wait a little until it is read: a close with something unread would take the answer back. */
static void answer_and_end(struct conn *c, const char *data, size_t len)
{
	uv_buf_t b = uv_buf_init((char *)data, (unsigned)len);
	c->state = CONN_LINGER;
	c->until_ms = uv_now(&c->door->loop) + LINGER_MS;
	c->up.end.data = c;
	uv_read_stop((uv_stream_t *)&c->in);
	if (uv_try_write((uv_stream_t *)&c->in, &b, 1) != (int)len ||
	    uv_shutdown(&c->up.end, (uv_stream_t *)&c->in, on_shut) < 0 ||
	    uv_read_start((uv_stream_t *)&c->in, room, on_discarded) < 0)
		conn_close(c);
}

enum refusal { REFUSED, BAD_REQUEST, UNREACHABLE };

static void refuse(struct conn *c, enum refusal kind, const char *why)
{
	static const char *const status[] = {"403 Forbidden", "400 Bad Request", "502 Bad Gateway"};
	static const char socks[] = {2, 1, 4};
	char to[NET_TARGET_TEXT] = "", body[NET_TARGET_TEXT + 300], text[sizeof body + 200];
	if (c->q.kind == DOOR_SOCKS) {
		char code = c->q.socks_error ? (char)c->q.socks_error : socks[kind], reply[10] = {5, code, 0, 1};
		if (c->greeted)
			answer_and_end(c, reply, sizeof reply);
		else
			answer_and_end(c, "\5\xff", 2);
		return;
	}
	if (c->q.port)
		net_target_text(&c->q.host, c->q.port, to);
	int n = snprintf(body, sizeof body, "%s %s%s%s\n",
			 err_code_name(kind == REFUSED ? ERR_SEC_VIOLATION : ERR_SYS_IO), to, *to ? ": " : "", why);
	n = snprintf(text, sizeof text,
		     "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		     status[kind], n, body);
	answer_and_end(c, text, (size_t)n);
}

static void not_allowed(struct conn *c, const char *why)
{
	talk_tell(c, false, NULL, why);
	refuse(c, REFUSED, why);
}

void conn_late(struct conn *c)
{
	switch (c->state) {
	case CONN_ASK_NAME:
	case CONN_ASK:
		c->number = 0;
		not_allowed(c, "nobody decided in time");
		break;
	case CONN_RESOLVE:
	case CONN_DIAL:
		talk_tell(c, c->state == CONN_DIAL, NULL, "it did not answer in time");
		refuse(c, UNREACHABLE, "it did not answer in time");
		break;
	case CONN_HEAD:
	case CONN_LINGER: conn_close(c); break;
	case CONN_RELAY:
	case CONN_CLOSING: break;
	}
}

/* ---- to the server ---- */

static void dial(struct conn *c);

static void on_out_closed(uv_handle_t *h)
{
	struct conn *c = h->data;
	c->handles--;
	c->has_out = false;
	if (c->state == CONN_DIAL)
		dial(c);
	else
		maybe_free(c);
}

static void on_connected(uv_connect_t *r, int status)
{
	struct conn *c = r->data;
	struct net_host h = {0};
	char why[SANDBOX_WHY];
	if (c->state != CONN_DIAL)
		return;
	if (status < 0 && c->dialled < c->addresses_n) {
		uv_close((uv_handle_t *)&c->out, on_out_closed);
		return;
	}
	net_host_of(c->addresses[c->dialled - 1], &h);
	if (status == 0) {
		talk_tell(c, true, h.name, NULL);
		relay_begin(c);
		return;
	}
	snprintf(why, sizeof why, "it could not be connected: %s", uv_strerror(status));
	talk_tell(c, true, h.name, why);
	refuse(c, UNREACHABLE, why);
}

/* The next of the addresses that were checked. */
static void dial(struct conn *c)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(c->q.port)};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(c->q.port)};
	struct net_host h = {0};
	const uint8_t *a = c->addresses[c->dialled++];
	net_host_of(a, &h);
	bool v6 = strchr(h.name, ':');
	memcpy(&six.sin6_addr, a, 16);
	memcpy(&four.sin_addr, a + 12, 4);
	c->state = CONN_DIAL;
	c->until_ms = uv_now(&c->door->loop) + DIAL_MS;
	c->connect.data = c;
	if (uv_tcp_init(&c->door->loop, &c->out) < 0) {
		conn_close(c);
		return;
	}
	c->out.data = c;
	c->has_out = true;
	c->handles++;
	int r = uv_tcp_connect(&c->connect, &c->out, v6 ? (struct sockaddr *)&six : (struct sockaddr *)&four,
			       on_connected);
	if (r < 0)
		on_connected(&c->connect, r);
}

/* ---- may it? ---- */

/* Would this machine answer itself there? It would take the address for its own to connect from. */
static bool own(const uint8_t a[16], uint16_t port)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)}, from = {0};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	bool v4 = memcmp(a, mapped, sizeof mapped) == 0;
	uint8_t source[16];
	socklen_t len = sizeof from;
	memcpy(&six.sin6_addr, a, 16);
	memcpy(&four.sin_addr, a + 12, 4);
	autoclose int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return true;
	int r = v4 ? connect(fd, (struct sockaddr *)&four, sizeof four) : connect(fd, (struct sockaddr *)&six, sizeof six);
	if (r < 0) /* there is no way there, and none to ourselves */
		return false;
	return getsockname(fd, (struct sockaddr *)&from, &len) < 0 || !net_address_of((struct sockaddr *)&from, source) ||
	       memcmp(source, a, 16) == 0;
}

/* Leave what may be connected to. Why not, when nothing is left. */
static bool check_addresses(struct conn *c, char why[static SANDBOX_WHY])
{
	unsigned kept = 0;
	snprintf(why, SANDBOX_WHY, "it has no address");
	for (unsigned i = 0; i < c->addresses_n; i++) {
		uint8_t *a = c->addresses[i];
		struct net_host h = {0};
		const char *what = net_special(a);
		if (!what && own(a, c->q.port))
			what = "of this machine itself";
		net_host_of(a, &h);
		if (what && !net_rules_names(c->door->rules, a, c->q.port))
			snprintf(why, SANDBOX_WHY, "its address %.45s is %s, and no destination names that", h.name, what);
		else
			memmove(c->addresses[kept++], a, 16);
	}
	c->addresses_n = kept;
	return kept > 0;
}

static void check(struct conn *c)
{
	char why[SANDBOX_WHY];
	if (!check_addresses(c, why)) {
		not_allowed(c, why);
	} else if (c->door->plan->ask) {
		c->state = CONN_ASK;
		talk_ask(c);
	} else {
		dial(c);
	}
}

static void on_resolved(uv_getaddrinfo_t *l, int status, struct addrinfo *list)
{
	struct conn *c = l->data;
	char why[SANDBOX_WHY];
	c->looking = false;
	for (struct addrinfo *i = list; i && c->addresses_n < DOOR_ADDRESSES; i = i->ai_next)
		c->addresses_n += net_address_of(i->ai_addr, c->addresses[c->addresses_n]);
	uv_freeaddrinfo(list);
	if (c->state != CONN_RESOLVE) {
		maybe_free(c);
		return;
	}
	if (status == 0) {
		check(c);
		return;
	}
	snprintf(why, sizeof why, "its name could not be resolved: %s", uv_strerror(status));
	talk_tell(c, false, NULL, why);
	refuse(c, UNREACHABLE, why);
}

static void resolve(struct conn *c)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	if (c->q.host.is_address) {
		memcpy(c->addresses[c->addresses_n++], c->q.host.address, 16);
		check(c);
		return;
	}
	c->state = CONN_RESOLVE;
	c->until_ms = uv_now(&c->door->loop) + DIAL_MS;
	c->lookup.data = c;
	c->looking = uv_getaddrinfo(&c->door->loop, &c->lookup, on_resolved, c->q.host.name, NULL, &hints) == 0;
	if (!c->looking)
		refuse(c, UNREACHABLE, "its name cannot be resolved");
}

void conn_answered(struct conn *c, const struct door_answer *a)
{
	c->number = 0;
	c->until_ms = 0;
	if (a->rule[0])
		snprintf(c->rule, sizeof c->rule, "%s", a->rule);
	if (!a->allowed)
		not_allowed(c, a->why[0] ? a->why : "it is not allowed");
	else if (c->state == CONN_ASK_NAME)
		resolve(c);
	else
		dial(c);
}

/* No name is looked up that may not be connected to: a look-up can carry what it likes to whoever serves the name. */
static void consider(struct conn *c)
{
	const struct door *d = c->door;
	const char *rule = net_rules_find(d->rules, &c->q.host, c->q.port);
	uv_read_stop((uv_stream_t *)&c->in);
	if (rule)
		snprintf(c->rule, sizeof c->rule, "%s", rule);
	if (rule) {
		resolve(c);
	} else if (net_rules_any(d->rules) || !d->plan->ask) {
		not_allowed(c, "it is none of the allowed destinations");
	} else {
		c->state = CONN_ASK_NAME;
		talk_ask(c);
	}
}

/* ---- what it says first ---- */

static bool greet(struct conn *c)
{
	uv_buf_t b = uv_buf_init("\5", 2);
	c->greeted = true;
	c->len -= c->q.used;
	memmove(c->head, c->head + c->q.used, c->len);
	return uv_try_write((uv_stream_t *)&c->in, &b, 1) == 2;
}

static void parse(struct conn *c)
{
	switch (door_parse(c->head, c->len, c->greeted, &c->q)) {
	case DOOR_MORE: break;
	case DOOR_GREETED:
		if (greet(c))
			parse(c);
		else
			conn_close(c);
		break;
	case DOOR_READY: consider(c); break;
	case DOOR_BAD: refuse(c, BAD_REQUEST, c->q.why); break;
	}
}

static void on_head(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct conn *c = s->data;
	(void)b;
	if (n < 0) {
		conn_close(c);
		return;
	}
	c->len += (size_t)n;
	if (n > 0)
		parse(c);
}

bool conn_accept(struct door *d)
{
	struct conn *c = calloc(1, sizeof *c);
	if (!c)
		return false;
	c->door = d;
	c->in.data = c;
	if (uv_tcp_init(&d->loop, &c->in) < 0) {
		free(c);
		return false;
	}
	c->handles = 1;
	c->until_ms = uv_now(&d->loop) + HEAD_MS;
	c->next = d->conns;
	c->at = &d->conns;
	if (c->next)
		c->next->at = &c->next;
	d->conns = c;
	d->n++;
	if (uv_accept((uv_stream_t *)&d->listener, (uv_stream_t *)&c->in) < 0 ||
	    uv_read_start((uv_stream_t *)&c->in, room, on_head) < 0)
		conn_close(c);
	return true;
}

void conn_resume(struct conn *c)
{
	if (c->state == CONN_RELAY && c->up.starved)
		relay_resume(&c->up);
	if (c->state == CONN_RELAY && c->down.starved)
		relay_resume(&c->down);
}
