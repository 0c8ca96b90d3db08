/* SPDX-License-Identifier: MIT */
/* vec.h - nearest vectors: rows of (id, vector, labels, payload), searched by similarity. L1; any thread.
 *
 * One index answers every size with the same call and has no build step: few rows, rows that a filter
 * leaves, and rows that came a moment ago are scanned as int8 codes; the rest is found by a graph over the
 * same codes, to which new rows are linked in the background. The best are scored again with the exact
 * f32 vectors, so scores are exact whatever found them. docs/VECTORS.md has the whole picture.
 *
 * Threads: every function but vec_close may be called from any thread at any time. Searches take no lock
 * that a writer holds while it works or waits for the disk. A row is found by searches that start after its
 * vec_upsert returned; a deleted one by none that starts after its vec_delete returned.
 *
 * Errors are VDB_*: VDB_002 (-EINVAL) for what the caller gave, VDB_003 (-EUCLEAN) for a damaged file,
 * VDB_004 (-EBUSY) for an index that another process has open, VDB_005 (-ENOSPC) for a full disk or index,
 * VDB_006 (-ENOENT) for an id that is not there, VDB_001 for the disk and for memory. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

#define VEC_DIM_DEFAULT	   384
#define VEC_DIM_MAX	   8192
#define VEC_K_MAX	   10000	/* hits of one search */
#define VEC_PAYLOAD_MAX	   (1u << 20)	/* bytes of one row */
#define VEC_LABELS_MAX	   256		/* of one row */
#define VEC_BATCH_MAX	   65536	/* rows of one vec_upsert, ids of one vec_delete */
#define VEC_ROWS_DEFAULT   (4ull << 20) /* most rows of an index unless told otherwise */
#define VEC_RECALL_DEFAULT 0.95

struct vec_index;

enum vec_metric {
	VEC_COSINE, /* score: cosine, -1 to 1. Vectors are scaled to length 1 when they come */
	VEC_DOT,    /* score: inner product */
	VEC_L2,     /* score: minus the squared distance, so that higher is nearer here too */
};

struct vec_options { /* zeroed: what most want */
	unsigned dim;		/* 0: VEC_DIM_DEFAULT; of an index that exists: its own */
	enum vec_metric metric; /* of a new index; an index that exists keeps its own */
	bool any_metric;	/* open whatever metric the index has; else another one is refused */
	unsigned threads;	/* background threads of its own; 0: the caller calls vec_work() */
	uint64_t max_rows;	/* most slots for rows, live and dead; 0: VEC_ROWS_DEFAULT. Address space only */
	bool lazy_sync;		/* vec_upsert and vec_delete return before the disk has it; see vec_sync() */
	bool must_exist;	/* -ENOENT instead of a new index */
};

/* Open the index in dir, made when absent (0700). dir NULL: an index in memory only. What the log holds
 * behind the last checkpoint is replayed; a torn tail is cut. Errors: -EBUSY, -EUCLEAN, -EINVAL (another
 * dimension or metric than o asks for), -ENOENT, -ENOMEM, -errno of the disk. */
int vec_open(struct vec_index **ret, const char *dir, const struct vec_options *o, struct err *e);

/* Ends the background threads, writes a checkpoint when there is much to replay, frees. No other call may be
 * under way. NULL is fine. */
void vec_close(struct vec_index *v);

struct vec_row {
	uint64_t id;	       /* the caller's; unique in the index */
	const float *vector;   /* dim finite numbers; for VEC_COSINE not all zero */
	const uint64_t *labels; /* what filters ask for: any numbers of the caller's */
	size_t n_labels;
	const void *payload; /* any bytes, returned by vec_get */
	size_t payload_len;
};

/* Insert rows, or replace those whose id is there: all of them or none, also after a crash. Everything is
 * copied. Durable when it returns (unless lazy_sync): callers at the same time share one disk sync. Errors:
 * -EINVAL (names the row), -ENOSPC, -errno of the disk; nothing was changed then. When the sync itself fails
 * the index takes no more writes until it is opened again. */
