/* SPDX-License-Identifier: MIT */
/* store.h - the manifest and the checkpoints of an index. Inside vectors/ only. L1. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define PATH_BYTES	    4096
#define CHECKPOINT_AT_CLOSE (4u << 20)	/* bytes to replay that a close does not leave behind */
#define CHECKPOINT_TAIL	    (64u << 20) /* bytes to replay after which the background writes a checkpoint; more for large ones */

struct vec_index;

struct manifest {
	uint8_t uuid[16];
	unsigned dim, metric;
	uint64_t checkpoint; /* number; 0: none */
	uint64_t from;	     /* position of the log from which on it is replayed */
	uint64_t synced;     /* what stands before it was acknowledged */
};

/* Parse the text of a manifest. 0 or -EINVAL. */
int manifest_parse(const char *text, size_t len, struct manifest *ret);
int manifest_write(const char *dir, const struct manifest *m, struct err *e);

/* Write the graph and the tables as a new checkpoint and make the manifest name it; `upkeep` held, or no other thread. */
int checkpoint_write(struct vec_index *v, struct err *e);
/* Map the checkpoint that the manifest names. */
int checkpoint_load(struct vec_index *v, const struct manifest *m, struct err *e);
