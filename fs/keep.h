/* SPDX-License-Identifier: MIT */
/* keep.h - what the tree holds in memory only and callers rely on: open files with half a text in them,
 * scratch documents, whose answer is whose. L3; loop thread only.
 *
 * It is written to a log in shared memory that the parent process owns, so a worker that is killed loses
 * nothing: the next one reads the log and goes on. The log is one of two areas; when it has grown the
 * live objects are written to the other one and the areas change places by one store. Records count from
 * the moment of keep_publish, which the transport calls before every reply: what a caller was told is
 * kept, and a request that comes again finds either all of its first try or nothing of it.
 *
 * An object is a kind, an id, a small state of plain bytes and one text. All functions take a NULL keep
 * and then do nothing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

enum keep_kind {            /* loaded in this order */
		 KEEP_DONE, /* id: a request that was carried out and has no record in the journal */
		 KEEP_ANSWER,
		 KEEP_DOC,
		 KEEP_SLOT,
		 KEEP_HANDLE,
		 KEEP_SNAP, /* id: a handle; the text that its reads are served from */
		 KEEP_KINDS,
};

struct keep;

/* The memory, for the parent: a descriptor to be inherited by every worker, or -errno. */
int keep_create(struct err *e);
/* fd is borrowed during the call. */
int keep_open(struct keep **ret, int fd, struct err *e);
void keep_close(struct keep *k);
/* A random number that was made with the memory. */
uint32_t keep_tag(const struct keep *k);

void keep_state(struct keep *k, enum keep_kind kind, uint64_t id, const void *state, size_t len);
/* From off on the object's text is data; what was there behind off is gone. */
void keep_text(struct keep *k, enum keep_kind kind, uint64_t id, uint64_t off, const void *data,
	       size_t len);
void keep_gone(struct keep *k, enum keep_kind kind, uint64_t id);
void keep_publish(struct keep *k);

/* The request that is being carried out from now on; 0: none. */
void keep_doing(struct keep *k, uint64_t req);
/* Did two workers, one after the other, die while they carried out this request? It must not be tried again. */
bool keep_is_deadly(const struct keep *k, uint64_t req);

/* Has the log grown so far that it is worth writing anew? Then: begin, write every live object, end. */
bool keep_is_long(const struct keep *k);
void keep_rewrite_begin(struct keep *k);
void keep_rewrite_end(struct keep *k);

/* Every object that is there, by kind, then in the order in which they were made. state is NULL when only
 * a text was kept. fn may take the text (buf_take). */
int keep_load(struct keep *k,
	      void (*fn)(void *arg, enum keep_kind kind, uint64_t id, const void *state, size_t len,
			 struct buf *text),
	      void *arg, struct err *e);
