/* SPDX-License-Identifier: MIT */
/* compact.c - segments of the log that are mostly dead rewritten and dropped; everything verified. L1; `upkeep` held. */
#include <errno.h>
#include <string.h>

#include "vectors/vec_i.h"

#define MOVE_ROWS  128u /* moved under one hold of mu */
#define MOVE_BELOW 2	/* a segment moves when less than one part in so many of it lives */

static uint64_t segment_of(const struct vec_index *v, uint64_t row)
{
	return atomic_get(&row_at(v, row)->at) / LOG_SEGMENT;
}

/* Bytes of live rows by segment; only the last, which is being written, is left out. */
static uint64_t *count_bytes(struct vec_index *v)
{
	uint64_t *bytes = calloc(LOG_SEGMENTS, sizeof *bytes);
	for (uint64_t row = 0, n = atomic_get(&v->n_rows); row < n && bytes; row++)
		if (row_alive(v, row)) {
			const struct rowlog_head *h = (const void *)rowlog_at(&v->log, atomic_get(&row_at(v, row)->at));
			bytes[segment_of(v, row)] += h->size;
		}
	return bytes;
}

static int encode_copy(struct vec_index *v, uint32_t row, struct buf *batch, struct err *e)
{
	struct rowlog_put p;
	int r = rowlog_read_checked(&v->log, atomic_get(&row_at(v, row)->at), &p, e);
	return r == 0 ? rowlog_encode(batch, &v->log, &p, e) : r;
}

/* Write rows again at the end of the log. A replay sees each replaced by itself. */
static int move_rows(struct vec_index *v, const uint32_t *rows, size_t n, uint64_t segment, struct err *e)
{
	autobuf struct buf batch;
	uint32_t moved[MOVE_ROWS];
	uint64_t at[MOVE_ROWS];
	size_t out = 0;
	int r = 0;
	buf_init(&batch, 1u << 30);
	pthread_mutex_lock(&v->mu);
	for (size_t i = 0; i < n && r == 0; i++) {
		if (!row_alive(v, rows[i]) || segment_of(v, rows[i]) != segment)
			continue;
		r = encode_copy(v, rows[i], &batch, e);
		moved[out++] = rows[i];
	}
	if (r == 0 && out)
		r = rowlog_append(&v->log, &batch, at, out, e);
	for (size_t i = 0; i < out && r == 0; i++)
		atomic_set(&row_at(v, moved[i])->at, at[i]);
	pthread_mutex_unlock(&v->mu);
	return r;
}

static int move_segment(struct vec_index *v, uint64_t segment, struct err *e)
{
	uint32_t rows[MOVE_ROWS];
	size_t n = 0;
	int r = 0;
	for (uint64_t row = 0, all = atomic_get(&v->n_rows); row < all && r == 0; row++) {
		if (row_alive(v, row) && segment_of(v, row) == segment)
			rows[n++] = (uint32_t)row;
		if (n == MOVE_ROWS || (row + 1 == all && n)) {
			r = move_rows(v, rows, n, segment, e);
			n = 0;
		}
	}
	return r;
}

/* Segments before the checkpoint in which nothing lives go. */
static int drop_segments(struct vec_index *v, uint64_t before, struct err *e)
{
	autofree uint64_t *bytes = count_bytes(v);
	int r = bytes ? 0 : err_set(e, ERR_VDB_FAILED, "no memory to compact the index");
	grace_wait(v); /* whoever read a row at its old place is done */
	for (uint64_t s = v->log.first; s < before && r == 0; s++)
		if (!bytes[s] && atomic_get(&v->log.segs[s]))
			r = rowlog_drop(&v->log, s, e);
	while (v->log.first < before && !atomic_get(&v->log.segs[v->log.first]))
		v->log.first++;
	return r;
}

int upkeep_segments(struct vec_index *v, struct err *e)
{
	autofree uint64_t *bytes = count_bytes(v);
	uint64_t last = atomic_get(&v->log.tail) / LOG_SEGMENT;
	bool sparse = false;
	int r = bytes ? 0 : err_set(e, ERR_VDB_FAILED, "no memory to compact the index");
	for (uint64_t s = v->log.first; s < last && r == 0; s++) {
		if (!atomic_get(&v->log.segs[s]) || bytes[s] * MOVE_BELOW > LOG_SEGMENT)
			continue;
		sparse = true;
		r = move_segment(v, s, e);
	}
	if (r < 0 || !sparse)
		return r;
	r = v->dir ? checkpoint_write(v, e) : 0;
	return r == 0 ? drop_segments(v, last, e) : r;
}

int vec_compact(struct vec_index *v, struct err *e)
{
	int r = map_ready(v, e);
	pthread_mutex_lock(&v->work_mu);
	while (atomic_get(&v->warm_due) && v->n_threads)
		pthread_cond_wait(&v->idle, &v->work_mu);
	pthread_mutex_unlock(&v->work_mu);
	if (r == 0 && atomic_get(&v->warm_due))
		r = vec_work(v, 0, e) < 0 ? -EIO : 0;
	if (r < 0)
		return r;
	pthread_mutex_lock(&v->upkeep);
	r = upkeep_consolidate(v, e);
	if (r == 0)
		r = upkeep_segments(v, e);
	if (r == 0 && v->dir && atomic_get(&v->log.tail) != v->manifest.from)
		r = checkpoint_write(v, e);
	pthread_mutex_unlock(&v->upkeep);
	return r;
}

/* ---- verify ---- */

static int verify_row(struct vec_index *v, uint64_t row, struct err *e)
{
	struct rec *r = rec_at(v, row);
	struct rowlog_put p;
	if (atomic_get(&r->degree) > LINKS_MAX)
		return err_set(e, ERR_VDB_DAMAGED, "row slot %llu has too many links; restore the index from a backup", (unsigned long long)row);
	for (unsigned i = 0, n = atomic_get(&r->degree); i < n; i++)
		if (atomic_get(&r->links[i]) >= atomic_get(&v->n_rows))
			return err_set(e, ERR_VDB_DAMAGED, "row slot %llu links to none; restore the index from a backup",
				       (unsigned long long)row);
	int x = rowlog_read_checked(&v->log, atomic_get(&row_at(v, row)->at), &p, e);
	if (x == 0 && p.id != atomic_get(&row_at(v, row)->id))
		return err_set(e, ERR_VDB_DAMAGED, "row slot %llu is not the row of id %llu; restore the index from a backup",
			       (unsigned long long)row, (unsigned long long)p.id);
	return x;
}

int vec_verify(struct vec_index *v, struct err *e)
{
	int r = 0;
	pthread_mutex_lock(&v->upkeep);
	uint64_t last = atomic_get(&v->log.tail) / LOG_SEGMENT;
	for (uint64_t s = v->log.first; s <= last && r == 0 && v->dir; s++)
		if (atomic_get(&v->log.segs[s]))
			r = rowlog_verify_segment(&v->log, s, e);
	if (r == 0 && v->dir && v->manifest.checkpoint)
		r = checkpoint_check(v, e);
	struct ctx *c = r == 0 ? ctx_get(v) : NULL;
	for (uint64_t row = 0, n = atomic_get(&v->n_rows); row < n && r == 0 && c; row++)
		if (row_alive(v, row))
			r = verify_row(v, row, e);
	if (r == 0 && !c)
		r = err_set(e, ERR_VDB_FAILED, "no memory to verify the index");
	if (c)
		ctx_put(v, c);
	pthread_mutex_unlock(&v->upkeep);
	return r;
}
