/* SPDX-License-Identifier: MIT */
/* journal.c - the loop thread's side of the journal: appending, acknowledgements, opening, closing. L0. */
#include "lib/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/journal_i.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/metric.h"

#define RETRY_NS  1000000000u /* between tries to make a segment */
#define BATCH_MAX (1u << 30)  /* bytes; what is queued has its place in two segments */

/* ---- acknowledgements ---- */

void acks_add(struct acks *list, struct journal_ack *ack)
{
	ack->next = NULL;
	if (list->first)
		list->last->next = ack;
	else
		list->first = ack;
	list->last = ack;
}

bool journal_acked(struct journal *j, struct acks *list)
{
	if (!list->first)
		return false;
	if (j->ready.first)
		j->ready.last->next = list->first;
	else
		j->ready.first = list->first;
	j->ready.last = list->last;
	*list = (struct acks){0};
	bool post = !j->acked_posted;
	j->acked_posted = true;
	return post;
}

/* Better without mu, which the writer takes first of all. */
static void wake_writer(struct journal *j)
{
	atomic_store(&j->poked, true);
	pthread_cond_signal(&j->work);
}

/* Seal and write the batch on the loop thread; what is safe in it is synced by the writer. mu held. */
static void write_now(struct journal *j)
{
	char *end = j->batch.data + j->batch.len;
	for (char *at = j->batch.data; at < end;) {
		record_seal(at, j->synced_seq, j->chain);
		at += ((struct record_header *)(void *)at)->size;
	}
	int r = sys_pwrite_all(j->fd, j->batch.data, j->batch.len, j->offset);
	if (r < 0)
		journal_fatal("write", -r);
	j->offset += j->batch.len;
	atomic_store(&j->written_seq, j->queued_seq);
	buf_clear(&j->batch);
}

/* Until all that is queued is in the file. The writer is waited for only where it is just writing itself, or
 * has to go on in the next segment. mu held. */
static void write_through(struct journal *j)
{
	uint64_t upto = j->queued_seq;
	while (atomic_load(&j->written_seq) < upto) {
		if (!j->writing && j->next != NEXT_CLAIMED) {
			write_now(j);
			return;
		}
		wake_writer(j);
		pthread_cond_wait(&j->idle, &j->mu);
	}
}

/* Callers that append from their acknowledgement are many at once: their records go on together. */
static void deliver(struct loop_job *job)
{
	struct journal *j = container_of(job, struct journal, acked);
	pthread_mutex_lock(&j->mu);
	struct journal_ack *a = j->ready.first;
	j->ready = (struct acks){0};
	j->acked_posted = false;
	pthread_mutex_unlock(&j->mu);
	j->together++;
	while (a) {
		struct journal_ack *next = a->next;
		a->done(a, a->seq, 0);
		a = next;
	}
	if (--j->together)
		return;
	pthread_mutex_lock(&j->mu);
	if (j->want_sync)
		wake_writer(j);
	pthread_mutex_unlock(&j->mu);
}

/* ---- appending ---- */

static uint64_t reserve_of(uint64_t segment_bytes)
{
	return segment_bytes / 8;
}

/* Is there a place for size bytes? Sets *ret_roll when it is in the prepared segment. Waits while one is
 * being made. Only the loop thread places, so a place that was found stays. mu held. */
static int find_place(struct journal *j, const struct journal_record *rec, size_t size,
		      bool *ret_roll, struct err *e)
{
	bool reserve = rec->may_use_reserve && rec->body_len <= JOURNAL_RESERVE_BODY_MAX;
	for (;;) {
		bool fits = j->plan_offset + size <= j->plan_bytes;
		bool beyond = j->plan_offset + size > j->plan_bytes - reserve_of(j->plan_bytes);
		*ret_roll = !fits;
		if (j->next == NEXT_READY || (fits && (reserve || !beyond)))
			return 0;
		if (j->next == NEXT_FAILED)
			break;
		wake_writer(j); /* it must take the claimed one first */
		pthread_cond_wait(&j->idle, &j->mu);
	}
	if (clock_mono_ns() - j->next_failed_ns > RETRY_NS) {
		j->next = NEXT_NONE;
		pthread_cond_signal(&j->care);
	}
	if (j->next_errno == ENOSPC || j->next_errno == EDQUOT)
		return err_set(e, ERR_JOURNAL_FULL,
			       "no space left for the journal in '%s'; make room on its disk, "
			       "stopping and removing still work",
			       j->dir);
	return err_sys(e, ERR_JOURNAL_IO, j->next_errno, "next segment of the journal in '%s'",
		       j->dir);
}

