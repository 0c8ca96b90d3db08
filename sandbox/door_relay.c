/* SPDX-License-Identifier: MIT */
/* door_relay.c - bytes from a program to its server and back, one read at a time in each direction, within the bandwidth
 * that both have together. L1. */
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "sandbox/door_i.h"

static void room(uv_handle_t *h, size_t size, uv_buf_t *b)
{
	struct conn *c = h->data;
	(void)size;
	*b = uv_buf_init(h == (uv_handle_t *)&c->in ? c->head : c->back, DOOR_HEAD_MAX);
}

static void on_written(uv_write_t *w, int status)
{
	struct flow *f = w->data;
	if (f == &f->conn->up)
		free(take_ptr(f->conn->first));
	if (status < 0)
		conn_close(f->conn);
	else if (f->conn->state == CONN_RELAY && !f->ended)
		relay_resume(f);
}

static void send_on(struct flow *f, char *data, size_t len)
{
	uv_buf_t b = uv_buf_init(data, (unsigned)len);
	f->write.data = f;
	if (uv_write(&f->write, f->to, &b, 1, on_written) < 0)
		conn_close(f->conn);
}

static void on_shut(uv_shutdown_t *s, int status)
{
	struct flow *f = s->data;
	struct conn *c = f->conn;
	if (c->state == CONN_RELAY && (status < 0 || (c->up.ended && c->down.ended)))
		conn_close(c);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct conn *c = s->data;
	struct flow *f = s == (uv_stream_t *)&c->in ? &c->up : &c->down;
	if (n == 0)
		return;
	uv_read_stop(s);
	if (n > 0) {
		c->door->bytes.level -= (double)n;
		send_on(f, b->base, (size_t)n);
		return;
	}
	f->ended = true;
	f->end.data = f;
	if (n != UV_EOF || uv_shutdown(&f->end, f->to, on_shut) < 0)
		conn_close(c);
}

void relay_resume(struct flow *f)
{
	struct door *d = f->conn->door;
	f->starved = d->plan->bytes_per_s && !bucket_take(&d->bytes, uv_now(&d->loop), 0);
	if (f->starved)
		door_soon(d);
	else if (uv_read_start(f->from, room, on_read) < 0)
		conn_close(f->conn);
}

static const char *welcome(const struct conn *c, size_t *len)
{
	static const char ok[] = "HTTP/1.1 200 Connection established\r\n\r\n", socks[] = "\5\0\0\1\0\0\0\0\0";
	*len = c->q.kind == DOOR_CONNECT ? sizeof ok - 1 : c->q.kind == DOOR_SOCKS ? sizeof socks : 0;
	return c->q.kind == DOOR_CONNECT ? ok : socks;
}

/* The head as the server gets it, and what followed it already. */
static bool make_first(struct conn *c, size_t *len)
{
	struct buf b;
	buf_init(&b, 4 * DOOR_HEAD_MAX);
	door_head(c->head, &c->q, &b);
	buf_add(&b, c->head + c->q.used, c->len - c->q.used);
	c->first = buf_take(&b, len);
	buf_done(&b);
	return c->first;
}

void relay_begin(struct conn *c)
{
	size_t len, rest = c->len - c->q.used;
	const char *say = welcome(c, &len);
	uv_buf_t b = uv_buf_init((char *)say, (unsigned)len);
	c->state = CONN_RELAY;
	c->until_ms = 0;
	c->up = (struct flow){.conn = c, .from = (uv_stream_t *)&c->in, .to = (uv_stream_t *)&c->out};
	c->down = (struct flow){.conn = c, .from = (uv_stream_t *)&c->out, .to = (uv_stream_t *)&c->in};
	uv_tcp_nodelay(&c->in, 1);
	uv_tcp_nodelay(&c->out, 1);
	uv_tcp_keepalive(&c->out, 1, 60);
	if ((len && uv_try_write((uv_stream_t *)&c->in, &b, 1) != (int)len) ||
	    (c->q.kind == DOOR_HTTP && !make_first(c, &rest))) {
		conn_close(c);
		return;
	}
	if (c->first)
		send_on(&c->up, c->first, rest);
	else if (rest)
		send_on(&c->up, c->head + c->q.used, rest);
	else
		relay_resume(&c->up);
	if (c->state == CONN_RELAY)
		relay_resume(&c->down);
}
