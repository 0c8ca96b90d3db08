/* SPDX-License-Identifier: MIT */
/* door_parse.c - HTTP proxy requests and SOCKS5. What is not plainly right is refused: a proxy that guesses can be made
 * to read a request otherwise than its server does. L1; any thread. */
#include "sandbox/door_parse.h"

#include <string.h>
#include <strings.h>

#include "lib/mem.h"

#define METHOD_MAX 24

static enum door_step bad(struct door_request *q, const char *why)
{
	q->why = why;
	return DOOR_BAD;
}

/* ---- SOCKS5 (RFC 1928) ---- */

enum { SOCKS_FAILED = 1, SOCKS_NO_COMMAND = 7, SOCKS_NO_ADDRESS = 8 };

static enum door_step socks_greeting(const uint8_t *d, size_t len, struct door_request *q)
{
	if (len < 2 || len < 2u + d[1])
		return DOOR_MORE;
	q->used = 2u + d[1];
	if (!memchr(d + 2, 0, d[1]))
		return bad(q, "the door knows no authentication");
	return DOOR_GREETED;
}

static enum door_step socks_bad(struct door_request *q, int code, const char *why)
{
	q->socks_error = code;
	return bad(q, why);
}

static enum door_step socks_request(const uint8_t *d, size_t len, struct door_request *q)
{
	static const size_t sizes[] = {[1] = 4, [4] = 16};
	uint8_t address[16] = {[10] = 0xff, [11] = 0xff};
	if (len < 5)
		return DOOR_MORE;
	bool name = d[3] == 3;
	size_t size = name ? 1u + d[4] : d[3] < ARRAY_LEN(sizes) ? sizes[d[3]] : 0;
	if (d[0] != 5 || d[2] != 0)
		return socks_bad(q, SOCKS_FAILED, "it is no request of SOCKS5");
	if (d[1] != 1)
		return socks_bad(q, SOCKS_NO_COMMAND, "the door knows CONNECT only");
	if (!size)
		return socks_bad(q, SOCKS_NO_ADDRESS, "an address is IPv4, IPv6 or a name");
	if (len < 4 + size + 2)
		return DOOR_MORE;
	q->used = 4 + size + 2;
	q->port = (uint16_t)(d[4 + size] << 8 | d[5 + size]);
	if (name && net_host_read((const char *)d + 5, d[4], &q->host) < 0)
		return socks_bad(q, SOCKS_FAILED, "it names no host");
	if (!name) {
		memcpy(address + 16 - size, d + 4, size);
		net_host_of(address, &q->host);
	}
	if (!q->port)
		return socks_bad(q, SOCKS_FAILED, "a port is 1 to 65535");
	return DOOR_READY;
}

/* ---- HTTP ---- */

/* Text in lines that each end in CR LF, and an empty one at the end. */
static const char *head_wrong(const char *d, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)d[i];
		if (c == '\r' && i + 1 < len && d[i + 1] == '\n') {
			i++;
			if (i + 1 < len && (d[i + 1] == ' ' || (d[i + 1] == '\t')))
				return "a header is one line";
		} else if (c == 127 || (c < ' ' && c != '\t')) {
			return "its head holds what is no text, or lines that do not end in CR LF";
		}
	}
	return NULL;
}

static enum door_step http_target(const char *d, const char *target, size_t len, struct door_request *q)
{
	static const char scheme[] = "http://";
	if (q->kind == DOOR_CONNECT)
		return net_target_read(target, len, 0, &q->host, &q->port) < 0 ? bad(q, "CONNECT names host:port")
									      : DOOR_READY;
	if (len < sizeof scheme || strncasecmp(target, scheme, sizeof scheme - 1) != 0)
		return bad(q, "a request names the whole http:// address; https goes by CONNECT");
	const char *host = target + sizeof scheme - 1, *end = target + len, *path = host;
	while (path < end && !strchr("/?#", *path))
		path++;
	if (net_target_read(host, (size_t)(path - host), 80, &q->host, &q->port) < 0)
		return bad(q, "behind http:// stands host or host:port, and no user");
	q->path = (size_t)(path - d);
	q->path_len = (size_t)(end - path);
	return memchr(path, '#', q->path_len) ? bad(q, "an address has no '#'") : DOOR_READY;
}

static enum door_step http(const char *d, size_t len, struct door_request *q)
{
	static const char end_mark[] = "\r\n\r\n";
	const char *end = memmem(d, len, end_mark, 4);
	size_t n = 0;
	while (n < len && n < METHOD_MAX && d[n] >= 'A' && d[n] <= 'Z')
		n++;
	if (n == METHOD_MAX || (n < len && (d[n] != ' ' || n == 0)))
		return bad(q, "it is no request of HTTP or SOCKS5");
	if (!end)
		return len >= DOOR_HEAD_MAX ? bad(q, "its head is too long") : DOOR_MORE;
	q->used = (size_t)(end + 4 - d);
	const char *why = head_wrong(d, q->used);
	if (why)
		return bad(q, why);
	const char *line_end = memmem(d, q->used, "\r\n", 2), *target = d + n + 1;
	const char *space = memchr(target, ' ', (size_t)(line_end - target));
	size_t version = space ? (size_t)(space + 1 - d) : 0;
	if (!space || line_end - space != 9 ||
	    (memcmp(space + 1, "HTTP/1.1", 8) != 0 && memcmp(space + 1, "HTTP/1.0", 8) != 0))
		return bad(q, "it is no request of HTTP/1");
	q->kind = n == 7 && memcmp(d, "CONNECT", 7) == 0 ? DOOR_CONNECT : DOOR_HTTP;
	q->method_len = n;
	q->version = version;
	q->headers = (size_t)(line_end + 2 - d);
	return http_target(d, target, (size_t)(space - target), q);
}

enum door_step door_parse(const char *data, size_t len, bool greeted, struct door_request *ret)
{
	*ret = (struct door_request){0};
	if (len == 0)
		return DOOR_MORE;
	if (!greeted && data[0] != 5)
		return http(data, len, ret);
	ret->kind = DOOR_SOCKS;
	const uint8_t *d = (const uint8_t *)data;
	return greeted ? socks_request(d, len, ret) : socks_greeting(d, len, ret);
}

/* Of the way to the proxy, or said by the proxy itself. */
static bool of_the_hop(const char *line, size_t len)
{
	static const char *const names[] = {"host",	   "connection",	  "proxy-connection",	"keep-alive",
					    "upgrade", "proxy-authorization", "proxy-authenticate", "te"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t n = strlen(names[i]);
		if (len > n && strncasecmp(line, names[i], n) == 0 && strchr(": \t", line[n]))
			return true;
	}
	return false;
}

int door_head(const char *d, const struct door_request *q, struct buf *out)
{
	char host[NET_TARGET_TEXT];
	net_target_text(&q->host, q->port, host);
	if (q->port == 80)
		*strrchr(host, ':') = 0;
	buf_printf(out, "%.*s %s%.*s %.8s\r\nHost: %s\r\n", (int)q->method_len, d,
		   q->path_len && d[q->path] == '/' ? "" : "/", (int)q->path_len, d + q->path, d + q->version, host);
	for (const char *line = d + q->headers, *end = d + q->used - 2, *next; line < end; line = next) {
		next = (const char *)memmem(line, (size_t)(d + q->used - line), "\r\n", 2) + 2;
		if (!of_the_hop(line, (size_t)(next - line)))
			buf_add(out, line, (size_t)(next - line));
	}
	return buf_adds(out, "Connection: close\r\n\r\n");
}