static void take_place(struct journal *j, size_t size, bool roll)
{
	if (roll) {
		j->next = NEXT_CLAIMED;
		j->plan_offset = SEGMENT_HEADER;
		j->plan_bytes = j->segment_bytes;
	}
	j->plan_offset += size;
}

static int queue(struct journal *j, struct journal_record *rec, enum journal_class c,
		 struct journal_ack *ack, struct err *e) /* mu held */
{
	size_t size = record_size(rec);
	bool roll;
	int r = find_place(j, rec, size, &roll, e);
	if (r < 0)
		return r;
	if (buf_reserve(&j->batch, size) < 0) {
		j->batch.fail = 0;
		return err_set(e, ERR_SYS_MEMORY, "no memory for a record about '%.40s'",
			       rec->object);
	}
	take_place(j, size, roll);
	j->last_seq = j->queued_seq = rec->seq = j->last_seq + 1;
	record_encode(rec, &j->batch);
	if (c == JOURNAL_FAST) {
		write_through(j);
		return 0;
	}
	if (ack) {
		ack->seq = rec->seq;
		acks_add(&j->safe, ack);
	}
	j->want_sync = true;
	return 0;
}

int journal_append(struct journal *j, struct journal_record *rec, enum journal_class c,
		   struct journal_ack *ack, struct err *e)
{
	if (rec->body_len > JOURNAL_BODY_MAX || strlen(rec->object) > JOURNAL_NAME_MAX)
		return err_set(e, ERR_RESOURCE_TOO_BIG,
			       "record about '%.40s' is larger than %u bytes, or its name than %d",
			       rec->object, JOURNAL_BODY_MAX, JOURNAL_NAME_MAX);
	rec->time_ms = clock_wall_ms();
	pthread_mutex_lock(&j->mu);
	int r = queue(j, rec, c, ack, e);
	pthread_mutex_unlock(&j->mu);
	if (r == 0 && c == JOURNAL_SAFE && !j->together)
		wake_writer(j);
	if (r == 0)
		metric_add(METRIC_JOURNAL_RECORDS, 1);
	return r;
}

uint64_t journal_last_seq(const struct journal *j)
{
	return j->last_seq;
}

uint64_t journal_written_seq(const struct journal *j)
{
	return atomic_load(&j->written_seq);
}

void journal_flush(struct journal *j)
{
	pthread_mutex_lock(&j->mu);
	while (j->synced_seq < j->last_seq) {
		j->want_sync = true;
		wake_writer(j);
		pthread_cond_wait(&j->idle, &j->mu);
	}
	pthread_mutex_unlock(&j->mu);
}

int journal_retire(struct journal *j, uint64_t upto_seq, uint64_t keep_bytes, struct err *e)
{
	pthread_mutex_lock(&j->mu);
	int eno = j->retire_errno;
	j->retire_errno = 0;
	j->retire_upto = upto_seq;
	j->retire_keep = keep_bytes;
	j->retire_wanted = true;
	pthread_cond_signal(&j->care);
	pthread_mutex_unlock(&j->mu);
	return eno ? err_sys(e, ERR_JOURNAL_IO, eno, "old segments of journal '%s' stay", j->dir)
		   : 0;
}

/* ---- opening ---- */

/* Zeros from offset to the end, the last piece first: as long as it is not done, it looks torn. */
static int cut(struct journal *j, int fd, uint64_t from, uint64_t bytes, struct err *e)
{
	static const char zeros[1 << 16];
	int r = 0;
	for (uint64_t end = bytes; r == 0 && end > from;) {
		uint64_t n = end - from < sizeof zeros ? end - from : sizeof zeros;
		if (end - n == from && sys->fdatasync(fd) < 0)
			r = -errno;
		if (r == 0)
			r = sys_pwrite_all(fd, zeros, n, end - n);
		end -= n;
	}
	if (r == 0 && sys->fdatasync(fd) < 0)
		r = -errno;
	if (r < 0)
		return err_sys(e, ERR_JOURNAL_IO, -r, "torn end of journal '%s'", j->dir);
	log_warn("journal.torn_tail_cut", "dir", j->dir, NULL);
	return 0;
}

