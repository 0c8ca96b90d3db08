/* SPDX-License-Identifier: MIT */
/* rag_i.h - what the files of rag_*.c share. L2. */
#pragma once

#include <pthread.h>

#include "lib/pool.h"
#include "runtime/files.h"
#include "runtime/rag.h"
#include "runtime/rag_text.h"
#include "runtime/timers.h"
#include "vectors/lexical.h"

#define RAG_PASSAGES_MAX 20

struct rag_piece { /* a chunk of a document; its number is the index's */
	uint64_t content;
	uint32_t serial; /* of the file */
	uint32_t start, len, line, line_end;
	char *heading; /* owned; NULL none */
	uint8_t type;
	bool live; /* its document is in as a whole, and not replaced */
};

struct rag_doc { /* loop thread only */
	uint32_t serial;
	uint64_t content; /* that is in, or could not be read */
	uint32_t name;	  /* CRC32C of the name under which it was: that says what it is, and is found too */
	uint32_t first, n; /* pieces */
	char *error;	   /* owned; NULL: it is in */
	bool queued;
};

struct rag_tools { /* what a thread reads and searches with; kept from one job to the next */
	struct rag_tools *next;
	struct tokens *tokens;
	struct lexical_scratch scratch;
};

struct rag {
	struct runtime *rt;
	/* shared: read under the lock by searches, changed under it by the one ingest that is under way */
	pthread_rwlock_t lock;
	struct lexical *words;
	struct rag_piece *pieces;
	uint32_t pieces_n, pieces_cap;
	pthread_mutex_t tools_lock;
	struct rag_tools *tools; /* that no job uses now */
	/* loop thread */
	struct rag_doc **docs; /* in order of serial */
	size_t docs_n, docs_cap;
	uint32_t *queue; /* of serials */
	size_t queue_head, queue_n, queue_cap;
	uint64_t queued, done; /* how many ever */
	struct rag_ingest *ingest; /* under way; NULL none */
	struct rag_question *questions; /* that wait for documents, or are under way */
	uint64_t asked, live_pieces;
	bool closing;
};

struct rag *rag_of(struct runtime *rt); /* NULL: there was no document yet */
struct rag_doc *rag_doc(struct rag *r, uint32_t serial); /* NULL: none */
bool rag_is_document(struct runtime *rt, const struct file *f); /* f may be NULL */
void rag_doc_drop(struct rag *r, struct rag_doc *d);

/* Any thread. NULL with e: no memory; rag_tools_give takes NULL too. */
struct rag_tools *rag_tools_take(struct rag *r, struct err *e);
void rag_tools_give(struct rag *r, struct rag_tools *t);

/* ---- rag_ingest.c ---- */
void rag_ingest_next(struct rag *r);

/* ---- rag_search.c ---- */
struct rag_passage {
	uint64_t content;
	uint32_t serial, line, line_end;
	enum rag_type type;
	float score, relevance; /* relevance: share of the question's weight that its words have, 0 to 1 */
	char *heading, *text;	/* owned */
	size_t len;
};

struct rag_steps { /* nanoseconds */
	uint64_t waited, analysis, search, retrieval, ranking, response;
};

struct rag_question {
	struct rag_question *next;
	struct pool_job job;
	struct rt_timer timer;
	struct rag *rag;
	struct rag_done done;
	struct actor who;
	bool json, started;
	char *text;
	size_t len;
	uint64_t ticket; /* documents that must be in first */
	uint64_t begun_ns;
	uint32_t *allowed; /* files that who may read, in order of serial; NULL: all */
	size_t allowed_n, most;
	struct rag_passage passages[RAG_PASSAGES_MAX];
	size_t n;
	struct buf answer; /* of sentences, with [1] behind each */
	struct rag_steps took;
	int result;
	struct err e;
};
void rag_search(struct rag_question *q); /* on a worker thread */
/* Are documents in by now that a question waits for? */
void rag_questions_go(struct rag *r);
void rag_questions_end(struct rag *r);

/* ---- rag_answer.c ---- */
/* The sentences of the passages that say most about the question, each with the number of its passage. On a worker thread. */
int rag_extract(struct rag_question *q, struct tokens *t, struct buf *out);
/* The whole answer as a person or a program reads it. Loop thread. */
int rag_render(struct rag_question *q, struct buf *out);
