/* SPDX-License-Identifier: MIT */
/* flat.c - scans: of all rows, of those that wait to be linked, of those that a filter leaves. L1; any thread. */
#include <math.h>

#include "vectors/vec_i.h"

#define AHEAD 8u /* rows asked from memory before they are needed */

/* Rows gathered until there are four. */
struct four {
	uint32_t row[4];
	size_t n;
};

static void four_flush(struct vec_index *v, struct ctx *c, const struct asker *q, size_t cap, struct four *f)
{
	struct rec *r[4];
	const uint8_t *x[4];
	int32_t dot[4];
	if (!f->n)
		return;
	for (size_t j = 0; j < 4; j++) {
		r[j] = rec_at(v, f->row[j < f->n ? j : f->n - 1]);
		x[j] = rec_code(r[j]);
	}
	v->k->dot_code4(x, q->code, v->pad, dot);
	for (size_t j = 0; j < f->n; j++) {
		float sim = similarity(r[j], q, dot[j]);
		if (c->n < cap || sim > c->pool[cap - 1].sim)
			cand_offer(c->pool, &c->n, cap, sim, f->row[j]);
	}
	f->n = 0;
}

static inline void four_add(struct vec_index *v, struct ctx *c, const struct asker *q, size_t cap, struct four *f, uint32_t row)
{
	f->row[f->n++] = row;
	if (f->n == 4)
		four_flush(v, c, q, cap, f);
}

static inline void fetch(const struct vec_index *v, uint32_t row)
{
	const char *p = v->recs.base + (uint64_t)row * v->rec_bytes;
	__builtin_prefetch(p);
	for (size_t i = REC_CODE; i < v->rec_bytes; i += 64)
		__builtin_prefetch(p + i);
}

void flat_rows(struct vec_index *v, struct ctx *c, const struct asker *q, size_t cap)
{
	struct four f = {.n = 0};
	uint64_t words = (atomic_get(&v->n_rows) + 63) / 64;
	for (uint64_t w = 0; w < words && w < c->limit / 64; w++) {
		uint64_t bits = atomic_get(alive_word(v, w));
		if (c->n_pass)
			bits &= c->pass[w];
		for (; bits; bits &= bits - 1) {
			uint32_t row = (uint32_t)(w * 64 + (unsigned)__builtin_ctzll(bits));
			fetch(v, row + 4);
			four_add(v, c, q, cap, &f, row);
		}
	}
	four_flush(v, c, q, cap, &f);
}

void flat_queue(struct vec_index *v, struct ctx *c, const struct asker *q, size_t cap, uint64_t from)
{
	struct four f = {.n = 0};
	uint64_t to = atomic_get(&v->tail);
	for (uint64_t pos = from; pos < to; pos++) {
		if (pos + AHEAD < to)
			fetch(v, atomic_get(ring_at(v, pos + AHEAD)));
		uint32_t row = atomic_get(ring_at(v, pos));
		/* The walk of the graph may have met those that are linked by now. */
		if (row < c->limit && row_alive(v, row) && ctx_see(c, row) && (!c->n_pass || c->pass[row >> 6] >> (row & 63) & 1))
			four_add(v, c, q, cap, &f, row);
	}
	four_flush(v, c, q, cap, &f);
}

void flat_match(struct vec_index *v, struct ctx *c, const struct asker *q, size_t cap)
{
	struct four f = {.n = 0};
	for (size_t i = 0; i < c->n_match; i++) {
		if (i + AHEAD < c->n_match)
			fetch(v, c->match[i + AHEAD]);
		if (row_alive(v, c->match[i]))
			four_add(v, c, q, cap, &f, c->match[i]);
	}
	four_flush(v, c, q, cap, &f);
}

float row_score(const struct vec_index *v, const float *q, uint64_t row)
{
	const float *x = row_vector(v, row);
	return v->metric == VEC_L2 ? -v->k->l2_f32(q, x, v->dim) : v->k->dot_f32(q, x, v->dim);
}

void flat_exact(struct vec_index *v, struct ctx *c, size_t cap)
{
	uint64_t words = (atomic_get(&v->n_rows) + 63) / 64;
	for (uint64_t w = 0; w < words && w < c->limit / 64; w++) {
		uint64_t bits = atomic_get(alive_word(v, w));
		if (c->n_pass)
			bits &= c->pass[w];
		for (; bits; bits &= bits - 1) {
			uint64_t row = w * 64 + (unsigned)__builtin_ctzll(bits);
			cand_offer(c->pool, &c->n, cap, row_score(v, c->vector, row), (uint32_t)row);
		}
	}
}
