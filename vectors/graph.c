/* SPDX-License-Identifier: MIT */
/* graph.c - the search of the graph: from sampled rows along links to ever nearer ones. L1; any thread. */
#include <errno.h>
#include <string.h>

#include "vectors/vec_i.h"

#define STARTS(ef)   ((ef) / 8 + 2) /* of the sample, the best so many begin: one alone may be in another corner */
#define SHORT_LIST   96u /* candidates: below, a place is found by moving others; above, by halving */
#define AHEAD	     8u	 /* rows that are asked from memory before they are needed */

/* ---- who asks ---- */

/* A row code without its 128: flipping the top bit is what that comes to. */
static void signed_code(const uint8_t *code, size_t n, int8_t *ret)
{
	for (size_t i = 0; i < n; i++)
		ret[i] = (int8_t)(code[i] ^ 0x80);
}

static void asker_of_rec(const struct vec_index *v, struct rec *r, struct asker *ret)
{
	signed_code(rec_code(r), v->pad, ret->code);
	ret->shift = 128 * r->sum;
	ret->scale = v->metric == VEC_L2 ? 2 * r->scale : r->scale;
	ret->self = v->metric == VEC_L2 ? r->bias : v->metric == VEC_COSINE ? 1 : 0;
}

void asker_of_row(const struct vec_index *v, uint32_t row, struct asker *ret)
{
	asker_of_rec(v, rec_at(v, row), ret);
}

void asker_of_vector(const struct vec_index *v, const float *x, struct asker *ret)
{
	int32_t sum;
	float scale = v->k->encode(x, v->dim, (uint8_t *)ret->code, &sum);
	signed_code((uint8_t *)ret->code, v->pad, ret->code);
	ret->shift = 128 * sum;
	ret->scale = v->metric == VEC_L2 ? 2 * scale : scale;
	ret->self = v->metric == VEC_L2 ? v->k->dot_f32(x, x, v->dim) : v->metric == VEC_COSINE ? 1 : 0;
}

/* ---- the sorted list ---- */

static inline size_t offer(struct cand *pool, size_t *n, size_t cap, float sim, uint32_t row)
{
	if (*n == cap && sim <= pool[cap - 1].sim)
		return cap;
	size_t i = *n < cap ? (*n)++ : cap - 1;
	if (cap <= SHORT_LIST) {
		for (; i && pool[i - 1].sim < sim; i--)
			pool[i] = pool[i - 1];
		pool[i] = (struct cand){sim, row};
		return i;
	}
	size_t lo = 0, hi = i;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (pool[mid].sim < sim)
			hi = mid;
		else
			lo = mid + 1;
	}
	memmove(pool + lo + 1, pool + lo, (i - lo) * sizeof *pool);
	pool[lo] = (struct cand){sim, row};
	return lo;
}

size_t cand_offer(struct cand *pool, size_t *n, size_t cap, float sim, uint32_t row)
{
	return offer(pool, n, cap, sim, row);
}

/* ---- the walk ---- */

static inline void prefetch_rec(const struct vec_index *v, uint32_t row)
{
	const char *p = v->recs.base + (uint64_t)row * v->rec_bytes;
	__builtin_prefetch(p);
	for (size_t i = REC_CODE; i < v->rec_bytes; i += 64)
		__builtin_prefetch(p + i);
}

static void seed(struct vec_index *v, struct ctx *c, const struct asker *q, size_t ef)
{
	const struct entries *en = atomic_get(&v->entries);
	size_t cap = ef < STARTS(ef) ? ef : STARTS(ef);
	for (size_t i = 0; i < en->n; i += 4) { /* padded to fours */
		const uint8_t *x[4];
		int32_t dot[4];
		for (size_t j = 0; j < 4; j++)
			x[j] = en->codes + (i + j) * v->pad;
		v->k->dot_code4(x, q->code, v->pad, dot);
		for (size_t j = 0; j < 4 && i + j < en->n; j++) {
			float sim = q->scale * en->scale[i + j] * (float)(dot[j] - q->shift) - en->bias[i + j];
			cand_offer(c->pool, &c->n, cap, sim, en->rows[i + j]);
		}
	}
	for (size_t i = 0; i < c->n; i++)
		ctx_see(c, c->pool[i].row);
}

/* Rows that `row` links to and that were not seen yet. */
static size_t fresh_links(struct vec_index *v, struct ctx *c, uint32_t row, uint32_t *ret)
{
	struct rec *r = rec_at(v, row);
	unsigned degree = atomic_get(&r->degree);
	size_t n = 0;
	for (unsigned i = 0; i < degree && i < LINKS_MAX; i++) {
		uint32_t to = atomic_get(&r->links[i]);
		if (to < c->rows && ctx_see(c, to))
			ret[n++] = to;
	}
	return n;
}

