/* SPDX-License-Identifier: MIT */
/* journal_follow.c - the records of a journal one by one, behind its writer. L0; one thread. */
#include "lib/journal_follow.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/journal_format.h"
#include "lib/mem.h"
#include "lib/sys.h"

#define WINDOW (64u << 10) /* bytes read at once, unless a record is larger */

struct journal_follow {
	char *dir;
	int fd;
	uint64_t number;	   /* of the segment */
	uint64_t bytes;		   /* its size */
	uint64_t at;		   /* offset in it of the next record */
	uint64_t next_seq;	   /* of that record */
	unsigned char chain[32];   /* of the record before it */
	char *data;		   /* what was read of [from, from + len) */
	size_t cap, len;
	uint64_t from;
	char object[JOURNAL_NAME_MAX + 1];
};

static int damaged(const struct journal_follow *f, const char *what, struct err *e)
{
	char name[32];
	segment_name(f->number, name);
	return err_set(e, ERR_JOURNAL_DAMAGED, "segment '%s/%s' is damaged at offset %" PRIu64 ": %s", f->dir, name, f->at,
		       what);
}

static int open_segment(const struct journal_follow *f, uint64_t number, struct segment_header *h, struct err *e)
{
	char path[4200], name[32];
	segment_name(number, name);
	snprintf(path, sizeof path, "%s/%s", f->dir, name);
	autoclose int fd = sys->open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	int r = fd < 0 ? -errno : sys_pread_all(fd, h, sizeof *h, 0);
	if (r < 0)
		return err_sys(e, ERR_JOURNAL_IO, -r, "'%s'", path);
	return take_fd(&fd);
}

static void enter(struct journal_follow *f, int fd, uint64_t number, const struct segment_header *h)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = fd;
	f->number = number;
	f->bytes = h->bytes;
	f->at = SEGMENT_HEADER;
	f->from = f->len = 0;
	f->next_seq = h->first_seq;
	memcpy(f->chain, h->prev, sizeof f->chain);
}

/* ---- the segment that a sequence is in ---- */

/* Is a segment that begins with first_seq nearer to seq than the one that is entered? seq 0: the oldest is wanted. */
static bool is_nearer(const struct journal_follow *f, uint64_t first_seq, uint64_t seq)
{
	if (seq == 0)
		return f->fd < 0 || first_seq < f->next_seq;
	return first_seq <= seq && (f->fd < 0 || first_seq >= f->next_seq);
}

static int try_segment(struct journal_follow *f, uint64_t number, uint64_t seq, struct err *e)
{
	struct segment_header h;
	int fd = open_segment(f, number, &h, e);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd; /* retired meanwhile */
	if (segment_header_ok(&h) && is_nearer(f, h.first_seq, seq))
		enter(f, fd, number, &h);
	else
		close(fd);
	return 0;
}

static int find(struct journal_follow *f, uint64_t seq, struct err *e)
{
	int r = 0;
	DIR *d = opendir(f->dir);
	if (!d)
		return err_sys(e, ERR_JOURNAL_IO, errno, "journal '%s'", f->dir);
	for (struct dirent *entry; r == 0 && (entry = readdir(d));) {
		uint64_t number = segment_number(entry->d_name);
		r = number ? try_segment(f, number, seq, e) : 0;
	}
	closedir(d);
	if (r == 0 && f->fd < 0)
		r = err_set(e, ERR_JOURNAL_DAMAGED, "record %" PRIu64 " of journal '%s' is not there any more", seq, f->dir);
	return r;
}

/* ---- records ---- */

static int read_window(struct journal_follow *f, size_t least)
{
	size_t want = least > WINDOW ? least : WINDOW;
	if (want > f->bytes - f->at)
		want = (size_t)(f->bytes - f->at);
	if (want > f->cap) {
		char *p = realloc(f->data, want);
		if (!p)
			return -ENOMEM;
		f->data = p;
		f->cap = want;
	}
	f->from = f->at;
	f->len = 0;
	int r = sys_pread_all(f->fd, f->data, want, f->at);
	f->len = r == 0 ? want : 0;
	return r;
}

