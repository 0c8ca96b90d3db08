/* SPDX-License-Identifier: MIT */
/* journal_writer.c - the journal thread: seals, writes and syncs a batch at a time. L0. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/journal_i.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/metric.h"

#define SPIN_NS 20000u /* the next record of a busy caller comes within microseconds */

void journal_fatal(const char *what, int eno)
{
	/* The kernel may have dropped the pages: what is on the disk is no longer known. */
	log_error("journal.fatal", "what", what, "error", strerrordesc_np(eno), NULL);
	abort();
}

static void sync_data(int fd)
{
	if (sys->fdatasync(fd) < 0)
		journal_fatal("fdatasync", errno);
}

/* Go on in the prepared segment. What stands in the old one is on the disk before its header is, and that
 * before its records. Nothing here needs new space. */
static void roll(struct journal *j, uint64_t first_seq)
{
	struct segment_header h;
	pthread_mutex_lock(&j->mu);
	if (j->next != NEXT_CLAIMED)
		abort(); /* nothing is queued that has no place */
	int fd = take_fd(&j->next_fd);
	pthread_mutex_unlock(&j->mu);
	sync_data(j->fd);
	segment_header_make(&h, first_seq, j->chain, j->segment_bytes, first_seq - 1);
	int r = sys_pwrite_all(fd, &h, sizeof h, 0);
	if (r < 0)
		journal_fatal("write", -r);
	sync_data(fd);
	close(j->fd);
	j->fd = fd;
	j->offset = SEGMENT_HEADER;
	j->bytes = j->segment_bytes;
	pthread_mutex_lock(&j->mu);
	if (journal_segment_begun(j, j->next_number, first_seq, j->segment_bytes) < 0)
		journal_fatal("memory", ENOMEM);
	j->synced_seq = first_seq - 1;
	j->next = NEXT_NONE;
	j->next_number++;
	pthread_cond_signal(&j->care);
	pthread_mutex_unlock(&j->mu);
}

/* Write the batch, whole records at a time, over as many segments as it takes. */
static void write_batch(struct journal *j, uint64_t synced_seq)
{
	char *at = j->out.data, *end = at + j->out.len;
	while (at < end) {
		char *stop = at;
		while (stop < end) {
			struct record_header *h = (struct record_header *)(void *)stop;
			if (j->offset + (uint64_t)(stop - at) + h->size > j->bytes)
				break;
			record_seal(stop, synced_seq, j->chain);
			stop += h->size;
		}
		int r = sys_pwrite_all(j->fd, at, (size_t)(stop - at), j->offset);
		if (r < 0)
			journal_fatal("write", -r);
		j->offset += (uint64_t)(stop - at);
		at = stop;
		if (at < end) {
			synced_seq = ((struct record_header *)(void *)at)->seq - 1;
			roll(j, synced_seq + 1);
		}
	}
}

static void commit(struct journal *j) /* mu held on entry and exit */
{
	struct buf tmp = j->out;
	struct acks safe = j->safe;
	bool sync = j->want_sync;
	uint64_t upto = j->queued_seq, synced = j->synced_seq, begin = clock_mono_ns();
	j->out = j->batch;
	j->batch = tmp;
	j->safe = (struct acks){0};
	j->want_sync = false;
	j->writing = true;
	pthread_mutex_unlock(&j->mu);
	write_batch(j, synced);
	buf_clear(&j->out);
	pthread_mutex_lock(&j->mu);
	j->writing = false; /* from here on the loop thread may write behind it */
	atomic_store(&j->written_seq, upto);
	pthread_cond_broadcast(&j->idle);
	if (sync) {
		int fd = j->fd;
		j->syncing = true;
		pthread_mutex_unlock(&j->mu);
		sync_data(fd);
		pthread_mutex_lock(&j->mu);
		j->syncing = false;
		j->synced_seq = upto;
		if (journal_acked(j, &safe)) {
			pthread_mutex_unlock(&j->mu);
			loop_post(j->loop, &j->acked);
			pthread_mutex_lock(&j->mu);
		}
	}
	pthread_cond_broadcast(&j->idle);
	metric_observe_ns(METRIC_JOURNAL_COMMIT_SECONDS, clock_mono_ns() - begin);
	metric_add(METRIC_JOURNAL_COMMITS, 1);
}

static bool has_work(const struct journal *j)
{
	return j->batch.len || j->want_sync;
}

void *journal_writer(void *arg)
{
	struct journal *j = arg;
	pthread_mutex_lock(&j->mu);
	for (;;) {
		if (!has_work(j) && !j->stop) {
			pthread_mutex_unlock(&j->mu);
			uint64_t until = clock_mono_ns() + SPIN_NS;
			while (!atomic_load(&j->poked) && clock_mono_ns() < until)
				cpu_relax();
			pthread_mutex_lock(&j->mu);
		}
		while (!has_work(j) && !j->stop)
			pthread_cond_wait(&j->work, &j->mu);
		atomic_store(&j->poked, false);
		if (!has_work(j))
			break;
		commit(j);
	}
	pthread_mutex_unlock(&j->mu);
	return NULL;
}
