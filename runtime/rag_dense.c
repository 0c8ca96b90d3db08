/* SPDX-License-Identifier: MIT */
/* rag_dense.c - the passages' vectors: a model of the documents' own words, learnt again as they grow, and an index of what it
 * says. L2.
 *
 * A thread of its own learns, for that takes seconds and nobody is to wait for it; documents go in meanwhile. Then no document goes
 * in while all passages get their vectors of the new model, in an index that is named after it: vectors of two models never
 * meet. What is missing of an index, after a crash or on a full disk, is only not found by meaning. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/log.h"
#include "runtime/rag_i.h"
#include "runtime/runtime_i.h"

#define LEARN_LEAST 8	  /* passages */
#define BLOCK	    16384 /* vectors made at once: one reading of all lists each */
#define MODEL_MAX   (32u << 20)

struct rag_learn { /* moved to the thread and back */
	struct pool_job job;
	struct rag *rag;
	struct embed *model;
	uint64_t live; /* passages when it began */
	bool fill;     /* the second half: every passage gets its vector */
	int result;
	struct err e;
};

static void dense_path(const struct rag *r, const char *name, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/rag/%s", r->rt->state_dir, name);
}

static void index_name(uint32_t version, char out[32])
{
	snprintf(out, 32, "vectors-%08x", version);
}

static int open_index(struct rag *r, uint32_t version, struct vec_index **ret, struct err *e)
{
	char name[32], path[PATH_MAX];
	const struct vec_options o = {.dim = EMBED_DIM, .threads = 1, .lazy_sync = true};
	index_name(version, name);
	dense_path(r, name, path);
	return vec_open(ret, path, &o, e);
}

/* ---- one document's passages ---- */

static int rows_room(struct rag_rows *rows)
{
	if (rows->n < rows->cap)
		return 0;
	size_t cap = rows->cap ? 2 * rows->cap : 32;
	float *vectors = realloc(rows->vectors, cap * EMBED_DIM * sizeof *vectors);
	if (!vectors)
		return -ENOMEM;
	rows->vectors = vectors;
	uint32_t *numbers = realloc(rows->numbers, cap * sizeof *numbers);
	if (!numbers)
		return -ENOMEM;
	rows->numbers = numbers;
	rows->cap = cap;
	return 0;
}

void rag_rows_done(struct rag_rows *rows)
{
	free(rows->vectors);
	free(rows->numbers);
	*rows = (struct rag_rows){0};
}

struct rag_labels rag_labels_of(uint32_t serial, uint32_t owner)
{
	return (struct rag_labels){{serial, RAG_OWNER(owner)}};
}

static int rows_write(struct rag *r, struct rag_rows *rows, const struct rag_labels *labels, struct err *e)
{
	autofree struct vec_row *row = rows->n ? calloc(rows->n, sizeof *row) : NULL;
	if (rows->n && !row)
		return err_set(e, ERR_SYS_MEMORY, "no memory for vectors");
	for (size_t i = 0; i < rows->n; i++)
		row[i] = (struct vec_row){.id = rows->numbers[i], .vector = rows->vectors + i * EMBED_DIM, .labels = labels->label, .n_labels = 2};
	int n = rows->n ? vec_upsert(r->index, row, rows->n, e) : 0;
	rows->n = 0;
	return n;
}

int rag_dense_add(struct rag *r, struct rag_rows *rows, const struct rag_labels *labels, uint32_t number, const char *text, size_t len,
		  struct tokens *t, struct err *e)
{
	if (!r->model || !r->index)
		return 0;
	int n = rows_room(rows) < 0 ? err_set(e, ERR_SYS_MEMORY, "no memory for vectors")
				    : embed_text(r->model, text, len, t, rows->vectors + rows->n * EMBED_DIM, e);
	if (n > 0)
		rows->numbers[rows->n++] = number;
	return n < 0 ? n : rows->n == RAG_ROWS_MAX ? rows_write(r, rows, labels, e) : 0;
}

int rag_dense_write(struct rag *r, struct rag_rows *rows, const struct rag_labels *labels, struct err *e)
{
	return r->index ? rows_write(r, rows, labels, e) : 0;
}

void rag_dense_remove(struct rag *r, uint32_t first, uint32_t n)
{
	uint64_t ids[256];
	struct err e;
	for (uint32_t i = 0; r->index && i < n;) {
		uint32_t some = 0;
		for (; some < ARRAY_LEN(ids) && i < n; some++, i++)
			ids[some] = first + i;
		if (vec_delete(r->index, ids, some, NULL, &e) < 0) /* they are not live, and so not found */
			log_err(LOG_LEVEL_ERROR, "rag.vectors", &e, NULL, NULL);
	}
}

/* ---- learning ---- */

