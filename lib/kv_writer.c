/* SPDX-License-Identifier: MIT */
/* kv_writer.c - the state store's changes: collected on the loop thread, written by the store
 * thread, every commit that waits in one transaction. L0. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kv_i.h"
#include "lib/mem.h"

#define RESERVE_MIN   (4ull << 20) /* bytes above max_bytes for changes that make room */
#define RESERVE_SMALL (64u << 10)  /* bytes of values */

/* ---- batches ---- */

static void op_free(struct kv_op *op)
{
	free(op->data);
	free(op);
}

static size_t op_bytes(const struct kv_op *op)
{
	return sizeof *op + strlen(op->key) + op->len;
}

static void batch_free(struct kv *kv, struct kv_batch *b)
{
	while (b && b->ops) {
		struct kv_op *op = b->ops;
		b->ops = op->next;
		atomic_fetch_sub(&kv->queued_bytes, op_bytes(op));
		op_free(op);
	}
	if (b)
		map_done(&b->by_key);
	free(b);
}

static void tickets_add(struct kv_tickets *q, struct kv_ticket *first, struct kv_ticket *last)
{
	if (q->first)
		q->last->next = first;
	else
		q->first = first;
	q->last = last;
}

static struct kv_ticket *tickets_take(struct kv_tickets *q)
{
	struct kv_ticket *list = q->first;
	*q = (struct kv_tickets){0};
	return list;
}

/* ---- loop thread: collecting ---- */

/* Takes data. */
static int change(struct kv *kv, const char *key, void *data, size_t len)
{
	if (!kv->open && !(kv->open = calloc(1, sizeof *kv->open)))
		return -ENOMEM;
	size_t key_len = strlen(key);
	struct kv_op *op = map_get(&kv->open->by_key, key, key_len);
	if (op) {
		atomic_fetch_add(&kv->queued_bytes, len - op->len);
		free(op->data);
		op->data = data;
		op->len = len;
		return 0;
	}
	if (!(op = malloc(sizeof *op + key_len + 1)))
		return -ENOMEM;
	memcpy(op->key, key, key_len + 1);
	if (map_put(&kv->open->by_key, op->key, op) < 0) {
		free(op);
		return -ENOMEM;
	}
	op->next = kv->open->ops;
	op->data = data;
	op->len = len;
	kv->open->ops = op;
	atomic_fetch_add(&kv->queued_bytes, op_bytes(op));
	return 0;
}

static int check_key(const char *key, struct err *e)
{
	size_t len = strlen(key);
	if (len >= 1 && len <= KV_KEY_MAX)
		return 0;
	return err_sys(e, ERR_STORE_IO, EINVAL, "key '%.40s' has %zu bytes, not 1 to %d", key, len,
		       KV_KEY_MAX);
}

int kv_put(struct kv *kv, const char *key, const void *data, size_t len, struct err *e)
{
	int r = check_key(key, e);
	if (r < 0)
		return r;
	if (len > KV_VALUE_MAX)
		return err_sys(e, ERR_STORE_IO, EFBIG,
			       "value of key '%.40s' has %zu bytes, not at "
			       "most %u",
			       key, len, KV_VALUE_MAX);
	if (atomic_load(&kv->queued_bytes) + len > KV_QUEUE_MAX)
		return err_sys(e, ERR_STORE_IO, ENOSPC,
			       "state store '%s' takes no more changes, too "
			       "many wait for the disk",
			       kv->dir);
	void *copy = malloc(len + 1);
	if (!copy || change(kv, key, copy, len) < 0) {
		free(copy);
		return err_set(e, ERR_SYS_MEMORY, "no memory for key '%.40s'", key);
	}
	if (len)
		memcpy(copy, data, len);
	return 0;
}

int kv_del(struct kv *kv, const char *key, struct err *e)
{
	int r = check_key(key, e);
	if (r == 0 && change(kv, key, NULL, 0) < 0)
		r = err_set(e, ERR_SYS_MEMORY, "no memory for key '%.40s'", key);
	return r;
}

int kv_commit(struct kv *kv, uint64_t seq, void (*done)(void *arg, uint64_t seq, int r), void *arg,
	      struct err *e)
{
	struct kv_ticket *t = calloc(1, sizeof *t);
	if (!t)
		return err_set(e, ERR_SYS_MEMORY, "no memory for a commit of the state store");
	*t = (struct kv_ticket){.batch = take_ptr(kv->open), .seq = seq, .done = done, .arg = arg};
	pthread_mutex_lock(&kv->mu);
	tickets_add(&kv->todo, t, t);
	pthread_cond_signal(&kv->work);
	pthread_mutex_unlock(&kv->mu);
	return 0;
}