/* What is in the file is on the disk from here on, and the header says so. */
static int write_header(struct journal *j, struct err *e)
{
	struct segment_header h;
	int r = sys->fdatasync(j->fd) < 0 ? -errno : sys_pread_all(j->fd, &h, sizeof h, 0);
	if (r == 0) {
		h.synced_seq = j->last_seq;
		segment_header_crc(&h);
		r = sys_pwrite_all(j->fd, &h, sizeof h, 0);
	}
	if (r == 0 && sys->fdatasync(j->fd) < 0)
		r = -errno;
	return r < 0 ? err_sys(e, ERR_JOURNAL_IO, -r, "segment header in '%s'", j->dir) : 0;
}

static int open_segment(struct journal *j, uint64_t number, struct err *e)
{
	char path[4200], name[32];
	segment_name(number, name);
	snprintf(path, sizeof path, "%s/%s", j->dir, name);
	int fd = sys->open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);
	return fd < 0 ? err_sys(e, ERR_JOURNAL_IO, errno, "'%s'", path) : fd;
}

/* The prepared segment, when a whole one is left from before. */
static int adopt_spare(struct journal *j, const struct segment *s, struct err *e)
{
	j->next_number = s->number;
	if (s->bytes != j->segment_bytes)
		return 0; /* of another size; the keeper replaces it */
	int fd = open_segment(j, s->number, e);
	if (fd < 0)
		return fd;
	j->next_fd = fd;
	j->next = NEXT_READY;
	return 0;
}

/* The first segment of a new journal. */
static int begin(struct journal *j, struct err *e)
{
	struct segment_header h;
	int r = 0;
	if (j->next != NEXT_READY && (j->next_fd = journal_segment_make(j, j->next_number)) < 0)
		r = j->next_fd;
	j->fd = take_fd(&j->next_fd);
	j->next = NEXT_NONE;
	segment_header_make(&h, j->last_seq + 1, j->chain, j->segment_bytes, j->last_seq);
	if (r == 0)
		r = sys_pwrite_all(j->fd, &h, sizeof h, 0);
	if (r == 0 && sys->fdatasync(j->fd) < 0)
		r = -errno;
	if (r == 0)
		r = journal_segment_begun(j, j->next_number++, h.first_seq, h.bytes);
	j->offset = SEGMENT_HEADER;
	j->bytes = j->segment_bytes;
	return r < 0 ? err_sys(e, ERR_JOURNAL_IO, -r, "first segment of journal '%s'", j->dir) : 0;
}

static int go_on(struct journal *j, const struct journal_end *end, struct err *e)
{
	int r = 0;
	size_t begun = end->segments_n;
	memcpy(j->chain, end->stat.head, sizeof j->chain);
	j->last_seq = j->queued_seq = j->synced_seq = end->stat.last_seq;
	atomic_store(&j->written_seq, j->last_seq);
	j->next_number = 1;
	if (begun && end->segments[begun - 1].first_seq == 0)
		r = adopt_spare(j, &end->segments[--begun], e);
	else if (begun)
		j->next_number = end->segments[begun - 1].number + 1;
	if (r == 0 && !begun)
		r = begin(j, e);
	for (size_t i = 0; r == 0 && i < begun; i++) {
		const struct segment *s = &end->segments[i];
		if (journal_segment_begun(j, s->number, s->first_seq, s->bytes) < 0)
			r = err_set(e, ERR_SYS_MEMORY, "no memory for the journal");
	}
	if (r == 0 && begun) {
		const struct segment *s = &end->segments[begun - 1];
		j->fd = open_segment(j, s->number, e);
		j->offset = end->offset;
		j->bytes = s->bytes;
		r = j->fd < 0 ? j->fd : end->stat.torn ? cut(j, j->fd, j->offset, j->bytes, e) : 0;
		if (r == 0)
			r = write_header(j, e);
	}
	j->plan_offset = j->offset;
	j->plan_bytes = j->bytes;
	return r;
}

