/* SPDX-License-Identifier: MIT */
/* rows.c - slots, and the maps from ids and labels to them. L1; writers in turn (mu), `map` held for changes of the
 * maps. */
#include <errno.h>
#include <string.h>

#include "vectors/vec_i.h"

static size_t hash64(uint64_t x)
{
	x ^= x >> 32;
	x *= 0x9e3779b97f4a7c15ull;
	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9ull;
	return (size_t)(x ^ x >> 32);
}

/* ---- ids ---- */

static size_t id_place(const struct vec_index *v, uint64_t id)
{
	size_t i = hash64(id) & (v->ids_cap - 1);
	while (v->ids[i] && atomic_get(&row_at(v, v->ids[i] - 1)->id) != id)
		i = (i + 1) & (v->ids_cap - 1);
	return i;
}

int64_t map_find(const struct vec_index *v, uint64_t id)
{
	return v->ids_cap ? (int64_t)v->ids[id_place(v, id)] - 1 : -1;
}

static int ids_grow(struct vec_index *v, size_t want)
{
	size_t cap = v->ids_cap ? v->ids_cap : 64;
	while (cap / 2 < want)
		cap *= 2;
	if (cap == v->ids_cap)
		return 0;
	uint32_t *old = v->ids, *ids = calloc(cap, sizeof *ids);
	size_t old_cap = v->ids_cap;
	if (!ids)
		return -ENOMEM;
	v->ids = ids;
	v->ids_cap = cap;
	for (size_t i = 0; i < old_cap; i++)
		if (old[i])
			ids[id_place(v, atomic_get(&row_at(v, old[i] - 1)->id))] = old[i];
	free(old);
	return 0;
}

static void ids_remove(struct vec_index *v, uint64_t id)
{
	size_t mask = v->ids_cap - 1, hole = id_place(v, id);
	for (size_t i = (hole + 1) & mask; v->ids[i]; i = (i + 1) & mask) {
		size_t home = hash64(atomic_get(&row_at(v, v->ids[i] - 1)->id)) & mask;
		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		v->ids[hole] = v->ids[i];
		hole = i;
	}
	v->ids[hole] = 0;
	v->ids_n--;
}

static int map_build(struct vec_index *v)
{
	uint64_t n = atomic_get(&v->n_rows);
	if (ids_grow(v, atomic_get(&v->n_live) + 1) < 0)
		return -ENOMEM;
	for (uint64_t row = 0; row < n; row++) {
		if (!row_alive(v, row))
			continue;
		v->ids[id_place(v, atomic_get(&row_at(v, row)->id))] = (uint32_t)row + 1;
		v->ids_n++;
	}
	v->map_ready = true;
	return 0;
}

int map_ready(struct vec_index *v, struct err *e)
{
	pthread_rwlock_rdlock(&v->map);
	bool there = v->map_ready;
	pthread_rwlock_unlock(&v->map);
	if (there)
		return 0;
	pthread_mutex_lock(&v->mu); /* no row comes or goes meanwhile */
	pthread_rwlock_wrlock(&v->map);
	int r = v->map_ready ? 0 : map_build(v);
	pthread_rwlock_unlock(&v->map);
	pthread_mutex_unlock(&v->mu);
	return r < 0 ? err_set(e, ERR_VDB_FAILED, "no memory for the ids of %llu rows", (unsigned long long)atomic_get(&v->n_live)) : 0;
}

/* ---- labels ---- */

static size_t label_place(const struct vec_index *v, uint64_t label)
{
	size_t i = hash64(label) & (v->label_cap - 1);
	while (v->label_slots[i] && v->postings[v->label_slots[i] - 1].label != label)
		i = (i + 1) & (v->label_cap - 1);
	return i;
}

const struct posting *posting_find(const struct vec_index *v, uint64_t label)
{
	size_t i = v->label_cap ? v->label_slots[label_place(v, label)] : 0;
	return i ? &v->postings[i - 1] : NULL;
}

/* Room for `more` labels that are not there yet. */
static int labels_grow(struct vec_index *v, size_t more)
{
	size_t cap = v->label_cap ? v->label_cap : 64;
	while (cap / 2 < v->n_postings + more)
		cap *= 2;
	if (cap == v->label_cap)
		return 0;
	struct posting *postings = realloc(v->postings, cap / 2 * sizeof *postings);
	if (postings)
		v->postings = postings;
	uint32_t *slots = calloc(cap, sizeof *slots);
	if (!postings || !slots) {
		free(slots);
		return -ENOMEM;
	}
	free(v->label_slots);
	v->label_slots = slots;
	v->label_cap = cap;
	for (size_t i = 0; i < v->n_postings; i++)
		slots[label_place(v, v->postings[i].label)] = (uint32_t)i + 1;
	return 0;
}

static struct posting *posting_make(struct vec_index *v, uint64_t label)
{
	size_t at = label_place(v, label);
	if (!v->label_slots[at]) {
		v->postings[v->n_postings] = (struct posting){.label = label};
		v->label_slots[at] = (uint32_t)++v->n_postings;
	}
	return &v->postings[v->label_slots[at] - 1];
}

static int posting_room(struct posting *p, size_t more)
{
	if (p->n + more <= p->cap)
		return 0;
	size_t cap = p->cap * 2 > p->n + more ? p->cap * 2 : p->n + more + 4;
	uint32_t *rows = realloc(p->rows, cap * sizeof *rows);
	if (!rows)
		return -ENOMEM;
	p->rows = rows;
	p->cap = cap;
	return 0;
}