void rag_dense_sweep(struct rag *r)
{
	char path[PATH_MAX], kept[32] = "";
	if (r->model)
		index_name(embed_info(r->model).version, kept);
	dense_path(r, "", path);
	DIR *d = opendir(path);
	for (struct dirent *ent; d && (ent = readdir(d));)
		if (strncmp(ent->d_name, "vectors-", 8) == 0 && strcmp(ent->d_name, kept) != 0) {
			dense_path(r, ent->d_name, path);
			trash(r->rt, path);
		}
	if (d)
		closedir(d);
}

static int fill_block(struct rag *r, struct rag_learn *l, struct vec_index *index, uint32_t from, uint32_t n, float *vectors,
		      struct vec_row *rows, struct rag_labels *labels)
{
	size_t put = 0;
	pthread_rwlock_rdlock(&r->lock);
	int e = embed_all(l->model, r->words, from, n, &r->stop, vectors, &l->e);
	for (uint32_t i = 0; e == 0 && i < n; i++) {
		const float *v = vectors + (size_t)i * EMBED_DIM;
		size_t at = 0;
		while (at < EMBED_DIM && v[at] == 0)
			at++;
		labels[put] = rag_labels_of(r->pieces[from + i].serial, r->pieces[from + i].owner);
		if (r->pieces[from + i].live && at < EMBED_DIM) {
			rows[put] = (struct vec_row){.id = from + i, .vector = v, .labels = labels[put].label, .n_labels = 2};
			put++;
		}
	}
	pthread_rwlock_unlock(&r->lock);
	return e == 0 && put ? vec_upsert(index, rows, put, &l->e) : e;
}

static int fill(struct rag *r, struct rag_learn *l, struct vec_index *index)
{
	uint32_t all = r->pieces_n, n = all < BLOCK ? all : BLOCK;
	autofree float *vectors = malloc(((size_t)n + 1) * EMBED_DIM * sizeof *vectors);
	autofree struct vec_row *rows = malloc(((size_t)n + 1) * sizeof *rows);
	autofree struct rag_labels *labels = malloc(((size_t)n + 1) * sizeof *labels);
	int e = vectors && rows && labels ? 0 : err_set(&l->e, ERR_SYS_MEMORY, "no memory for the vectors of %u passages", all);
	for (uint32_t at = 0; e == 0 && at < all; at += n)
		e = fill_block(r, l, index, at, all - at < n ? all - at : n, vectors, rows, labels);
	return e;
}

static void remove_index(struct rag *r, uint32_t version)
{
	char name[32], path[PATH_MAX];
	index_name(version, name);
	dense_path(r, name, path);
	trash(r->rt, path);
}

static int write_model(struct rag *r, const struct embed *m, struct err *e)
{
	char path[PATH_MAX], temp[PATH_MAX];
	autobuf struct buf b;
	buf_init(&b, MODEL_MAX);
	dense_path(r, "model", path);
	dense_path(r, "model.new", temp);
	if (embed_save(m, &b) < 0)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the model");
	autoclose int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int n = fd < 0 ? -errno : sys_pwrite_all(fd, b.data, b.len, 0);
	if (n == 0 && (fdatasync(fd) < 0 || rename(temp, path) < 0))
		n = -errno;
	return n < 0 ? err_sys(e, ERR_SYS_IO, -n, "'%s'", path) : 0;
}

/* The new model and its index take the place of the old ones. */
static int learn_fill(struct rag *r, struct rag_learn *l)
{
	struct vec_index *index = NULL;
	uint32_t version = embed_info(l->model).version, before = r->model ? embed_info(r->model).version : 0;
	if (r->model && version == before)
		return 0; /* the same words as often: nothing was learnt */
	int e = open_index(r, version, &index, &l->e);
	if (e == 0)
		e = fill(r, l, index);
	if (e == 0)
		e = write_model(r, l->model, &l->e);
	if (e < 0) {
		vec_close(index);
		return e;
	}
	struct vec_index *old = r->index;
	struct embed *old_model = r->model;
	pthread_rwlock_wrlock(&r->lock);
	r->model = take_ptr(l->model);
	r->index = index;
	pthread_rwlock_unlock(&r->lock);
	vec_close(old);
	embed_free(old_model);
	return 0;
}

static void learn_work(struct pool_job *job)
{
	struct rag_learn *l = container_of(job, struct rag_learn, job);
	struct rag *r = l->rag;
	struct embed_sample *sample = NULL;
	setpriority(PRIO_PROCESS, (id_t)gettid(), 10); /* of this thread alone: questions and documents come first */
	if (l->fill) {
		l->result = learn_fill(r, l);
		return;
	}
	pthread_rwlock_rdlock(&r->lock);
	l->result = embed_sample(&sample, r->words, &l->e);
	pthread_rwlock_unlock(&r->lock);
	if (l->result == 0)
		l->result = embed_learn(&l->model, sample, &r->stop, &l->e);
	embed_sample_free(sample);
}

