/* SPDX-License-Identifier: MIT */
/* vec_i.h - how an index lies in memory; inside vectors/ only. L1.
 *
 * A row has a number, its slot. By slot: a record (what the graph and the scans read), its id and its place in
 * the log (which holds the exact vector, labels and payload), one bit whether it lives. All of these stand in
 * address space reserved once, so nothing moves when it grows and readers need no lock.
 *
 * Threads. `mu` orders the writers: log, slots, queue of rows to link. `map` (ids, labels) is held for the
 * moment of a change in memory, never during I/O or search. Links of one record change under its spin bit;
 * readers see old or new ones, both of them rows. `upkeep` is held by consolidation, checkpoint and verify.
 * Order: upkeep, mu, map, a record's bit. What readers may still look at is freed or reused only after
 * grace_wait(). */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "lib/mem.h"
#include "lib/sys.h"
#include "vectors/kernel.h"
#include "vectors/rowlog.h"
#include "vectors/store.h"
#include "vectors/vec.h"

#define LINKS_MAX    28u /* head and links of a record are then two cache lines */
#define LINKS_NEW    24u /* that a new row gets; the rest of the room is for rows that choose it */
#define BUILD_EF     200u
#define FLAT_ROWS    2000u  /* below it the graph is not begun: a scan is as fast */
#define GATHER_ROWS  30000u /* a filter that leaves fewer is answered by reading just those */
#define EF_MAX	     4096u
#define ENTRIES_MAX  256u
#define ROWS_LIMIT   (1ull << 31)
#define RESCORE(k)   ((size_t)(k) + (k) / 2 + 3) /* candidates scored again exactly */
#define DEAD_SHARE   10			    /* consolidate when one row in so many is dead */

#define INS_MANY     255u
#define INS_LEAST    2u /* links that lead to a row are not pruned below so many: it would be found no more */

enum { REC_LINKED = 1, REC_FREE = 2 };

/* One row as the graph sees it; the code stands behind the links, at REC_CODE. A power of two of cache lines at
 * 384 dimensions: 512 bytes. */
struct rec {
	float scale, bias; /* similarity = asker's scale * scale * dot - bias */
	int32_t sum;	   /* of the code less 128 */
	_Atomic uint8_t degree;
	_Atomic uint8_t in; /* links that lead here; INS_MANY: so many or more, not counted any longer */
	_Atomic uint8_t lock;
	_Atomic uint8_t flags;
	_Atomic uint32_t links[LINKS_MAX];
};
#define REC_CODE sizeof(struct rec)
_Static_assert(sizeof(struct rec) == 128, "two cache lines");

struct row {
	_Atomic uint64_t id;
	_Atomic uint64_t at; /* position of its record in the log */
};

/* Address space of which the first part is memory. */
struct space {
	char *base;
	size_t reserved;
	_Atomic size_t committed;
};

/* Who asks: a vector as a signed code. self - similarity is the distance that pruning compares. */
struct asker {
	int8_t *code; /* padded, aligned to VEC_PAD */
	float scale;
	float self;
	int32_t shift; /* 128 * sum of the code */
};

struct cand {
	float sim;
	uint32_t row; /* CAND_CHECKED: its links were looked at */
};
#define CAND_CHECKED 0x80000000u

/* What one search or one linking works with; pooled, one user at a time. */
struct ctx {
	struct ctx *next;
	_Atomic bool busy;
	_Atomic uint64_t since; /* epoch in which its user began; 0: idle */
	uint64_t *seen;		/* a bit per slot, all clear between searches */
	size_t limit;		/* slots that `seen` has bits for: more than there are */
	uint64_t rows;		/* slots that there were when its user began */
	uint32_t *touched;	/* slots whose bits are set */
	size_t n_touched, touched_cap;
	struct cand *pool; /* sorted, best first */
	size_t n, pool_cap;
	void *hits; /* struct vec_hit */
	size_t hits_cap;
	uint64_t replaced; /* the index's, when the search began */
	struct asker q, q2;
	float *vector;
	uint64_t *pass; /* a bit per slot that passes the filter, while there is one */
	uint64_t *clause;
	uint32_t *match; /* the same as a list, while they are few */
	size_t n_match;
	uint64_t n_pass;
};

struct posting {
	uint64_t label;
	uint32_t *rows;
	size_t n, cap, wanted;
};

/* Where searches of the graph begin: a sample of its rows, their codes side by side. Immutable. */
struct entries {
	size_t n;
	uint64_t built_at; /* linked rows then */
	uint32_t *rows;
	float *scale, *bias;
	uint8_t *codes;
};

