/* SPDX-License-Identifier: MIT */
/* kv_i.h - what the store's reading side (kv.c) and its writing side (kv_writer.c) share. L0. */
#pragma once

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "lib/kv.h"
#include "lib/map.h"

struct kv_op { /* one change; a key has one at most in a batch */
	struct kv_op *next;
	void *data; /* owned; NULL: delete */
	size_t len;
	char key[];
};

struct kv_batch { /* changes that one kv_commit moved to the store thread */
	struct kv_batch *next;
	struct map by_key; /* -> struct kv_op */
	struct kv_op *ops;
};

struct kv_ticket { /* one kv_commit; outlives its changes or is outlived by them */
	struct kv_ticket *next;
	struct kv_batch *batch; /* until it is tried */
	uint64_t seq;
	void (*done)(void *arg, uint64_t seq, int r);
	void *arg;
	int r;
};

struct kv_tickets { /* singly linked, added at the end */
	struct kv_ticket *first, *last;
};

struct kv {
	/* constant */
	char *dir;
	uint64_t max_bytes;
	struct loop *loop;
	int lock_fd;
	pthread_t thread;
	/* Held by the loop thread while it reads and by the store thread while it moves the map. */
	pthread_mutex_t map_mu;
	MDB_env *env; /* NULL after a reopening that failed */
	MDB_dbi state, meta;
	MDB_txn *reading; /* reset between reads; loop thread only, but for the moving of the map */
	/* loop thread only */
	unsigned depth;	       /* reads within reads */
	struct kv_batch *open; /* collects changes until kv_commit */
	struct loop_job finished;
	/* any thread */
	atomic_uint_fast64_t seq;
	atomic_uint_fast64_t queued_bytes;
	/* shared, under mu */
	pthread_mutex_t mu;
	pthread_cond_t work;
	struct kv_tickets todo, ready;
	bool stop, finished_posted;
	/* store thread only */
	struct kv_batch *failed; /* of commits that failed, oldest first */
	bool ballast;		 /* it lies there (kv_ballast.c) */
};

/* The environment of kv->dir; on failure kv->env is NULL. Returns an LMDB result; map_mu held or
 * nobody else there. */
int kv_env_open(struct kv *kv);
void kv_env_close(struct kv *kv);
/* Lay room aside, where there is enough and none lies there; give it up, true when there was some. Store thread, or nobody else there. */
void kv_ballast_lay(struct kv *kv);
bool kv_ballast_drop(struct kv *kv);
int kv_errno(int mdb); /* an LMDB result as -errno */

int kv_writer_start(struct kv *kv, struct err *e);
void kv_writer_stop(struct kv *kv); /* writes what was asked for, calls done */
