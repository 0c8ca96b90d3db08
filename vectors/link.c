/* SPDX-License-Identifier: MIT */
/* link.c - how a row becomes part of the graph: near rows in different directions, each way. L1; any thread.
 *
 * A candidate is linked only when no row already linked is nearer to it than the asker is: links then lead to
 * different directions (the pruning of HNSW; with SLACK that of Vamana). */
#include <sched.h>
#include <string.h>

#include "vectors/vec_i.h"

#define SLACK 1.1f /* squared alpha: above 1 keeps more of the nearer, longer links */

static void lock_rec(struct rec *r)
{
	while (atomic_exchange_explicit(&r->lock, 1, memory_order_acquire))
		for (int i = 0; atomic_load_explicit(&r->lock, memory_order_relaxed); i++) {
			cpu_relax();
			if (i > 1000)
				sched_yield();
		}
}

static void unlock_rec(struct rec *r)
{
	atomic_store_explicit(&r->lock, 0, memory_order_release);
}

/* Is a row of kept[] nearer to candidate c than the asker is? `distance`: asker to c. */
static bool covered(struct vec_index *v, struct asker *q, const struct cand *c, float distance, const uint32_t *kept, size_t n)
{
	asker_of_row(v, c->row, q);
	for (size_t i = 0; i < n; i += 4) {
		struct rec *r[4];
		const uint8_t *x[4];
		int32_t dot[4];
		for (size_t j = 0; j < 4; j++) {
			r[j] = rec_at(v, kept[i + j < n ? i + j : n - 1]);
			x[j] = rec_code(r[j]);
		}
		v->k->dot_code4(x, q->code, v->pad, dot);
		for (size_t j = 0; j < 4; j++)
			if (SLACK * (q->self - similarity(r[j], q, dot[j])) < distance)
				return true;
	}
	return false;
}

static void ins_add(struct vec_index *v, uint32_t row)
{
	_Atomic uint8_t *in = &rec_at(v, row)->in;
	uint8_t n = atomic_load_explicit(in, memory_order_relaxed);
	while (n < INS_MANY && !atomic_compare_exchange_weak(in, &n, (uint8_t)(n + 1)))
		;
}

void ins_drop(struct vec_index *v, uint32_t row)
{
	_Atomic uint8_t *in = &rec_at(v, row)->in;
	uint8_t n = atomic_load_explicit(in, memory_order_relaxed);
	while (n && n < INS_MANY && !atomic_compare_exchange_weak(in, &n, (uint8_t)(n - 1)))
		;
}

/* Of n candidates, best first, the at most `most` to link. self: of the asker. A row that few other links lead to is
 * kept in any case: `linked` says which of the candidates have one from here. */
static size_t choose(struct vec_index *v, struct asker *scratch, float self, const struct cand *from, size_t n, uint32_t *ret,
		     size_t most, bool (*linked)(const void *arg, uint32_t row), const void *arg)
{
	size_t kept = 0;
	for (size_t i = 0; i < n && kept < most; i++) {
		bool here = linked && linked(arg, from[i].row);
		bool rare = linked && atomic_get(&rec_at(v, from[i].row)->in) < INS_LEAST + here;
		if (rare || !covered(v, scratch, &from[i], self - from[i].sim, ret, kept))
			ret[kept++] = from[i].row;
	}
	return kept;
}

/* New links of a record that the caller has locked, or that nobody knows yet. */
static void set_links(struct vec_index *v, struct rec *r, const uint32_t *rows, size_t n)
{
	for (unsigned i = 0, old = atomic_get(&r->degree); i < old; i++)
		ins_drop(v, atomic_get(&r->links[i]));
	for (size_t i = 0; i < n; i++) {
		ins_add(v, rows[i]);
		atomic_set(&r->links[i], rows[i]);
	}
	atomic_set(&r->degree, (uint8_t)n);
}

static bool has_link(const void *arg, uint32_t row)
{
	const struct rec *r = arg;
	for (unsigned i = 0, n = atomic_get(&r->degree); i < n; i++)
		if (atomic_get(&r->links[i]) == row)
			return true;
	return false;
}

/* Similarities of n rows to q, into a sorted list. */
static size_t rank(struct vec_index *v, const struct asker *q, const uint32_t *rows, size_t n, struct cand *ret)
{
	size_t out = 0;
	for (size_t i = 0; i < n; i++) {
		const char *p = (const char *)rec_at(v, rows[i]);
		for (size_t j = 0; j < v->rec_bytes; j += 64)
			__builtin_prefetch(p + j);
	}
	for (size_t i = 0; i < n; i++) {
		struct rec *r = rec_at(v, rows[i]);
		cand_offer(ret, &out, n, similarity(r, q, v->k->dot_code(rec_code(r), q->code, v->pad)), rows[i]);
	}
	return out;
}

