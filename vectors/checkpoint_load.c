/* SPDX-License-Identifier: MIT */
/* checkpoint_load.c - a checkpoint mapped, checked and made an index. L1; the thread that opens it, then one other.
 *
 * Tables are read and checked at once. The records, nearly all of the bytes, are mapped; they are checked at once
 * where they are few, and else in the background, where they also move to pages of 2 MiB. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/crc32c.h"
#include "vectors/checkpoint_format.h"
#include "vectors/vec_i.h"

#define CHUNK (2ul << 20)

struct in {
	struct vec_index *v;
	char path[PATH_BYTES];
	int fd;
	uint64_t size;
	struct checkpoint_head h;
};

static int damaged(const struct in *in, uint64_t at, const char *what, struct err *e)
{
	return err_set(e, ERR_VDB_DAMAGED, "'%s' is damaged at offset %llu: %s; restore it from a backup", in->path,
		       (unsigned long long)at, what);
}

static int open_file(struct in *in, uint64_t number, struct err *e)
{
	struct stat st;
	checkpoint_path(in->v->dir, number, "", in->path);
	in->fd = sys->open(in->path, O_RDONLY | O_CLOEXEC, 0);
	if (in->fd < 0 || fstat(in->fd, &st) < 0)
		return errno == ENOENT ? damaged(in, 0, "file is missing", e)
				       : err_sys(e, ERR_VDB_FAILED, errno, "cannot open '%s'", in->path);
	in->size = (uint64_t)st.st_size;
	int r = in->size < PAGE ? -EIO : sys_pread_all(in->fd, &in->h, sizeof in->h, 0);
	if (r < 0)
		return damaged(in, 0, "file is too short or cannot be read", e);
	return 0;
}

static int check_head(const struct in *in, uint64_t number, struct err *e)
{
	const struct checkpoint_head *h = &in->h;
	const struct vec_index *v = in->v;
	if (memcmp(h->magic, "SYMBIVC1", 8) != 0 || crc32c((const char *)h + 12, sizeof *h - 12) != h->crc)
		return damaged(in, 0, "checksum of the head is wrong", e);
	if (memcmp(h->uuid, v->uuid, sizeof h->uuid) != 0 || h->number != number || h->dim != v->dim || h->metric != v->metric)
		return damaged(in, 0, "checkpoint belongs to another index", e);
	if (h->rec_bytes != v->rec_bytes || h->links_max != LINKS_MAX)
		return damaged(in, 0, "records of another size", e);
	if (h->rows > v->max_rows)
		return err_set(e, ERR_VDB_FULL, "index '%s' has %llu rows, more than max_rows %llu: open it with a larger one", v->dir,
			       (unsigned long long)h->rows, (unsigned long long)v->max_rows);
	uint64_t blocks = (h->rows + BLOCK / v->rec_bytes - 1) / (BLOCK / v->rec_bytes);
	const uint64_t want[SECTIONS] = {[SEC_RECORDS] = h->rows * v->rec_bytes,
					 [SEC_BLOCKS] = blocks * 4,
					 [SEC_ROWS] = h->rows * sizeof(struct row),
					 [SEC_ALIVE] = (h->rows + 63) / 64 * 8};
	for (int i = 0; i < SECTIONS; i++) {
		const struct section *s = &h->sections[i];
		bool fits = s->at % PAGE == 0 && (!s->bytes || (s->at <= in->size && s->bytes <= in->size - s->at));
		if (!fits || (i < SEC_QUEUE && s->bytes != want[i]) || (i == SEC_QUEUE && (s->bytes % 4 || s->bytes / 4 > v->max_rows)))
			return damaged(in, 0, "sections do not fit the file", e);
	}
	return 0;
}

static int read_section(const struct in *in, int which, void *out, struct err *e)
{
	const struct section *s = &in->h.sections[which];
	int r = sys_pread_all(in->fd, out, s->bytes, s->at);
	if (r < 0)
		return err_sys(e, ERR_VDB_FAILED, -r, "cannot read '%s'", in->path);
	return crc32c(out, s->bytes) == s->crc ? 0 : damaged(in, s->at, "checksum of a table is wrong", e);
}

/* Every record, read from the file: what is mapped may have changed since. */
static int check_records(const struct in *in, struct err *e)
{
	const struct section *s = &in->h.sections[SEC_RECORDS];
	size_t step = BLOCK / in->v->rec_bytes * in->v->rec_bytes;
	autofree uint32_t *crcs = malloc(in->h.sections[SEC_BLOCKS].bytes + 4);
	autofree char *block = malloc(step);
	if (!crcs || !block)
		return err_set(e, ERR_VDB_FAILED, "no memory to check '%s'", in->path);
	int r = read_section(in, SEC_BLOCKS, crcs, e);
	for (uint64_t off = 0, i = 0; off < s->bytes && r == 0; off += step, i++) {
		size_t len = s->bytes - off < step ? s->bytes - off : step;
		if (sys_pread_all(in->fd, block, len, s->at + off) < 0 || crc32c(block, len) != crcs[i])
			r = damaged(in, s->at + off, "checksum of the records is wrong", e);
	}
	return r;
}

