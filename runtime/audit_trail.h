/* SPDX-License-Identifier: MIT */
/* audit_trail.h - the audit trail on disk: the journal's records as lines, their Merkle tree, signed checkpoints.
 * docs/AUDIT.md has the formats. L2; by one thread at a time, which may wait for the disk; trail_agent_lines by any. */
#pragma once

#include <pthread.h>

#include "lib/journal.h"
#include "runtime/audit_seal.h"
#include "runtime/merkle.h"
#include "runtime/note.h"

#define TRAIL_PREV_LEN 75 /* bytes of `,"prev":"64 digits"}` at the end of a line */

enum trail_file { TRAIL_LOG, TRAIL_HASHES, TRAIL_INDEX, TRAIL_CHECKPOINTS, TRAIL_FILES };
extern const char *const trail_names[TRAIL_FILES];

struct trail_entry { /* of a line, in the index: as many as lines */
	uint64_t at;	 /* its offset in the log */
	uint64_t before; /* the line before it about the same agent: its number + 1, 0: none */
	uint32_t len;	 /* with its newline */
	uint32_t agent;	 /* serial, 0: about none */
};

struct trail_head { /* the newest lines about one agent: number + 1, 0: none */
	uint64_t added, written;
};

struct trail {
	char *dir;
	int fd[TRAIL_FILES];
	uint64_t bytes[TRAIL_FILES]; /* written and right */
	struct note_key *key;
	struct seal *seal; /* of the next checkpoint */
	struct merkle tree;	     /* of all lines that were added */
	uint64_t written;	     /* lines that are in the files */
	uint64_t signed_size;	     /* leaves of the newest checkpoint, 0: none */
	uint64_t first_seq;	     /* of the first line, 0: there is none */
	uint64_t log_end;	     /* of all lines that were added */
	unsigned char prev[MERKLE_HASH];
	struct buf pending[TRAIL_FILES]; /* added, not written; of the checkpoints: the newest note */
	struct buf line;		 /* scratch */
	pthread_mutex_t mu;		 /* for heads and written */
	struct trail_head *heads;	 /* by serial */
	size_t heads_n;
};

struct trail_place { /* borrowed */
	const char *dir, *key_file, *seal_file;
	const char *name; /* of a new key */
};
/* Open or begin the trail in dir, whose newest checkpoint must be right in every file; what stands behind it is cut, to be
 * added again. The key is made where the trail has no checkpoint yet, the first
 * seal key where none is sealed yet.
 * Errors: -EBADMSG AUDIT_001 saying what is wrong, AUDIT_002, -errno AUDIT_003. trail_close in any case. */
int trail_open(struct trail *t, const struct trail_place *at, struct err *e);
void trail_close(struct trail *t);

/* Sequence of the newest record, 0: none. */
uint64_t trail_last_seq(const struct trail *t);

/* Read which lines are about whom. To be called once, before the first trail_add; takes a while. */
int trail_load_heads(struct trail *t, struct err *e);

/* Add a record as a line in memory; type is its name, agent the serial of whom it is about. -ENOMEM. */
int trail_add(struct trail *t, const struct journal_record *rec, const char *type, uint32_t agent);
size_t trail_pending(const struct trail *t); /* bytes of lines */
/* Write what was added. A failed call can be repeated. */
int trail_write(struct trail *t, struct err *e);
/* Sync everything and sign it; the note is in t->pending[TRAIL_CHECKPOINTS] afterwards. */
int trail_checkpoint(struct trail *t, struct err *e);

/* The lines about an agent that are written, the newest that fit into out. Any thread. */
int trail_agent_lines(struct trail *t, uint32_t agent, struct buf *out, struct err *e);

/* The line of a record. The same record always has the same. */
void trail_line(const struct journal_record *rec, const char *type, const unsigned char prev[MERKLE_HASH], struct buf *out);
/* Sequence and prev of a line without its newline; false: it is none. */
bool trail_line_read(const char *line, size_t len, uint64_t *ret_seq, unsigned char ret_prev[MERKLE_HASH]);

/* merkle_read of an open store of hashes; arg is the descriptor's int. */
int trail_hash_read(void *arg, uint64_t at, unsigned char out[MERKLE_HASH]);
