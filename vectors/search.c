/* SPDX-License-Identifier: MIT */
/* search.c - one search: what to read, candidates by code, exact scores. L1; any thread. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "vectors/vec_i.h"

static size_t max_size(size_t a, size_t b)
{
	return a > b ? a : b;
}

static bool passes(const struct ctx *c, uint32_t row)
{
	return !c->n_pass || c->pass[row >> 6] >> (row & 63) & 1;
}

/* The graph's candidates that live and pass, at most keep. */
static void sift(struct vec_index *v, struct ctx *c, size_t keep)
{
	size_t n = 0;
	for (size_t i = 0; i < c->n && n < keep; i++)
		if (row_alive(v, c->pool[i].row) && passes(c, c->pool[i].row))
			c->pool[n++] = c->pool[i];
	c->n = n;
}

/* Rows that do not count take places of the list: it grows by their share. */
static size_t stretch(const struct vec_index *v, const struct ctx *c, size_t ef)
{
	uint64_t linked = atomic_get(&v->n_linked), live = atomic_get(&v->n_live), dead = atomic_get(&v->n_dead);
	double share = live + dead ? (double)live / (double)(live + dead) : 1;
	if (c->n_pass && live)
		share *= (double)c->n_pass / (double)live;
	size_t want = (size_t)ceil((double)ef / (share > 0.001 ? share : 0.001));
	size_t most = linked < EF_MAX ? (size_t)linked + 1 : EF_MAX;
	return want < most ? want : most > ef ? most : ef;
}

void search_candidates(struct vec_index *v, struct ctx *c, size_t ef, size_t keep, bool filtered)
{
	if (filtered && c->n_pass <= GATHER_ROWS) {
		flat_match(v, c, &c->q, keep);
		return;
	}
	uint64_t from = atomic_get(&v->head);
	size_t full = keep;
	size_t len = stretch(v, c, ef);
	keep = keep < ef ? keep : ef;
	if (!atomic_get(&v->entries) || ctx_pool(c, len) < 0) {
		flat_rows(v, c, &c->q, full);
		return;
	}
	graph_search(v, c, &c->q, len);
	sift(v, c, keep);
	flat_queue(v, c, &c->q, keep, from);
	/* A filter, or many deletes, may leave a corner that the walk does not come to: then all that passes is read. */
	if (c->n < keep && c->n < (filtered ? c->n_pass : atomic_get(&v->n_live))) {
		c->n = 0;
		flat_rows(v, c, &c->q, full);
	}
}

static int by_score(const void *a, const void *b)
{
	const struct vec_hit *x = a, *y = b;
	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static void prefetch_vector(const struct vec_index *v, uint32_t row)
{
	const char *x = (const char *)row_vector(v, row);
	for (size_t i = 0; i < v->dim * sizeof(float); i += 64)
		__builtin_prefetch(x + i);
}

/* Hits of rows that a write replaced meanwhile, and whose successor is there too, go. */
static size_t drop_doubles(struct vec_hit *hits, size_t n)
{
	size_t out = 0;
	for (size_t i = 0; i < n; i++) {
		size_t j = 0;
		while (j < out && hits[j].id != hits[i].id)
			j++;
		if (j == out)
			hits[out++] = hits[i];
	}
	return out;
}

/* Exact scores of the candidates, in place of c->more. Returns how many hits went to ret. */
size_t search_rescore(struct vec_index *v, struct ctx *c, size_t k, struct vec_hit *ret)
{
	struct vec_hit *hits = (struct vec_hit *)(void *)c->hits;
	size_t n = 0;
	for (size_t i = 0; i < c->n; i++) {
		if (i + 2 < c->n)
			prefetch_vector(v, c->pool[i + 2].row);
		uint32_t row = c->pool[i].row;
		hits[n].score = row_score(v, c->vector, row);
		hits[n].id = atomic_get(&row_at(v, row)->id);
		n += row_alive(v, row);
	}
	qsort(hits, n, sizeof *hits, by_score);
	if (atomic_get(&v->replaced) != c->replaced || c->replaced % 2)
		n = drop_doubles(hits, n);
	n = n < k ? n : k;
	memcpy(ret, hits, n * sizeof *hits);
	return n;
}

static int take_query(const struct vec_index *v, struct ctx *c, const float *x, struct err *e)
{
	float norm = v->k->dot_f32(x, x, v->dim);
	if (!isfinite(norm))
		return err_set(e, ERR_VDB_INVALID, "query has a number that is not finite, or is too long");
	if (v->metric == VEC_COSINE && norm < 1e-30f)
		return err_set(e, ERR_VDB_INVALID, "query is all zero: it has no direction to compare");
	float by = v->metric == VEC_COSINE ? 1 / sqrtf(norm) : 1;
	for (unsigned i = 0; i < v->dim; i++)
		c->vector[i] = x[i] * by;
	asker_of_vector(v, c->vector, &c->q);
	return 0;
}

static int search(struct vec_index *v, struct ctx *c, const struct vec_query *q, struct vec_hit *ret, struct err *e)
{
	size_t keep = RESCORE(q->k);
	c->replaced = atomic_get(&v->replaced);
	int r = take_query(v, c, q->vector, e);
	if (r == 0 && q->filter)
		r = filter_apply(v, c, q->filter, e);
	if (r < 0)
		return r;
	if (q->filter && c->n_pass == 0)
		return 0;
	if (ctx_pool(c, keep + 1) < 0 || ctx_hits(c, keep) < 0)
		return err_set(e, ERR_VDB_FAILED, "no memory for %u hits", q->k);
	if (q->recall >= 1 && !(q->filter && c->n_match))
		flat_exact(v, c, keep);
	else if (q->recall >= 1)
		for (size_t i = 0; i < c->n_match; i++)
			cand_offer(c->pool, &c->n, keep, row_score(v, c->vector, c->match[i]), c->match[i]);
	else
		search_candidates(v, c, max_size(q->ef ? q->ef : recall_ef(v, q->recall, q->k), q->k), keep, q->filter);
	return (int)search_rescore(v, c, q->k, ret);
}

int vec_search(struct vec_index *v, const struct vec_query *q, struct vec_hit *ret, struct err *e)
{
	if (!q->vector || !q->k || q->k > VEC_K_MAX)
		return err_set(e, ERR_VDB_INVALID, "k is %u, not 1 to %u", q->k, VEC_K_MAX);
	if (!(q->recall >= 0 && q->recall <= 1) || q->ef > EF_MAX)
		return err_set(e, ERR_VDB_INVALID, "recall is not 0 to 1, or ef is more than %u", EF_MAX);
	if (atomic_get(&v->damaged))
		return err_set(e, ERR_VDB_DAMAGED, "%s", v->damage);
	struct ctx *c = ctx_get(v);
	if (!c)
		return err_set(e, ERR_VDB_FAILED, "no memory for a search");
	int r = search(v, c, q, ret, e);
	ctx_put(v, c);
	return r;
}
