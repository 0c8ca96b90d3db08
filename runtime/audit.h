/* SPDX-License-Identifier: MIT */
/* audit.h - the audit trail of a running daemon. L2; loop thread only.
 *
 * A thread of its own follows the journal: every record becomes a line of the trail, and every so many records or seconds
 * all of it is synced and signed. The loop only says that there is something to do. */
#pragma once

#include "lib/buf.h"
#include "lib/journal.h"
#include "lib/loop.h"
#include "runtime/runtime.h"

struct audit;

struct audit_opts { /* texts are copied */
	const char *dir, *journal_dir;
	const char *key_file, *seal_file;
	const char *export_to; /* "/file", "|command", or "" */
	struct journal *journal;
	struct loop *loop;
	uint64_t every_records, every_ms; /* at most so much is not signed */
	const char *(*type_name)(uint16_t type);
	/* What the trail has of a body that holds more than others may have; false: all of it. Any thread. */
	bool (*redact)(const struct journal_record *rec, struct buf *out);
	uint32_t (*agent_of)(const struct journal_record *rec); /* any thread: serial of whom it is about, 0: nobody */
};

/* Take up the trail and start following. Errors: trail_open's (audit_trail.h); -EBADMSG AUDIT_001 when the journal ends
 * before the trail. */
int audit_open(struct audit **ret, const struct audit_opts *o, struct err *e);
/* All that is in the journal's file is added and signed, then the thread ends. The journal is flushed and still open. NULL
 * is fine. */
void audit_close(struct audit *a);

/* Something is in the journal's file that was not there before. Cheap. */
void audit_poke(struct audit *a);
/* Records up to here are signed and on the disk in the trail; the journal may let them go. */
uint64_t audit_kept_seq(const struct audit *a);

/* ---- what the tree shows ---- */
/* A file of the trail by its name: log, checkpoints, seal.pub. -ENAMETOOLONG. */
int audit_path(const struct audit *a, const char *name, char *out, size_t cap);
int audit_render_head(struct audit *a, struct buf *out); /* the newest note; "" before there is one */
int audit_render_key(struct audit *a, struct buf *out);
int audit_render_agent(struct audit *a, uint32_t agent, struct buf *out, struct err *e);
int audit_render_verify(struct audit *a, struct buf *out); /* what the last verification found, and how it goes */
/* "" or what keeps the trail from being written, in one line. */
int audit_render_trouble(struct audit *a, struct buf *out);
/* Read all of it with every check in the background; done comes with what is wrong. -EBUSY while one goes on. */
int audit_verify(struct audit *a, struct runtime_done done, struct err *e);
/* One that goes on ends soon, as failed, and no other begins: the daemon is about to stop. */
void audit_stop_verifying(struct audit *a);
/* SEQ: that this record is in the newest checkpoint; OLD NEW (sizes): that the tree of NEW leaves begins with that of
 * OLD. Appends the proof as JSON. -EINVAL AUDIT_004 for what is no such question. */
int audit_prove(struct audit *a, const char *question, size_t len, struct buf *out, struct err *e);
