/* SPDX-License-Identifier: MIT */
/* journal_read.c - reading a journal with every check: CRC, sequence, hash chain, torn tail against
 * damage. Changes nothing on disk. L0; any thread. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/journal_format.h"
#include "lib/mem.h"

#define READ_AGAIN 3 /* times, when a segment that is being written looks damaged */

struct walk {
	const char *dir;
	uint64_t after;
	bool all;
	int (*fn)(void *, const struct journal_record *);
	void *arg;
	struct journal_end *end;
	struct err *e;
	struct err why; /* for e, once it is known that it stays */
	bool damaged;
	char *data; /* a segment */
	size_t cap;
};

static int damaged(struct walk *w, uint64_t number, uint64_t offset, const char *what)
{
	char name[32];
	segment_name(number, name);
	w->damaged = true;
	return err_set(&w->why, ERR_JOURNAL_DAMAGED,
		       "segment '%s/%s' is damaged at offset %" PRIu64
		       ": %s; restore it from a copy, "
		       "or move the journal aside to begin anew",
		       w->dir, name, offset, what);
}

/* ---- what is there ---- */

static int by_number(const void *a, const void *b)
{
	const struct segment *x = a, *y = b;
	return x->number < y->number ? -1 : x->number > y->number;
}

static int list_segments(struct walk *w)
{
	struct journal_end *end = w->end;
	DIR *d = opendir(w->dir);
	if (!d)
		return err_sys(&w->why, ERR_JOURNAL_IO, errno, "journal '%s'", w->dir);
	size_t cap = 0;
	int r = 0;
	free(take_ptr(end->segments));
	for (struct dirent *entry; r == 0 && (entry = readdir(d));) {
		uint64_t number = segment_number(entry->d_name);
		if (!number)
			continue;
		if (end->segments_n == cap) {
			cap = cap ? cap * 2 : 16;
			struct segment *p = realloc(end->segments, cap * sizeof *p);
			if (!p) {
				r = err_set(&w->why, ERR_SYS_MEMORY, "no memory for the journal");
				break;
			}
			end->segments = p;
		}
		end->segments[end->segments_n++] = (struct segment){.number = number};
	}
	closedir(d);
	if (r == 0 && end->segments_n)
		qsort(end->segments, end->segments_n, sizeof *end->segments, by_number);
	return r;
}

static int open_segment(struct walk *w, struct segment *s)
{
	char path[4200], name[32];
	struct stat st;
	segment_name(s->number, name);
	snprintf(path, sizeof path, "%s/%s", w->dir, name);
	int fd = sys->open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	if (fd < 0 || fstat(fd, &st) < 0) {
		int eno = errno;
		if (fd >= 0)
			close(fd);
		return err_sys(&w->why, ERR_JOURNAL_IO, eno, "'%s'", path);
	}
	s->bytes = (uint64_t)st.st_size;
	return fd;
}

/* The first sequence of each; 0 for one that was prepared and not begun. */
static int read_header(struct walk *w, struct segment *s)
{
	struct segment_header h = {0}, none = {0};
	autoclose int fd = open_segment(w, s);
	if (fd < 0)
		return fd;
	if (s->bytes < SEGMENT_HEADER)
		return damaged(w, s->number, 0, "it is cut short");
	int r = sys_pread_all(fd, &h, sizeof h, 0);
	if (r < 0)
		return err_sys(&w->why, ERR_JOURNAL_IO, -r, "segment %" PRIu64 " of '%s'",
			       s->number, w->dir);
	if (memcmp(&h, &none, sizeof h) == 0)
		return 0;
	if (!segment_header_ok(&h))
		return damaged(w, s->number, 0, "its header does not match its checksum");
	if (s->bytes != h.bytes || s->bytes > SEGMENT_MAX)
		return damaged(w, s->number, 0, "it is not of its size");
	s->first_seq = h.first_seq;
	return 0;
}

/* Reads the headers. A segment that is gone since it was listed was retired by a running journal, and with
 * it all before. */
static int read_headers(struct walk *w)
{
	struct journal_end *end = w->end;
	size_t gone = 0;
	for (size_t i = 0; i < end->segments_n; i++) {
		struct segment *s = &end->segments[i];
		int r = read_header(w, s);
		if (r == -ENOENT) {
			gone = i + 1;
			continue;
		}
		if (r < 0)
			return r;
		if (i > gone && s->number != s[-1].number + 1)
			return damaged(w, s[-1].number + 1, 0, "it is missing");
		if (i > gone && s[-1].first_seq == 0)
			return damaged(w, s[-1].number, 0, "its header is missing");
		if (i > gone && s->first_seq && s->first_seq < s[-1].first_seq)
			return damaged(w, s->number, 0, "it is older than the one before");
	}
	end->segments_n -= gone;
	if (gone && end->segments_n)
		memmove(end->segments, end->segments + gone,
			end->segments_n * sizeof *end->segments);
	return gone && !end->segments_n ? -ENOENT : 0;
}

