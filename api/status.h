/* SPDX-License-Identifier: MIT */
/* status.h - how a failure of the tree looks in HTTP. L3; any thread. */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"

/* The HTTP status of a failure: by its code where the code says more than the errno, else by the
 * errno. Never below 400; 500 for what no row names. */
unsigned status_of(const struct err *e);

/* Append {"code","errno","message","path","line"} and a newline. path may be NULL. 0 or -errno. */
int status_body(const struct err *e, const char *path, struct buf *out);
