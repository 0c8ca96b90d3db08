/* SPDX-License-Identifier: MIT */
/* rowlog_read.c - segments of the log: opened, replayed, checked, dropped. L1. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/crc32c.h"
#include "lib/mem.h"
#include "lib/sys.h"
#include "vectors/rowlog.h"

struct reading {
	struct rowlog *l;
	uint64_t from, synced;
	int (*fn)(void *arg, const struct rowlog_put *p, uint64_t at);
	void *arg;
	uint64_t *batch; /* records of the batch whose end was not read yet */
	size_t n, cap;
	uint64_t end; /* behind the last whole batch */
};

static const char *sound(const struct rowlog *l, const struct rowlog_head *h, uint64_t at, uint64_t room)
{
	if (room < sizeof *h || h->magic != LOG_MAGIC)
		return "no record stands there";
	if (h->size < sizeof *h || h->size % 64 || h->size > room || at % LOG_SEGMENT + h->size >= LOG_SEGMENT)
		return "length of the record is wrong";
	if (h->at != at)
		return "record belongs elsewhere";
	if (crc32c((const char *)h + 8, h->size - 8) != h->crc)
		return "checksum of the record is wrong";
	uint64_t vector = h->op == LOG_PUT ? l->dim * sizeof(float) : 0;
	if ((h->op != LOG_PUT && h->op != LOG_DELETE) ||
	    sizeof *h + vector + h->n_labels * 8ull + h->payload_len > h->size)
		return "record contradicts itself";
	return NULL;
}

void rowlog_read(const struct rowlog *l, uint64_t at, struct rowlog_put *ret)
{
	const char *p = rowlog_at(l, at);
	const struct rowlog_head *h = (const void *)p;
	size_t vector = h->op == LOG_PUT ? l->dim * sizeof(float) : 0;
	*ret = (struct rowlog_put){.op = h->op,
				.id = h->id,
				.norm = h->norm,
				.vector = (const void *)(p + sizeof *h),
				.labels = (const void *)(p + sizeof *h + vector),
				.n_labels = h->n_labels,
				.payload = p + sizeof *h + vector + h->n_labels * 8ull,
				.payload_len = h->payload_len};
	if (h->op != LOG_PUT)
		ret->vector = NULL;
}

static int damaged(const struct rowlog *l, uint64_t at, const char *what, struct err *e)
{
	char path[4096] = "";
	rowlog_path(l, at / LOG_SEGMENT, path, sizeof path);
	return err_set(e, ERR_VDB_DAMAGED, "'%s' is damaged at offset %llu: %s; restore it from a backup", path,
		       (unsigned long long)(at % LOG_SEGMENT), what);
}

int rowlog_read_checked(const struct rowlog *l, uint64_t at, struct rowlog_put *ret, struct err *e)
{
	const struct rowlog_head *h = (const void *)rowlog_at(l, at);
	const char *what = l->dir ? sound(l, h, at, rowlog_room(l, at)) : NULL;
	if (what)
		return damaged(l, at, what, e);
	rowlog_read(l, at, ret);
	return 0;
}

