/* SPDX-License-Identifier: MIT */
/* journal.h - write-ahead log, audit trail and event feed in one: a hash-chained, CRC-checked,
 * group-committed record log in prefilled segments. L0.
 *
 * One journal thread writes; the loop thread appends and is called back on it. docs/JOURNAL.md
 * has the format on disk. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/loop.h"

#define JOURNAL_BODY_MAX (2u << 20) /* bytes */
#define JOURNAL_NAME_MAX 255        /* bytes of an object's name */

enum journal_class {
	JOURNAL_SAFE, /* fdatasync before the ack */
	JOURNAL_FAST, /* survives kill -9 of the process, not a power cut */
};

/* A type's number is on disk for ever: append only, never reuse. The names live in the runtime. */
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
};

struct journal_opts {
	const char *dir;        /* made with mode 0700 when absent */
	uint64_t segment_bytes; /* size of one prefilled segment, default 16 MiB */
};

struct journal;

/* Open or create; verifies the chain of the last segment(s) after `after_seq` and calls
 * replay(arg, rec) for each record with seq > after_seq, in order, before it returns (rec is valid
 * during the call; a negative return stops the open with it). A torn tail is cut. Damage in the
 * middle is refused: -EUCLEAN JOURNAL_001 naming segment and offset and what to do.
 * Starts the journal thread. Loop thread. */
int journal_open(struct journal **ret, const struct journal_opts *o, struct loop *l,
		 uint64_t after_seq, int (*replay)(void *arg, const struct journal_record *rec),
		 void *arg, struct err *e);

/* done(arg, seq, r): r 0 or -errno; called on the loop thread, in order of sequence. */
struct journal_ack {
	struct loop_job job; /* private */
	void (*done)(struct journal_ack *ack, uint64_t seq, int r);
	struct journal_ack *next; /* private */
	uint64_t seq;             /* private */
	int r;                    /* private */
};

/* Append a record; its texts are copied before the call returns. rec->seq and time_ms are filled.
 * ack may be NULL; else it must live until done is called. FAST records are written to the file
 * (pwrite) before they are acked, on the calling thread when nothing is queued; SAFE ones are synced.
 * Errors: -EFBIG (body), -ENOSPC JOURNAL_003 when the next segment could not be made, -ENOMEM;
 * nothing was appended then. A failed write or fsync is fatal: the process ends with a log line,
 * because what the disk holds is no longer known. Loop thread. */
int journal_append(struct journal *j, struct journal_record *rec, enum journal_class c,
		   struct journal_ack *ack, struct err *e);

uint64_t journal_last_seq(const struct journal *j); /* newest appended */
void journal_flush(struct journal *j);              /* waits until all appended is durable */
void journal_close(struct journal *j);              /* flushes, joins the thread, frees */

/* Offline reading, without a running journal; any thread. */
struct journal_stat {
	uint64_t first_seq, last_seq, segments, bytes, records;
	unsigned char head[32]; /* SHA-256 chain value of the last record */
	bool torn;              /* an unfinished record stands behind the last one */
	uint64_t torn_offset;
};
/* Read every record of dir in order with full checks, calling fn when not NULL. Same errors as
 * journal_open; changes nothing on disk. */
int journal_scan(const char *dir, int (*fn)(void *arg, const struct journal_record *rec), void *arg,
		 struct journal_stat *ret, struct err *e);
