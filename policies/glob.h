/* SPDX-License-Identifier: MIT */
/* glob.h - patterns over paths and names, matched in time linear in the text. L1; any thread.
 *
 *   *      any bytes but '/', also none
 *   ?      one byte but '/'
 *   [a-c]  one byte of the set but '/'; [!a-c] one that is not in it; a ']' that stands first is itself one
 *   **     any bytes, '/' among them; between slashes, or at the start before one, also no directory at all
 *          behind X and a slash, at the end, X itself too
 *   \x     the byte x
 *
 * Everything else stands for itself: braces are literal, a leading dot is a byte like others, case matters. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define GLOB_MAX 1024 /* bytes of a pattern */

struct glob;

/* Compile pattern, which ends in NUL. The caller owns *ret: glob_free. Errors: -EINVAL POLICY_002 naming what is
 * wrong with it, -EFBIG RESOURCE_003, -ENOMEM. */
int glob_new(struct glob **ret, const char *pattern, struct err *e);
void glob_free(struct glob *g); /* NULL is fine */

/* Does the whole of text match? len bytes without NUL. Takes len times the pattern's length at most. */
bool glob_match(const struct glob *g, const char *text, size_t len);

/* Bytes at the start of pattern that stand for themselves, up to and with the last '/' before the first one that does
 * not. A pattern without special bytes gives its whole length, and *ret_plain is set. One that ends in a slash and two
 * stars gives the length without that slash, because it matches what stands before it. */
size_t glob_prefix(const char *pattern, bool *ret_plain);
