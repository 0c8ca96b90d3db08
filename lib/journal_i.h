/* SPDX-License-Identifier: MIT */
/* journal_i.h - what the journal's three threads share: the loop's side in journal.c, the writer in
 * journal_writer.c, the keeper of segments in journal_keeper.c. L0. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "lib/journal_format.h"

struct acks { /* singly linked, added at the end */
	struct journal_ack *first, *last;
};

/* The prepared segment: none is there and the keeper makes one; ready; a record that is queued needs
 * it, the writer will go on in it; it could not be made. */
enum next_state { NEXT_NONE, NEXT_READY, NEXT_CLAIMED, NEXT_FAILED };

struct journal {
	/* constant */
	char *dir;
	uint64_t segment_bytes; /* of segments to come */
	struct loop *loop;
	int lock_fd;
	pthread_t writer, keeper;
	unsigned threads;
	/* loop thread only */
	uint64_t last_seq;
	struct loop_job acked;
	unsigned together; /* acknowledgements are being called: what they append is synced as one */
	/* Where the next record will stand: all that is queued is placed before it is written. */
	uint64_t plan_offset, plan_bytes;

	/* shared, under mu */
	pthread_mutex_t mu;
	pthread_cond_t work; /* for the writer */
	pthread_cond_t care; /* for the keeper */
	pthread_cond_t idle; /* for the loop thread: something got done */
	struct buf batch;    /* encoded, not sealed */
	struct acks safe, ready;
	bool want_sync, acked_posted, stop;
	uint64_t queued_seq, synced_seq;
	bool writing; /* fd, offset, bytes and chain are the writer's until it is done */
	bool syncing;
	int fd;
	uint64_t offset, bytes;
	unsigned char chain[32];
	struct segment *segments; /* begun, in order */
	size_t segments_n, segments_cap;
	enum next_state next;
	int next_fd, next_errno;
	uint64_t next_number, next_failed_ns;
	uint64_t retire_upto, retire_keep;
	bool retire_wanted;
	int retire_errno;

	/* any thread */
	_Atomic uint64_t written_seq; /* the newest that is in the file; grows under mu */
	atomic_bool poked; /* something was queued; ends the writer's spinning */
	atomic_bool stopping;
	/* writer only */
	struct buf out;
};

void journal_fatal(const char *what, int eno) __attribute__((noreturn));

/* Move acks to the list of those that are called on the loop thread. mu held. Returns whether j->acked has to be
 * posted: without mu, or the loop thread wakes up only to wait for it. */
bool journal_acked(struct journal *j, struct acks *list);
void acks_add(struct acks *list, struct journal_ack *ack);

void *journal_writer(void *arg);
void *journal_keeper(void *arg);

/* Make segment number, prefilled and named, and return its descriptor, or -errno. A thread that may wait
 * for the disk. */
int journal_segment_make(struct journal *j, uint64_t number);
/* Note that the prepared segment is begun with first_seq. mu held. -ENOMEM. */
int journal_segment_begun(struct journal *j, uint64_t number, uint64_t first_seq, uint64_t bytes);