/* ---- one segment ---- */

static size_t last_byte(const char *data, size_t from, size_t size)
{
	while (size > from && size % 8 && !data[size - 1])
		size--;
	for (uint64_t word; size >= from + 8; size -= 8) {
		memcpy(&word, data + size - 8, 8);
		if (word)
			break;
	}
	while (size > from && !data[size - 1])
		size--;
	return size;
}

/* Was the record seq, which is not whole at `bad`, known to be on the disk when a whole one behind it was
 * written? Then it was there and is damaged; else both belong to writes that were cut. */
static bool was_synced(const char *data, size_t size, size_t bad, size_t used, uint64_t seq)
{
	char object[JOURNAL_NAME_MAX + 1];
	for (size_t at = bad; at < used && at + sizeof(struct record_header) <= size;
	     at += RECORD_ALIGN) {
		struct journal_record rec;
		const struct record_header *h;
		uint64_t there;
		memcpy(&there, data + at + offsetof(struct record_header, seq), sizeof there);
		if (there <= seq || there > seq + (size - bad) / sizeof *h + 1 ||
		    !record_decode(data + at, size - at, &rec, &h, object))
			continue;
		if (h->seq - h->since_sync > seq)
			return true;
	}
	return false;
}

/* The rest of a segment behind its last whole record: the end, a torn write, or damage? */
static int read_end(struct walk *w, const struct segment *s, size_t at, bool last)
{
	struct journal_stat *st = &w->end->stat;
	const struct segment_header *sh = (const struct segment_header *)(const void *)w->data;
	size_t used = last_byte(w->data, at, s->bytes);
	if ((used > at && !last) || was_synced(w->data, s->bytes, at, used, st->last_seq + 1))
		return damaged(w, s->number, at, "a record does not match its checksum");
	if (sh->synced_seq > st->last_seq)
		return damaged(w, s->number, at, "a record that was there is not whole");
	st->torn = used > at;
	st->torn_offset = at;
	w->end->offset = at;
	return 0;
}

static int begin_segment(struct walk *w, const struct segment *s, bool first)
{
	struct journal_stat *st = &w->end->stat;
	const struct segment_header *sh = (const struct segment_header *)(const void *)w->data;
	if (first) {
		st->first_seq = sh->first_seq;
		st->last_seq = sh->first_seq - 1;
		memcpy(st->head, sh->prev, sizeof st->head);
	} else if (sh->first_seq != st->last_seq + 1) {
		return damaged(w, s->number, 0, "records are missing before it");
	} else if (memcmp(sh->prev, st->head, sizeof sh->prev) != 0) {
		return damaged(w, s->number, 0, "the hash chain is broken before it");
	}
	return 0;
}

static int read_records(struct walk *w, const struct segment *s, bool last)
{
	struct journal_stat *st = &w->end->stat;
	char object[JOURNAL_NAME_MAX + 1];
	size_t at = SEGMENT_HEADER;
	for (;;) {
		struct journal_record rec;
		const struct record_header *h;
		if (!record_decode(w->data + at, s->bytes - at, &rec, &h, object))
			return read_end(w, s, at, last);
		if (rec.seq != st->last_seq + 1)
			return damaged(w, s->number, at, "the sequence has a gap");
		if (memcmp(h->prev, st->head, sizeof h->prev) != 0)
			return damaged(w, s->number, at, "the hash chain is broken");
		record_chain(h, st->head);
		st->last_seq = rec.seq;
		st->records++;
		int r = w->fn && rec.seq > w->after ? w->fn(w->arg, &rec) : 0;
		if (r < 0)
			return r;
		at += h->size;
	}
}

static int load(struct walk *w, struct segment *s)
{
	autoclose int fd = open_segment(w, s);
	if (fd < 0)
		return fd;
	if (s->bytes > w->cap) {
		free(w->data);
		w->data = malloc(s->bytes);
		w->cap = w->data ? s->bytes : 0;
		if (!w->data)
			return err_set(&w->why, ERR_SYS_MEMORY, "no memory for a segment");
	}
	int r = sys_pread_all(fd, w->data, s->bytes, 0);
	if (r < 0)
		return err_sys(&w->why, ERR_JOURNAL_IO, -r, "segment %" PRIu64 " of '%s'",
			       s->number, w->dir);
	return 0;
}

