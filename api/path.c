/* SPDX-License-Identifier: MIT */
/* path.c - decoding of request paths and ranges: strict, on every byte. L3; any thread. */
#include "api/path.h"

#include <errno.h>
#include <string.h>

#define NAME_BYTES_MAX 255

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int bad(struct err *e, const char *what)
{
	return err_set(e, ERR_API_REQUEST, "the path has %s", what);
}

/* One component, decoded into out[*at]; *raw moves behind it. */
static int decode_name(const char **raw, char *out, size_t cap, size_t *at, struct err *e)
{
	size_t start = *at;
	for (const char *p = *raw;; p++) {
		if (*p == 0 || *p == '/') {
			*raw = p;
			break;
		}
		int c = (unsigned char)*p;
		if (c == '%') {
			int high = hex(p[1]), low = high < 0 ? -1 : hex(p[2]);
			if (low < 0)
				return bad(e, "a '%' that two hexadecimal digits do not follow");
			c = high << 4 | low;
			p += 2;
			if (c == 0 || c == '/')
				return bad(e, "an encoded NUL or slash");
		}
		if (*at - start == NAME_BYTES_MAX || *at + 2 >= cap)
			return err_sys(e, ERR_API_REQUEST, ENAMETOOLONG, "the path");
		out[(*at)++] = (char)c;
	}
	size_t len = *at - start;
	if (len == 0)
		return bad(e, "an empty component");
	if ((len == 1 && out[start] == '.') || (len == 2 && memcmp(out + start, "..", 2) == 0))
		return bad(e, "a '.' or '..'");
	return 0;
}

int path_decode(const char *raw, char *out, size_t cap, struct err *e)
{
	size_t at = 0;
	if (*raw == '/')
		raw++;
	while (*raw) {
		int r = decode_name(&raw, out, cap, &at, e);
		if (r < 0)
			return r;
		if (*raw == '/' && *++raw)
			out[at++] = '/';
	}
	out[at] = 0;
	return 0;
}

/* Digits at *p, moved behind them; false when there are none or they do not fit. */
static bool digits(const char **p, uint64_t *ret)
{
	const char *start = *p;
	*ret = 0;
	for (; **p >= '0' && **p <= '9'; (*p)++) {
		if (__builtin_mul_overflow(*ret, 10, ret) ||
		    __builtin_add_overflow(*ret, (uint64_t)(**p - '0'), ret))
			return false;
	}
	return *p > start;
}

int range_parse(const char *header, uint64_t size, struct range *ret)
{
	uint64_t from, to = UINT64_MAX;
	*ret = (struct range){0, size, false};
	if (!header || strncmp(header, "bytes=", 6) != 0)
		return 0;
	const char *p = header + 6;
	bool suffix = *p == '-'; /* "-N": the last N bytes */
	if (suffix)
		p++;
	if (!digits(&p, &from))
		return 0;
	if (!suffix && (*p++ != '-' || (*p && (!digits(&p, &to) || to < from))))
		return 0;
	if (*p)
		return 0;
	if (suffix) {
		from = from < size ? size - from : 0;
		if (size == 0 || from == size)
			return -ERANGE;
	}
	if (from >= size)
		return -ERANGE;
	*ret = (struct range){from, (to < size - 1 ? to + 1 : size) - from, true};
	return 0;
}
