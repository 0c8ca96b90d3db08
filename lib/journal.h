/* SPDX-License-Identifier: MIT */
/* journal.h - write-ahead log, audit trail and event feed in one: a hash-chained, CRC-checked,
 * group-committed record log in prefilled segments. L0.
 *
 * The loop thread appends and is called back on it; the journal thread writes and syncs; a third
 * one keeps the segments: prepares the next before it is needed, removes those that are retired.
 * docs/JOURNAL.md has the format on disk and what a start makes of what it finds. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/loop.h"

#define JOURNAL_BODY_MAX         (2u << 20)  /* bytes */
#define JOURNAL_NAME_MAX         255         /* bytes of an object's name */
#define JOURNAL_RESERVE_BODY_MAX (16u << 10) /* bytes of a body that may use the reserve */

enum journal_class {
	JOURNAL_SAFE, /* fdatasync before the ack */
	JOURNAL_FAST, /* survives kill -9 of the process, not a power cut */
};

/* A type's number is on disk for ever: append only, never reuse. The names live in the runtime.
 * Numbers from JOURNAL_TYPE_OWN on belong to the journal itself; a replay ignores them. */
enum { JOURNAL_TYPE_OWN = 0xff00, JOURNAL_TYPE_CHECKPOINT = 0xff00 /* a signed tree head */ };

struct journal_record {
	uint64_t seq;     /* 1, 2, 3 ...; set by the journal */
	uint64_t time_ms; /* wall clock; set by the journal */
	uint16_t type;
	uint32_t uid;       /* actor */
	uint32_t pid;       /* actor, 0 unknown */
	uint32_t view;      /* actor's view, 0: the host */
	const char *object; /* name of what it is about; NUL-terminated */
	const char *body;   /* JSON text */
	size_t body_len;
	/* Not stored. A small record that stops or removes something: goes on when the disk is full,
	 * into an eighth of a segment that is kept for such. */
	bool may_use_reserve;
};

struct journal_opts {
	const char *dir;        /* made with mode 0700 when absent */
	uint64_t segment_bytes; /* size of one prefilled segment, at least 2 MiB and some */
};

struct journal;

/* Open or create. Calls replay(arg, rec) for each record with seq > after_seq, in order, before it
 * returns (rec is valid during the call; a negative return stops the open with it). Segments that end
 * before after_seq are not read, but must be there without a gap. A torn tail is cut. An empty
 * journal goes on with after_seq + 1. Starts its threads. Loop thread.
 * Errors: -EUCLEAN JOURNAL_001 naming segment, offset and what to do: a damaged record, a missing
 * segment, records after after_seq that were retired, or an end before after_seq; -EBUSY JOURNAL_002
 * when another process has it open; -errno JOURNAL_002. */
int journal_open(struct journal **ret, const struct journal_opts *o, struct loop *l,
		 uint64_t after_seq, int (*replay)(void *arg, const struct journal_record *rec),
		 void *arg, struct err *e);

/* done(ack, seq, r): r is 0; called on the loop thread, in the order of the sequence. */
struct journal_ack {
	void (*done)(struct journal_ack *ack, uint64_t seq, int r);
	struct journal_ack *next; /* private */
	uint64_t seq;             /* private */
};

/* Append a record; its texts are copied before the call returns. rec->seq and time_ms are filled.
 * A FAST record, and all that was appended before it, is in the file (pwrite) when this returns; its ack is
 * not called. A SAFE one is synced, then its ack is called, which may be NULL and else must live until then.
 * Waits when records come faster than segments can be prepared, a FAST one also while the journal goes on in
 * its next segment.
 * Errors: -EFBIG RESOURCE_003 (body or name), -ENOSPC JOURNAL_003 when the next segment cannot be
 * made and rec may not use the reserve or that is used up, -ENOMEM; nothing was appended then. A
 * failed write or fsync is fatal: the process ends with a log line, because what the disk holds is
 * no longer known. Loop thread. */
int journal_append(struct journal *j, struct journal_record *rec, enum journal_class c,
		   struct journal_ack *ack, struct err *e);

/* Let whole segments go whose records are all <= upto_seq, oldest first, while keep_bytes of segments
 * stay; never the one that is written. Done by a thread of the journal; a failure is reported by the
 * next call, which also tries again. Loop thread. */
int journal_retire(struct journal *j, uint64_t upto_seq, uint64_t keep_bytes, struct err *e);

uint64_t journal_last_seq(const struct journal *j); /* newest appended; loop thread */
/* The newest that a kill -9 of this process cannot undo any more. Any thread. */
uint64_t journal_written_seq(const struct journal *j);
void journal_flush(struct journal *j);              /* waits until all appended is durable */
void journal_close(struct journal *j); /* flushes, calls what waits, joins, frees; NULL is fine */

/* Offline reading, beside a running journal too; any thread. */
struct journal_stat {
	uint64_t first_seq, last_seq, segments, bytes, records;
	unsigned char head[32]; /* BLAKE2b-256 chain value of the last record */
	bool torn;              /* something unfinished stands behind the last record */
	uint64_t torn_offset;
};
/* Read every record of dir in order with full checks, calling fn when not NULL. Same errors as
 * journal_open; changes nothing on disk. The first segment may begin later than 1. */
int journal_scan(const char *dir, int (*fn)(void *arg, const struct journal_record *rec), void *arg,
		 struct journal_stat *ret, struct err *e);
