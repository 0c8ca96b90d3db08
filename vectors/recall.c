/* SPDX-License-Identifier: MIT */
/* recall.c - how long the list of candidates must be for a recall: measured on the index itself. L1; one thread at a time
 * measures, any reads.
 *
 * A query of the measurement is a row moved by the difference of two of its neighbours: as far from the row as its
 * neighbours are, in a direction in which the data lie. A row itself would be found too easily: it is a node of the
 * graph, and its links are its neighbours. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "vectors/vec_i.h"

#define SAMPLES 200u
#define K	10u

static const unsigned ladder[] = {10, 14,  18,  22,  26,  32,  40,  48,  56,  64,  72,   80,
				  88, 104, 128, 160, 192, 256, 320, 384, 512, 768, 1024, 2048};
static const double asked[3] = {0.95, 0.98, 0.99};

struct sample {
	float *query;
	uint64_t nearest[K]; /* ids */
	int n;
};

static void walk(struct vec_index *v, struct ctx *c, size_t ef, size_t keep)
{
	graph_search(v, c, &c->q, ef);
	ctx_forget(c);
	size_t n = 0;
	for (size_t i = 0; i < c->n && n < keep; i++)
		if (row_alive(v, c->pool[i].row))
			c->pool[n++] = c->pool[i];
	c->n = n;
}

static void ask(struct vec_index *v, struct ctx *c, const float *x)
{
	memcpy(c->vector, x, v->dim * sizeof *x);
	asker_of_vector(v, c->vector, &c->q);
	c->replaced = atomic_get(&v->replaced);
	c->n = 0;
}

static bool make_query(struct vec_index *v, struct ctx *c, uint32_t row, unsigned *seed, float *ret)
{
	ask(v, c, row_vector(v, row));
	walk(v, c, 64, 12);
	if (c->n < 6)
		return false;
	const float *x = row_vector(v, row);
	size_t i = 1 + (unsigned)rand_r(seed) % (c->n - 1), j = 1 + (unsigned)rand_r(seed) % (c->n - 1);
	if (i == j)
		j = j == 1 ? 2 : j - 1;
	const float *a = row_vector(v, c->pool[i].row), *b = row_vector(v, c->pool[j].row);
	float norm = 0;
	for (unsigned d = 0; d < v->dim; d++) {
		ret[d] = x[d] + a[d] - b[d];
		norm += ret[d] * ret[d];
	}
	if (norm < 1e-20f)
		return false;
	for (unsigned d = 0; d < v->dim && v->metric == VEC_COSINE; d++)
		ret[d] /= sqrtf(norm);
	return true;
}

/* Rows that are not linked are not what is measured: scans leave them out. */
static void only_linked(struct vec_index *v, struct ctx *c)
{
	uint64_t n = atomic_get(&v->n_rows);
	memset(c->pass, 0, c->limit / 8);
	for (uint64_t row = 0; row < n && row < c->limit; row++)
		if (atomic_get(&rec_at(v, row)->flags) & REC_LINKED)
			c->pass[row >> 6] |= 1ull << (row & 63);
	c->n_pass = 1;
}

/* The truth: every linked row by code, the best exactly. */
static void truth(struct vec_index *v, struct ctx *c, struct sample *s)
{
	struct vec_hit hits[K];
	ask(v, c, s->query);
	flat_rows(v, c, &c->q, RESCORE(K));
	s->n = (int)search_rescore(v, c, K, hits);
	for (int i = 0; i < s->n; i++)
		s->nearest[i] = hits[i].id;
}

static double recall_of(struct vec_index *v, struct ctx *c, const struct sample *all, size_t n, unsigned ef)
{
	unsigned found = 0, there = 0;
	for (size_t i = 0; i < n; i++) {
		struct vec_hit hits[K];
		ask(v, c, all[i].query);
		walk(v, c, ef, RESCORE(K) < ef ? RESCORE(K) : ef);
		size_t got = search_rescore(v, c, K, hits);
		there += (unsigned)all[i].n;
		for (int j = 0; j < all[i].n; j++)
			for (size_t g = 0; g < got; g++)
				found += hits[g].id == all[i].nearest[j];
	}
	return there ? (double)found / there : 1;
}

static size_t take_samples(struct vec_index *v, struct ctx *c, struct sample *all, float *queries)
{
	unsigned seed = 1;
	uint64_t rows = atomic_get(&v->n_rows);
	size_t n = 0;
	rows = rows < c->limit ? rows : c->limit;
	for (unsigned tries = 0; tries < 4 * SAMPLES && n < SAMPLES && !v->stop; tries++) {
		uint32_t row = (uint32_t)(((uint64_t)(unsigned)rand_r(&seed) << 16 ^ (unsigned)rand_r(&seed)) % rows);
		all[n].query = queries + n * v->dim;
		if (!row_alive(v, row) || !(atomic_get(&rec_at(v, row)->flags) & REC_LINKED) ||
		    !make_query(v, c, row, &seed, all[n].query))
			continue;
		truth(v, c, &all[n++]);
	}
	return n;
}

static void measure(struct vec_index *v, struct ctx *c, const struct sample *all, size_t n)
{
	size_t step = 0;
	double got = 0;
	for (unsigned i = 0; i < ARRAY_LEN(asked); i++) {
		/* A part of what may be missed is kept back: the sample is small. */
		double want = asked[i] + 0.2 * (1 - asked[i]);
		while (got < want && step < ARRAY_LEN(ladder) && !v->stop)
			got = recall_of(v, c, all, n, ladder[step++]);
		atomic_set(&v->ef[i], ladder[step ? step - 1 : 0]);
	}
}

int recall_measure(struct vec_index *v, struct err *e)
{
	autofree struct sample *all = calloc(SAMPLES, sizeof *all);
	autofree float *queries = calloc(SAMPLES * (size_t)v->dim, sizeof *queries);
	struct ctx *c = all && queries ? ctx_get(v) : NULL;
	if (!c || ctx_pool(c, EF_MAX) < 0 || ctx_bits(c) < 0 || ctx_hits(c, RESCORE(K)) < 0) {
		if (c)
			ctx_put(v, c);
		return err_set(e, ERR_VDB_FAILED, "no memory to measure the recall");
	}
	uint64_t linked = atomic_get(&v->n_linked);
	only_linked(v, c);
	size_t n = take_samples(v, c, all, queries);
	if (n)
		measure(v, c, all, n);
	atomic_set(&v->measured_at, linked);
	ctx_put(v, c);
	return 0;
}

unsigned recall_ef(const struct vec_index *v, double recall, unsigned k)
{
	static const unsigned guess[3] = {64, 128, 192}; /* nothing was measured yet */
	recall = recall > 0 ? recall : VEC_RECALL_DEFAULT;
	unsigned i = recall <= asked[0] ? 0 : recall <= asked[1] ? 1 : 2;
	double ef = atomic_get(&v->ef[i]) ? atomic_get(&v->ef[i]) : guess[i];
	if (recall > asked[2])
		ef *= 1 + (recall - asked[2]) * 200; /* three times at .999.. */
	if (k > K)
		ef *= 1 + 0.8 * ((double)k / K - 1);
	return ef < EF_MAX ? (unsigned)ef : EF_MAX;
}
