/* SPDX-License-Identifier: MIT */
/* rowlog.c - segments of the log: made, written, synced. L1; writers in turn, readers at any time. */
#include "vectors/rowlog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/crc32c.h"
#include "lib/mem.h"
#include "lib/sys.h"

#define PREFILL	      (1u << 20)  /* zeros written ahead, so that a small sync changes no metadata of the file */
#define PREFILL_BELOW (256u << 10) /* bytes of a batch that is small */

int rowlog_init(struct rowlog *l, const char *dir, unsigned dim, uint8_t metric, const uint8_t uuid[16], struct err *e)
{
	*l = (struct rowlog){.dim = dim, .metric = metric, .fd = -1};
	memcpy(l->uuid, uuid, sizeof l->uuid);
	pthread_mutex_init(&l->sync_mu, NULL);
	pthread_cond_init(&l->sync_done, NULL);
	l->segs = calloc(LOG_SEGMENTS, sizeof *l->segs);
	l->sizes = calloc(LOG_SEGMENTS, sizeof *l->sizes);
	if (!l->segs || !l->sizes || (dir && !(l->dir = strdup(dir))))
		return err_set(e, ERR_VDB_FAILED, "no memory for an index");
	return 0;
}

void rowlog_done(struct rowlog *l)
{
	for (unsigned i = 0; l->segs && i < LOG_SEGMENTS; i++)
		if (l->segs[i])
			munmap(l->segs[i], LOG_SEGMENT);
	free(l->segs);
	free(l->sizes);
	if (l->fd >= 0)
		close(l->fd);
	free(l->dir);
	pthread_mutex_destroy(&l->sync_mu);
	pthread_cond_destroy(&l->sync_done);
}

int rowlog_path(const struct rowlog *l, uint64_t number, char *ret, size_t size)
{
	int n = snprintf(ret, size, "%s/rows-%08llu.vec", l->dir, (unsigned long long)number);
	return n > 0 && (size_t)n < size ? 0 : -ENAMETOOLONG;
}

static int no_space(int eno, const char *what, const char *path, struct err *e)
{
	if (eno == ENOSPC || eno == EDQUOT)
		return err_sys(e, ERR_VDB_FULL, eno, "cannot %s '%s': free space on its disk; searches go on", what, path);
	return err_sys(e, ERR_VDB_FAILED, eno, "cannot %s '%s'", what, path);
}

