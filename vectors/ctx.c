/* SPDX-License-Identifier: MIT */
/* ctx.c - what a search works with, kept for the next one; and who is searching, so that nothing is reused under
 * them. L1; any thread. */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "vectors/vec_i.h"

#define TOUCHED_CAP 65536u

static void ctx_free(struct ctx *c)
{
	if (!c)
		return;
	free(c->seen);
	free(c->touched);
	free(c->pool);
	free(c->hits);
	free(c->q.code);
	free(c->q2.code);
	free(c->vector);
	free(c->pass);
	free(c->clause);
	free(c->match);
	free(c);
}

static struct ctx *ctx_new(struct vec_index *v)
{
	struct ctx *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	c->touched_cap = TOUCHED_CAP;
	c->touched = malloc(TOUCHED_CAP * sizeof *c->touched);
	c->q.code = aligned_alloc(VEC_PAD, v->pad);
	c->q2.code = aligned_alloc(VEC_PAD, v->pad);
	c->vector = aligned_alloc(VEC_PAD, vec_padded(v->dim * sizeof(float)));
	c->match = malloc(GATHER_ROWS * sizeof *c->match);
	if (!c->touched || !c->q.code || !c->q2.code || !c->vector || !c->match || ctx_pool(c, 256) < 0) {
		ctx_free(c);
		return NULL;
	}
	atomic_set(&c->busy, true);
	c->next = atomic_get(&v->ctxs);
	while (!atomic_compare_exchange_weak(&v->ctxs, &c->next, c))
		;
	return c;
}

/* Bits for every slot that there is memory for. */
static bool fit_seen(struct vec_index *v, struct ctx *c)
{
	size_t slots = (atomic_get(&v->n_rows) + 4095) / 4096 * 4096;
	if (slots <= c->limit)
		return true;
	slots += slots / 4 / 4096 * 4096;
	uint64_t *seen = calloc(slots / 64, 8);
	if (!seen)
		return false;
	free(c->seen);
	free(c->pass);
	free(c->clause);
	c->pass = c->clause = NULL;
	c->seen = seen;
	c->limit = slots;
	return true;
}

struct ctx *ctx_get(struct vec_index *v)
{
	struct ctx *c = atomic_get(&v->ctxs);
	for (; c; c = c->next) {
		bool idle = false;
		if (!atomic_get(&c->busy) && atomic_compare_exchange_strong(&c->busy, &idle, true))
			break;
	}
	if (!c && !(c = ctx_new(v)))
		return NULL;
	/* Sequentially consistent, as grace_wait is: it sees this, or what it did before is seen here. */
	atomic_store(&c->since, atomic_load(&v->epoch));
	if (!fit_seen(v, c)) {
		ctx_put(v, c);
		return NULL;
	}
	c->rows = atomic_get(&v->n_rows);
	c->rows = c->rows < c->limit ? c->rows : c->limit;
	c->n = c->n_touched = c->n_match = 0;
	c->n_pass = 0;
	return c;
}

void ctx_put(struct vec_index *v, struct ctx *c)
{
	(void)v;
	ctx_forget(c);
	atomic_set(&c->since, 0);
	atomic_set(&c->busy, false);
}

int ctx_pool(struct ctx *c, size_t n)
{
	if (n <= c->pool_cap)
		return 0;
	struct cand *pool = realloc(c->pool, n * sizeof *pool);
	if (!pool)
		return -ENOMEM;
	c->pool = pool;
	c->pool_cap = n;
	return 0;
}

int ctx_hits(struct ctx *c, size_t n)
{
	if (n <= c->hits_cap)
		return 0;
	void *hits = realloc(c->hits, n * sizeof(struct vec_hit));
	if (!hits)
		return -ENOMEM;
	c->hits = hits;
	c->hits_cap = n;
	return 0;
}

int ctx_bits(struct ctx *c)
{
	if (!c->pass)
		c->pass = malloc(c->limit / 8);
	if (!c->clause)
		c->clause = malloc(c->limit / 8);
	return c->pass && c->clause ? 0 : -ENOMEM;
}

void ctx_forget(struct ctx *c)
{
	if (c->n_touched > c->touched_cap)
		memset(c->seen, 0, c->limit / 8);
	else
		for (size_t i = 0; i < c->n_touched; i++)
			c->seen[c->touched[i] >> 6] = 0;
	c->n_touched = 0;
}

void ctx_free_all(struct vec_index *v)
{
	struct ctx *c = atomic_get(&v->ctxs);
	while (c) {
		struct ctx *next = c->next;
		ctx_free(c);
		c = next;
	}
	atomic_set(&v->ctxs, NULL);
}

void grace_wait(struct vec_index *v)
{
	uint64_t now = atomic_fetch_add(&v->epoch, 1) + 1;
	for (struct ctx *c = atomic_load(&v->ctxs); c; c = c->next)
		for (uint64_t since; (since = atomic_load(&c->since)) && since < now;)
			sched_yield();
}