static int load_tables(struct in *in, struct err *e)
{
	struct vec_index *v = in->v;
	uint64_t rows = in->h.rows, queue = in->h.sections[SEC_QUEUE].bytes / 4;
	int r = space_commit(&v->rows, rows * sizeof(struct row), e);
	if (r == 0)
		r = space_commit(&v->alive, (rows + 63) / 64 * 8, e);
	if (r == 0)
		r = space_commit(&v->ring, queue * 4, e);
	if (r == 0)
		r = space_commit(&v->recs, rows * v->rec_bytes, e);
	if (r == 0)
		r = read_section(in, SEC_ROWS, v->rows.base, e);
	if (r == 0)
		r = read_section(in, SEC_ALIVE, v->alive.base, e);
	if (r == 0)
		r = read_section(in, SEC_QUEUE, v->ring.base, e);
	for (uint64_t i = 0; i < queue && r == 0; i++)
		if (atomic_get(ring_at(v, i)) >= rows)
			r = damaged(in, in->h.sections[SEC_QUEUE].at, "row that is not there", e);
	return r;
}

static int load_labels(struct in *in, struct err *e)
{
	const struct section *s = &in->h.sections[SEC_LABELS];
	autofree char *text = malloc(s->bytes + 8);
	int r = text ? read_section(in, SEC_LABELS, text, e) : err_set(e, ERR_VDB_FAILED, "no memory to open '%s'", in->path);
	for (uint64_t at = 0; at < s->bytes && r == 0;) {
		uint64_t head[2] = {0};
		if (s->bytes - at >= sizeof head)
			memcpy(head, text + at, sizeof head);
		at += sizeof head;
		if (at > s->bytes || head[1] > (s->bytes - at) / 4)
			return damaged(in, s->at, "labels contradict themselves", e);
		const uint32_t *rows = (const uint32_t *)(const void *)(text + at);
		for (uint64_t i = 0; i < head[1]; i++)
			if (rows[i] >= in->h.rows)
				return damaged(in, s->at + at, "row that is not there", e);
		if (posting_add(in->v, head[0], rows, head[1]) < 0)
			return err_set(e, ERR_VDB_FAILED, "no memory to open '%s'", in->path);
		at += (head[1] * 4 + 7) & ~7ull;
	}
	return r;
}

static int map_records(struct in *in, struct err *e)
{
	const struct section *s = &in->h.sections[SEC_RECORDS];
	size_t len = (s->bytes + PAGE - 1) / PAGE * PAGE;
	if (!len)
		return 0;
	void *p = mmap(in->v->recs.base, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, in->fd, (off_t)s->at);
	if (p == MAP_FAILED)
		return err_sys(e, ERR_VDB_FAILED, errno, "cannot map '%s'", in->path);
	return 0;
}

