/* SPDX-License-Identifier: MIT */
/* journal_read.c - reading a journal with every check: CRC, sequence, hash chain, torn tail against
 * damage. Changes nothing on disk. L0; any thread. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/journal_format.h"
#include "lib/mem.h"

struct walk {
	const char *dir;
	uint64_t after;
	int (*fn)(void *, const struct journal_record *);
	void *arg;
	struct journal_end *end;
	struct err *e;
};

static int damaged(struct walk *w, const char *name, uint64_t offset, const char *what)
{
	return err_set(w->e, ERR_JOURNAL_DAMAGED,
		       "segment '%s/%s' is damaged at offset %" PRIu64 ": %s; restore it from a copy, "
		       "or move the journal aside to begin anew", w->dir, name, offset, what);
}

/* A whole record stands behind the bad one at `bad`. Was the bad one known to be on the disk when that
 * record was written? Then it was there and is damaged; else both belong to a write that was cut. */
static bool was_synced(const char *map, size_t size, size_t bad, uint64_t seq)
{
	char object[JOURNAL_NAME_MAX + 1];
	for (size_t at = bad + RECORD_ALIGN; at + sizeof(struct record_header) <= size;
	     at += RECORD_ALIGN) {
		struct journal_record rec;
		const struct record_header *h;
		uint64_t there;
		memcpy(&there, map + at + offsetof(struct record_header, seq), sizeof there);
		if (there < seq || there > seq + (size - bad) / sizeof *h ||
		    !record_decode(map + at, size - at, &rec, &h, object))
			continue;
		if (h->seq - h->since_sync > seq)
			return true;
	}
	return false;
}

static int read_segment(struct walk *w, const char *name, const char *map, size_t size, bool last)
{
	struct journal_stat *st = &w->end->stat;
	const struct segment_header *sh = (const struct segment_header *)(const void *)map;
	char object[JOURNAL_NAME_MAX + 1];
	if (size < SEGMENT_HEADER || !segment_header_ok(sh))
		return damaged(w, name, 0, "its header is not valid");
	if (st->records && sh->first_seq != st->last_seq + 1)
		return damaged(w, name, 0, "records are missing before it");
	if (st->records && memcmp(sh->prev, st->head, 32) != 0)
		return damaged(w, name, 0, "the hash chain is broken before it");
	if (!st->records) {
		st->first_seq = sh->first_seq;
		st->last_seq = sh->first_seq - 1;
		memcpy(st->head, sh->prev, 32);
	}
	size_t at = SEGMENT_HEADER;
	while (at + sizeof(struct record_header) <= size) {
		struct journal_record rec;
		const struct record_header *h;
		if (!record_decode(map + at, size - at, &rec, &h, object)) {
			uint32_t next;
			memcpy(&next, map + at, sizeof next);
			if (was_synced(map, size, at, st->last_seq + 1) || (next && !last))
				return damaged(w, name, at, "a record does not match its checksum");
			st->torn = next != 0;
			st->torn_offset = at;
			break;
		}
		if (rec.seq != st->last_seq + 1)
			return damaged(w, name, at, "the sequence has a gap");
		if (memcmp(h->prev, st->head, 32) != 0)
			return damaged(w, name, at, "the hash chain is broken");
		record_chain(h, st->head);
		st->last_seq = rec.seq;
		st->records++;
		int r = w->fn && rec.seq > w->after ? w->fn(w->arg, &rec) : 0;
		if (r < 0)
			return r;
		at += h->size;
	}
	w->end->segment = sh->first_seq;
	w->end->offset = at;
	return 0;
}

static int open_segment(struct walk *w, const char *name, bool last)
{
	char path[4096];
	struct stat st;
	snprintf(path, sizeof path, "%s/%s", w->dir, name);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(w->e, ERR_JOURNAL_IO, errno, "'%s'", path);
	w->end->stat.segments++;
	w->end->stat.bytes += (uint64_t)st.st_size;
	if (st.st_size == 0)
		return damaged(w, name, 0, "it is empty");
	char *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return err_sys(w->e, ERR_JOURNAL_IO, errno, "'%s'", path);
	int r = read_segment(w, name, map, (size_t)st.st_size, last);
	munmap(map, (size_t)st.st_size);
	return r;
}

static int is_segment(const struct dirent *d)
{
	return strlen(d->d_name) == 24 && strcmp(d->d_name + 20, ".seg") == 0;
}

int journal_walk(const char *dir, uint64_t after, int (*fn)(void *, const struct journal_record *),
		 void *arg, struct journal_end *ret, struct err *e)
{
	struct dirent **names;
	*ret = (struct journal_end){0};
	struct walk w = {dir, after, fn, arg, ret, e};
	int n = scandir(dir, &names, is_segment, alphasort);
	if (n < 0)
		return err_sys(e, ERR_JOURNAL_IO, errno, "journal '%s'", dir);
	int r = 0;
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = open_segment(&w, names[i]->d_name, i + 1 == n);
		free(names[i]);
	}
	free(names);
	return r;
}

int journal_scan(const char *dir, int (*fn)(void *arg, const struct journal_record *rec), void *arg,
		 struct journal_stat *ret, struct err *e)
{
	struct journal_end end;
	int r = journal_walk(dir, 0, fn, arg, &end, e);
	if (ret)
		*ret = end.stat;
	return r;
}