/* A segment that a running journal writes may be read half before and half after a commit: damage in it
 * counts when it is still there in what is read again. Records that fn has seen are not shown twice. */
static int read_segment(struct walk *w, struct segment *s, bool first, bool last)
{
	struct journal_stat before = w->end->stat;
	for (int tries = 0;; tries++) {
		w->end->stat = before;
		w->damaged = false;
		int r = load(w, s);
		if (r == 0)
			r = begin_segment(w, s, first);
		if (r == 0)
			r = read_records(w, s, last);
		if (!w->damaged || !w->all || !last || tries == READ_AGAIN)
			return r;
		if (w->end->stat.last_seq > w->after)
			w->after = w->end->stat.last_seq;
	}
}

/* The prepared segment: a header is on the disk before any record behind it. */
static int read_spare(struct walk *w, struct segment *s)
{
	int r = load(w, s);
	if (r == 0 && w->all && segment_header_ok((const void *)w->data))
		return 0; /* a running journal began it just now */
	if (r == 0 && last_byte(w->data, 0, s->bytes) > 0)
		r = damaged(w, s->number, 0, "its header is missing");
	return r;
}

/* ---- all of them ---- */

static int check_after(struct walk *w, uint64_t first, uint64_t last)
{
	if (w->all)
		return 0;
	if (first > w->after + 1)
		return err_set(&w->why, ERR_JOURNAL_DAMAGED,
			       "records %" PRIu64 " to %" PRIu64
			       " are missing from journal '%s', and "
			       "the state has only those before; restore the state or the segments "
			       "from a copy",
			       w->after + 1, first - 1, w->dir);
	if (last < w->after)
		return err_set(&w->why, ERR_JOURNAL_DAMAGED,
			       "journal '%s' ends with record %" PRIu64
			       ", but the state has record "
			       "%" PRIu64 "; restore the segments from a copy, or move the journal "
			       "aside to go on from the state",
			       w->dir, last, w->after);
	return 0;
}

static int walk(struct walk *w)
{
	struct journal_end *end = w->end;
	int r = -ENOENT;
	for (int tries = 0; r == -ENOENT && tries < READ_AGAIN; tries++) {
		end->segments_n = 0;
		r = list_segments(w);
		if (r == 0)
			r = read_headers(w);
	}
	if (r < 0)
		return r;
	size_t begun = end->segments_n, from = 0;
	if (begun && end->segments[begun - 1].first_seq == 0)
		begun--;
	if (begun == 0)
		end->stat.last_seq = w->after;
	else if ((r = check_after(w, end->segments[0].first_seq, UINT64_MAX)) < 0)
		return r;
	for (size_t i = 0; i < begun; i++) {
		end->stat.bytes += end->segments[i].bytes;
		if (!w->all && end->segments[i].first_seq <= w->after + 1)
			from = i;
	}
	end->stat.segments = begun;
	uint64_t after = w->after;
	bool first = true;
	for (size_t i = from; r == 0 && i < begun; i++) {
		r = read_segment(w, &end->segments[i], first, i + 1 == begun);
		first = r == -ENOENT && w->all && i + 1 < begun; /* retired while this read */
		r = first ? 0 : r;
	}
	w->after = after;
	if (r == 0 && begun)
		r = check_after(w, 1, end->stat.last_seq);
	if (r == 0 && begun < end->segments_n)
		r = read_spare(w, &end->segments[begun]);
	return r;
}

int journal_walk(const char *dir, uint64_t after, bool all,
		 int (*fn)(void *, const struct journal_record *), void *arg,
		 struct journal_end *ret, struct err *e)
{
	*ret = (struct journal_end){0};
	struct walk w = {
		.dir = dir, .after = after, .all = all, .fn = fn, .arg = arg, .end = ret, .e = e};
	int r = walk(&w);
	if (r < 0 && e && w.why.code)
		*e = w.why;
	free(w.data);
	return r;
}

int journal_scan(const char *dir, int (*fn)(void *arg, const struct journal_record *rec), void *arg,
		 struct journal_stat *ret, struct err *e)
{
	struct journal_end end;
	int r = journal_walk(dir, 0, true, fn, arg, &end, e);
	free(end.segments);
	if (ret)
		*ret = end.stat;
	return r;
}
