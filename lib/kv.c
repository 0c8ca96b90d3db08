/* SPDX-License-Identifier: MIT */
/* kv.c - the state store: opening and reading. L0; loop thread. */
#include "lib/kv_i.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "lib/mem.h"

#define MAP_START (64ull << 20) /* bytes; address space, neither memory nor disk */
#define MAP_LEAST (1ull << 20)
#define FORMAT	  "symbi-kv 1"

int kv_errno(int mdb)
{
	switch (mdb) {
	case 0:
		return 0;
	case MDB_MAP_FULL:
		return -EDQUOT;
	case MDB_INVALID:
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_VERSION_MISMATCH:
	case MDB_INCOMPATIBLE:
		return -EUCLEAN;
	default:
		return mdb > 0 ? -mdb : -EIO;
	}
}

/* ---- the environment ---- */

/* The two tables and, in meta, the format and the sequence. */
static int open_tables(struct kv *kv)
{
	MDB_val key = {6, "format"}, got, want = {sizeof FORMAT - 1, FORMAT};
	MDB_txn *t;
	int r = mdb_txn_begin(kv->env, NULL, 0, &t);
	if (r)
		return r;
	if (!(r = mdb_dbi_open(t, "state", MDB_CREATE, &kv->state)) &&
	    !(r = mdb_dbi_open(t, "meta", MDB_CREATE, &kv->meta)) &&
	    (r = mdb_get(t, kv->meta, &key, &got)) == MDB_NOTFOUND)
		r = mdb_put(t, kv->meta, &key, &want, 0);
	else if (!r && (got.mv_size != want.mv_size || memcmp(got.mv_data, FORMAT, got.mv_size)))
		r = MDB_VERSION_MISMATCH;
	uint64_t seq = 0;
	key = (MDB_val){3, "seq"};
	if (!r && !mdb_get(t, kv->meta, &key, &got) && got.mv_size == sizeof seq)
		memcpy(&seq, got.mv_data, sizeof seq);
	atomic_store(&kv->seq, seq);
	if (r) {
		mdb_txn_abort(t);
		return r;
	}
	return mdb_txn_commit(t);
}

int kv_env_open(struct kv *kv)
{
	int dead, r = mdb_env_create(&kv->env);
	if (r) {
		kv->env = NULL;
		return r;
	}
	uint64_t map = kv->max_bytes < MAP_START ? kv->max_bytes : MAP_START;
	/* NOTLS: a reading transaction is not bound to its thread, so it can be kept and renewed.
	 */
	if (!(r = mdb_env_set_mapsize(kv->env, map)) && !(r = mdb_env_set_maxdbs(kv->env, 2)) &&
	    !(r = mdb_env_open(kv->env, kv->dir, MDB_NOTLS, 0600)) &&
	    !(r = mdb_reader_check(kv->env, &dead)) && !(r = open_tables(kv)) &&
	    !(r = mdb_txn_begin(kv->env, NULL, MDB_RDONLY, &kv->reading)))
		mdb_txn_reset(kv->reading);
	if (r)
		kv_env_close(kv);
	return r;
}

void kv_env_close(struct kv *kv)
{
	if (kv->reading)
		mdb_txn_abort(kv->reading);
	if (kv->env)
		mdb_env_close(kv->env);
	kv->reading = NULL;
	kv->env = NULL;
}

/* ---- open and close ---- */