/* Slots that were free stay so; rows that waited wait again. */
static int restore(struct in *in, struct err *e)
{
	struct vec_index *v = in->v;
	uint64_t rows = in->h.rows, live = 0, queue = in->h.sections[SEC_QUEUE].bytes / 4;
	for (uint64_t w = 0; w * 64 < rows; w++)
		live += (unsigned)__builtin_popcountll(atomic_get(alive_word(v, w)));
	if (live > rows)
		return damaged(in, in->h.sections[SEC_ALIVE].at, "more rows live than there are", e);
	v->free_rows = malloc((rows - live + 1) * sizeof *v->free_rows);
	v->free_cap = rows - live + 1;
	if (!v->free_rows)
		return err_set(e, ERR_VDB_FAILED, "no memory to open '%s'", in->path);
	for (uint64_t row = 0; row < rows && live < rows; row++)
		if (!row_alive(v, row) && atomic_get(&rec_at(v, row)->flags) & REC_FREE)
			v->free_rows[v->n_free++] = (uint32_t)row;
	for (uint64_t i = 0; i < queue; i++)
		atomic_fetch_and(&rec_at(v, atomic_get(ring_at(v, i)))->flags, (uint8_t)~REC_LINKED);
	atomic_set(&v->n_rows, rows);
	atomic_set(&v->n_live, live);
	atomic_set(&v->n_dead, rows - live);
	atomic_set(&v->n_gone, v->n_free);
	atomic_set(&v->n_linked, rows - v->n_free - queue);
	atomic_set(&v->measured_at, in->h.measured_at);
	atomic_set(&v->tail, queue);
	for (int i = 0; i < 3; i++)
		atomic_set(&v->ef[i], in->h.ef[i]);
	v->saved_rows = rows;
	return atomic_get(&v->n_linked) ? entries_build(v, e) : 0;
}

/* Whole chunks of records, copied and put in the place of the file's pages; readers see the same bytes throughout. */
static void move_to_memory(struct vec_index *v)
{
	size_t len = v->saved_rows * v->rec_bytes / CHUNK * CHUNK;
	for (size_t off = 0; off < len; off += CHUNK) {
		char *p = mmap(NULL, 2 * CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			return; /* it stays as it is, a little slower */
		char *at = (char *)(((uintptr_t)p + CHUNK - 1) / CHUNK * CHUNK);
		madvise(at, CHUNK, MADV_HUGEPAGE);
		memcpy(at, v->recs.base + off, CHUNK);
		void *moved = mremap(at, CHUNK, CHUNK, MREMAP_MAYMOVE | MREMAP_FIXED, v->recs.base + off);
		if (at > p)
			munmap(p, (size_t)(at - p));
		munmap(at + CHUNK, CHUNK - (size_t)(at - p));
		if (moved == MAP_FAILED) {
			munmap(at, CHUNK);
			return;
		}
	}
}

int checkpoint_load(struct vec_index *v, const struct manifest *m, struct err *e)
{
	struct in in = {.v = v, .fd = -1};
	int r = open_file(&in, m->checkpoint, e);
	if (r == 0)
		r = check_head(&in, m->checkpoint, e);
	if (r == 0 && in.h.from != m->from)
		r = damaged(&in, 0, "checkpoint is not the one that the manifest names", e);
	if (r == 0)
		r = load_tables(&in, e);
	if (r == 0)
		r = load_labels(&in, e);
	if (r == 0)
		r = map_records(&in, e);
	bool few = in.h.sections[SEC_RECORDS].bytes <= CHECK_BELOW;
	if (r == 0 && few)
		r = check_records(&in, e);
	if (r == 0)
		r = restore(&in, e);
	if (r == 0 && few)
		move_to_memory(v);
	atomic_set(&v->warm_due, !few);
	if (in.fd >= 0)
		close(in.fd);
	return r;
}

int checkpoint_check(struct vec_index *v, struct err *e)
{
	struct in in = {.v = v, .fd = -1};
	static const int tables[] = {SEC_ROWS, SEC_ALIVE, SEC_QUEUE, SEC_LABELS};
	int r = open_file(&in, v->manifest.checkpoint, e);
	if (r == 0)
		r = check_head(&in, v->manifest.checkpoint, e);
	if (r == 0)
		r = check_records(&in, e);
	for (size_t i = 0; i < ARRAY_LEN(tables) && r == 0; i++) {
		autofree void *bytes = malloc(in.h.sections[tables[i]].bytes + 1);
		r = bytes ? read_section(&in, tables[i], bytes, e) : err_set(e, ERR_VDB_FAILED, "no memory to check '%s'", in.path);
	}
	if (in.fd >= 0)
		close(in.fd);
	return r;
}

void checkpoint_warm(struct vec_index *v)
{
	struct err e = {0};
	if (checkpoint_check(v, &e) < 0 && e.code == ERR_VDB_DAMAGED) {
		snprintf(v->damage, sizeof v->damage, "%.299s", e.msg);
		atomic_set(&v->damaged, true); /* no more answers from it */
		return;
	}
	move_to_memory(v);
}
