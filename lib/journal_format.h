/* SPDX-License-Identifier: MIT */
/* journal_format.h - the journal on disk; docs/JOURNAL.md explains it. L0. Little endian. */
#pragma once

#include <stdint.h>

#include "lib/buf.h"
#include "lib/journal.h"

#define SEGMENT_MAGIC   "SYMBIJ01"
#define SEGMENT_HEADER  128
#define SEGMENT_MAX     (8ull << 30) /* bytes */
#define RECORD_ALIGN    8u
#define RECORD_SIZE_MAX (JOURNAL_BODY_MAX + 1024u)
#define SEGMENT_MIN     (RECORD_SIZE_MAX + (RECORD_SIZE_MAX >> 2))

struct segment_header {
	char magic[8];
	uint64_t first_seq;
	unsigned char prev[32]; /* chain value of the record before first_seq */
	uint64_t bytes;         /* size of the file */
	uint64_t synced_seq;    /* known to be on the disk when this was written */
	uint64_t
		checkpoint_seq; /* newest signed checkpoint before first_seq; 0 until there are such */
	unsigned char zero[52];
	uint32_t crc; /* CRC32C of the bytes before */
};

struct record_header {
	uint32_t size; /* whole record, padded to 8; 0 is the end */
	uint32_t crc;  /* CRC32C of the bytes behind this field, padding included */
	uint64_t seq;
	uint64_t time_ms;
	uint16_t type;
	uint16_t object_len;
	uint32_t uid, pid, view;
	uint32_t body_len;
	uint32_t since_sync; /* records before this one that were not known to be on the disk */
	unsigned char prev[32];
	/* object, body, zeros up to size */
};
_Static_assert(sizeof(struct segment_header) == SEGMENT_HEADER, "segment header");
_Static_assert(sizeof(struct record_header) == 80, "record header");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is little endian");

/* Bytes that a record takes. */
size_t record_size(const struct journal_record *rec);
/* Append the record without since_sync, prev and crc; out has room for record_size(). */
void record_encode(const struct journal_record *rec, struct buf *out);
/* Fill in what record_encode left, at the encoded record; chain is advanced. */
void record_seal(char *record, uint64_t synced_seq, unsigned char chain[32]);
/* Is there a whole record with a right CRC at data? Fills *ret (borrowing data and object) and
 * *ret_head. */
bool record_decode(const char *data, size_t len, struct journal_record *ret,
		   const struct record_header **ret_head, char object[JOURNAL_NAME_MAX + 1]);
void record_chain(const struct record_header *head, unsigned char chain[32]);

void segment_header_make(struct segment_header *h, uint64_t first_seq, const unsigned char prev[32],
			 uint64_t bytes, uint64_t synced_seq);
void segment_header_crc(struct segment_header *h); /* after a change */
bool segment_header_ok(const struct segment_header *h);

/* File name of the segment with a running number, and back (0: not one). */
void segment_name(uint64_t number, char out[static 32]);
uint64_t segment_number(const char *name);

/* A segment that is there. */
struct segment {
	uint64_t number;
	uint64_t first_seq; /* 0: prepared, not begun */
	uint64_t bytes;
};

/* What a walk found, for a writer that goes on. */
struct journal_end {
	struct journal_stat stat;
	struct segment *segments; /* owned; in order, a prepared one at the end */
	size_t segments_n;
	uint64_t offset; /* in the last one that was begun, behind the last record */
};

/* Read the records behind `after`, all when `all`; journal_open's errors. ret->segments is to be freed
 * in any case. */
int journal_walk(const char *dir, uint64_t after, bool all,
		 int (*fn)(void *, const struct journal_record *), void *arg,
		 struct journal_end *ret, struct err *e);
