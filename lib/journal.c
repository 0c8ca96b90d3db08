/* SPDX-License-Identifier: MIT */
/* journal.c - the journal's writer: the loop thread encodes, one thread writes and syncs a batch at a
 * time, acknowledgements go back in order. L0. */
#include "lib/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/journal_format.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/metric.h"

#define BATCH_MAX    (64u << 20)
#define SEGMENT_MIN  (RECORD_SIZE_MAX + SEGMENT_HEADER)
#define SPIN_NS      20000u

struct journal {
	/* constant */
	char *dir;
	uint64_t segment_bytes;
	struct loop *loop;
	int lock_fd;
	pthread_t thread;
	/* loop thread only */
	uint64_t last_seq;
	unsigned char chain[32];
	struct loop_job acked; /* delivers `ready` */
	bool acked_posted;     /* under mu */
	/* shared, under mu */
	pthread_mutex_t mu;
	pthread_cond_t work, idle;
	struct buf batch;
	bool batch_safe, busy, stop;
	uint64_t synced_seq, written_seq;
	struct journal_ack *waiting, **waiting_end; /* of the batch */
	struct journal_ack *ready, **ready_end;     /* to be called on the loop */
	int fd;
	uint64_t offset; /* in fd */
	bool full;       /* the next segment could not be made */
	/* journal thread only */
	struct buf writing;
	int next_fd; /* prefilled, without its header */
};

static void fatal(const char *what)
{
	/* The kernel may have dropped the pages: what is on the disk is no longer known. */
	log_error("journal.fatal", "what", what, "error", strerror(errno), NULL);
	abort();
}

/* ---- segments ---- */

static int prefilled(struct journal *j)
{
	static const char zeros[1 << 16];
	char path[4096];
	snprintf(path, sizeof path, "%s/next", j->dir);
	unlink(path);
	autoclose int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	for (uint64_t at = 0; fd >= 0 && at < j->segment_bytes; at += sizeof zeros)
		if (pwrite(fd, zeros, sizeof zeros, (off_t)at) != sizeof zeros)
			return -1;
	return fd < 0 || fsync(fd) < 0 ? -1 : take_fd(&fd);
}