static void deliver(struct loop_job *job)
{
	struct kv *kv = container_of(job, struct kv, finished);
	pthread_mutex_lock(&kv->mu);
	struct kv_ticket *t = tickets_take(&kv->ready);
	kv->finished_posted = false;
	pthread_mutex_unlock(&kv->mu);
	while (t) {
		struct kv_ticket *next = t->next;
		if (t->done)
			t->done(t->arg, t->seq, t->r);
		free(t);
		t = next;
	}
}

/* ---- store thread: writing ---- */

static int put_batch(struct kv *kv, MDB_txn *t, const struct kv_batch *b)
{
	int m = 0;
	for (const struct kv_op *op = b->ops; op && !m; op = op->next) {
		MDB_val k = {strlen(op->key), (void *)(uintptr_t)op->key}, v = {op->len, op->data};
		m = op->data ? mdb_put(t, kv->state, &k, &v, 0) : mdb_del(t, kv->state, &k, NULL);
		if (m == MDB_NOTFOUND)
			m = 0;
	}
	return m;
}

/* One transaction over what failed before and what is new, stamped with seq. */
static int try_commit(struct kv *kv, const struct kv_ticket *todo, uint64_t seq)
{
	MDB_txn *t;
	int m = mdb_txn_begin(kv->env, NULL, 0, &t);
	if (m)
		return m;
	for (const struct kv_batch *b = kv->failed; b && !m; b = b->next)
		m = put_batch(kv, t, b);
	for (; todo && !m; todo = todo->next)
		m = todo->batch ? put_batch(kv, t, todo->batch) : 0;
	MDB_val k = {3, "seq"}, v = {sizeof seq, &seq};
	if (!m)
		m = mdb_put(t, kv->meta, &k, &v, 0);
	if (m) {
		mdb_txn_abort(t);
		return m;
	}
	return mdb_txn_commit(t);
}

/* No transaction may be open while the map moves: this thread has none, map_mu keeps readers out.
 */
static int move_map(struct kv *kv, uint64_t size)
{
	pthread_mutex_lock(&kv->map_mu);
	int m = mdb_env_set_mapsize(kv->env, size);
	if (m) { /* the old map is gone already */
		kv_env_close(kv);
		kv_env_open(kv);
	}
	pthread_mutex_unlock(&kv->map_mu);
	return m;
}

static uint64_t map_size(const struct kv *kv)
{
	MDB_envinfo info;
	return mdb_env_info(kv->env, &info) ? 0 : info.me_mapsize;
}

static int grow_map(struct kv *kv, uint64_t limit)
{
	uint64_t now = map_size(kv);
	if (now >= limit)
		return MDB_MAP_FULL;
	return move_map(kv, now * 2 < limit ? now * 2 : limit);
}

/* Adds up the values; true when a key is deleted. */
static bool frees(const struct kv_batch *b, size_t *bytes)
{
	for (const struct kv_op *op = b ? b->ops : NULL; op; op = op->next) {
		if (!op->data)
			return true;
		*bytes += op->len;
	}
	return false;
}

/* A full store must still take what makes room, and LMDB needs pages to free pages: changes that
 * delete, and small ones, may go past max_bytes. */
static uint64_t limit_for(const struct kv *kv, const struct kv_ticket *todo)
{
	size_t bytes = 0;
	bool reserve = false;
	for (const struct kv_batch *b = kv->failed; b && !reserve; b = b->next)
		reserve = frees(b, &bytes);
	for (; todo && !reserve; todo = todo->next)
		reserve = frees(todo->batch, &bytes);
	if (!reserve && bytes > RESERVE_SMALL)
		return kv->max_bytes;
	uint64_t more = kv->max_bytes / 16 > RESERVE_MIN ? kv->max_bytes / 16 : RESERVE_MIN;
	return kv->max_bytes + (more & ~0xffffull);
}

/* LMDB refuses everything after a failed write of its root page until it is opened anew. */
static int reopen(struct kv *kv)
{
	pthread_mutex_lock(&kv->map_mu);
	kv_env_close(kv);
	int m = kv_env_open(kv);
	pthread_mutex_unlock(&kv->map_mu);
	return m;
}

static int commit_once(struct kv *kv, const struct kv_ticket *todo, uint64_t seq)
{
	int m = kv->env ? 0 : reopen(kv);
	while (m == 0 && (m = try_commit(kv, todo, seq)) == MDB_MAP_FULL)
		if ((m = grow_map(kv, limit_for(kv, todo))) == MDB_MAP_FULL)
			return kv_errno(m);
	if (m == 0)
		atomic_store(&kv->seq, seq);
	if (m == 0 && map_size(kv) > kv->max_bytes)
		move_map(kv, kv->max_bytes); /* LMDB keeps what is in use */
	if (m != 0 && kv->env)
		reopen(kv);
	return kv_errno(m);
}

