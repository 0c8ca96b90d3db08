/* SPDX-License-Identifier: MIT */
/* upkeep.c - dead rows taken out of the graph, so that their slots can be used again. L1; `upkeep` held. */
#include <errno.h>
#include <string.h>

#include "vectors/vec_i.h"

/* Rows that are dead and were in the graph: a bit for each of c->limit. Returns how many. */
static uint64_t count_dead(struct vec_index *v, const struct ctx *c, uint64_t *dead)
{
	uint64_t n = 0, rows = atomic_get(&v->n_rows);
	for (uint64_t row = 0; row < rows && row < c->limit; row++) {
		if (row_alive(v, row))
			continue;
		unsigned flags = atomic_get(&rec_at(v, row)->flags);
		if (!(flags & REC_LINKED) || flags & REC_FREE)
			continue;
		dead[row >> 6] |= 1ull << (row & 63);
		n++;
	}
	return n;
}

static void purge_postings(struct vec_index *v, const uint64_t *dead, size_t limit)
{
	pthread_rwlock_wrlock(&v->map);
	for (size_t i = 0; i < v->n_postings; i++) {
		struct posting *p = &v->postings[i];
		size_t n = 0;
		for (size_t j = 0; j < p->n; j++)
			if (p->rows[j] >= limit || !(dead[p->rows[j] >> 6] >> (p->rows[j] & 63) & 1))
				p->rows[n++] = p->rows[j];
		p->n = n;
	}
	pthread_rwlock_unlock(&v->map);
}

static int free_slots(struct vec_index *v, const uint64_t *dead, size_t limit, uint64_t n, struct err *e)
{
	pthread_mutex_lock(&v->mu);
	uint32_t *rows = v->free_rows;
	if (v->n_free + n > v->free_cap) {
		rows = realloc(rows, (v->n_free + n) * sizeof *rows);
		if (rows) {
			v->free_rows = rows;
			v->free_cap = v->n_free + n;
		}
	}
	for (size_t w = 0; w < limit / 64 && rows; w++)
		for (uint64_t bits = dead[w]; bits; bits &= bits - 1) {
			uint32_t row = (uint32_t)(w * 64 + (unsigned)__builtin_ctzll(bits));
			struct rec *r = rec_at(v, row);
			atomic_fetch_or(&r->flags, REC_FREE);
			for (unsigned i = 0; i < atomic_get(&r->degree); i++)
				ins_drop(v, atomic_get(&r->links[i]));
			atomic_set(&r->degree, 0);
			v->free_rows[v->n_free++] = row;
		}
	if (rows) {
		atomic_fetch_add(&v->n_gone, n);
		atomic_fetch_sub(&v->n_linked, n);
	}
	pthread_mutex_unlock(&v->mu);
	return rows ? 0 : err_set(e, ERR_VDB_FAILED, "no memory for the slots of %llu dead rows", (unsigned long long)n);
}

/* Every row that links to a dead one gets others: also one that died since they were counted, for it can still be
 * walked over. */
static void repair(struct vec_index *v, struct ctx *c, const uint64_t *dead)
{
	uint64_t rows = atomic_get(&v->n_rows);
	for (uint64_t row = 0; row < rows && row < c->limit; row++)
		if (!(dead[row >> 6] >> (row & 63) & 1) && !(atomic_get(&rec_at(v, row)->flags) & REC_FREE))
			link_repair(v, c, (uint32_t)row, dead);
}

int upkeep_consolidate(struct vec_index *v, struct err *e)
{
	struct ctx *c = ctx_get(v);
	autofree uint64_t *dead = c ? calloc(c->limit / 64 + 1, sizeof *dead) : NULL;
	uint64_t n = dead ? count_dead(v, c, dead) : 0;
	size_t limit = c ? c->limit : 0;
	if (c)
		ctx_put(v, c);
	if (!dead)
		return err_set(e, ERR_VDB_FAILED, "no memory to consolidate the graph");
	if (!n)
		return 0;
	grace_wait(v); /* whoever is linking a row took it for alive no longer than until here */
	if (!(c = ctx_get(v)))
		return err_set(e, ERR_VDB_FAILED, "no memory to consolidate the graph");
	if (c->limit < limit) { /* another one, for fewer rows: it fits after a row is added */
		ctx_put(v, c);
		return 0;
	}
	repair(v, c, dead);
	ctx_put(v, c);
	int r = entries_renew(v, e);
	if (r < 0)
		return r;
	purge_postings(v, dead, limit);
	grace_wait(v); /* nobody walks over them any more */
	return free_slots(v, dead, limit, n, e);
}