/* Bytes of the window from the next record on. */
static size_t ahead(const struct journal_follow *f)
{
	return f->at >= f->from && f->at - f->from < f->len ? f->len - (size_t)(f->at - f->from) : 0;
}

/* 1: a whole record stands there, 0: the segment has no more, -errno. What was read earlier may be older than what was
 * written since: nothing is believed of it that is not a whole record. */
static int read_record(struct journal_follow *f, struct journal_record *ret, const struct record_header **h)
{
	for (int fresh = 0; fresh < 2; fresh++) {
		uint32_t size = 0;
		int r = fresh || ahead(f) < sizeof **h ? read_window(f, 0) : 0;
		if (r < 0)
			return r;
		if (ahead(f) < sizeof **h)
			return 0;
		memcpy(&size, f->data + (f->at - f->from), sizeof size);
		if (size > ahead(f) && size <= RECORD_SIZE_MAX && (r = read_window(f, size)) < 0)
			return r;
		if (record_decode(f->data + (f->at - f->from), ahead(f), ret, h, f->object))
			return 1;
	}
	uint32_t size = 0;
	memcpy(&size, f->data + (f->at - f->from), sizeof size);
	return size ? -EUCLEAN : 0;
}

static int next_segment(struct journal_follow *f, struct err *e)
{
	struct segment_header h;
	uint64_t seq = f->next_seq;
	int fd = open_segment(f, f->number + 1, &h, e);
	if (fd < 0)
		return fd == -ENOENT ? damaged(f, "records that were written are not there", e) : fd;
	if (!segment_header_ok(&h) || h.first_seq != seq || memcmp(h.prev, f->chain, sizeof h.prev) != 0) {
		close(fd);
		return damaged(f, "the next segment does not go on from here", e);
	}
	enter(f, fd, f->number + 1, &h);
	return 0;
}

int journal_follow_next(struct journal_follow *f, uint64_t upto, struct journal_record *ret, struct err *e)
{
	const struct record_header *h = NULL;
	if (f->next_seq > upto)
		return 0;
	int r = read_record(f, ret, &h);
	if (r == 0) {
		r = next_segment(f, e);
		if (r < 0)
			return r;
		r = read_record(f, ret, &h);
	}
	if (r == 0)
		return damaged(f, "records that were written are not there", e);
	if (r == -EUCLEAN)
		return damaged(f, "a record does not match its checksum", e);
	if (r < 0)
		return err_sys(e, ERR_JOURNAL_IO, -r, "journal '%s'", f->dir);
	if (ret->seq != f->next_seq || memcmp(h->prev, f->chain, sizeof h->prev) != 0)
		return damaged(f, "the hash chain is broken", e);
	record_chain(h, f->chain);
	f->at += h->size;
	f->next_seq++;
	return 1;
}

int journal_follow_sync(struct journal_follow *f, struct err *e)
{
	return sys->fdatasync(f->fd) < 0 ? err_sys(e, ERR_JOURNAL_IO, errno, "journal '%s'", f->dir) : 0;
}

/* ---- life ---- */

void journal_follow_close(struct journal_follow *f)
{
	if (!f)
		return;
	if (f->fd >= 0)
		close(f->fd);
	free(f->data);
	free(f->dir);
	free(f);
}

int journal_follow_open(struct journal_follow **ret, const char *dir, uint64_t after_seq, struct err *e)
{
	struct journal_record rec;
	struct journal_follow *f = calloc(1, sizeof *f);
	if (!f || !(f->dir = strdup(dir))) {
		free(f);
		return err_set(e, ERR_SYS_MEMORY, "no memory for the journal");
	}
	f->fd = -1;
	int r = find(f, after_seq ? after_seq + 1 : 0, e);
	while (r >= 0 && f->next_seq <= after_seq)
		r = journal_follow_next(f, after_seq, &rec, e);
	if (r < 0) {
		journal_follow_close(f);
		return r;
	}
	*ret = f;
	return 0;
}
