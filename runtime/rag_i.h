/* SPDX-License-Identifier: MIT */
/* rag_i.h - what the files of rag_*.c share. L2. */
#pragma once

#include <limits.h>
#include <pthread.h>

#include "lib/pool.h"
#include "runtime/files.h"
#include "runtime/rag.h"
#include "runtime/rag_text.h"
#include "runtime/timers.h"
#include "sandbox/sandbox.h"
#include "vectors/embed.h"
#include "vectors/fuse.h"

#define RAG_PASSAGES_MAX 20
#define RAG_ROWS_MAX	 64 /* vectors that are written to their index at once */
#define RAG_TYPE_LAST	 RAG_PDF

struct rag_piece { /* a chunk of a document; its number is the index's */
	uint64_t content;
	uint32_t serial; /* of the file */
	uint32_t owner;	 /* serial of the agent that alone may find it; 0: rag/docs */
	uint32_t start, len, line, line_end;
	char *heading; /* owned; NULL none */
	char *text;    /* owned; NULL: it is read from the content */
	uint8_t type;
	bool live; /* its document is in as a whole, and not replaced */
};

struct rag_doc { /* loop thread only */
	uint32_t serial;
	uint64_t content; /* that is in, or could not be read */
	uint32_t name;	  /* CRC32C of the name under which it was: that says what it is, and is found too */
	uint32_t first, n; /* pieces */
	uint32_t owner;
	char *error;	   /* owned; NULL: it is in */
	bool queued;
	bool is_memory; /* an entry of the owner's memory, and no file */
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
	struct embed *model; /* NULL: nothing was learnt yet */
	struct vec_index *index; /* of the model's vectors, by number of piece; its own threads' too */
	_Atomic bool stop;
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
	uint64_t asked, live_pieces, owned_pieces; /* owned: of agents */
	struct pool *thread; /* one, for what takes seconds; opened with its first job */
	struct rag_learn *learn; /* under way; NULL none */
	uint64_t learnt;	 /* passages that there were when the model was made */
	uint64_t changes, saved_changes; /* passages that came or went, ever, and when the file was written */
	struct {
		uint64_t id, n;
		int fd; /* of what is being written; -1: none */
		struct rt_timer timer;
	} pdf;
	bool loading, saving, pausing;	 /* no document goes in */
	bool closing;
};

struct rag *rag_of(struct runtime *rt); /* NULL: there was no document yet */
struct rag_doc *rag_doc(struct rag *r, uint32_t serial); /* NULL: none */
bool rag_is_document(struct runtime *rt, const struct file *f); /* f may be NULL */
void rag_doc_drop(struct rag *r, struct rag_doc *d);

/* Any thread. NULL with e: no memory; rag_tools_give takes NULL too. */
struct rag_tools *rag_tools_take(struct rag *r, struct err *e);
void rag_tools_give(struct rag *r, struct rag_tools *t);

struct rag_doc *rag_doc_make(struct rag *r, uint32_t serial); /* or the one that there is; NULL: no memory */
struct pool *rag_thread(struct rag *r); /* r->thread; NULL: none can be had */

/* ---- rag_ingest.c ---- */
void rag_ingest_next(struct rag *r);
void rag_ingest_drop(struct rag *r); /* what waits for a program that nobody hears any more */

/* The text of the PDF file that is being taken in, owned from now on; or, -1, why there is none. */
void rag_ingest_text(struct rag *r, int fd, const struct err *e);

/* ---- rag_pdf.c ---- */
bool rag_pdf_is_mine(uint64_t id); /* of a program in a sandbox */
void rag_pdf_path(const struct runtime *rt, uint64_t content, char out[PATH_MAX]);
/* rag_ingest_text is called later; or -errno and it is not. */
int rag_pdf_start(struct rag *r, uint64_t content, struct err *e);
void rag_pdf_ended(struct runtime *rt, uint64_t id, const struct sandbox_result *s);
/* Any thread. Appends the text to out. -EINVAL RAG_002. */
int rag_pdf_read(const struct rag *r, uint64_t content, int fd, struct buf *out, struct err *e);

