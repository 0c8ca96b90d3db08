/* SPDX-License-Identifier: MIT */
/* kv.h - the materialised state: string keys to bytes in LMDB, stamped with the journal
 * sequence it includes. L0. Reads on the loop thread, writes batched on a thread of its own. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/loop.h"

#define KV_KEY_MAX 480 /* bytes */

struct kv;

/* Open dir (made 0700 when absent) with a map of map_bytes. Loop thread. */
int kv_open(struct kv **ret, const char *dir, uint64_t map_bytes, struct loop *l, struct err *e);
void kv_close(struct kv *kv); /* commits what is queued */

/* Journal sequence that the committed state includes; 0 when empty. */
uint64_t kv_seq(const struct kv *kv);

/* Queue a change; bytes are copied. Visible to kv_get only after a commit. Loop thread. */
int kv_put(struct kv *kv, const char *key, const void *data, size_t len, struct err *e);
int kv_del(struct kv *kv, const char *key, struct err *e);

/* Commit everything queued, durably, as the state up to journal sequence seq; done(arg, seq, r) is
 * called on the loop thread. Queued changes without a call to kv_commit are never written. */
int kv_commit(struct kv *kv, uint64_t seq, void (*done)(void *arg, uint64_t seq, int r), void *arg,
	      struct err *e);

/* Read one committed key: calls fn with bytes valid during the call. -ENOENT when absent. */
int kv_get(struct kv *kv, const char *key, int (*fn)(void *arg, const void *data, size_t len),
	   void *arg, struct err *e);
/* Every committed key with the prefix, in byte order; fn's negative return stops. */
int kv_each(struct kv *kv, const char *prefix,
	    int (*fn)(void *arg, const char *key, const void *data, size_t len), void *arg,
	    struct err *e);
