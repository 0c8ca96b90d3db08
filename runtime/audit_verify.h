/* SPDX-License-Identifier: MIT */
/* audit_verify.h - is an audit trail what was signed? Reads files only: a copy of them and the public key are enough. L2; any
 * thread, takes as long as reading all of it. */
#pragma once

#include <stdatomic.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "runtime/merkle.h"
#include "runtime/note.h"

struct audit_files {
	const char *dir;	 /* with `log` and, where they were copied, `checkpoints` and `head` */
	uint64_t log_bytes;	 /* so much of the log, which is written to; 0: all */
	uint64_t checkpoint_bytes; /* and of its checkpoints; 0: all */
	const struct note_public *seal; /* the first seal key, kept elsewhere; NULL: seal.pub in dir, where it is */
	const char *const *more; /* files with checkpoints that were kept elsewhere, NULL-ended; may be NULL */
	const atomic_bool *stop; /* give up with -ECANCELED; may be NULL */
};

struct audit_report {
	uint64_t records, first_seq, last_seq, bytes;
	uint64_t checkpoints;	/* that were checked */
	uint64_t sealed;	/* of the trail's own, each by the key that the one before it names */
	uint64_t signed_size;	/* records that the newest of them covers */
	unsigned char root[32]; /* of all records */
};
/* "key value" lines. */
int audit_report_text(const struct audit_report *r, struct buf *out);
int audit_report_json(const struct audit_report *r, struct buf *out);

/* Every line against the one before it, every checkpoint against the lines. ret says how far it came in any case.
 * -EBADMSG AUDIT_001 naming line, record and offset; -errno AUDIT_003 for files that cannot be read. */
int audit_verify_files(const struct audit_files *f, const struct note_public *key, struct audit_report *ret,
		       struct err *e);

/* ---- proofs ---- */

struct audit_question { /* SEQ: is that record in the tree? OLD NEW: does the tree of NEW begin with that of OLD? */
	uint64_t seq, old, size;
};
/* -EINVAL AUDIT_004. */
int audit_question_parse(const char *text, size_t len, struct audit_question *ret, struct err *e);
/* Read a trail and append the proof as JSON, for the newest checkpoint in dir where SEQ is asked for. */
int audit_prove_files(const struct audit_files *f, const struct note_public *key, const struct audit_question *q,
		      struct buf *out, struct err *e);
/* Check such a JSON text against the checkpoint in it and the key, and for OLD NEW against the checkpoint of the size OLD
 * in the file old_note. -EBADMSG AUDIT_001 when it proves nothing. Appends what it proves, as a line. */
int audit_proof_check(const char *json, size_t len, const struct note_public *key, const char *old_note, struct buf *out,
		      struct err *e);

/* {"seq":...,"index":...,"size":...,"line":"...","path":[base64...],"checkpoint":"..."} and
 * {"old":...,"size":...,"path":[...],"checkpoint":"..."}; note may be "". */
int audit_proof_leaf_json(uint64_t seq, uint64_t index, uint64_t size, const char *line, size_t line_len,
			  const struct merkle_proof *p, const char *note, struct buf *out);
int audit_proof_growth_json(uint64_t old, uint64_t size, const struct merkle_proof *p, const char *note, struct buf *out);
