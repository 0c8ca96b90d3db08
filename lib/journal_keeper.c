/* SPDX-License-Identifier: MIT */
/* journal_keeper.c - the thread that has the next segment ready before it is needed and removes those that
 * were retired, so that neither ever delays a commit. L0. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/journal_i.h"
#include "lib/mem.h"

#define FILL_STEP (1u << 20) /* bytes between syncs, so that a commit never waits for much */

static int segment_path(const struct journal *j, uint64_t number, char *out, size_t cap)
{
	char name[32];
	segment_name(number, name);
	return snprintf(out, cap, "%s/%s", j->dir, name) < (int)cap ? 0 : -ENAMETOOLONG;
}

/* Zeros, written and synced: later commits change neither the file's size nor its extents. */
static int fill(struct journal *j, int fd)
{
	static const char zeros[1 << 16];
	if (sys->fallocate(fd, 0, 0, (off_t)j->segment_bytes) < 0 && errno != EOPNOTSUPP)
		return -errno;
	for (uint64_t at = 0; at < j->segment_bytes;) {
		size_t n = j->segment_bytes - at < sizeof zeros ? j->segment_bytes - at
								: sizeof zeros;
		int r = sys_pwrite_all(fd, zeros, n, at);
		if (r < 0)
			return r;
		at += n;
		if (at % FILL_STEP == 0 && sys->fdatasync(fd) < 0)
			return -errno;
		if (atomic_load(&j->stopping))
			return -ECANCELED;
	}
	return sys->fsync(fd) < 0 ? -errno : 0;
}

int journal_segment_make(struct journal *j, uint64_t number)
{
	char making[4200], path[4200];
	int r = segment_path(j, number, path, sizeof path);
	if (r < 0)
		return r;
	snprintf(making, sizeof making, "%s/making", j->dir);
	sys->unlink(making);
	autoclose int fd = sys->open(making, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
				     0600);
	r = fd < 0 ? -errno : fill(j, fd);
	if (r == 0 && sys->rename(making, path) < 0)
		r = -errno;
	if (r == 0)
		r = sys_sync_dir(j->dir);
	if (r < 0 && fd >= 0)
		sys->unlink(making);
	return r < 0 ? r : take_fd(&fd);
}

int journal_segment_begun(struct journal *j, uint64_t number, uint64_t first_seq, uint64_t bytes)
{
	if (j->segments_n == j->segments_cap) {
		size_t cap = j->segments_cap ? j->segments_cap * 2 : 16;
		struct segment *p = realloc(j->segments, cap * sizeof *p);
		if (!p)
			return -ENOMEM;
		j->segments = p;
		j->segments_cap = cap;
	}
	j->segments[j->segments_n++] = (struct segment){number, first_seq, bytes};
	return 0;
}

static void make_next(struct journal *j) /* mu held on entry and exit */
{
	uint64_t number = j->next_number;
	pthread_mutex_unlock(&j->mu);
	int fd = journal_segment_make(j, number);
	pthread_mutex_lock(&j->mu);
	j->next_fd = fd < 0 ? -1 : fd;
	j->next = fd < 0 ? NEXT_FAILED : NEXT_READY;
	j->next_errno = fd < 0 ? -fd : 0;
	j->next_failed_ns = clock_mono_ns();
	pthread_cond_broadcast(&j->idle);
}

/* The oldest segment when it may go, else 0. */
static uint64_t retirable(const struct journal *j)
{
	uint64_t bytes = 0;
	if (j->segments_n < 2 || j->segments[1].first_seq > j->retire_upto + 1)
		return 0;
	for (size_t i = 1; i < j->segments_n; i++)
		bytes += j->segments[i].bytes;
	return bytes >= j->retire_keep ? j->segments[0].number : 0;
}

/* One at a time and each for good, so that a power cut never leaves a gap. */
static void retire(struct journal *j) /* mu held on entry and exit */
{
	uint64_t number;
	j->retire_wanted = false;
	while ((number = retirable(j)) && !j->stop) {
		char path[4200];
		pthread_mutex_unlock(&j->mu);
		int r = segment_path(j, number, path, sizeof path);
		if (r == 0 && sys->unlink(path) < 0 && errno != ENOENT)
			r = -errno;
		if (r == 0)
			r = sys_sync_dir(j->dir);
		pthread_mutex_lock(&j->mu);
		if (r < 0) {
			j->retire_errno = -r;
			break;
		}
		j->segments_n--;
		memmove(j->segments, j->segments + 1, j->segments_n * sizeof *j->segments);
		if (j->next == NEXT_FAILED)
			j->next = NEXT_NONE; /* there is space again */
	}
	pthread_cond_broadcast(&j->idle);
}

void *journal_keeper(void *arg)
{
	struct journal *j = arg;
	pthread_mutex_lock(&j->mu);
	while (!j->stop) {
		if (j->retire_wanted)
			retire(j);
		else if (j->next == NEXT_NONE)
			make_next(j);
		else
			pthread_cond_wait(&j->care, &j->mu);
	}
	pthread_mutex_unlock(&j->mu);
	return NULL;
}
