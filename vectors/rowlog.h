/* SPDX-License-Identifier: MIT */
/* rowlog.h - the rows as they came: a log in segment files that is both the write-ahead log and where the exact vectors,
 * labels and payloads are read from. Inside vectors/ only. L1.
 *
 * A position is segment number * LOG_SEGMENT + offset; records are aligned to 64 bytes and never cross segments.
 * All integers are little-endian. A batch is records whose `left` counts down to 0; a batch that is not all
 * there was never acknowledged and is cut. Each record says up to where the log was synced when it was written:
 * so damage before that point is told from a torn tail. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

#define LOG_SEGMENT  (64ull << 20) /* bytes */
#define LOG_SEGMENTS 16384u
#define LOG_MAGIC    0x31474c56u /* VLG1 */

enum rowlog_op { LOG_PUT = 1, LOG_DELETE = 2 };

struct rowlog_segment_head {
	char magic[8]; /* SYMBIVL1 */
	uint32_t crc;  /* of what follows */
	uint32_t dim;
	uint64_t number;
	uint8_t uuid[16];
	uint8_t metric;
	uint8_t zero[23];
};
_Static_assert(sizeof(struct rowlog_segment_head) == 64, "one unit of the log");

struct rowlog_head { /* of a record; vector, labels and payload follow, zeros up to size */
	uint32_t magic;
	uint32_t crc;  /* of what follows, up to size */
	uint32_t size; /* multiple of 64 */
	uint8_t op;
	uint8_t zero;
	uint16_t n_labels;
	uint64_t at;	 /* its own position */
	uint64_t synced; /* the log was on the disk up to here */
	uint64_t id;
	uint32_t payload_len;
	float norm;    /* length of the vector before it was scaled to 1; 1 when it was not */
	uint32_t left; /* records of the same batch that follow */
	uint32_t zero2;
	uint64_t zero3;
};
_Static_assert(sizeof(struct rowlog_head) == 64, "one unit of the log");

struct rowlog {
	char *dir; /* owned; NULL: in memory */
	unsigned dim;
	uint8_t metric;
	uint8_t uuid[16];
	_Atomic(char *) *segs; /* mappings by number; NULL: not there */
	uint32_t *sizes;       /* of the files, by number: what may be read of a mapping */
	uint64_t first;	       /* lowest number that is there */
	int fd;		       /* of the last segment */
	_Atomic uint64_t tail; /* where the next record goes */
	uint64_t prefilled;    /* zeros are written up to here */
	pthread_mutex_t sync_mu;
	pthread_cond_t sync_done;
	bool syncing;	     /* under sync_mu */
	_Atomic bool failed; /* a sync failed: no more writes */
	_Atomic uint64_t synced;
};

struct rowlog_put { /* a record that was read; pointers into the log */
	enum rowlog_op op;
	uint64_t id;
	float norm;
	const float *vector;
	const uint64_t *labels;
	size_t n_labels;
	const void *payload;
	size_t payload_len;
};

/* dir NULL: in memory. Finds nothing, makes nothing; rowlog_replay or rowlog_create follows. */
int rowlog_init(struct rowlog *l, const char *dir, unsigned dim, uint8_t metric, const uint8_t uuid[16], struct err *e);
void rowlog_done(struct rowlog *l);

/* Begin segment `number`; the log's first, or the next one. */
int rowlog_create(struct rowlog *l, uint64_t number, struct err *e);

/* Map segments first.. to the last that is there, and call fn for every record from position `from` on, whole batches
 * only. Damage before `synced`, or before what a later record knows as synced, is -EUCLEAN; any other end is
 * the tail and is cut. fn NULL: only map and look. A negative return of fn stops. */
int rowlog_replay(struct rowlog *l, uint64_t first, uint64_t from, uint64_t synced,
	       int (*fn)(void *arg, const struct rowlog_put *p, uint64_t at), void *arg, struct err *e);

/* Check every record from the start of segment `number`. */
int rowlog_verify_segment(struct rowlog *l, uint64_t number, struct err *e);

/* Add one record to a batch that is being put together. */
int rowlog_encode(struct buf *batch, const struct rowlog *l, const struct rowlog_put *p, struct err *e);
/* Write a batch at the tail: all of it, or nothing. ret_at: positions of its n records. Owner of mu. */
int rowlog_append(struct rowlog *l, struct buf *batch, uint64_t *ret_at, size_t n, struct err *e);
/* Return when the log is on the disk up to position `upto`; callers at the same time share one sync. */
int rowlog_sync(struct rowlog *l, uint64_t upto, struct err *e);

/* The record at a position that rowlog_append or rowlog_replay gave; checks nothing. */
void rowlog_read(const struct rowlog *l, uint64_t at, struct rowlog_put *ret);
/* The same with its checksum tested. */
int rowlog_read_checked(const struct rowlog *l, uint64_t at, struct rowlog_put *ret, struct err *e);
/* Unmap and remove a segment that nothing refers to and nobody reads. */
int rowlog_drop(struct rowlog *l, uint64_t number, struct err *e);
int rowlog_path(const struct rowlog *l, uint64_t number, char *ret, size_t size); /* 0 or -ENAMETOOLONG */

/* Bytes from position `at` on that can be read; 0 where there is no segment. */
static inline uint64_t rowlog_room(const struct rowlog *l, uint64_t at)
{
	uint64_t number = at / LOG_SEGMENT, off = at % LOG_SEGMENT, tail = atomic_load(&l->tail);
	if (number >= LOG_SEGMENTS || !atomic_load(&l->segs[number]))
		return 0;
	uint64_t size = number == tail / LOG_SEGMENT ? tail % LOG_SEGMENT : l->sizes[number];
	return off < size ? size - off : 0;
}
static inline const char *rowlog_at(const struct rowlog *l, uint64_t at)
{
	return atomic_load_explicit(&l->segs[at / LOG_SEGMENT], memory_order_acquire) + at % LOG_SEGMENT;
}
static inline const float *rowlog_vector(const struct rowlog *l, uint64_t at)
{
	return (const float *)(const void *)(rowlog_at(l, at) + sizeof(struct rowlog_head));
}