/* ---- rag_dense.c ---- */
struct rag_rows { /* vectors on their way into the index */
	float *vectors;
	uint32_t *numbers;
	size_t n, cap;
};
/* What a vector is found by besides its direction: its file, and whose it is. */
struct rag_labels {
	uint64_t label[2];
};
struct rag_labels rag_labels_of(uint32_t serial, uint32_t owner);
#define RAG_OWNER(agent) (1ull << 32 | (agent))
void rag_rows_done(struct rag_rows *rows);
/* The vector of a piece's text; on the thread of the one ingest, as the next three. 0, also where there is no model yet. */
int rag_dense_add(struct rag *r, struct rag_rows *rows, const struct rag_labels *labels, uint32_t number, const char *text, size_t len,
		  struct tokens *t, struct err *e);
int rag_dense_write(struct rag *r, struct rag_rows *rows, const struct rag_labels *labels, struct err *e);
void rag_dense_remove(struct rag *r, uint32_t first, uint32_t n);
/* Learn again where there are enough passages more, or less. */
void rag_learn_maybe(struct rag *r);
void rag_learn_go_on(struct rag *r); /* the ingest that it waited for has ended */
/* The model of that version and its index, for passages that are there; on r->thread. -EUCLEAN, -ENOENT. */
int rag_dense_load(struct rag *r, uint32_t version, struct err *e);
void rag_dense_sweep(struct rag *r); /* indexes of other models go */
void rag_dense_close(struct rag *r);

/* ---- rag_save.c ---- */
int rag_load(struct rag *r, struct err *e); /* on r->thread, before anything is in. 0, also where there is no file */
void rag_save_later(struct rag *r);	    /* when much changed and nothing else is to be done */
void rag_save_now(struct rag *r);	    /* when something changed; nothing else may be under way */

/* ---- rag_search.c ---- */
struct rag_passage {
	uint64_t content;
	uint32_t serial, owner, line, line_end;
	enum rag_type type;
	float score, near, relevance; /* relevance: the greater of near, its vector's, and the share of the question's weight that its
					 words have; all 0 to 1 */
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
	float vector[EMBED_DIM];
	bool has_vector;
	float threshold; /* least relevance */
	bool weak;	 /* no passage has it */
	uint64_t ticket; /* documents that must be in first */
	uint64_t begun_ns;
	uint32_t agent;	   /* who asks; 0: nobody's knowledge is looked at */
	uint32_t *allowed; /* files of rag/docs that who may read, in order of serial; NULL: all */
	uint32_t *shared;  /* files of others that the agent may find, in order of serial */
	uint32_t *wanted;  /* files and entries that it is asked of, in order of serial; NULL: all */
	size_t allowed_n, shared_n, wanted_n, most;
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

/* ---- rag_asked.c ---- */
struct rag_asked {
	char *text; /* owned, as the next three; NULL: not said */
	char *source, *collection, *agent;
	uint64_t after_ms, before_ms;
	size_t most; /* 0: not said */
	double threshold;
	bool has_threshold, filtered;
};
/* -EINVAL RAG_003, TEXT_001; *unfinished: more text may make it right. */
int rag_asked_read(const char *q, size_t len, struct rag_asked *ret, bool *unfinished, struct err *e);
void rag_asked_done(struct rag_asked *a);
/* Serials of all documents and entries that its filters want, in order, whoever may find them; the caller's. asks: the agent that
 * asks, or 0. 0 or -ENOMEM. */
int rag_asked_wanted(struct runtime *rt, const struct rag_asked *a, uint32_t asks, uint32_t **ret, size_t *n);

/* ---- rag_answer.c ---- */
/* The sentences of the passages that say most about the question, each with the number of its passage. On a worker thread. */
int rag_extract(struct rag_question *q, struct tokens *t, struct buf *out);
/* The whole answer as a person or a program reads it. Loop thread. */
int rag_render(struct rag_question *q, struct buf *out);
