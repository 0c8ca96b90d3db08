/* SPDX-License-Identifier: MIT */
/* buf.h - a growing byte buffer with a hard cap. L0; any thread, one at a time.
 *
 * data is never NULL after buf_init and always has a NUL behind len, so it can be used as a
 * string when the content is text. The first failure sticks in `fail`: a run of buf_* calls can
 * be checked once at its end. */
#pragma once

#include <stdarg.h>
#include <stddef.h>

struct buf {
	char *data;
	size_t len;
	size_t cap;
	size_t max; /* bytes; growing past it fails with -EFBIG */
	int fail;   /* 0, or the first -errno */
};

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b);  /* frees; b may be initialised again */
void buf_clear(struct buf *b); /* length 0, no failure; keeps the memory */

/* Each returns 0, -EFBIG past the cap, or -ENOMEM; on failure nothing was added. */
int buf_add(struct buf *b, const void *data, size_t len);
int buf_adds(struct buf *b, const char *s);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *fmt, va_list ap);
int buf_reserve(struct buf *b, size_t more); /* room for `more` bytes behind len */

/* Appends s as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD. */
int buf_json_string(struct buf *b, const char *s, size_t len);

/* Gives the bytes away (caller frees) and leaves an empty buffer. NULL when fail is set. */
char *buf_take(struct buf *b, size_t *ret_len);

static inline void buf_auto(struct buf *b)
{
	buf_done(b);
}
#define autobuf __attribute__((cleanup(buf_auto)))