static void learn_end(struct rag_learn *l)
{
	struct rag *r = l->rag;
	r->learn = NULL;
	r->pausing = false;
	if (l->result < 0 && l->result != -ECANCELED)
		log_err(LOG_LEVEL_ERROR, "rag.learn", &l->e, NULL, NULL);
	r->learnt = l->live; /* also where it failed: tried again when there are twice as many */
	embed_free(l->model);
	free(l);
	rag_ingest_next(r);
	rag_save_later(r);
}

void rag_learn_go_on(struct rag *r)
{
	if (r->learn && r->pausing && !r->ingest)
		pool_run(r->thread, &r->learn->job);
}

static void learn_done(struct pool_job *job)
{
	struct rag_learn *l = container_of(job, struct rag_learn, job);
	struct rag *r = l->rag;
	if (job->cancelled || r->closing)
		l->result = -ECANCELED;
	if (l->result < 0 || l->fill) {
		rag_dense_sweep(r);
		learn_end(l);
		return;
	}
	l->fill = true;
	r->pausing = true;
	if (!r->model || embed_info(r->model).version != embed_info(l->model).version)
		remove_index(r, embed_info(l->model).version); /* what an earlier try left */
	rag_learn_go_on(r);
}

void rag_learn_maybe(struct rag *r)
{
	bool more = r->queue_head < r->queue_n;
	uint64_t live = r->live_pieces, times = more ? 4 : 2;
	if (r->learn || r->loading || r->closing || live < LEARN_LEAST || (r->learnt && live < times * r->learnt && live * 4 > r->learnt))
		return;
	struct rag_learn *l = rag_thread(r) ? calloc(1, sizeof *l) : NULL;
	if (!l)
		return;
	*l = (struct rag_learn){.rag = r, .live = live, .job = {.work = learn_work, .done = learn_done}};
	r->learn = l;
	pool_run(r->thread, &l->job);
}

/* ---- a start ---- */

static int read_model(struct rag *r, struct embed **ret, struct err *e)
{
	char path[PATH_MAX];
	struct stat st;
	dense_path(r, "model", path);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, ERR_SYS_IO, errno, "'%s'", path);
	if ((uint64_t)st.st_size > MODEL_MAX)
		return err_set(e, ERR_VDB_DAMAGED, "'%s' is too large", path);
	autofree char *data = malloc((size_t)st.st_size + 1);
	if (!data)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the model");
	int n = sys_pread_all(fd, data, (size_t)st.st_size, 0);
	n = n < 0 ? err_sys(e, ERR_SYS_IO, -n, "'%s'", path) : embed_load(ret, data, (size_t)st.st_size, e);
	return n < 0 ? err_wrap(e, "%s", path) : 0;
}

/* Its rows that are no live passages, because a crash came between them and what was saved, go. */
struct reconcile {
	struct rag *r;
	uint64_t *ids;
	size_t n, cap;
};

static int not_live(void *arg, const struct vec_row *row)
{
	struct reconcile *c = arg;
	if (row->id < c->r->pieces_n && c->r->pieces[row->id].live)
		return 0;
	if (c->n == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 256;
		uint64_t *ids = realloc(c->ids, cap * sizeof *ids);
		if (!ids)
			return -ENOMEM;
		c->ids = ids;
		c->cap = cap;
	}
	c->ids[c->n++] = row->id;
	return 0;
}

int rag_dense_load(struct rag *r, uint32_t version, struct err *e)
{
	struct embed *m = NULL;
	struct vec_index *index = NULL;
	int n = read_model(r, &m, e);
	if (n == 0 && embed_info(m).version != version)
		n = err_set(e, ERR_VDB_DAMAGED, "the saved passages have vectors of another model");
	if (n == 0)
		n = open_index(r, version, &index, e);
	struct vec_stats st = {0};
	if (n == 0)
		vec_stats(index, &st);
	uint64_t live = 0;
	for (uint32_t i = 0; i < r->pieces_n; i++)
		live += r->pieces[i].live;
	struct reconcile c = {.r = r};
	if (n == 0 && st.rows > live)
		n = vec_each(index, not_live, &c, e);
	for (size_t at = 0; n == 0 && at < c.n; at += VEC_BATCH_MAX)
		n = vec_delete(index, c.ids + at, c.n - at < VEC_BATCH_MAX ? c.n - at : VEC_BATCH_MAX, NULL, e);
	free(c.ids);
	if (n < 0) {
		vec_close(index);
		embed_free(m);
		return n;
	}
	r->model = m;
	r->index = index;
	r->learnt = embed_info(m).texts;
	return 0;
}

void rag_dense_close(struct rag *r)
{
	vec_close(take_ptr(r->index));
	embed_free(take_ptr(r->model));
}
