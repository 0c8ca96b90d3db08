/* SPDX-License-Identifier: MIT */
/* checkpoint_format.h - the head of a checkpoint's file. Inside vectors/ only. L1. */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "vectors/store.h"

#define PAGE	    4096u
#define BLOCK	    (1u << 20) /* bytes of records under one checksum; whole records are in it or cross its end */
#define CHECK_BELOW (8ull << 20) /* bytes of records that are checked before an open returns */

enum { SEC_RECORDS, SEC_BLOCKS, SEC_ROWS, SEC_ALIVE, SEC_QUEUE, SEC_LABELS, SECTIONS };

struct section {
	uint64_t at, bytes;
	uint32_t crc; /* of all of it; records have theirs by block */
	uint32_t zero;
};

struct checkpoint_head {
	char magic[8]; /* SYMBIVC1 */
	uint32_t crc;  /* of what follows */
	uint32_t dim;
	uint8_t uuid[16];
	uint64_t number;
	uint32_t metric, rec_bytes, links_max, zero;
	uint64_t rows, linked, measured_at;
	uint32_t ef[4];
	uint64_t from; /* position of the log that it includes everything before */
	struct section sections[SECTIONS];
};
_Static_assert(sizeof(struct checkpoint_head) <= PAGE, "one page");

static inline void checkpoint_path(const char *dir, uint64_t number, const char *end, char ret[PATH_BYTES])
{
	int n = snprintf(ret, PATH_BYTES, "%s/graph-%08llu.vec%s", dir, (unsigned long long)number, end);
	if (n >= PATH_BYTES)
		ret[0] = 0; /* the manifest's name would not have fitted either */
}