static int create_file(struct rowlog *l, uint64_t number, int *ret_fd, struct err *e)
{
	char path[4096];
	struct rowlog_segment_head h = {.magic = "SYMBIVL1", .dim = l->dim, .number = number, .metric = l->metric};
	memcpy(h.uuid, l->uuid, sizeof h.uuid);
	h.crc = crc32c((char *)&h + 12, sizeof h - 12);
	if (rowlog_path(l, number, path, sizeof path) < 0)
		return err_set(e, ERR_VDB_INVALID, "name of the directory '%s' is too long", l->dir);
	autoclose int fd = sys->open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return no_space(errno, "create", path, e);
	int r = sys_pwrite_all(fd, &h, sizeof h, 0);
	if (r == 0 && sys->fsync(fd) < 0)
		r = -errno;
	if (r == 0)
		r = sys_sync_dir(l->dir);
	if (r < 0) {
		sys->unlink(path);
		return no_space(-r, "write", path, e);
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

int rowlog_create(struct rowlog *l, uint64_t number, struct err *e)
{
	autoclose int fd = -1;
	if (number >= LOG_SEGMENTS)
		return err_set(e, ERR_VDB_FULL, "the index has reached %u segments; compact it into a new one", LOG_SEGMENTS);
	int r = l->dir ? create_file(l, number, &fd, e) : 0;
	if (r < 0)
		return r;
	char *p = mmap(NULL, LOG_SEGMENT, l->dir ? PROT_READ : PROT_READ | PROT_WRITE,
		       l->dir ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, fd, 0);
	if (p == MAP_FAILED)
		return err_sys(e, ERR_VDB_FAILED, errno, "cannot map %llu MiB for rows", LOG_SEGMENT >> 20);
	if (l->fd >= 0)
		close(l->fd);
	else if (!atomic_load(&l->tail))
		l->first = number;
	l->fd = take_fd(&fd);
	l->sizes[number] = LOG_SEGMENT; /* once it is not the last: records end within it */
	atomic_store_explicit(&l->segs[number], p, memory_order_release);
	atomic_store(&l->tail, number * LOG_SEGMENT + sizeof(struct rowlog_segment_head));
	l->prefilled = atomic_load(&l->tail);
	return 0;
}

int rowlog_encode(struct buf *batch, const struct rowlog *l, const struct rowlog_put *p, struct err *e)
{
	size_t vector = p->op == LOG_PUT ? l->dim * sizeof(float) : 0;
	size_t len = sizeof(struct rowlog_head) + vector + p->n_labels * 8 + p->payload_len;
	struct rowlog_head h = {.magic = LOG_MAGIC,
			     .size = (uint32_t)((len + 63) & ~63ull),
			     .op = (uint8_t)p->op,
			     .n_labels = (uint16_t)p->n_labels,
			     .id = p->id,
			     .payload_len = (uint32_t)p->payload_len,
			     .norm = p->norm};
	static const char zeros[64];
	buf_add(batch, &h, sizeof h);
	buf_add(batch, p->vector, vector);
	if (p->n_labels)
		buf_add(batch, p->labels, p->n_labels * 8);
	if (p->payload_len)
		buf_add(batch, p->payload, p->payload_len);
	buf_add(batch, zeros, h.size - len);
	return batch->fail ? err_sys(e, ERR_VDB_FAILED, -batch->fail, "no memory for the rows") : 0;
}

/* Sync what stands in the last segment and go on in a new one. Owner of mu. */
static int roll(struct rowlog *l, struct err *e)
{
	uint64_t tail = atomic_load(&l->tail);
	int r = l->dir ? rowlog_sync(l, tail, e) : 0;
	if (r < 0)
		return r;
	pthread_mutex_lock(&l->sync_mu);
	while (l->syncing)
		pthread_cond_wait(&l->sync_done, &l->sync_mu);
	r = rowlog_create(l, tail / LOG_SEGMENT + 1, e);
	if (r == 0)
		atomic_store(&l->synced, atomic_load(&l->tail));
	pthread_mutex_unlock(&l->sync_mu);
	return r;
}

static int put_bytes(struct rowlog *l, const char *data, size_t len, uint64_t at)
{
	if (!l->dir) {
		memcpy(l->segs[at / LOG_SEGMENT] + at % LOG_SEGMENT, data, len);
		return 0;
	}
	if (at + len > l->prefilled) {
		l->prefilled = at + len;
		if (len < PREFILL_BELOW && at % LOG_SEGMENT + len + PREFILL < LOG_SEGMENT) {
			autofree char *zeros = calloc(1, PREFILL);
			if (zeros && sys_pwrite_all(l->fd, zeros, PREFILL, (at + len) % LOG_SEGMENT) == 0)
				l->prefilled += PREFILL; /* else the write itself says what is wrong */
		}
	}
	return sys_pwrite_all(l->fd, data, len, at % LOG_SEGMENT);
}

/* A part of a batch that failed must not be found behind what is written there next. */
static void take_back(struct rowlog *l, uint64_t segment, uint64_t tail)
{
	uint64_t last = atomic_load(&l->tail) / LOG_SEGMENT;
	if (!l->dir)
		return;
	if (last != segment || ftruncate(l->fd, (off_t)(tail % LOG_SEGMENT)) < 0) {
		l->failed = true; /* a batch over two segments: only an open sorts that out */
		return;
	}
	l->prefilled = tail;
}

static void seal(struct rowlog_head *h, uint64_t at, uint64_t synced, size_t left)
{
	h->at = at;
	h->synced = synced;
	h->left = (uint32_t)left;
	h->crc = crc32c((char *)h + 8, h->size - 8);
}

int rowlog_append(struct rowlog *l, struct buf *batch, uint64_t *ret_at, size_t n, struct err *e)
{
	uint64_t start = atomic_load(&l->tail), synced = atomic_load(&l->synced);
	char *at = batch->data, *end = at + batch->len;
	int r = 0;
	if (l->failed)
		return err_set(e, ERR_VDB_FAILED, "index '%s' takes no more writes after a failed sync: open it again", l->dir);
	for (size_t i = 0; at < end;) {
		uint64_t pos = atomic_load(&l->tail), to = pos;
		char *stop = at;
		while (stop < end) {
			struct rowlog_head *h = (struct rowlog_head *)(void *)stop;
			if (to % LOG_SEGMENT + h->size >= LOG_SEGMENT) /* a position behind it is still in this segment */
				break;
			seal(h, to, synced, n - 1 - i);
			ret_at[i++] = to;
			to += h->size;
			stop += h->size;
		}
		r = stop > at ? put_bytes(l, at, (size_t)(stop - at), pos) : 0;
		if (r < 0) {
			char path[4096] = "";
			rowlog_path(l, pos / LOG_SEGMENT, path, sizeof path);
			take_back(l, start / LOG_SEGMENT, start);
			return no_space(-r, "write", path, e);
		}
		at = stop;
		atomic_store(&l->tail, to);
		if (at < end && (r = roll(l, e)) < 0) {
			take_back(l, start / LOG_SEGMENT, start);
			atomic_store(&l->tail, start);
			return r;
		}
	}
	return 0;
}

int rowlog_sync(struct rowlog *l, uint64_t upto, struct err *e)
{
	int r = 0;
	if (!l->dir)
		return 0;
	pthread_mutex_lock(&l->sync_mu);
	while (r == 0 && !l->failed && atomic_load(&l->synced) < upto) {
		if (l->syncing) {
			pthread_cond_wait(&l->sync_done, &l->sync_mu);
			continue;
		}
		uint64_t to = atomic_load(&l->tail);
		l->syncing = true;
		pthread_mutex_unlock(&l->sync_mu);
		r = sys->fdatasync(l->fd) < 0 ? -errno : 0;
		pthread_mutex_lock(&l->sync_mu);
		l->syncing = false;
		if (r < 0)
			l->failed = true; /* what the disk has is no longer known */
		if (r == 0 && atomic_load(&l->synced) < to)
			atomic_store(&l->synced, to);
		pthread_cond_broadcast(&l->sync_done);
	}
	if (l->failed && atomic_load(&l->synced) < upto)
		r = err_sys(e, ERR_VDB_FAILED, r ? -r : EIO, "cannot sync the rows of '%s': open it again", l->dir);
	pthread_mutex_unlock(&l->sync_mu);
	return r;
}