/* A disk that is full says EIO, too, when it took a part of what was written. */
static int commit(struct kv *kv, const struct kv_ticket *todo, uint64_t seq)
{
	int r = commit_once(kv, todo, seq);
	if ((r == -ENOSPC || r == -EIO || r == -EDQUOT) && kv_ballast_drop(kv))
		r = commit_once(kv, todo, seq);
	else if (r == 0)
		kv_ballast_lay(kv);
	return r;
}

/* Move the changes of newer into older, over those of the same keys. -ENOMEM: some stay in newer.
 */
static int fold(struct kv *kv, struct kv_batch *older, struct kv_batch *newer)
{
	struct kv_op *op;
	while ((op = newer->ops)) {
		struct kv_op *old = map_get(&older->by_key, op->key, strlen(op->key));
		if (!old && map_put(&older->by_key, op->key, op) < 0)
			return -ENOMEM;
		newer->ops = op->next;
		map_del(&newer->by_key, op->key);
		if (!old) {
			op->next = older->ops;
			older->ops = op;
			continue;
		}
		atomic_fetch_sub(&kv->queued_bytes, op_bytes(old));
		free(old->data);
		old->data = take_ptr(op->data);
		old->len = op->len;
		op_free(op);
	}
	return 0;
}

/* Keep the changes of a failed commit for the next one: a key once, where memory allows. */
static void keep(struct kv *kv, struct kv_batch *b)
{
	struct kv_batch **at = &kv->failed;
	while (*at && (*at)->next)
		at = &(*at)->next;
	if (*at && fold(kv, *at, b) == 0) {
		batch_free(kv, b);
		return;
	}
	if (*at)
		at = &(*at)->next;
	*at = b;
	b->next = NULL;
}

static void write_tickets(struct kv *kv, struct kv_ticket *todo)
{
	struct kv_ticket *last = todo;
	while (last->next)
		last = last->next;
	int r = commit(kv, todo, last->seq);
	while (r == 0 && kv->failed) {
		struct kv_batch *next = kv->failed->next;
		batch_free(kv, kv->failed);
		kv->failed = next;
	}
	for (struct kv_ticket *t = todo; t; t = t->next) {
		struct kv_batch *b = take_ptr(t->batch);
		t->r = r;
		if (b && r < 0)
			keep(kv, b);
		else
			batch_free(kv, b);
	}
	pthread_mutex_lock(&kv->mu);
	tickets_add(&kv->ready, todo, last);
	bool post = !kv->finished_posted;
	kv->finished_posted = true;
	pthread_mutex_unlock(&kv->mu);
	if (post)
		loop_post(kv->loop, &kv->finished);
}

static void *writer(void *arg)
{
	struct kv *kv = arg;
	for (;;) {
		pthread_mutex_lock(&kv->mu);
		while (!kv->todo.first && !kv->stop)
			pthread_cond_wait(&kv->work, &kv->mu);
		struct kv_ticket *todo = tickets_take(&kv->todo);
		pthread_mutex_unlock(&kv->mu);
		if (!todo)
			return NULL;
		write_tickets(kv, todo);
	}
}

int kv_writer_start(struct kv *kv, struct err *e)
{
	kv->finished.fn = deliver;
	pthread_mutex_init(&kv->mu, NULL);
	pthread_cond_init(&kv->work, NULL);
	kv_ballast_lay(kv);
	int r = pthread_create(&kv->thread, NULL, writer, kv);
	if (r == 0)
		return 0;
	pthread_mutex_destroy(&kv->mu);
	pthread_cond_destroy(&kv->work);
	return err_sys(e, ERR_STORE_IO, r, "the state store's thread cannot be started");
}

void kv_writer_stop(struct kv *kv)
{
	pthread_mutex_lock(&kv->mu);
	kv->stop = true;
	pthread_cond_signal(&kv->work);
	pthread_mutex_unlock(&kv->mu);
	pthread_join(kv->thread, NULL);
	loop_drain(kv->loop); /* a delivery that was posted must not find the store gone */
	deliver(&kv->finished);
	batch_free(kv, kv->open);
	while (kv->failed) {
		struct kv_batch *next = kv->failed->next;
		batch_free(kv, kv->failed);
		kv->failed = next;
	}
	pthread_mutex_destroy(&kv->mu);
	pthread_cond_destroy(&kv->work);
}
