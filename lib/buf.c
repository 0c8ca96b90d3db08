/* SPDX-License-Identifier: MIT */
/* buf.c - a growing byte buffer with a hard cap. L0. */
#include "lib/buf.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char empty[1];

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.data = empty, .max = max < SIZE_MAX / 4 ? max : SIZE_MAX / 4};
}

void buf_done(struct buf *b)
{
	if (b->cap)
		free(b->data);
	buf_init(b, b->max);
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->fail = 0;
	if (b->cap)
		b->data[0] = 0;
}

static int failed(struct buf *b, int r)
{
	if (!b->fail)
		b->fail = r;
	return r;
}

int buf_reserve(struct buf *b, size_t more)
{
	if (more > b->max || b->len > b->max - more)
		return failed(b, -EFBIG);
	size_t need = b->len + more + 1;
	if (need <= b->cap)
		return 0;
	size_t cap = b->cap ? b->cap : 64;
	while (cap < need)
		cap *= 2;
	if (cap > b->max + 1)
		cap = b->max + 1;
	char *p = realloc(b->cap ? b->data : NULL, cap);
	if (!p)
		return failed(b, -ENOMEM);
	b->data = p;
	b->cap = cap;
	b->data[b->len] = 0;
	return 0;
}

int buf_add(struct buf *b, const void *data, size_t len)
{
	int r = buf_reserve(b, len);
	if (r < 0)
		return r;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = 0;
	return 0;
}

int buf_adds(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

int buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0)
		return failed(b, -EINVAL);
	int r = buf_reserve(b, (size_t)n);
	if (r < 0)
		return r;
	vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	b->len += (size_t)n;
	return 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int r = buf_vprintf(b, fmt, ap);
	va_end(ap);
	return r;
}

/* Length of the well-formed UTF-8 sequence at s (RFC 3629), 0 when there is none. */
static size_t utf8_len(const unsigned char *s, size_t n)
{
	if (s[0] < 0x80)
		return 1;
	size_t len = s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 :
		     s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : 0;
	if (!len || len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
	bool outside = (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f);
	return overlong || outside ? 0 : len;
}

int buf_json_string(struct buf *b, const char *s, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = (const unsigned char *)s;
	buf_add(b, "\"", 1);
	for (size_t i = 0; i < len && !b->fail;) {
		unsigned char c = p[i];
		if (c == '"' || c == '\\') {
			char esc[2] = {'\\', (char)c};
			buf_add(b, esc, 2);
			i++;
		} else if (c == '\n' || c == '\t' || c == '\r') {
			buf_add(b, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r", 2);
			i++;
		} else if (c < 0x20 || c == 0x7f) {
			char esc[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
			buf_add(b, esc, 6);
			i++;
		} else {
			size_t n = utf8_len(p + i, len - i);
			if (n == 2 && c == 0xc2 && p[i + 1] < 0xa0) /* controls, to some terminals */
				buf_printf(b, "\\u00%02x", p[i + 1]);
			else if (n)
				buf_add(b, p + i, n);
			else
				buf_add(b, "\xef\xbf\xbd", 3);
			i += n ? n : 1;
		}
	}
	buf_add(b, "\"", 1);
	return b->fail;
}

char *buf_take(struct buf *b, size_t *ret_len)
{
	if (b->fail || buf_reserve(b, 0) < 0)
		return NULL;
	char *data = b->data;
	if (ret_len)
		*ret_len = b->len;
	buf_init(b, b->max);
	return data;
}