static int lock_dir(struct kv *kv, struct err *e)
{
	char path[4096];
	if (sys->mkdir(kv->dir, 0700) < 0 && errno != EEXIST)
		return err_sys(e, ERR_STORE_IO, errno, "'%s' cannot be made", kv->dir);
	snprintf(path, sizeof path, "%s/lock", kv->dir);
	kv->lock_fd = sys->open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (kv->lock_fd < 0)
		return err_sys(e, ERR_STORE_IO, errno, "'%s'", path);
	if (flock(kv->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return err_sys(e, ERR_STORE_IO, errno == EWOULDBLOCK ? EBUSY : errno,
			       "state store '%s' belongs to a running daemon, or cannot be locked",
			       kv->dir);
	return 0;
}

static void dispose(struct kv *kv)
{
	kv_env_close(kv);
	if (kv->lock_fd >= 0)
		close(kv->lock_fd);
	pthread_mutex_destroy(&kv->map_mu);
	free(kv->dir);
	free(kv);
}

int kv_open(struct kv **ret, const char *dir, uint64_t max_bytes, struct loop *l, struct err *e)
{
	struct kv *kv = calloc(1, sizeof *kv);
	if (!kv || !(kv->dir = strdup(dir))) {
		free(kv);
		return err_set(e, ERR_SYS_MEMORY, "no memory for the state store");
	}
	kv->lock_fd = -1;
	kv->loop = l;
	kv->max_bytes = (max_bytes < MAP_LEAST ? MAP_LEAST : max_bytes) & ~0xffffull;
	pthread_mutex_init(&kv->map_mu, NULL);
	int r = lock_dir(kv, e), m = 0;
	if (r == 0 && (m = kv_env_open(kv)) != 0) {
		r = kv_errno(m);
		err_set(e, ERR_STORE_IO, "state store '%s': %s%s", dir, mdb_strerror(m),
			r == -EUCLEAN
				? "; restore it from a copy, or move it aside to have it made "
				  "anew from the journal"
				: "");
		if (e)
			e->eno = -r;
	}
	if (r == 0)
		r = kv_writer_start(kv, e);
	if (r < 0) {
		dispose(kv);
		return r;
	}
	*ret = kv;
	return 0;
}

void kv_close(struct kv *kv)
{
	if (!kv)
		return;
	kv_writer_stop(kv);
	dispose(kv);
}

uint64_t kv_seq(const struct kv *kv)
{
	return atomic_load(&kv->seq);
}

/* ---- reading ---- */

static int begin(struct kv *kv, struct err *e)
{
	if (kv->depth++)
		return 0;
	pthread_mutex_lock(&kv->map_mu);
	int m = kv->env ? mdb_txn_renew(kv->reading) : MDB_PANIC;
	if (m == 0)
		return 0;
	pthread_mutex_unlock(&kv->map_mu);
	kv->depth--;
	return err_sys(e, ERR_STORE_IO, -kv_errno(m), "state store '%s'", kv->dir);
}

static void end(struct kv *kv)
{
	if (--kv->depth)
		return;
	mdb_txn_reset(kv->reading);
	pthread_mutex_unlock(&kv->map_mu);
}

int kv_get(struct kv *kv, const char *key, int (*fn)(void *arg, const void *data, size_t len),
	   void *arg, struct err *e)
{
	MDB_val k = {strlen(key), (void *)(uintptr_t)key}, v;
	if (k.mv_size < 1 || k.mv_size > KV_KEY_MAX)
		return err_sys(e, ERR_STORE_IO, ENOENT, "key '%.40s'", key);
	int r = begin(kv, e);
	if (r < 0)
		return r;
	int m = mdb_get(kv->reading, kv->state, &k, &v);
	if (m == 0)
		r = fn ? fn(arg, v.mv_data, v.mv_size) : 0;
	else
		r = err_sys(e, ERR_STORE_IO, m == MDB_NOTFOUND ? ENOENT : -kv_errno(m),
			    "key '%.40s'", key);
	end(kv);
	return r;
}

int kv_each(struct kv *kv, const char *prefix,
	    int (*fn)(void *arg, const char *key, const void *data, size_t len), void *arg,
	    struct err *e)
{
	size_t len = strlen(prefix);
	char key[KV_KEY_MAX + 1];
	MDB_cursor *c;
	MDB_val k = {len, (void *)(uintptr_t)prefix}, v;
	if (len > KV_KEY_MAX)
		return 0;
	int r = begin(kv, e);
	if (r < 0)
		return r;
	int m = mdb_cursor_open(kv->reading, kv->state, &c);
	if (m == 0) {
		m = mdb_cursor_get(c, &k, &v, len ? MDB_SET_RANGE : MDB_FIRST);
		while (m == 0 && r >= 0 && k.mv_size <= KV_KEY_MAX && k.mv_size >= len &&
		       memcmp(k.mv_data, prefix, len) == 0) {
			memcpy(key, k.mv_data, k.mv_size);
			key[k.mv_size] = 0;
			r = fn(arg, key, v.mv_data, v.mv_size);
			m = mdb_cursor_get(c, &k, &v, MDB_NEXT);
		}
		mdb_cursor_close(c);
	}
	end(kv);
	if (r < 0)
		return r;
	if (m && m != MDB_NOTFOUND)
		return err_sys(e, ERR_STORE_IO, -kv_errno(m), "keys '%.40s'", prefix);
	return 0;
}
