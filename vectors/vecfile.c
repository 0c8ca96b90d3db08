/* SPDX-License-Identifier: MIT */
/* vecfile.c - files of vectors as benchmarks exchange them. L1; any thread. */
#include "vectors/vecfile.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/mem.h"
#include "lib/sys.h"
#include "vectors/vec.h"

static const struct {
	const char *end;
	enum vecfile_type type;
	size_t head, row_head;
} kinds[] = {
	{".fvecs", VECFILE_F32, 0, 4}, {".bvecs", VECFILE_U8, 0, 4},  {".ivecs", VECFILE_I32, 0, 4}, {".fbin", VECFILE_F32, 8, 0},
	{".u8bin", VECFILE_U8, 8, 0},  {".i8bin", VECFILE_I8, 8, 0}, {".ibin", VECFILE_I32, 8, 0},
};
static const size_t widths[] = {[VECFILE_F32] = 4, [VECFILE_U8] = 1, [VECFILE_I8] = 1, [VECFILE_I32] = 4};

static int wrong(const struct vecfile *f, uint64_t at, const char *what, struct err *e)
{
	return err_set(e, ERR_VDB_DAMAGED, "'%s' is not a file of vectors, at offset %llu: %s", f->path, (unsigned long long)at, what);
}

static uint32_t u32_at(const struct vecfile *f, uint64_t at)
{
	uint32_t x;
	memcpy(&x, f->map + at, sizeof x);
	return x;
}

static uint64_t row_bytes(const struct vecfile *f)
{
	return f->row_head + (uint64_t)f->dim * widths[f->type];
}

static int measure(struct vecfile *f, struct err *e)
{
	if (f->size < 8)
		return wrong(f, 0, "too short", e);
	f->dim = u32_at(f, f->head ? 4 : 0);
	if (!f->dim || f->dim > VEC_DIM_MAX)
		return wrong(f, f->head ? 4 : 0, "length of a vector is 0 or more than 8192", e);
	uint64_t body = f->size - f->head;
	f->n = f->head ? u32_at(f, 0) : body / row_bytes(f);
	if (f->n * row_bytes(f) != body)
		return wrong(f, f->size, "the file ends within a vector, or goes on behind the last", e);
	return 0;
}

int vecfile_open(struct vecfile *f, const char *path, struct err *e)
{
	size_t len = strlen(path), i = 0;
	struct stat st;
	*f = (struct vecfile){.path = path};
	while (i < ARRAY_LEN(kinds) && (len < strlen(kinds[i].end) || strcmp(path + len - strlen(kinds[i].end), kinds[i].end) != 0))
		i++;
	if (i == ARRAY_LEN(kinds))
		return err_set(e, ERR_VDB_INVALID, "name of '%s' does not end in .fvecs, .bvecs, .ivecs, .fbin, .u8bin, .i8bin or .ibin", path);
	f->type = kinds[i].type;
	f->head = kinds[i].head;
	f->row_head = kinds[i].row_head;
	autoclose int fd = sys->open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, ERR_VDB_FAILED, errno, "cannot open '%s'", path);
	if (!S_ISREG(st.st_mode) || st.st_size < 8)
		return wrong(f, 0, "too short, or no regular file", e);
	f->size = (size_t)st.st_size;
	void *p = mmap(NULL, f->size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return err_sys(e, ERR_VDB_FAILED, errno, "cannot map '%s'", path);
	f->map = p;
	int r = measure(f, e);
	if (r < 0)
		vecfile_close(f);
	return r;
}

void vecfile_close(struct vecfile *f)
{
	if (f->map)
		munmap((void *)(uintptr_t)f->map, f->size);
	f->map = NULL;
}

static int row_at(const struct vecfile *f, uint64_t i, const char **ret, struct err *e)
{
	uint64_t at = f->head + i * row_bytes(f);
	if (f->row_head && u32_at(f, at) != f->dim)
		return wrong(f, at, "vectors of different lengths", e);
	*ret = f->map + at + f->row_head;
	return 0;
}

int vecfile_f32(const struct vecfile *f, uint64_t i, float *ret, struct err *e)
{
	const char *p = NULL;
	int r = row_at(f, i, &p, e);
	if (r < 0)
		return r;
	if (f->type == VECFILE_F32)
		memcpy(ret, p, f->dim * sizeof *ret);
	for (uint32_t d = 0; d < f->dim && f->type != VECFILE_F32; d++)
		ret[d] = f->type == VECFILE_U8	 ? (float)(uint8_t)p[d]
			 : f->type == VECFILE_I8 ? (float)(int8_t)p[d]
						 : (float)(int32_t)u32_at(f, (uint64_t)(p - f->map) + d * 4ull);
	return 0;
}

int vecfile_i32(const struct vecfile *f, uint64_t i, int32_t *ret, struct err *e)
{
	const char *p = NULL;
	int r = f->type == VECFILE_F32 ? err_set(e, ERR_VDB_INVALID, "'%s' has floats, not row numbers", f->path) : row_at(f, i, &p, e);
	if (r < 0)
		return r;
	for (uint32_t d = 0; d < f->dim; d++)
		ret[d] = f->type == VECFILE_U8	 ? (uint8_t)p[d]
			 : f->type == VECFILE_I8 ? (int8_t)p[d]
						 : (int32_t)u32_at(f, (uint64_t)(p - f->map) + d * 4ull);
	return 0;
}