struct vec_index {
	unsigned dim;
	enum vec_metric metric;
	size_t pad, rec_bytes;
	uint64_t max_rows;
	const struct vec_kernel *k;
	char *dir; /* NULL: in memory */
	int lock_fd;
	bool lazy_sync;

	struct space recs, rows, alive, ring;
	_Atomic uint64_t n_rows; /* slots ever used */
	_Atomic uint64_t n_live, n_dead, n_linked;
	_Atomic uint64_t n_gone;   /* of the dead: out of the graph, their slots free */
	_Atomic uint64_t replaced; /* odd while a row and the one that replaces it both live */
	_Atomic uint64_t head, tail; /* of the ring of rows to link: positions, not yet taken modulo */

	pthread_mutex_t mu; /* writers */
	struct rowlog log;
	uint32_t *free_rows;
	size_t n_free, free_cap;
	bool dumping; /* a checkpoint reads the slots: none is reused */

	pthread_rwlock_t map;
	bool map_ready;
	uint32_t *ids; /* open addressing; slot + 1 */
	size_t ids_cap, ids_n;
	struct posting *postings;
	uint32_t *label_slots; /* open addressing; index + 1 */
	size_t n_postings, label_cap;

	_Atomic(struct ctx *) ctxs;
	_Atomic uint64_t epoch;
	_Atomic(struct entries *) entries;

	pthread_mutex_t work_mu; /* queue, calibration */
	pthread_cond_t work, idle;
	uint64_t claim; /* position of the ring that the next linker takes */
	unsigned linking, measuring;
	bool stop, entries_busy, warming;
	pthread_t *threads;
	unsigned n_threads;
	_Atomic uint32_t ef[3];	    /* measured; 0: not yet */
	_Atomic uint64_t measured_at; /* linked rows then */

	pthread_mutex_t upkeep;
	struct manifest manifest; /* as it is on the disk; changes under upkeep */
	_Atomic uint64_t checkpoint_from, checkpoint_failed; /* its `from`; bytes behind it before which none is tried again */
	_Atomic bool warm_due;	  /* the records are still pages of the checkpoint's file, and must stay as they are */
	uint64_t saved_rows;	  /* rows of the checkpoint that was loaded */
	uint8_t uuid[16];
	_Atomic bool damaged;
	char damage[300];
};

#define atomic_get(p)	 atomic_load_explicit(p, memory_order_acquire)
#define atomic_set(p, x) atomic_store_explicit(p, x, memory_order_release)

static inline struct rec *rec_at(const struct vec_index *v, uint64_t row)
{
	return (struct rec *)(void *)(v->recs.base + row * v->rec_bytes);
}
static inline uint8_t *rec_code(struct rec *r)
{
	return (uint8_t *)r + REC_CODE;
}
static inline struct row *row_at(const struct vec_index *v, uint64_t row)
{
	return (struct row *)(void *)v->rows.base + row;
}
static inline _Atomic uint64_t *alive_word(const struct vec_index *v, uint64_t word)
{
	return (_Atomic uint64_t *)(void *)v->alive.base + word;
}
static inline bool row_alive(const struct vec_index *v, uint64_t row)
{
	return atomic_get(alive_word(v, row >> 6)) >> (row & 63) & 1;
}
static inline _Atomic uint32_t *ring_at(const struct vec_index *v, uint64_t pos)
{
	return (_Atomic uint32_t *)(void *)v->ring.base + pos % v->max_rows;
}
static inline const float *row_vector(const struct vec_index *v, uint64_t row)
{
	return rowlog_vector(&v->log, atomic_get(&row_at(v, row)->at));
}
static inline float similarity(const struct rec *r, const struct asker *q, int32_t dot)
{
	return q->scale * r->scale * (float)(dot - q->shift) - r->bias;
}

/* ---- space.c: memory ---- */
int space_reserve(struct space *s, size_t bytes, struct err *e);
int space_commit(struct space *s, size_t bytes, struct err *e); /* the first `bytes` are memory, zeroed when new */
void space_done(struct space *s);

/* ---- ctx.c: what a search works with; readers that are under way ---- */
struct ctx *ctx_get(struct vec_index *v); /* NULL: no memory */
void ctx_put(struct vec_index *v, struct ctx *c);
int ctx_pool(struct ctx *c, size_t n); /* room for n candidates. 0 or -ENOMEM */
int ctx_hits(struct ctx *c, size_t n); /* room for n hits. 0 or -ENOMEM */
int ctx_bits(struct ctx *c);	       /* pass and clause, a bit for each of `limit` slots. 0 or -ENOMEM */
void ctx_forget(struct ctx *c);	       /* clear `seen` */
void ctx_free_all(struct vec_index *v);
/* Wait until whoever is searching now has ended. Not from within a ctx. */
void grace_wait(struct vec_index *v);

