/* SPDX-License-Identifier: MIT */
/* fuzz_vectors.c - what an index reads from the disk: a manifest, a segment of rows, a checkpoint, a file of vectors. The
 * first byte says which; checksums are put right, so that the checks behind them are reached. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "vectors/checkpoint_format.h"
#include "vectors/rowlog.h"
#include "vectors/vec.h"
#include "vectors/vecfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DIM	  4u
#define REC_BYTES 192u
#define ROWS_MAX  40u

static char dir[64];
static const char *const names[] = {"MANIFEST", "MANIFEST.new", "LOCK", "rows-00000001.vec", "graph-00000001.vec", "graph-00000002.vec",
				    "x.fvecs", "x.bvecs", "x.ivecs", "x.fbin", "x.u8bin", "x.i8bin", "x.ibin"};

static const char *path_of(const char *name)
{
	static char path[128];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void clean(void)
{
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		unlink(path_of(names[i]));
}

static void end(void)
{
	clean();
	rmdir(dir);
}

static void put(const char *name, const void *data, size_t len)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		abort();
	close(fd);
}

static void check(int r, const struct err *e)
{
	if (r < 0 && (e->code == ERR_NONE || !e->msg[0]))
		abort();
}

/* Open what was written and do with it what is done with an index. */
static void use(void)
{
	struct vec_index *v = NULL;
	struct err e = {0};
	struct vec_hit hits[5];
	const float q[DIM] = {1, 2, 3, 4};
	int r = vec_open(&v, dir, &(struct vec_options){.dim = DIM, .max_rows = 5000, .must_exist = true}, &e);
	check(r, &e);
	if (r < 0)
		return;
	check(vec_search(v, &(struct vec_query){.vector = q, .k = 5}, hits, &e), &e);
	check(vec_search(v, &(struct vec_query){.vector = q, .k = 5, .ef = 30}, hits, &e), &e);
	check(vec_verify(v, &e), &e);
	check(vec_get(v, 1, NULL, NULL, &e), &e);
	check(vec_upsert(v, &(struct vec_row){.id = 1, .vector = q}, 1, &e), &e);
	check(vec_settle(v, &e), &e);
	vec_close(v);
}

static void put_manifest(uint64_t checkpoint, uint64_t from)
{
	struct manifest m = {.dim = DIM, .checkpoint = checkpoint, .from = from, .synced = from};
	if (manifest_write(dir, &m, NULL) < 0)
		abort();
	put("LOCK", "", 0);
}

/* A segment of the input's records; returns where the last one ends. */
static size_t put_segment(const uint8_t *data, size_t size)
{
	static _Alignas(64) char file[1 << 16];
	struct rowlog_segment_head h = {.magic = "SYMBIVL1", .dim = DIM, .number = 1};
	h.crc = crc32c((char *)&h + 12, sizeof h - 12);
	memset(file, 0, sizeof file);
	memcpy(file, &h, sizeof h);
	size = size < sizeof file - sizeof h ? size : sizeof file - sizeof h;
	memcpy(file + sizeof h, data, size);
	size_t at = sizeof h, end_at = at + size;
	while (at + sizeof(struct rowlog_head) <= end_at) {
		struct rowlog_head *r = (struct rowlog_head *)(void *)(file + at);
		if (r->op % 8) { /* now and then as it is */
			r->magic = LOG_MAGIC;
			r->op = r->op % 2 ? LOG_PUT : LOG_DELETE;
			r->n_labels %= 5;
			r->payload_len %= 100;
			r->left %= 3;
			r->id %= 7;
			r->at = LOG_SEGMENT + at;
			r->synced %= LOG_SEGMENT + 2 * at;
			r->size = (uint32_t)(sizeof *r + (r->op == LOG_PUT ? DIM * 4 : 0) + r->n_labels * 8u + r->payload_len + 63) & ~63u;
		}
		if (r->size < sizeof *r || r->size > end_at - at || r->size % 64)
			break;
		r->crc = crc32c((char *)r + 8, r->size - 8);
		at += r->size;
	}
	put("rows-00000001.vec", file, end_at);
	return at;
}

/* A checkpoint whose tables are the input's bytes. */
static void put_checkpoint(const uint8_t *data, size_t size, uint64_t from)
{
	static char file[PAGE * 12];
	uint64_t rows = size ? data[0] % ROWS_MAX : 0, queue = size > 1 ? data[1] % 8 : 0, labels = size > 2 ? data[2] : 0;
	const uint64_t bytes[SECTIONS] = {rows * REC_BYTES, rows ? 4 : 0, rows * 16, (rows + 63) / 64 * 8, queue * 4, labels};
	struct checkpoint_head h = {.magic = "SYMBIVC1", .dim = DIM, .number = 1, .rec_bytes = REC_BYTES, .links_max = 28, .rows = rows, .from = from};
	size_t at = PAGE;
	memset(file, 0, sizeof file);
	for (int i = 0; i < SECTIONS; i++) {
		size_t some = size < bytes[i] ? size : bytes[i];
		memcpy(file + at, data, some);
		data += some;
		size -= some;
		h.sections[i] = (struct section){at, bytes[i], crc32c(file + at, bytes[i]), 0};
		if (i == SEC_BLOCKS && rows) {
			uint32_t crc = crc32c(file + PAGE, bytes[SEC_RECORDS]);
			memcpy(file + at, &crc, 4);
			h.sections[i].crc = crc32c(file + at, 4);
		}
		at += (bytes[i] + PAGE - 1) / PAGE * PAGE;
	}
	h.crc = crc32c((char *)&h + 12, sizeof h - 12);
	memcpy(file, &h, sizeof h);
	put("graph-00000001.vec", file, at);
}

static void read_vecfile(const char *name)
{
	struct vecfile f;
	struct err e = {0};
	float x[VEC_DIM_MAX];
	int32_t y[VEC_DIM_MAX];
	int r = vecfile_open(&f, path_of(name), &e);
	check(r, &e);
	for (uint64_t i = 0; r == 0 && i < f.n && i < 50; i++) {
		check(vecfile_f32(&f, i, x, &e), &e);
		check(vecfile_i32(&f, i, y, &e), &e);
	}
	vecfile_close(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!dir[0]) {
		snprintf(dir, sizeof dir, "%s/symbi-fuzz.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
		if (!mkdtemp(dir))
			abort();
		atexit(end);
	}
	if (size < 1)
		return 0;
	unsigned what = data[0] % 10;
	const uint8_t *rest = data + 1;
	size--;
	struct manifest m;
	if (what == 0) {
		manifest_parse((const char *)rest, size, &m);
	} else if (what <= 3) {
		put_segment(rest, size);
		put_manifest(0, LOG_SEGMENT + 64);
		use();
	} else if (what <= 6) {
		size_t half = size / 3, tail = put_segment(rest, half);
		put_checkpoint(rest + half, size - half, LOG_SEGMENT + tail);
		put_manifest(1, LOG_SEGMENT + tail);
		use();
	} else {
		const char *name = names[6 + (size ? rest[0] % 7 : 0)];
		put(name, rest, size);
		read_vecfile(name);
	}
	clean();
	return 0;
}
