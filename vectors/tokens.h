/* SPDX-License-Identifier: MIT */
/* tokens.h - a text taken apart into the terms that it is found by. L1; a struct tokens belongs to one thread at a time.
 *
 * Text is UTF-8; bytes that are not count as blanks. A word is a run of letters, digits and '_'; it is folded to lower
 * case, left out when it is one of the most frequent words of English, and cut to its stem by the Snowball stemmer for
 * English (the algorithm known as Porter2, from libstemmer). Identifiers (snake_case, camelCase, HTTPServer) give their parts
 * and, as written but in lower case, the whole. Chinese and Japanese, which put no blanks between words, give pairs of
 * characters. A word of more than TOKEN_MAX bytes is noise (keys, encoded data) and gives nothing. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define TOKEN_MAX 64 /* bytes of a word as folded */

struct tokens;

/* 0; -ENOMEM; -ENOENT SYS_002 when the C library has no UTF-8 locale. The caller owns *ret: tokens_free. */
int tokens_new(struct tokens **ret, struct err *e);
void tokens_free(struct tokens *t); /* NULL is fine */

/* The terms that are looked for, by their first two bytes: others need no stem, which is most of the work. A stem begins as its
 * word does. */
struct tokens_wanted {
	uint64_t pairs[65536 / 64];
};
void tokens_want(struct tokens_wanted *w, const char *term, size_t len);
/* From now on tokens_each gives these, and perhaps others; NULL: all. Borrowed. */
void tokens_only(struct tokens *t, const struct tokens_wanted *w);

/* Calls fn for each term of text in its order. term is UTF-8 with a NUL behind its len bytes, borrowed for the call.
 * A negative return of fn stops and is returned; else 0. */
int tokens_each(struct tokens *t, const char *text, size_t len, int (*fn)(void *arg, const char *term, size_t len),
		void *arg);

/* The code point at p, before end, and where the next one starts; U+FFFD for a byte that begins none. p < end. */
unsigned utf8_next(const char **p, const char *end);