static inline bool ctx_see(struct ctx *c, uint32_t row) /* true: for the first time */
{
	uint64_t bit = 1ull << (row & 63), *w = &c->seen[row >> 6];
	if (*w & bit)
		return false;
	*w |= bit;
	if (c->n_touched < c->touched_cap)
		c->touched[c->n_touched] = row;
	c->n_touched++;
	return true;
}

/* ---- rows.c: slots, ids, labels; the caller holds mu, and `map` for writing where it says so ---- */
int map_ready(struct vec_index *v, struct err *e);		      /* builds the map of ids when it is not there yet */
int64_t map_find(const struct vec_index *v, uint64_t id);	      /* slot or -1; map held */
int rows_room(struct vec_index *v, const struct vec_row *rows, size_t n, struct err *e); /* then rows_put cannot fail */
void rows_put(struct vec_index *v, const struct rowlog_put *p, uint64_t at);
bool rows_delete(struct vec_index *v, uint64_t id);
void rows_encode(const struct vec_index *v, const float *x, struct rec *r);
int posting_add(struct vec_index *v, uint64_t label, const uint32_t *rows, size_t n); /* map held; 0 or -ENOMEM */
const struct posting *posting_find(const struct vec_index *v, uint64_t label);
void rows_done(struct vec_index *v);

/* ---- graph.c ---- */
void asker_of_vector(const struct vec_index *v, const float *x, struct asker *ret);
void asker_of_row(const struct vec_index *v, uint32_t row, struct asker *ret);
size_t cand_offer(struct cand *pool, size_t *n, size_t cap, float sim, uint32_t row); /* place it got, or cap */
/* The ef best rows that the graph finds, dead ones among them, into c->pool. `seen` is left set. */
void graph_search(struct vec_index *v, struct ctx *c, const struct asker *q, size_t ef);
int entries_build(struct vec_index *v, struct err *e);
void entries_free(struct entries *en);

/* ---- link.c ---- */
void link_row(struct vec_index *v, struct ctx *c, uint32_t row);
void ins_drop(struct vec_index *v, uint32_t row); /* one link to it is gone */
void link_repair(struct vec_index *v, struct ctx *c, uint32_t row, const uint64_t *dead);

/* ---- flat.c: scans; each offers to c->pool, c->n of at most cap ---- */
void flat_rows(struct vec_index *v, struct ctx *c, const struct asker *q, size_t cap); /* all live, passing */
void flat_queue(struct vec_index *v, struct ctx *c, const struct asker *q, size_t cap, uint64_t from);
void flat_match(struct vec_index *v, struct ctx *c, const struct asker *q, size_t cap); /* c->match */
void flat_exact(struct vec_index *v, struct ctx *c, size_t cap);
float row_score(const struct vec_index *v, const float *q, uint64_t row);

/* ---- filter.c ---- */
int filter_apply(struct vec_index *v, struct ctx *c, const struct vec_filter *f, struct err *e);

/* ---- work.c: linking in the background, measuring the recall ---- */
void work_notify(struct vec_index *v);
int work_start(struct vec_index *v, unsigned threads, struct err *e);
int entries_renew(struct vec_index *v, struct err *e); /* waits for its turn */
void work_stop(struct vec_index *v);
unsigned recall_ef(const struct vec_index *v, double recall, unsigned k);
int recall_measure(struct vec_index *v, struct err *e);
/* Fills c->pool with candidates by ef; the core of vec_search without exact scores. */
void search_candidates(struct vec_index *v, struct ctx *c, size_t ef, size_t keep, bool filtered);
size_t search_rescore(struct vec_index *v, struct ctx *c, size_t k, struct vec_hit *ret);

/* ---- vec.c ---- */
int index_reserve(struct vec_index *v, struct err *e); /* the spaces, dim being known */

/* ---- checkpoint_load.c ---- */
/* Check the records that were loaded and move them into memory of large pages. Nothing else changes them. */
void checkpoint_warm(struct vec_index *v);
int checkpoint_check(struct vec_index *v, struct err *e); /* every checksum of the file in use */

/* ---- upkeep.c ---- */
int upkeep_consolidate(struct vec_index *v, struct err *e); /* upkeep held */
int upkeep_segments(struct vec_index *v, struct err *e);    /* compact.c; upkeep held */

/* ---- store.c: the directory ---- */
int open_dir(struct vec_index *v, const char *dir, const struct vec_options *o, struct err *e);
void close_dir(struct vec_index *v);
void stats_dir(struct vec_index *v, struct vec_stats *ret);