static size_t expand(struct vec_index *v, struct ctx *c, const struct asker *q, size_t ef, uint32_t row)
{
	uint32_t fresh[LINKS_MAX + 4];
	size_t n = fresh_links(v, c, row, fresh), best = ef;
	for (size_t i = 0; i < n && i < AHEAD; i++)
		prefetch_rec(v, fresh[i]);
	for (size_t i = n; i % 4; i++)
		fresh[i] = fresh[n - 1];
	for (size_t i = 0; i < n; i += 4) {
		struct rec *r[4];
		const uint8_t *x[4];
		int32_t dot[4];
		for (size_t j = 0; j < 4; j++) {
			if (i + j + AHEAD < n)
				prefetch_rec(v, fresh[i + j + AHEAD]);
			r[j] = rec_at(v, fresh[i + j]);
			x[j] = rec_code(r[j]);
		}
		v->k->dot_code4(x, q->code, v->pad, dot);
		for (size_t j = 0; j < 4 && i + j < n; j++) {
			float sim = similarity(r[j], q, dot[j]);
			if (c->n == ef && sim <= c->pool[ef - 1].sim)
				continue;
			size_t at = offer(c->pool, &c->n, ef, sim, fresh[i + j]);
			if (at >= best)
				continue;
			best = at;
			__builtin_prefetch((const char *)r[j] + 64); /* it may be the next whose links are read */
		}
	}
	return best;
}

void graph_search(struct vec_index *v, struct ctx *c, const struct asker *q, size_t ef)
{
	c->n = 0;
	if (!atomic_get(&v->entries))
		return;
	seed(v, c, q, ef);
	for (size_t at = 0; at < c->n;) {
		uint32_t row = c->pool[at].row;
		if (row & CAND_CHECKED) {
			at++;
			continue;
		}
		c->pool[at].row |= CAND_CHECKED;
		if (at + 1 < c->n)
			__builtin_prefetch((const char *)rec_at(v, c->pool[at + 1].row & ~CAND_CHECKED) + 64);
		size_t low = expand(v, c, q, ef, row);
		at = low <= at ? low : at + 1;
	}
	for (size_t i = 0; i < c->n; i++)
		c->pool[i].row &= ~CAND_CHECKED;
}

/* ---- where it begins ---- */

void entries_free(struct entries *en)
{
	if (!en)
		return;
	free(en->rows);
	free(en->scale);
	free(en->bias);
	free(en->codes);
	free(en);
}

static struct entries *entries_new(const struct vec_index *v, size_t n)
{
	struct entries *en = calloc(1, sizeof *en);
	size_t room = (n + 3) & ~3ul;
	if (!en)
		return NULL;
	en->rows = calloc(room, sizeof *en->rows);
	en->scale = calloc(room, sizeof *en->scale);
	en->bias = calloc(room, sizeof *en->bias);
	en->codes = aligned_alloc(VEC_PAD, room * v->pad);
	if (en->rows && en->scale && en->bias && en->codes) {
		memset(en->codes, 128, room * v->pad);
		return en;
	}
	entries_free(en);
	return NULL;
}

static void entries_add(struct vec_index *v, struct entries *en, uint64_t row)
{
	struct rec *r = rec_at(v, row);
	en->rows[en->n] = (uint32_t)row;
	en->scale[en->n] = r->scale;
	en->bias[en->n] = r->bias;
	memcpy(en->codes + en->n * v->pad, rec_code(r), v->pad);
	en->n++;
}

/* A sample of the linked rows, evenly over the slots. Called by one thread at a time. */
int entries_build(struct vec_index *v, struct err *e)
{
	uint64_t n = atomic_get(&v->n_rows), linked = atomic_get(&v->n_linked);
	size_t want = 64;
	while (want < ENTRIES_MAX && want * want / 16 < linked)
		want += 64;
	struct entries *en = entries_new(v, want), *old = atomic_get(&v->entries);
	if (!en)
		return err_set(e, ERR_VDB_FAILED, "no memory for the entries of the graph");
	uint64_t step = n / want ? n / want : 1, x = 0x9e3779b97f4a7c15ull;
	for (uint64_t from = 0; from < n && en->n < want; from += step) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		for (uint64_t i = 0; i < step; i++) {
			uint64_t row = from + ((x >> 33) + i) % step;
			if (row >= n || !(atomic_get(&rec_at(v, row)->flags) & REC_LINKED) || !row_alive(v, row))
				continue;
			entries_add(v, en, row);
			break;
		}
	}
	if (!en->n) {
		entries_free(en);
		return 0;
	}
	en->built_at = linked;
	atomic_set(&v->entries, en);
	if (old)
		grace_wait(v);
	entries_free(old);
	return 0;
}