static int sync_dir(struct journal *j)
{
	autoclose int fd = open(j->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -1 : 0;
}

/* Give the prepared file its header and its name. The chain value is that of the last written record. */
static int name_segment(struct journal *j, int fd, uint64_t first_seq,
			const unsigned char prev[32])
{
	struct segment_header h;
	char from[4096], to[4200], name[32];
	segment_header_make(&h, first_seq, prev);
	segment_name(first_seq, name);
	snprintf(from, sizeof from, "%s/next", j->dir);
	snprintf(to, sizeof to, "%s/%s", j->dir, name);
	if (pwrite(fd, &h, sizeof h, 0) != sizeof h || fdatasync(fd) < 0 || rename(from, to) < 0 ||
	    sync_dir(j) < 0)
		return -1;
	return 0;
}

static int next_segment(struct journal *j, const char *first_record)
{
	const struct record_header *h = (const struct record_header *)(const void *)first_record;
	int fd = j->next_fd >= 0 ? take_fd(&j->next_fd) : prefilled(j);
	if (fd < 0 || name_segment(j, fd, h->seq, h->prev) < 0) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	pthread_mutex_lock(&j->mu);
	close(j->fd);
	j->fd = fd;
	j->offset = SEGMENT_HEADER;
	pthread_mutex_unlock(&j->mu);
	return 0;
}

/* ---- the journal thread ---- */

static void put(struct journal *j, const char *data, size_t len)
{
	while (len) {
		ssize_t n = pwrite(j->fd, data, len, (off_t)j->offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			fatal("write");
		data += n;
		len -= (size_t)n;
		j->offset += (uint64_t)n;
	}
}

/* Write the batch, whole records at a time, over as many segments as it takes. */
static void write_batch(struct journal *j)
{
	const char *at = j->writing.data, *end = at + j->writing.len;
	while (at < end) {
		const char *stop = at;
		while (stop < end) {
			uint32_t size;
			memcpy(&size, stop, sizeof size);
			if (j->offset + (uint64_t)(stop - at) + size + 8 > j->segment_bytes)
				break;
			stop += size;
		}
		put(j, at, (size_t)(stop - at));
		at = stop;
		if (at < end) {
			if (fdatasync(j->fd) < 0)
				fatal("fdatasync");
			if (next_segment(j, at) < 0)
				fatal("next segment");
		}
	}
}

static void deliver(struct loop_job *job);

static void acknowledge(struct journal *j, struct journal_ack *list, struct journal_ack **list_end)
{
	if (!list)
		return;
	*j->ready_end = list;
	j->ready_end = list_end;
	if (!j->acked_posted) {
		j->acked_posted = true;
		loop_post(j->loop, &j->acked);
	}
}

static void commit(struct journal *j) /* mu held on entry and exit */
{
	struct buf tmp = j->writing;
	bool safe = j->batch_safe;
	struct journal_ack *list = j->waiting, **list_end = j->waiting_end;
	uint64_t upto = j->written_seq;
	j->writing = j->batch;
	j->batch = tmp;
	j->batch_safe = false;
	j->waiting = NULL;
	j->waiting_end = &j->waiting;
	j->busy = true;
	pthread_mutex_unlock(&j->mu);
	uint64_t begin = clock_mono_ns();
	write_batch(j);
	if (safe && fdatasync(j->fd) < 0)
		fatal("fdatasync");
	metric_observe_ns(METRIC_JOURNAL_COMMIT_SECONDS, clock_mono_ns() - begin);
	metric_add(METRIC_JOURNAL_COMMITS, 1);
	buf_clear(&j->writing);
	if (list)
		*list_end = NULL;
	pthread_mutex_lock(&j->mu);
	j->busy = false;
	if (safe)
		j->synced_seq = upto;
	acknowledge(j, list, list_end);
	pthread_cond_broadcast(&j->idle);
}

static void prepare_next(struct journal *j) /* mu held on entry and exit */
{
	if (j->next_fd >= 0 || j->offset < j->segment_bytes / 2)
		return;
	pthread_mutex_unlock(&j->mu);
	int fd = prefilled(j);
	pthread_mutex_lock(&j->mu);
	j->next_fd = fd;
	j->full = fd < 0;
}

static void *writer(void *arg)
{
	struct journal *j = arg;
	pthread_mutex_lock(&j->mu);
	while (!j->stop || j->batch.len) {
		if (!j->batch.len) {
			prepare_next(j);
			/* The next record of a busy caller comes within microseconds. */
			uint64_t until = clock_mono_ns() + SPIN_NS;
			while (!j->batch.len && !j->stop && clock_mono_ns() < until) {
				pthread_mutex_unlock(&j->mu);
				cpu_relax();
				pthread_mutex_lock(&j->mu);
			}
			while (!j->batch.len && !j->stop)
				pthread_cond_wait(&j->work, &j->mu);
		}
		if (j->batch.len)
			commit(j);
	}
	pthread_mutex_unlock(&j->mu);
	return NULL;
}

/* ---- the loop thread ---- */

static void deliver(struct loop_job *job)
{
	struct journal *j = container_of(job, struct journal, acked);
	pthread_mutex_lock(&j->mu);
	struct journal_ack *a = j->ready;
	j->ready = NULL;
	j->ready_end = &j->ready;
	j->acked_posted = false;
	pthread_mutex_unlock(&j->mu);
	while (a) {
		struct journal_ack *next = a->next;
		a->done(a, a->seq, 0);
		a = next;
	}
}

/* A FAST record with nothing queued before it: written here, without waking anybody. */
static bool write_now(struct journal *j, const struct buf *bytes)
{
	if (j->busy || j->batch.len || j->offset + bytes->len + 8 > j->segment_bytes)
		return false;
	put(j, bytes->data, bytes->len);
	return true;
}

int journal_append(struct journal *j, struct journal_record *rec, enum journal_class c,
		   struct journal_ack *ack, struct err *e)
{
	if (rec->body_len > JOURNAL_BODY_MAX || strlen(rec->object) > JOURNAL_NAME_MAX)
		return err_sys(e, ERR_RESOURCE_TOO_BIG, EFBIG, "record about '%.40s'", rec->object);
	rec->seq = j->last_seq + 1;
	rec->time_ms = clock_wall_ms();
	pthread_mutex_lock(&j->mu);
	unsigned char chain[32];
	memcpy(chain, j->chain, sizeof chain);
	size_t before = j->batch.len;
	int r = 0;
	if (j->full && j->offset + j->batch.len + RECORD_SIZE_MAX > j->segment_bytes)
		r = err_set(e, ERR_JOURNAL_FULL, "no space left on the disk of '%s'", j->dir);
	else if (record_encode(rec, (uint32_t)(rec->seq - j->synced_seq - 1), chain, &j->batch) < 0)
		r = err_set(e, ERR_SYS_MEMORY, "the journal's batch is full");
	if (r == 0) {
		memcpy(j->chain, chain, sizeof chain);
		j->last_seq = j->written_seq = rec->seq;
		if (ack)
			*ack = (struct journal_ack){.done = ack->done, .seq = rec->seq};
		struct buf mine = {.data = j->batch.data + before, .len = j->batch.len - before};
		bool written = false;
		if (c == JOURNAL_FAST && before == 0) {
			j->batch.len = 0;
			written = write_now(j, &mine);
			j->batch.len = written ? 0 : mine.len;
		}
		if (written && ack) {
			acknowledge(j, ack, &ack->next);
		} else if (!written) {
			j->batch_safe |= c == JOURNAL_SAFE;
			if (ack) {
				*j->waiting_end = ack;
				j->waiting_end = &ack->next;
			}
			pthread_cond_signal(&j->work);
		}
	}
	pthread_mutex_unlock(&j->mu);
	if (r == 0)
		metric_add(METRIC_JOURNAL_RECORDS, 1);
	return r;
}

uint64_t journal_last_seq(const struct journal *j)
{
	return j->last_seq;
}

void journal_flush(struct journal *j)
{
	pthread_mutex_lock(&j->mu);
	j->batch_safe = true;
	while (j->busy || j->batch.len) {
		pthread_cond_signal(&j->work);
		pthread_cond_wait(&j->idle, &j->mu);
	}
	if (fdatasync(j->fd) < 0)
		fatal("fdatasync");
	j->synced_seq = j->written_seq;
	pthread_mutex_unlock(&j->mu);
}

/* ---- open and close ---- */

static int cut_torn(struct journal *j, const struct journal_end *end, struct err *e)
{
	static const char zeros[1 << 16];
	for (uint64_t at = end->offset; at < j->segment_bytes;) {
		size_t n = j->segment_bytes - at < sizeof zeros ? j->segment_bytes - at : sizeof zeros;
		if (pwrite(j->fd, zeros, n, (off_t)at) != (ssize_t)n)
			return err_sys(e, ERR_JOURNAL_IO, errno, "torn end of '%s'", j->dir);
		at += n;
	}
	log_warn("journal.torn_tail_cut", "dir", j->dir, NULL);
	return fdatasync(j->fd) < 0 ? err_sys(e, ERR_JOURNAL_IO, errno, "'%s'", j->dir) : 0;
}

static int go_on(struct journal *j, const struct journal_end *end, struct err *e)
{
	char path[4200], name[32];
	struct stat st;
	memcpy(j->chain, end->stat.head, sizeof j->chain);
	j->last_seq = j->written_seq = j->synced_seq = end->stat.last_seq;
	if (!end->segment) {
		j->fd = prefilled(j);
		j->offset = SEGMENT_HEADER;
		if (j->fd < 0 || name_segment(j, j->fd, 1, j->chain) < 0)
			return err_sys(e, ERR_JOURNAL_IO, errno, "first segment in '%s'", j->dir);
		return 0;
	}
	segment_name(end->segment, name);
	snprintf(path, sizeof path, "%s/%s", j->dir, name);
	j->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (j->fd < 0 || fstat(j->fd, &st) < 0)
		return err_sys(e, ERR_JOURNAL_IO, errno, "'%s'", path);
	j->segment_bytes = (uint64_t)st.st_size > j->segment_bytes ? (uint64_t)st.st_size
								   : j->segment_bytes;
	j->offset = end->offset;
	return end->stat.torn ? cut_torn(j, end, e) : 0;
}

static int lock_dir(struct journal *j, struct err *e)
{
	char path[4096];
	if (mkdir(j->dir, 0700) < 0 && errno != EEXIST)
		return err_sys(e, ERR_JOURNAL_IO, errno, "'%s'", j->dir);
	snprintf(path, sizeof path, "%s/lock", j->dir);
	j->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (j->lock_fd < 0 || flock(j->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return err_sys(e, ERR_JOURNAL_IO, errno == EWOULDBLOCK ? EBUSY : errno,
			       "journal '%s' is another daemon's, or cannot be locked", j->dir);
	return 0;
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
	buf_done(&j->writing);
	free(j->dir);
	free(j);
}

int journal_open(struct journal **ret, const struct journal_opts *o, struct loop *l,
		 uint64_t after_seq, int (*replay)(void *arg, const struct journal_record *rec),
		 void *arg, struct err *e)
{
	struct journal_end end;
	struct journal *j = calloc(1, sizeof *j);
	if (!j || !(j->dir = strdup(o->dir))) {
		free(j);
		return err_set(e, ERR_SYS_MEMORY, "no memory for the journal");
	}
	j->loop = l;
	j->fd = j->next_fd = j->lock_fd = -1;
	j->segment_bytes = o->segment_bytes > SEGMENT_MIN ? o->segment_bytes : SEGMENT_MIN;
	j->segment_bytes = (j->segment_bytes + 0xffff) & ~0xffffull;
	buf_init(&j->batch, BATCH_MAX);
	buf_init(&j->writing, BATCH_MAX);
	j->waiting_end = &j->waiting;
	j->ready_end = &j->ready;
	j->acked.fn = deliver;
	pthread_mutex_init(&j->mu, NULL);
	pthread_cond_init(&j->work, NULL);
	pthread_cond_init(&j->idle, NULL);
	int r = lock_dir(j, e);
	if (r == 0)
		r = journal_walk(j->dir, after_seq, replay, arg, &end, e);
	if (r == 0)
		r = go_on(j, &end, e);
	if (r == 0 && pthread_create(&j->thread, NULL, writer, j) != 0)
		r = err_set(e, ERR_SYS_IO, "the journal's thread cannot be started");
	if (r < 0) {
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
	pthread_mutex_lock(&j->mu);
	j->stop = true;
	pthread_cond_signal(&j->work);
	pthread_mutex_unlock(&j->mu);
	pthread_join(j->thread, NULL);
	deliver(&j->acked);
	loop_drain(j->loop); /* a delivery that was posted must not find the journal gone */
	dispose(j);
}
