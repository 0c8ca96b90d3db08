/* SPDX-License-Identifier: MIT */
/* vec.c - an index opened, closed, read by id, described. L1; any thread. */
#include "vectors/vec.h"

#include <errno.h>
#include <string.h>

#include "vectors/vec_i.h"

static int check_options(const struct vec_options *o, struct err *e)
{
	if (o->dim > VEC_DIM_MAX)
		return err_set(e, ERR_VDB_INVALID, "dimension %u is not 1 to %u", o->dim, VEC_DIM_MAX);
	if (o->metric > VEC_L2)
		return err_set(e, ERR_VDB_INVALID, "there is no metric %u", (unsigned)o->metric);
	if (o->max_rows > ROWS_LIMIT)
		return err_set(e, ERR_VDB_INVALID, "max_rows %llu is more than %llu", (unsigned long long)o->max_rows, ROWS_LIMIT);
	if (o->threads > 64)
		return err_set(e, ERR_VDB_INVALID, "%u threads are more than 64", o->threads);
	return 0;
}

int index_reserve(struct vec_index *v, struct err *e)
{
	v->pad = vec_padded(v->dim);
	v->rec_bytes = REC_CODE + v->pad;
	int r = space_reserve(&v->recs, v->max_rows * v->rec_bytes, e);
	if (r == 0)
		r = space_reserve(&v->rows, v->max_rows * sizeof(struct row), e);
	if (r == 0)
		r = space_reserve(&v->alive, (v->max_rows + 63) / 64 * 8, e);
	if (r == 0)
		r = space_reserve(&v->ring, v->max_rows * sizeof(uint32_t), e);
	return r;
}

static struct vec_index *index_new(const struct vec_options *o)
{
	struct vec_index *v = calloc(1, sizeof *v);
	if (!v)
		return NULL;
	v->dim = o->dim ? o->dim : VEC_DIM_DEFAULT;
	v->metric = o->metric;
	v->max_rows = o->max_rows ? o->max_rows : VEC_ROWS_DEFAULT;
	v->lazy_sync = o->lazy_sync;
	v->k = vec_kernel_best();
	v->lock_fd = -1;
	v->log.fd = -1;
	atomic_set(&v->epoch, 1);
	pthread_mutex_init(&v->mu, NULL);
	pthread_mutex_init(&v->work_mu, NULL);
	pthread_mutex_init(&v->upkeep, NULL);
	pthread_cond_init(&v->work, NULL);
	pthread_cond_init(&v->idle, NULL);
	pthread_rwlock_init(&v->map, NULL);
	return v;
}

static void index_free(struct vec_index *v)
{
	entries_free(atomic_get(&v->entries));
	ctx_free_all(v);
	rows_done(v);
	space_done(&v->recs);
	space_done(&v->rows);
	space_done(&v->alive);
	space_done(&v->ring);
	rowlog_done(&v->log);
	pthread_mutex_destroy(&v->mu);
	pthread_mutex_destroy(&v->work_mu);
	pthread_mutex_destroy(&v->upkeep);
	pthread_cond_destroy(&v->work);
	pthread_cond_destroy(&v->idle);
	pthread_rwlock_destroy(&v->map);
	if (v->lock_fd >= 0)
		close(v->lock_fd);
	free(v->dir);
	free(v);
}

static int open_memory(struct vec_index *v, struct err *e)
{
	int r = index_reserve(v, e);
	if (r == 0)
		r = rowlog_init(&v->log, NULL, v->dim, (uint8_t)v->metric, v->uuid, e);
	if (r == 0)
		r = rowlog_create(&v->log, 1, e);
	v->map_ready = true;
	return r;
}

int vec_open(struct vec_index **ret, const char *dir, const struct vec_options *o, struct err *e)
{
	int r = check_options(o, e);
	if (r < 0)
		return r;
	struct vec_index *v = index_new(o);
	if (!v)
		return err_set(e, ERR_VDB_FAILED, "no memory for an index");
	r = dir ? open_dir(v, dir, o, e) : open_memory(v, e);
	if (r == 0)
		r = work_start(v, o->threads, e);
	if (r < 0) {
		work_stop(v);
		index_free(v);
		return r;
	}
	*ret = v;
	return 0;
}

