/* SPDX-License-Identifier: MIT */
/* audit_read.h - the walk over a trail that verification and proofs share. L2; any thread. */
#pragma once

#include "runtime/audit_trail.h"
#include "runtime/audit_verify.h"

struct mark;
struct trail_reader {
	const struct audit_files *files;
	const struct note_public *key;
	struct audit_report report;
	struct merkle tree;
	unsigned char prev[MERKLE_HASH];
	struct note_public seal; /* of the next checkpoint */
	bool has_seal;
	struct mark *marks; /* checkpoints in the order of their sizes */
	size_t marks_n, marks_cap, next_mark;
	struct buf *hashes; /* NULL, or gets every hash of the tree, as the store has them */
	struct buf *line;   /* NULL, or gets the line of line_seq */
	uint64_t line_seq;
};

/* audit_verify_files with what else the reader is to get. */
int trail_read(struct trail_reader *t, struct err *e);
