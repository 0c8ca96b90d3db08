/* SPDX-License-Identifier: MIT */
/* work.c - the queue of rows to link, and the threads that do it. L1; work_mu guards the queue. */
#include <errno.h>
#include <string.h>

#include "vectors/vec_i.h"

void work_notify(struct vec_index *v)
{
	pthread_mutex_lock(&v->work_mu);
	pthread_cond_broadcast(&v->work);
	pthread_mutex_unlock(&v->work_mu);
}

static bool begun(const struct vec_index *v)
{
	return atomic_get(&v->entries) || atomic_get(&v->n_live) > FLAT_ROWS;
}

/* The next row to link, or -1; work_mu held. */
static int64_t take(struct vec_index *v)
{
	if (v->claim >= atomic_get(&v->tail) || !begun(v) || atomic_get(&v->warm_due))
		return -1;
	v->linking++;
	return atomic_get(ring_at(v, v->claim++));
}

/* Rows are done in any order; the head moves over those that are. work_mu held. */
static void finish(struct vec_index *v)
{
	uint64_t head = atomic_get(&v->head);
	v->linking--;
	while (head < v->claim && atomic_get(&rec_at(v, atomic_get(ring_at(v, head)))->flags) & REC_LINKED)
		head++;
	atomic_set(&v->head, head);
}

/* The first row of the graph links to nothing and is where searches begin. work_mu held: there is one first. */
static int begin_graph(struct vec_index *v, uint32_t row, struct err *e)
{
	atomic_fetch_or(&rec_at(v, row)->flags, REC_LINKED);
	atomic_fetch_add(&v->n_linked, 1);
	return entries_build(v, e);
}

static void link_one(struct vec_index *v, struct ctx *c, uint32_t row)
{
	if (row_alive(v, row)) {
		link_row(v, c, row);
		atomic_fetch_add(&v->n_linked, 1);
	} else {
		atomic_fetch_or(&rec_at(v, row)->flags, REC_LINKED); /* nothing leads to it */
	}
}

static bool entries_stale(const struct vec_index *v)
{
	const struct entries *en = atomic_get(&v->entries);
	return en && !v->entries_busy && atomic_get(&v->n_linked) > en->built_at + en->built_at / 4;
}

static int renew_entries(struct vec_index *v, struct err *e)
{
	v->entries_busy = true;
	pthread_mutex_unlock(&v->work_mu);
	int r = entries_build(v, e);
	pthread_mutex_lock(&v->work_mu);
	v->entries_busy = false;
	pthread_cond_broadcast(&v->idle);
	return r;
}

int entries_renew(struct vec_index *v, struct err *e)
{
	pthread_mutex_lock(&v->work_mu);
	while (v->entries_busy)
		pthread_cond_wait(&v->idle, &v->work_mu);
	int r = renew_entries(v, e);
	pthread_mutex_unlock(&v->work_mu);
	return r;
}

/* Link up to n rows; work_mu held, let go meanwhile. Returns how many, or -errno. */
static int64_t link_some(struct vec_index *v, size_t n, struct err *e)
{
	int64_t done = 0, row;
	while ((size_t)done < n && !v->stop && (row = take(v)) >= 0) {
		int r = 0;
		if (!atomic_get(&v->entries) && row_alive(v, (uint64_t)row)) {
			r = begin_graph(v, (uint32_t)row, e);
		} else {
			pthread_mutex_unlock(&v->work_mu);
			struct ctx *c = ctx_get(v);
			if (c) {
				link_one(v, c, (uint32_t)row);
				ctx_put(v, c);
			}
			pthread_mutex_lock(&v->work_mu);
			r = c ? 0 : err_set(e, ERR_VDB_FAILED, "no memory to link rows");
		}
		finish(v);
		if (r == 0 && entries_stale(v))
			r = renew_entries(v, e);
		if (r < 0)
			return r;
		done++;
	}
	if (!v->linking)
		pthread_cond_broadcast(&v->idle);
	return done;
}

/* Rows doubled since the recall was measured, and nothing waits to be linked. work_mu held. */
static bool measure_due(const struct vec_index *v)
{
	uint64_t linked = atomic_get(&v->n_linked), at = atomic_get(&v->measured_at);
	return !v->measuring && linked > FLAT_ROWS && (linked >= 2 * at || (v->claim >= atomic_get(&v->tail) && linked > at + at / 8));
}

static int measure(struct vec_index *v, struct err *e)
{
	v->measuring = 1;
	pthread_mutex_unlock(&v->work_mu);
	int r = recall_measure(v, e);
	pthread_mutex_lock(&v->work_mu);
	v->measuring = 0;
	pthread_cond_broadcast(&v->idle);
	return r;
}

static bool consolidate_due(struct vec_index *v)
{
	uint64_t dead = atomic_get(&v->n_dead), live = atomic_get(&v->n_live), gone = atomic_get(&v->n_gone);
	return !v->stop && !atomic_get(&v->warm_due) && dead - gone > 256 && (dead - gone) * DEAD_SHARE > live + dead - gone;
}