void vec_close(struct vec_index *v)
{
	if (!v)
		return;
	work_stop(v);
	close_dir(v);
	index_free(v);
}

static int get(struct vec_index *v, uint64_t id, float *ret_vector, struct buf *payload, struct err *e)
{
	struct rowlog_put p;
	pthread_rwlock_rdlock(&v->map);
	int64_t row = map_find(v, id);
	uint64_t at = row >= 0 ? atomic_get(&row_at(v, (uint64_t)row)->at) : 0;
	pthread_rwlock_unlock(&v->map);
	if (row < 0)
		return err_set(e, ERR_VDB_NOT_FOUND, "there is no row %llu", (unsigned long long)id);
	int r = rowlog_read_checked(&v->log, at, &p, e);
	if (r == 0 && ret_vector)
		memcpy(ret_vector, p.vector, v->dim * sizeof(float));
	if (r == 0 && payload)
		r = buf_add(payload, p.payload, p.payload_len);
	return r;
}

int vec_get(struct vec_index *v, uint64_t id, float *ret_vector, struct buf *payload, struct err *e)
{
	int r = map_ready(v, e);
	struct ctx *c = r == 0 ? ctx_get(v) : NULL; /* what is read stays there meanwhile */
	if (!c)
		return r < 0 ? r : err_set(e, ERR_VDB_FAILED, "no memory to read a row");
	r = get(v, id, ret_vector, payload, e);
	ctx_put(v, c);
	return r;
}

int vec_each(struct vec_index *v, int (*fn)(void *arg, const struct vec_row *row), void *arg, struct err *e)
{
	struct ctx *c = ctx_get(v);
	if (!c)
		return err_set(e, ERR_VDB_FAILED, "no memory to read the rows");
	int r = 0;
	for (uint64_t i = 0, n = atomic_get(&v->n_rows); i < n && r >= 0; i++) {
		struct rowlog_put p;
		if (!row_alive(v, i))
			continue;
		r = rowlog_read_checked(&v->log, atomic_get(&row_at(v, i)->at), &p, e);
		struct vec_row row = {p.id, p.vector, p.labels, p.n_labels, p.payload, p.payload_len};
		if (r == 0)
			r = fn(arg, &row);
	}
	ctx_put(v, c);
	return r < 0 ? r : 0;
}

static void link_stats(struct vec_index *v, struct vec_stats *ret)
{
	uint64_t links = 0, linked = 0, n = atomic_get(&v->n_rows);
	uint64_t step = n > 100000 ? n / 100000 : 1; /* a sample will do */
	for (uint64_t i = 0; i < n; i += step) {
		struct rec *r = rec_at(v, i);
		if (!row_alive(v, i) || !(atomic_get(&r->flags) & REC_LINKED))
			continue;
		links += atomic_get(&r->degree);
		linked++;
	}
	ret->links_mean = linked ? (double)links / (double)linked : 0;
}

void vec_stats(struct vec_index *v, struct vec_stats *ret)
{
	uint64_t rows = atomic_get(&v->n_rows), tail = atomic_get(&v->log.tail);
	uint64_t waiting = atomic_get(&v->tail) - atomic_get(&v->head);
	*ret = (struct vec_stats){.dim = v->dim, .metric = v->metric, .kernel = v->k->name};
	ret->rows = atomic_get(&v->n_live);
	ret->dead = atomic_get(&v->n_dead);
	ret->unlinked = waiting;
	pthread_rwlock_rdlock(&v->map);
	ret->hot_bytes = rows * (v->rec_bytes + sizeof(struct row)) + rows / 8 + v->ids_cap * sizeof *v->ids;
	for (size_t i = 0; i < v->n_postings; i++)
		ret->hot_bytes += v->postings[i].cap * sizeof(uint32_t);
	pthread_rwlock_unlock(&v->map);
	ret->vector_bytes = tail - v->log.first * LOG_SEGMENT;
	for (int i = 0; i < 3; i++)
		ret->ef[i] = atomic_get(&v->ef[i]);
	link_stats(v, ret);
	stats_dir(v, ret);
}
