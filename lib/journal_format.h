/* SPDX-License-Identifier: MIT */
/* journal_format.h - the journal on disk; docs/JOURNAL.md explains it. L0. Little endian. */
#pragma once

#include <stdint.h>

#include "lib/buf.h"
#include "lib/journal.h"

#define SEGMENT_MAGIC   "SYMBIJ01"
#define SEGMENT_HEADER  64
#define RECORD_ALIGN    8u
#define RECORD_SIZE_MAX (JOURNAL_BODY_MAX + 1024u)

struct segment_header {
	char magic[8];
	uint64_t first_seq;
	unsigned char prev[32]; /* chain value of the record before first_seq */
	uint32_t reserved[3];
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

/* Append the encoded record to out; chain is advanced. */
int record_encode(const struct journal_record *rec, uint32_t since_sync, unsigned char chain[32],
		  struct buf *out);
/* Is there a whole record with a right CRC at data? Fills *ret (borrowing data) and its size. */
bool record_decode(const char *data, size_t len, struct journal_record *ret,
		   const struct record_header **ret_head, char object[JOURNAL_NAME_MAX + 1]);
void record_chain(const struct record_header *head, unsigned char chain[32]);
void segment_header_make(struct segment_header *h, uint64_t first_seq,
			 const unsigned char prev[32]);
bool segment_header_ok(const struct segment_header *h);
void segment_name(uint64_t first_seq, char out[static 32]);

/* Where the journal of dir ends, for a writer that goes on. */
struct journal_end {
	struct journal_stat stat;
	uint64_t segment; /* first sequence of the last segment, 0 none */
	uint64_t offset;  /* in it, behind the last record */
};
int journal_walk(const char *dir, uint64_t after, int (*fn)(void *, const struct journal_record *),
		 void *arg, struct journal_end *ret, struct err *e);
