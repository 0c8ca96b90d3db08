/* SPDX-License-Identifier: MIT */
/* kv.h - the materialised state: string keys to bytes in LMDB, stamped with the journal sequence
 * that it includes. L0. Reads on the loop thread; changes are collected there and moved, a commit
 * at a time, to the one store thread, the only writer.
 *
 * A commit that fails loses nothing: its changes stay queued and go out with the next one, and
 * until then the journal has them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/loop.h"

#define KV_KEY_MAX   480	    /* bytes of a key, at least 1 */
#define KV_VALUE_MAX (16u << 20)    /* bytes of a value */
#define KV_QUEUE_MAX (128ull << 20) /* bytes of changes that wait for the disk */

struct kv;

/* Open dir (made 0700 when absent). The file grows by itself up to max_bytes (at least 1 MiB), and
 * by a sixteenth of it (at least 4 MiB) more for commits that delete or are small. Starts the store
 * thread. Errors: -EBUSY when another process has it open; -EUCLEAN when the file is not a store
 * or is damaged; -errno of the disk; all STORE_001. Loop thread. */
int kv_open(struct kv **ret, const char *dir, uint64_t max_bytes, struct loop *l, struct err *e);

/* Waits for the commits that were asked for, calls their done, joins the thread, frees. Changes
 * without a commit are dropped. NULL is fine. Loop thread, not from within a done. */
void kv_close(struct kv *kv);

/* Journal sequence that the committed state includes; 0 when empty. Any thread. */
uint64_t kv_seq(const struct kv *kv);

/* Queue a change; key and bytes are copied. The last change of a key counts; kv_get sees it only
 * after a commit. Errors: -EINVAL (key), -EFBIG (value), -ENOMEM, -ENOSPC when KV_QUEUE_MAX bytes
 * wait because the disk takes none; the change is not queued then. Loop thread. */
int kv_put(struct kv *kv, const char *key, const void *data, size_t len, struct err *e);
int kv_del(struct kv *kv, const char *key, struct err *e); /* an absent key is fine */

/* Commit everything queued, durably and as one, as the state up to journal sequence seq (not below
 * that of an earlier call). done(arg, seq, r), may be NULL, is called on the loop thread in the
 * order of the calls; r: 0, -ENOSPC (disk), -EDQUOT (max_bytes reached), or -errno. After r < 0
 * the changes stay and are tried again with the next commit.
 * Errors: -ENOMEM; the changes stay queued, done is not called. Loop thread. */
int kv_commit(struct kv *kv, uint64_t seq, void (*done)(void *arg, uint64_t seq, int r), void *arg,
	      struct err *e);

/* Read one committed key: calls fn (NULL: is it there?) with bytes that are valid during the call
 * and need not be aligned, and returns what fn returned. -ENOENT when absent. fn may read the
 * store again, it sees the same state. Loop thread. */
int kv_get(struct kv *kv, const char *key, int (*fn)(void *arg, const void *data, size_t len),
	   void *arg, struct err *e);

/* Every committed key with the prefix ("" is all), in byte order. A negative return of fn stops
 * and is returned; else 0. Loop thread. */
int kv_each(struct kv *kv, const char *prefix,
	    int (*fn)(void *arg, const char *key, const void *data, size_t len), void *arg,
	    struct err *e);
