/* SPDX-License-Identifier: MIT */
/* path.h - what a request line says: the path in the tree, and the part of it that is wanted. L3; any
 * thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/* Decode the percent-encoded path `raw` (without scheme, host and query) into out, without leading or
 * trailing slashes: "" is the root. Refuses with -EINVAL API_001: bad escapes, NUL and an encoded
 * slash, empty components, "." and ".."; with -ENAMETOOLONG what does not fit in cap or has a
 * component above 255 bytes. */
int path_decode(const char *raw, char *out, size_t cap, struct err *e);

struct range { /* of a text of known size */
	uint64_t from;
	uint64_t len;
	bool partial; /* false: the whole text */
};

/* The header "Range: bytes=..." against a text of `size` bytes. NULL, another unit, several ranges and
 * what does not parse ask for the whole text (RFC 9110, 14.2). -ERANGE: nothing of it exists. */
int range_parse(const char *header, uint64_t size, struct range *ret);