/* Row `from` is a neighbour that `to` may link back to. */
static void link_back(struct vec_index *v, struct ctx *c, uint32_t to, uint32_t from)
{
	struct rec *r = rec_at(v, to);
	uint32_t rows[LINKS_MAX + 1], kept[LINKS_MAX];
	struct cand all[LINKS_MAX + 1];
	lock_rec(r);
	unsigned n = atomic_get(&r->degree);
	bool there = false;
	for (unsigned i = 0; i < n; i++) {
		rows[i] = atomic_get(&r->links[i]);
		there |= rows[i] == from;
	}
	if (there) {
		unlock_rec(r);
		return;
	}
	if (n < LINKS_MAX) {
		ins_add(v, from);
		atomic_set(&r->links[n], from);
		atomic_set(&r->degree, (uint8_t)(n + 1));
	} else {
		rows[n++] = from;
		asker_of_row(v, to, &c->q);
		float self = c->q.self;
		size_t ranked = rank(v, &c->q, rows, n, all);
		set_links(v, r, kept, choose(v, &c->q2, self, all, ranked, kept, LINKS_MAX, has_link, r));
	}
	unlock_rec(r);
}

void link_row(struct vec_index *v, struct ctx *c, uint32_t row)
{
	uint32_t kept[LINKS_MAX];
	struct rec *r = rec_at(v, row);
	if (ctx_pool(c, BUILD_EF) < 0)
		return; /* stays as it is: scanned, and tried again */
	asker_of_row(v, row, &c->q);
	graph_search(v, c, &c->q, BUILD_EF);
	ctx_forget(c);
	size_t n = 0;
	for (size_t i = 0; i < c->n; i++)
		if (c->pool[i].row != row && row_alive(v, c->pool[i].row))
			c->pool[n++] = c->pool[i];
	n = choose(v, &c->q2, c->q.self, c->pool, n, kept, LINKS_NEW, NULL, NULL);
	lock_rec(r);
	set_links(v, r, kept, n);
	unlock_rec(r);
	for (size_t i = 0; i < n; i++)
		link_back(v, c, kept[i], row);
	atomic_fetch_or(&r->flags, REC_LINKED);
}

/* Rows beyond the limit came after the dead were counted. */
static bool is_dead(const struct ctx *c, const uint64_t *dead, uint32_t row)
{
	return row < c->limit && dead[row >> 6] >> (row & 63) & 1;
}

/* Links of a live row that lead to dead ones are replaced by what those led to. `dead`: a bit for each of c->limit. */
void link_repair(struct vec_index *v, struct ctx *c, uint32_t row, const uint64_t *dead)
{
	struct rec *r = rec_at(v, row);
	uint32_t rows[LINKS_MAX * (LINKS_MAX + 1)], kept[LINKS_MAX];
	size_t n = 0, gone = 0;
	lock_rec(r);
	unsigned degree = atomic_get(&r->degree);
	ctx_see(c, row);
	for (unsigned i = 0; i < degree; i++) {
		uint32_t to = atomic_get(&r->links[i]);
		if (!is_dead(c, dead, to) && to < c->limit && ctx_see(c, to))
			rows[n++] = to;
		gone += is_dead(c, dead, to);
	}
	for (unsigned i = 0; i < degree && gone; i++) {
		struct rec *d = rec_at(v, atomic_get(&r->links[i]));
		if (!is_dead(c, dead, atomic_get(&r->links[i])))
			continue;
		for (unsigned j = 0, m = atomic_get(&d->degree); j < m; j++) {
			uint32_t to = atomic_get(&d->links[j]);
			if (!is_dead(c, dead, to) && to < c->limit && ctx_see(c, to))
				rows[n++] = to;
		}
	}
	if (gone && ctx_pool(c, sizeof rows / sizeof rows[0]) == 0) {
		asker_of_row(v, row, &c->q);
		float self = c->q.self;
		size_t ranked = rank(v, &c->q, rows, n, c->pool);
		set_links(v, r, kept, choose(v, &c->q2, self, c->pool, ranked, kept, LINKS_MAX, has_link, r));
	}
	unlock_rec(r);
	ctx_forget(c);
}