/* Open and map one segment that is there. *ret_size: bytes of the file. */
static int map_segment(struct rowlog *l, uint64_t number, uint64_t *ret_size, struct err *e)
{
	char path[4096];
	struct rowlog_segment_head h;
	struct stat st;
	if (rowlog_path(l, number, path, sizeof path) < 0)
		return err_set(e, ERR_VDB_INVALID, "name of the directory '%s' is too long", l->dir);
	autoclose int fd = sys->open(path, O_RDWR | O_CLOEXEC, 0);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, ERR_VDB_FAILED, errno, "cannot open '%s'", path);
	if ((uint64_t)st.st_size > LOG_SEGMENT)
		return damaged(l, number * LOG_SEGMENT, "file is longer than a segment", e);
	int r = sys_pread_all(fd, &h, sizeof h, 0);
	if (r < 0 && r != -EIO)
		return err_sys(e, ERR_VDB_FAILED, -r, "cannot read '%s'", path);
	if (r < 0 || memcmp(h.magic, "SYMBIVL1", 8) != 0 || crc32c((char *)&h + 12, sizeof h - 12) != h.crc || h.number != number)
		return damaged(l, number * LOG_SEGMENT, "head of the segment is wrong", e);
	if (memcmp(h.uuid, l->uuid, sizeof h.uuid) != 0 || h.dim != l->dim || h.metric != l->metric)
		return damaged(l, number * LOG_SEGMENT, "segment belongs to another index", e);
	char *p = mmap(NULL, LOG_SEGMENT, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return err_sys(e, ERR_VDB_FAILED, errno, "cannot map '%s'", path);
	atomic_store_explicit(&l->segs[number], p, memory_order_release);
	if (l->fd >= 0)
		close(l->fd);
	l->fd = take_fd(&fd); /* the last one stays */
	l->sizes[number] = (uint32_t)st.st_size;
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

static int deliver(struct reading *rd)
{
	for (size_t i = 0; i < rd->n && rd->fn; i++) {
		struct rowlog_put p;
		rowlog_read(rd->l, rd->batch[i], &p);
		int r = rd->fn(rd->arg, &p, rd->batch[i]);
		if (r < 0)
			return r;
	}
	rd->n = 0;
	return 0;
}

static int collect(struct reading *rd, uint64_t at, struct err *e)
{
	if (rd->n == rd->cap) {
		size_t cap = rd->cap ? 2 * rd->cap : 64;
		uint64_t *more = realloc(rd->batch, cap * sizeof *more);
		if (!more)
			return err_set(e, ERR_VDB_FAILED, "no memory to replay the log");
		rd->batch = more;
		rd->cap = cap;
	}
	rd->batch[rd->n++] = at;
	return 0;
}

static bool all_zero(const char *p, uint64_t len)
{
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

/* No sound record stands at `at`. Is that damage, or only the end of what was ever written? */
static int judge(struct reading *rd, uint64_t at, uint64_t size, bool last, const char *what, struct err *e)
{
	const char *base = rowlog_at(rd->l, at - at % LOG_SEGMENT);
	uint64_t off = at % LOG_SEGMENT;
	if (!last) /* a segment is synced before the next one begins */
		return off >= size || all_zero(base + off, size - off) ? 0 : damaged(rd->l, at, what, e);
	if (at < rd->synced)
		return damaged(rd->l, at, what, e);
	for (uint64_t o = off + 64; o + sizeof(struct rowlog_head) <= size; o += 64) {
		const struct rowlog_head *h = (const void *)(base + o);
		if (h->magic == LOG_MAGIC && h->synced > at && !sound(rd->l, h, at - off + o, size - o))
			return damaged(rd->l, at, what, e);
	}
	return 0;
}

static int read_segment(struct reading *rd, uint64_t number, uint64_t size, bool last, struct err *e)
{
	uint64_t base = number * LOG_SEGMENT, off = sizeof(struct rowlog_segment_head);
	if (rd->from > base + off)
		off = rd->from - base;
	for (;;) {
		const struct rowlog_head *h = (const void *)rowlog_at(rd->l, base + off);
		const char *what = off > size ? "file is too short" : sound(rd->l, h, base + off, size - off);
		if (what)
			return judge(rd, base + off, size, last, what, e);
		if (rd->n && h->left + 1 != ((const struct rowlog_head *)(const void *)rowlog_at(rd->l, rd->batch[rd->n - 1]))->left)
			return damaged(rd->l, base + off, "record of another batch", e);
		int r = collect(rd, base + off, e);
		off += h->size;
		if (r == 0 && h->left == 0) {
			r = deliver(rd);
			rd->end = base + off;
		}
		if (r < 0)
			return r;
	}
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static int list(struct rowlog *l, uint64_t first, uint64_t **ret, size_t *ret_n, struct err *e)
{
	DIR *d = opendir(l->dir);
	if (!d)
		return err_sys(e, ERR_VDB_FAILED, errno, "cannot list '%s'", l->dir);
	uint64_t *all = calloc(LOG_SEGMENTS, sizeof *all);
	size_t n = 0;
	for (struct dirent *f; all && (f = readdir(d));) {
		unsigned long long number;
		int end = 0;
		if (sscanf(f->d_name, "rows-%8llu.vec%n", &number, &end) == 1 && end && !f->d_name[end] &&
		    number < LOG_SEGMENTS && number >= first && n < LOG_SEGMENTS)
			all[n++] = number;
	}
	closedir(d);
	if (!all)
		return err_set(e, ERR_VDB_FAILED, "no memory to open '%s'", l->dir);
	qsort(all, n, sizeof *all, by_number);
	*ret = all;
	*ret_n = n;
	return 0;
}

/* The log ends at rd->end: what stands behind it was never acknowledged. */
static int cut(struct reading *rd, const uint64_t *numbers, size_t n, struct err *e)
{
	struct rowlog *l = rd->l;
	char path[4096] = "";
	uint64_t last = rd->end / LOG_SEGMENT;
	for (size_t i = n; i-- > 0 && numbers[i] > last;) {
		rowlog_path(l, numbers[i], path, sizeof path);
		munmap(l->segs[numbers[i]], LOG_SEGMENT);
		atomic_store(&l->segs[numbers[i]], NULL);
		if (sys->unlink(path) < 0)
			return err_sys(e, ERR_VDB_FAILED, errno, "cannot remove '%s'", path);
	}
	if (n && numbers[n - 1] > last) {
		munmap(l->segs[last], LOG_SEGMENT);
		uint64_t bytes;
		int r = map_segment(l, last, &bytes, e);
		if (r < 0)
			return r;
	}
	rowlog_path(l, last, path, sizeof path);
	struct stat st;
	if (fstat(l->fd, &st) < 0)
		return err_sys(e, ERR_VDB_FAILED, errno, "cannot open '%s'", path);
	uint64_t size = (uint64_t)st.st_size, end = rd->end % LOG_SEGMENT;
	bool clean = size >= end && all_zero(rowlog_at(l, rd->end), size - end);
	atomic_store(&l->tail, rd->end);
	atomic_store(&l->synced, rd->end);
	l->prefilled = clean ? rd->end - end + size : rd->end;
	if (!clean && (ftruncate(l->fd, (off_t)end) < 0 || sys->fsync(l->fd) < 0))
		return err_sys(e, ERR_VDB_FAILED, errno, "cannot cut the end of '%s'", path);
	return 0;
}

static int replay(struct reading *rd, const uint64_t *numbers, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t size, base = numbers[i] * LOG_SEGMENT;
		bool last = i + 1 == n;
		int r = map_segment(rd->l, numbers[i], &size, e);
		if (r < 0)
			return r;
		if (rd->from >= base + LOG_SEGMENT)
			continue;
		if (rd->end < base + sizeof(struct rowlog_segment_head) && !rd->n)
			rd->end = base + sizeof(struct rowlog_segment_head);
		r = read_segment(rd, numbers[i], size, last, e);
		if (r < 0)
			return r;
	}
	return rd->end < rd->synced ? damaged(rd->l, rd->end, "rows that were there are missing", e) : 0;
}

int rowlog_replay(struct rowlog *l, uint64_t first, uint64_t from, uint64_t synced,
	       int (*fn)(void *arg, const struct rowlog_put *p, uint64_t at), void *arg, struct err *e)
{
	struct reading rd = {.l = l, .from = from, .synced = synced, .fn = fn, .arg = arg, .end = from};
	autofree uint64_t *numbers = NULL;
	size_t n = 0;
	int r = list(l, first, &numbers, &n, e);
	l->first = n ? numbers[0] : first;
	if (r == 0 && n == 0)
		r = damaged(l, first * LOG_SEGMENT, "file is missing", e);
	if (r == 0)
		r = replay(&rd, numbers, n, e);
	if (r == 0)
		r = cut(&rd, numbers, n, e);
	free(rd.batch);
	return r;
}

int rowlog_verify_segment(struct rowlog *l, uint64_t number, struct err *e)
{
	uint64_t base = number * LOG_SEGMENT, off = sizeof(struct rowlog_segment_head), tail = atomic_load(&l->tail);
	uint64_t end = tail / LOG_SEGMENT == number ? tail % LOG_SEGMENT : LOG_SEGMENT;
	struct stat st;
	char path[4096] = "";
	rowlog_path(l, number, path, sizeof path);
	if (stat(path, &st) < 0)
		return err_sys(e, ERR_VDB_FAILED, errno, "cannot read '%s'", path);
	uint64_t size = (uint64_t)st.st_size < end ? (uint64_t)st.st_size : end;
	while (off < size) {
		const struct rowlog_head *h = (const void *)rowlog_at(l, base + off);
		const char *what = sound(l, h, base + off, size - off);
		if (what && end == LOG_SEGMENT && all_zero(rowlog_at(l, base + off), size - off))
			return 0;
		if (what)
			return damaged(l, base + off, what, e);
		off += h->size;
	}
	return off < end && end != LOG_SEGMENT ? damaged(l, base + off, "file is too short", e) : 0;
}

int rowlog_drop(struct rowlog *l, uint64_t number, struct err *e)
{
	char path[4096] = "";
	char *p = atomic_exchange(&l->segs[number], NULL);
	if (p)
		munmap(p, LOG_SEGMENT);
	rowlog_path(l, number, path, sizeof path);
	if (l->dir && sys->unlink(path) < 0 && errno != ENOENT)
		return err_sys(e, ERR_VDB_FAILED, errno, "cannot remove '%s'", path);
	return 0;
}