int vec_upsert(struct vec_index *v, const struct vec_row *rows, size_t n, struct err *e);

/* Delete by id; ids that are not there are skipped. *ret_deleted (may be NULL): how many were. Durable
 * and atomic as vec_upsert. */
int vec_delete(struct vec_index *v, const uint64_t *ids, size_t n, size_t *ret_deleted, struct err *e);

/* A row passes a filter when every clause holds; a clause holds when the row has one of its labels, or, with
 * `none`, when it has none of them. ids, when not NULL, are the only rows that pass, clauses being tested too. */
struct vec_clause {
	const uint64_t *labels;
	size_t n_labels;
	bool none;
};

struct vec_filter {
	const struct vec_clause *clauses;
	size_t n_clauses;
	const uint64_t *ids;
	size_t n_ids;
};

struct vec_query {
	const float *vector;
	unsigned k;		/* hits wanted, 1 to VEC_K_MAX */
	double recall;		/* share of the true k nearest to be found, on average; 0: VEC_RECALL_DEFAULT;
				   1: exact, every vector that passes is read */
	unsigned ef;		/* length of the candidate list; 0: what the recall takes, as measured on the index */
	const struct vec_filter *filter; /* NULL: all rows */
};

struct vec_hit {
	uint64_t id;
	float score; /* of the metric, exact; higher is nearer */
};

/* The k nearest rows, best first; equal scores by ascending id. ret has room for k. Returns how many there are
 * (fewer than k when fewer pass), or -EINVAL, -ENOMEM, -EUCLEAN. */
int vec_search(struct vec_index *v, const struct vec_query *q, struct vec_hit *ret, struct err *e);

/* Read one row: ret_vector (dim floats, as stored) and payload (appended) may be NULL. Returns 0, -ENOENT, or
 * -EUCLEAN when its checksum does not fit, or what buf_add returned. */
int vec_get(struct vec_index *v, uint64_t id, float *ret_vector, struct buf *payload, struct err *e);

/* Call fn for every live row in no order; a negative return of fn stops and is returned. The pointers are valid
 * during the call. fn may search and get, but not write. */
int vec_each(struct vec_index *v, int (*fn)(void *arg, const struct vec_row *row), void *arg, struct err *e);

/* Do background work on this thread: up to `rows` rows linked. Returns how many are still waiting, or -errno. */
int64_t vec_work(struct vec_index *v, size_t rows, struct err *e);

/* Wait until every row is linked and the recall is measured (does the work here when the index has no threads). */
int vec_settle(struct vec_index *v, struct err *e);

/* Make everything durable that was written so far. */
int vec_sync(struct vec_index *v, struct err *e);

/* Take dead rows out of the graph, reuse their places, rewrite mostly dead segments, write a checkpoint. Runs by
 * itself in the background when a tenth of the rows is dead; nobody has to call it. Searches go on. */
int vec_compact(struct vec_index *v, struct err *e);

/* Read every byte on the disk and check every checksum, link and row. 0, or -EUCLEAN naming file and offset. */
int vec_verify(struct vec_index *v, struct err *e);

struct vec_stats {
	unsigned dim;
	enum vec_metric metric;
	const char *kernel;    /* "avx512vnni", "avx2", "portable" */
	uint64_t rows;	       /* live */
	uint64_t dead;	       /* deleted or replaced, their place not yet reused */
	uint64_t unlinked;     /* live, not in the graph yet: scanned */
	uint64_t hot_bytes;    /* memory that searches touch: codes, links, tables */
	uint64_t vector_bytes; /* f32 vectors and payloads; on the disk, cached by the kernel, when there is a dir */
	uint64_t disk_bytes;   /* of all files */
	uint64_t replay_bytes; /* what an open would replay */
	unsigned ef[3];	       /* measured for recall 0.95, 0.98, 0.99 at k = 10; 0: not measured yet */
	double links_mean;     /* of a linked row */
};

void vec_stats(struct vec_index *v, struct vec_stats *ret);