int posting_add(struct vec_index *v, uint64_t label, const uint32_t *rows, size_t n)
{
	if (labels_grow(v, 1) < 0)
		return -ENOMEM;
	struct posting *p = posting_make(v, label);
	if (n == 0)
		return 0;
	if (posting_room(p, n) < 0)
		return -ENOMEM;
	if (n)
		memcpy(p->rows + p->n, rows, n * sizeof *rows);
	p->n += n;
	return 0;
}

/* ---- rows ---- */

void rows_encode(const struct vec_index *v, const float *x, struct rec *r)
{
	r->scale = v->k->encode(x, v->dim, rec_code(r), &r->sum);
	r->bias = v->metric == VEC_L2 ? v->k->dot_f32(x, x, v->dim) : 0;
}

/* Room in the list of every label, for as many rows as have it. `map` held. */
static int labels_room(struct vec_index *v, const struct vec_row *rows, size_t n)
{
	size_t labels = 0;
	int r = 0;
	for (size_t i = 0; i < n; i++)
		labels += rows[i].n_labels;
	if (labels == 0)
		return 0;
	if (labels_grow(v, labels) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++)
		for (size_t j = 0; j < rows[i].n_labels && r == 0; j++) {
			struct posting *p = posting_make(v, rows[i].labels[j]);
			r = posting_room(p, ++p->wanted);
		}
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < rows[i].n_labels; j++)
			posting_make(v, rows[i].labels[j])->wanted = 0;
	return r;
}

int rows_room(struct vec_index *v, const struct vec_row *rows, size_t n, struct err *e)
{
	uint64_t slots = atomic_get(&v->n_rows) + n; /* free ones may not be reused just now */
	uint64_t queue = atomic_get(&v->tail) + n;
	if (slots > v->max_rows)
		return err_set(e, ERR_VDB_FULL,
			       "the index has room for %llu rows and %llu are there: compact it, or open it with a larger max_rows",
			       (unsigned long long)v->max_rows, (unsigned long long)atomic_get(&v->n_rows));
	int r = space_commit(&v->recs, slots * v->rec_bytes, e);
	if (r == 0)
		r = space_commit(&v->rows, slots * sizeof(struct row), e);
	if (r == 0)
		r = space_commit(&v->alive, (slots + 63) / 64 * 8, e);
	if (r == 0)
		r = space_commit(&v->ring, (queue < v->max_rows ? queue : v->max_rows) * sizeof(uint32_t), e);
	if (r < 0)
		return r;
	pthread_rwlock_wrlock(&v->map);
	r = ids_grow(v, v->ids_n + n + 1);
	if (r == 0)
		r = labels_room(v, rows, n);
	pthread_rwlock_unlock(&v->map);
	return r < 0 ? err_set(e, ERR_VDB_FAILED, "no memory for %zu rows", n) : 0;
}

static uint32_t slot_take(struct vec_index *v)
{
	if (v->n_free && !v->dumping && !atomic_get(&v->warm_due)) {
		atomic_fetch_sub(&v->n_dead, 1);
		atomic_fetch_sub(&v->n_gone, 1);
		return v->free_rows[--v->n_free];
	}
	return (uint32_t)atomic_get(&v->n_rows);
}

static void row_kill(struct vec_index *v, uint32_t row)
{
	atomic_fetch_and(alive_word(v, row >> 6), ~(1ull << (row & 63)));
	atomic_fetch_sub(&v->n_live, 1);
	atomic_fetch_add(&v->n_dead, 1);
}

bool rows_delete(struct vec_index *v, uint64_t id)
{
	pthread_rwlock_wrlock(&v->map);
	int64_t row = map_find(v, id);
	if (row >= 0)
		ids_remove(v, id);
	pthread_rwlock_unlock(&v->map);
	if (row >= 0)
		row_kill(v, (uint32_t)row);
	return row >= 0;
}

void rows_put(struct vec_index *v, const struct rowlog_put *p, uint64_t at)
{
	uint32_t row = slot_take(v);
	struct rec *r = rec_at(v, row);
	rows_encode(v, p->vector, r);
	atomic_set(&r->degree, 0);
	atomic_set(&r->in, 0);
	atomic_set(&r->flags, 0);
	atomic_set(&r->lock, 0);
	atomic_set(&row_at(v, row)->id, p->id);
	atomic_set(&row_at(v, row)->at, at);
	pthread_rwlock_wrlock(&v->map);
	int64_t old = map_find(v, p->id);
	v->ids[id_place(v, p->id)] = row + 1;
	v->ids_n += old < 0;
	for (size_t i = 0; i < p->n_labels; i++) {
		struct posting *list = posting_make(v, p->labels[i]);
		list->rows[list->n++] = row; /* rows_room() made the room */
	}
	pthread_rwlock_unlock(&v->map);
	if (row == atomic_get(&v->n_rows))
		atomic_set(&v->n_rows, row + 1ull);
	atomic_set(ring_at(v, atomic_get(&v->tail)), row);
	atomic_fetch_add(&v->tail, 1);
	/* The new one is there before the old one goes: a search finds one of them, or for a moment both, which it
	 * sees by `replaced`. */
	if (old >= 0)
		atomic_fetch_add(&v->replaced, 1);
	atomic_fetch_or(alive_word(v, row >> 6), 1ull << (row & 63));
	atomic_fetch_add(&v->n_live, 1);
	if (old >= 0) {
		row_kill(v, (uint32_t)old);
		atomic_fetch_add(&v->replaced, 1);
	}
}

void rows_done(struct vec_index *v)
{
	for (size_t i = 0; i < v->n_postings; i++)
		free(v->postings[i].rows);
	free(v->postings);
	free(v->label_slots);
	free(v->ids);
	free(v->free_rows);
}
