/* SPDX-License-Identifier: MIT */
/* filter.c - which rows pass a filter: bits, how many, and the list of them while they are few. L1; any thread. */
#include <errno.h>
#include <string.h>

#include "vectors/vec_i.h"

static void mark(struct ctx *c, uint64_t *bits, const uint32_t *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (rows[i] < c->limit)
			bits[rows[i] >> 6] |= 1ull << (rows[i] & 63);
}

/* Rows whose number the caller names. `map` held. */
static void mark_ids(struct vec_index *v, struct ctx *c, const struct vec_filter *f)
{
	memset(c->pass, 0, c->limit / 8);
	for (size_t i = 0; i < f->n_ids; i++) {
		int64_t row = map_find(v, f->ids[i]);
		if (row >= 0 && (size_t)row < c->limit)
			c->pass[row >> 6] |= 1ull << (row & 63);
	}
}

static void apply_clause(struct vec_index *v, struct ctx *c, const struct vec_clause *clause, bool first)
{
	size_t words = c->limit / 64;
	uint64_t *bits = first && !clause->none ? c->pass : c->clause;
	memset(bits, 0, c->limit / 8);
	for (size_t i = 0; i < clause->n_labels; i++) {
		const struct posting *p = posting_find(v, clause->labels[i]);
		if (p)
			mark(c, bits, p->rows, p->n);
	}
	if (bits == c->pass)
		return;
	if (first)
		memset(c->pass, 0xff, c->limit / 8);
	for (size_t w = 0; w < words; w++)
		c->pass[w] &= clause->none ? ~bits[w] : bits[w];
}

/* One clause with one label of few rows: the list is there already. */
static bool short_cut(struct vec_index *v, struct ctx *c, const struct vec_filter *f)
{
	if (f->ids || f->n_clauses != 1 || f->clauses[0].none || f->clauses[0].n_labels != 1)
		return false;
	const struct posting *p = posting_find(v, f->clauses[0].labels[0]);
	size_t n = p ? p->n : 0;
	if (n > GATHER_ROWS)
		return false;
	for (size_t i = 0; i < n; i++)
		if (p->rows[i] < c->limit && row_alive(v, p->rows[i]) && ctx_see(c, p->rows[i]))
			c->match[c->n_match++] = p->rows[i];
	c->n_pass = c->n_match;
	ctx_forget(c); /* it was only against a label that a row has twice */
	return true;
}

static void count(struct vec_index *v, struct ctx *c)
{
	size_t words = (atomic_get(&v->n_rows) + 63) / 64;
	words = words < c->limit / 64 ? words : c->limit / 64;
	memset(c->pass + words, 0, (c->limit / 64 - words) * 8);
	for (size_t w = 0; w < words; w++) {
		c->pass[w] &= atomic_get(alive_word(v, w));
		c->n_pass += (unsigned)__builtin_popcountll(c->pass[w]);
	}
	if (c->n_pass > GATHER_ROWS)
		return;
	for (size_t w = 0; w < words; w++)
		for (uint64_t bits = c->pass[w]; bits; bits &= bits - 1)
			c->match[c->n_match++] = (uint32_t)(w * 64 + (unsigned)__builtin_ctzll(bits));
}

int filter_apply(struct vec_index *v, struct ctx *c, const struct vec_filter *f, struct err *e)
{
	int r = f->ids ? map_ready(v, e) : 0;
	if (r < 0)
		return r;
	if (ctx_bits(c) < 0)
		return err_set(e, ERR_VDB_FAILED, "no memory for a filter over %zu rows", c->limit);
	pthread_rwlock_rdlock(&v->map);
	bool done = short_cut(v, c, f);
	if (!done && f->ids)
		mark_ids(v, c, f);
	else if (!done && !f->n_clauses)
		memset(c->pass, 0xff, c->limit / 8);
	for (size_t i = 0; i < f->n_clauses && !done; i++)
		apply_clause(v, c, &f->clauses[i], i == 0 && !f->ids);
	pthread_rwlock_unlock(&v->map);
	if (!done)
		count(v, c);
	return 0;
}
