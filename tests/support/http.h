/* SPDX-License-Identifier: MIT */
/* http.h - HTTP over a Unix socket as plainly as can be, so that a test says every byte itself. */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/buf.h"
#include "tests/support/check.h"

struct http_reply {
	unsigned status; /* 0: the connection ended without an answer */
	char *head;      /* status line and headers, '\n' ended lines; owned */
	char *body;      /* owned, NUL behind it */
	size_t len;
	bool whole; /* the body came to its end as announced */
};

static inline int http_connect(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
	return fd;
}

/* Whether all of it could be sent. */
static inline bool http_raw(int fd, const void *data, size_t len)
{
	for (const char *p = data; len;) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static inline bool http_text(int fd, const char *text)
{
	return http_raw(fd, text, strlen(text));
}

/* headers: whole lines ended by \r\n, or "". body NULL: none. */
static inline bool http_send(int fd, const char *method, const char *path, const char *headers,
			     const char *body)
{
	autobuf struct buf b;
	buf_init(&b, 64 << 20);
	buf_printf(&b, "%s %s HTTP/1.1\r\nHost: symbi\r\n%s", method, path, headers);
	if (body)
		buf_printf(&b, "Content-Length: %zu\r\n", strlen(body));
	buf_adds(&b, "\r\n");
	buf_adds(&b, body ? body : "");
	return http_raw(fd, b.data, b.len);
}

/* Value of a header, copied to out; false when it is absent. */
static inline bool http_header(const struct http_reply *r, const char *name, char *out, size_t cap)
{
	char key[80];
	snprintf(key, sizeof key, "\n%s: ", name);
	const char *at = r->head ? strcasestr(r->head, key) : NULL;
	if (!at)
		return false;
	at += strlen(key);
	snprintf(out, cap, "%.*s", (int)strcspn(at, "\r\n"), at);
	return true;
}

static inline bool http_more(int fd, struct buf *b)
{
	char piece[65536];
	ssize_t n = recv(fd, piece, sizeof piece, 0);
	return n > 0 && buf_add(b, piece, (size_t)n) == 0;
}

/* Cut n bytes off the front of b into out. */
static inline bool http_take(int fd, struct buf *b, size_t n, struct buf *out)
{
	while (b->len < n)
		if (!http_more(fd, b))
			return false;
	buf_add(out, b->data, n);
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
	return true;
}

static inline bool http_take_line(int fd, struct buf *b, struct buf *out)
{
	const char *nl;
	buf_clear(out);
	while (!(nl = memchr(b->data, '\n', b->len)))
		if (!http_more(fd, b))
			return false;
	return http_take(fd, b, (size_t)(nl - b->data) + 1, out);
}

static inline bool http_take_chunks(int fd, struct buf *b, struct buf *body)
{
	autobuf struct buf line;
	buf_init(&line, 4096);
	for (;;) {
		unsigned n = 0;
		if (!http_take_line(fd, b, &line) || sscanf(line.data, "%x", &n) != 1)
			return false;
		if (n && !http_take(fd, b, n, body))
			return false;
		if (!http_take_line(fd, b, &line)) /* behind the chunk */
			return false;
		if (n == 0)
			return true;
	}
}

/* Read the next answer. rest keeps what was read beyond it, for pipelined answers. */
static inline struct http_reply http_read_rest(int fd, struct buf *rest, bool head_only)
{
	struct http_reply r = {0};
	struct buf head, body;
	char text[32];
	autobuf struct buf line;
	buf_init(&head, 1 << 20);
	buf_init(&body, 256 << 20);
	buf_init(&line, 1 << 20);
	while (http_take_line(fd, rest, &line)) {
		buf_add(&head, line.data, line.len);
		if (strcmp(line.data, "\r\n") != 0)
			continue;
		sscanf(head.data, "HTTP/1.1 %u", &r.status);
		if (r.status != 100)
			break;
		r.status = 0;
		buf_clear(&head);
	}
	size_t n;
	r.head = buf_take(&head, &n);
	if (head_only || r.status == 204)
		r.whole = true;
	else if (http_header(&r, "Content-Length", text, sizeof text))
		r.whole = sscanf(text, "%zu", &n) == 1 && http_take(fd, rest, n, &body);
	else if (http_header(&r, "Transfer-Encoding", text, sizeof text))
		r.whole = http_take_chunks(fd, rest, &body);
	r.body = buf_take(&body, &r.len);
	return r;
}

static inline struct http_reply http_read(int fd)
{
	autobuf struct buf rest;
	buf_init(&rest, 256 << 20);
	return http_read_rest(fd, &rest, false);
}

static inline void http_free(struct http_reply *r)
{
	free(r->head);
	free(r->body);
}
#define autoreply __attribute__((cleanup(http_free)))

/* One exchange on a connection of its own. */
static inline struct http_reply http_do(const char *socket, const char *method, const char *path,
					const char *headers, const char *body)
{
	int fd = http_connect(socket);
	autobuf struct buf rest;
	buf_init(&rest, 256 << 20);
	http_send(fd, method, path, headers, body);
	struct http_reply r = http_read_rest(fd, &rest, strcmp(method, "HEAD") == 0);
	close(fd);
	return r;
}