/* The log behind the checkpoint is long, measured by what an open has to replay and a checkpoint to write. */
static bool checkpoint_due(struct vec_index *v)
{
	if (!v->dir || v->stop || v->log.failed)
		return false;
	uint64_t behind = atomic_get(&v->log.tail) - atomic_get(&v->checkpoint_from);
	return behind > CHECKPOINT_TAIL && behind > atomic_get(&v->n_rows) * v->rec_bytes / 4 &&
	       behind > atomic_get(&v->checkpoint_failed);
}

/* Consolidate or write a checkpoint, if nobody does. What fails for lack of space is tried again later. */
static void maintain(struct vec_index *v)
{
	bool dead = consolidate_due(v);
	pthread_mutex_unlock(&v->work_mu);
	if (pthread_mutex_trylock(&v->upkeep) == 0) {
		if (dead) {
			if (upkeep_consolidate(v, NULL) == 0)
				upkeep_segments(v, NULL);
		} else if (checkpoint_write(v, NULL) < 0) {
			atomic_set(&v->checkpoint_failed, 2 * (atomic_get(&v->log.tail) - atomic_get(&v->checkpoint_from)));
		} else {
			atomic_set(&v->checkpoint_failed, 0);
		}
		pthread_mutex_unlock(&v->upkeep);
	}
	pthread_mutex_lock(&v->work_mu);
}

/* Before anything changes the records of a checkpoint that was opened. work_mu held, let go meanwhile. */
static void warm(struct vec_index *v)
{
	if (!atomic_get(&v->warm_due) || v->warming)
		return;
	v->warming = true;
	pthread_mutex_unlock(&v->work_mu);
	checkpoint_warm(v);
	pthread_mutex_lock(&v->work_mu);
	v->warming = false;
	atomic_set(&v->warm_due, false);
	pthread_cond_broadcast(&v->work);
	pthread_cond_broadcast(&v->idle);
}

static void *work_main(void *arg)
{
	struct vec_index *v = arg;
	pthread_mutex_lock(&v->work_mu);
	warm(v);
	while (!v->stop) {
		bool some = link_some(v, 64, NULL) != 0;
		if (measure_due(v))
			measure(v, NULL);
		else if (consolidate_due(v) || checkpoint_due(v))
			maintain(v);
		else if (!some)
			pthread_cond_wait(&v->work, &v->work_mu);
	}
	pthread_mutex_unlock(&v->work_mu);
	return NULL;
}

int work_start(struct vec_index *v, unsigned threads, struct err *e)
{
	v->threads = threads ? calloc(threads, sizeof *v->threads) : NULL;
	if (threads && !v->threads)
		return err_set(e, ERR_VDB_FAILED, "no memory for threads");
	for (; v->n_threads < threads; v->n_threads++) {
		int r = pthread_create(&v->threads[v->n_threads], NULL, work_main, v);
		if (r)
			return err_sys(e, ERR_VDB_FAILED, r, "cannot start a thread of the index");
	}
	return 0;
}

void work_stop(struct vec_index *v)
{
	pthread_mutex_lock(&v->work_mu);
	v->stop = true;
	pthread_cond_broadcast(&v->work);
	pthread_mutex_unlock(&v->work_mu);
	for (unsigned i = 0; i < v->n_threads; i++)
		pthread_join(v->threads[i], NULL);
	v->n_threads = 0;
	free(v->threads);
}

int64_t vec_work(struct vec_index *v, size_t rows, struct err *e)
{
	pthread_mutex_lock(&v->work_mu);
	warm(v);
	int64_t r = link_some(v, rows, e);
	if (r >= 0 && measure_due(v))
		r = measure(v, e);
	if (r >= 0 && (consolidate_due(v) || checkpoint_due(v)))
		maintain(v);
	int64_t left = begun(v) ? (int64_t)(atomic_get(&v->tail) - atomic_get(&v->head)) : 0;
	pthread_mutex_unlock(&v->work_mu);
	return r < 0 ? r : left;
}

int vec_settle(struct vec_index *v, struct err *e)
{
	int64_t r = 0;
	pthread_mutex_lock(&v->work_mu);
	while (r >= 0) {
		bool waits = begun(v) && v->claim < atomic_get(&v->tail);
		if (!v->n_threads)
			warm(v);
		if (waits && !v->n_threads)
			r = link_some(v, SIZE_MAX, e);
		else if (waits || v->linking || v->measuring || v->warming)
			pthread_cond_wait(&v->idle, &v->work_mu);
		else if (begun(v) && atomic_get(&v->measured_at) != atomic_get(&v->n_linked))
			r = measure(v, e);
		else
			break;
	}
	pthread_mutex_unlock(&v->work_mu);
	return r < 0 ? (int)r : 0;
}
