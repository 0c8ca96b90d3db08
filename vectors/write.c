/* SPDX-License-Identifier: MIT */
/* write.c - rows that come and go: checked, logged, applied, synced. L1; any thread. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "vectors/vec_i.h"

#define BATCH_MAX (1u << 30) /* bytes */

static int check_row(const struct vec_index *v, const struct vec_row *row, size_t i, float *ret_norm, struct err *e)
{
	unsigned long long id = row->id;
	if (!row->vector)
		return err_set(e, ERR_VDB_INVALID, "row %zu (id %llu) has no vector", i, id);
	if (row->n_labels > VEC_LABELS_MAX)
		return err_set(e, ERR_VDB_INVALID, "row %zu (id %llu) has %zu labels, more than %u", i, id, row->n_labels, VEC_LABELS_MAX);
	if (row->payload_len > VEC_PAYLOAD_MAX)
		return err_set(e, ERR_VDB_INVALID, "row %zu (id %llu) has %zu bytes of payload, more than %u", i, id, row->payload_len,
			       VEC_PAYLOAD_MAX);
	float square = v->k->dot_f32(row->vector, row->vector, v->dim);
	if (!isfinite(square))
		return err_set(e, ERR_VDB_INVALID, "row %zu (id %llu) has a number that is not finite, or is too long", i, id);
	if (v->metric == VEC_COSINE && square < 1e-30f)
		return err_set(e, ERR_VDB_INVALID, "row %zu (id %llu) is all zero: it has no direction to compare", i, id);
	*ret_norm = v->metric == VEC_COSINE ? sqrtf(square) : 1;
	return 0;
}

/* Labels in order, each once. Returns how many. */
static size_t distinct(const uint64_t *labels, size_t n, uint64_t *ret)
{
	size_t out = 0;
	for (size_t i = 0; i < n; i++) {
		size_t j = 0;
		while (j < out && ret[j] != labels[i])
			j++;
		if (j == out)
			ret[out++] = labels[i];
	}
	return out;
}

static int encode_row(const struct vec_index *v, const struct vec_row *row, size_t i, float *x, struct buf *batch, struct err *e)
{
	float norm = 1;
	uint64_t labels[VEC_LABELS_MAX];
	int r = check_row(v, row, i, &norm, e);
	if (r < 0)
		return r;
	for (unsigned d = 0; d < v->dim; d++)
		x[d] = row->vector[d] / norm;
	struct rowlog_put p = {.op = LOG_PUT,
			    .id = row->id,
			    .norm = norm,
			    .vector = x,
			    .labels = labels,
			    .n_labels = distinct(row->labels, row->n_labels, labels),
			    .payload = row->payload,
			    .payload_len = row->payload_len};
	return rowlog_encode(batch, &v->log, &p, e);
}

/* Log and apply what was encoded; rows is NULL for deletes. */
static int commit(struct vec_index *v, struct buf *batch, const struct vec_row *rows, size_t n, size_t *ret_deleted, struct err *e)
{
	autofree uint64_t *at = malloc(n * sizeof *at);
	if (!at)
		return err_set(e, ERR_VDB_FAILED, "no memory for %zu rows", n);
	pthread_mutex_lock(&v->mu);
	int r = rows ? rows_room(v, rows, n, e) : 0;
	if (r == 0)
		r = rowlog_append(&v->log, batch, at, n, e);
	for (size_t i = 0; i < n && r == 0; i++) {
		struct rowlog_put p;
		rowlog_read(&v->log, at[i], &p);
		if (p.op == LOG_PUT)
			rows_put(v, &p, at[i]);
		else
			*ret_deleted += rows_delete(v, p.id);
	}
	uint64_t tail = atomic_get(&v->log.tail);
	pthread_mutex_unlock(&v->mu);
	if (r == 0 && !v->lazy_sync)
		r = rowlog_sync(&v->log, tail, e);
	if (r == 0)
		work_notify(v);
	return r;
}

static int may_write(struct vec_index *v, size_t n, struct err *e)
{
	if (n > VEC_BATCH_MAX)
		return err_set(e, ERR_VDB_INVALID, "%zu rows at once, more than %u: give them in parts", n, VEC_BATCH_MAX);
	if (atomic_get(&v->damaged))
		return err_set(e, ERR_VDB_DAMAGED, "%s", v->damage);
	return map_ready(v, e);
}

int vec_upsert(struct vec_index *v, const struct vec_row *rows, size_t n, struct err *e)
{
	autobuf struct buf batch;
	buf_init(&batch, BATCH_MAX);
	autofree float *x = aligned_alloc(VEC_PAD, vec_padded(v->dim * sizeof *x));
	int r = x ? may_write(v, n, e) : err_set(e, ERR_VDB_FAILED, "no memory for a row");
	for (size_t i = 0; i < n && r == 0; i++)
		r = encode_row(v, &rows[i], i, x, &batch, e);
	return r < 0 || n == 0 ? r : commit(v, &batch, rows, n, NULL, e);
}

/* Of ids, those that are there, into a batch. */
static int encode_deletes(struct vec_index *v, const uint64_t *ids, size_t n, struct buf *batch, size_t *ret_n, struct err *e)
{
	int r = 0;
	pthread_rwlock_rdlock(&v->map);
	for (size_t i = 0; i < n && r == 0; i++) {
		if (map_find(v, ids[i]) < 0)
			continue;
		struct rowlog_put p = {.op = LOG_DELETE, .id = ids[i]};
		r = rowlog_encode(batch, &v->log, &p, e);
		++*ret_n;
	}
	pthread_rwlock_unlock(&v->map);
	return r;
}

int vec_delete(struct vec_index *v, const uint64_t *ids, size_t n, size_t *ret_deleted, struct err *e)
{
	autobuf struct buf batch;
	size_t there = 0, deleted = 0;
	buf_init(&batch, BATCH_MAX);
	int r = may_write(v, n, e);
	if (r == 0)
		r = encode_deletes(v, ids, n, &batch, &there, e);
	if (r == 0 && there)
		r = commit(v, &batch, NULL, there, &deleted, e);
	if (r == 0 && ret_deleted)
		*ret_deleted = deleted;
	return r;
}

int vec_sync(struct vec_index *v, struct err *e)
{
	return rowlog_sync(&v->log, atomic_get(&v->log.tail), e);
}