static int lock_dir(struct journal *j, struct err *e)
{
	char path[4096];
	if (sys->mkdir(j->dir, 0700) < 0 && errno != EEXIST)
		return err_sys(e, ERR_JOURNAL_IO, errno, "'%s' cannot be made", j->dir);
	snprintf(path, sizeof path, "%s/lock", j->dir);
	j->lock_fd = sys->open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (j->lock_fd < 0)
		return err_sys(e, ERR_JOURNAL_IO, errno, "'%s'", path);
	if (flock(j->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return err_sys(e, ERR_JOURNAL_IO, errno == EWOULDBLOCK ? EBUSY : errno,
			       "journal '%s' belongs to a running daemon, or cannot be locked",
			       j->dir);
	return 0;
}

static int start(struct journal *j, struct err *e)
{
	int r = pthread_create(&j->writer, NULL, journal_writer, j);
	j->threads += r == 0;
	if (r == 0)
		r = pthread_create(&j->keeper, NULL, journal_keeper, j);
	j->threads += r == 0;
	return r ? err_sys(e, ERR_SYS_IO, r, "the journal's threads cannot be started") : 0;
}

static void stop(struct journal *j)
{
	pthread_mutex_lock(&j->mu);
	j->stop = true;
	atomic_store(&j->stopping, true);
	atomic_store(&j->poked, true);
	pthread_cond_signal(&j->work);
	pthread_cond_signal(&j->care);
	pthread_mutex_unlock(&j->mu);
	if (j->threads > 0)
		pthread_join(j->writer, NULL);
	if (j->threads > 1)
		pthread_join(j->keeper, NULL);
}

static void dispose(struct journal *j)
{
	if (j->fd >= 0)
		close(j->fd);
	if (j->next_fd >= 0)
		close(j->next_fd);
	if (j->lock_fd >= 0)
		close(j->lock_fd);
	buf_done(&j->batch);
	buf_done(&j->out);
	pthread_mutex_destroy(&j->mu);
	pthread_cond_destroy(&j->work);
	pthread_cond_destroy(&j->care);
	pthread_cond_destroy(&j->idle);
	free(j->segments);
	free(j->dir);
	free(j);
}

static struct journal *make(const struct journal_opts *o, struct loop *l)
{
	struct journal *j = calloc(1, sizeof *j);
	if (!j || !(j->dir = strdup(o->dir))) {
		free(j);
		return NULL;
	}
	j->loop = l;
	j->fd = j->next_fd = j->lock_fd = -1;
	j->segment_bytes = o->segment_bytes > SEGMENT_MIN ? o->segment_bytes : SEGMENT_MIN;
	j->segment_bytes = (j->segment_bytes + 0xffff) & ~0xffffull;
	buf_init(&j->batch, BATCH_MAX);
	buf_init(&j->out, BATCH_MAX);
	j->acked.fn = deliver;
	pthread_mutex_init(&j->mu, NULL);
	pthread_cond_init(&j->work, NULL);
	pthread_cond_init(&j->care, NULL);
	pthread_cond_init(&j->idle, NULL);
	return j;
}

int journal_open(struct journal **ret, const struct journal_opts *o, struct loop *l,
		 uint64_t after_seq, int (*replay)(void *arg, const struct journal_record *rec),
		 void *arg, struct err *e)
{
	struct journal_end end = {0};
	struct journal *j = make(o, l);
	if (!j)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the journal");
	int r = lock_dir(j, e);
	if (r == 0)
		r = journal_walk(j->dir, after_seq, false, replay, arg, &end, e);
	if (r == 0)
		r = go_on(j, &end, e);
	free(end.segments);
	if (r == 0)
		r = start(j, e);
	if (r < 0) {
		stop(j);
		dispose(j);
		return r;
	}
	*ret = j;
	return 0;
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	journal_flush(j);
	stop(j);
	write_header(
		j,
		NULL); /* a bonus: without it, a flip in the last records looks like a torn write */
	loop_drain(j->loop); /* a delivery that was posted must not find the journal gone */
	deliver(&j->acked);
	dispose(j);
}
