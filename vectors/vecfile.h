/* SPDX-License-Identifier: MIT */
/* vecfile.h - files of vectors as benchmarks exchange them, mapped and read row by row. L1; any thread.
 *
 * .fvecs .bvecs .ivecs: each row is its length (int32) and that many float32, uint8 or int32.
 * .fbin .u8bin .i8bin .ibin: number of rows and length (uint32 each), then the rows. All little-endian. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

enum vecfile_type { VECFILE_F32, VECFILE_U8, VECFILE_I8, VECFILE_I32 };

struct vecfile {
	const char *path; /* borrowed */
	const char *map;
	size_t size;
	enum vecfile_type type;
	size_t head, row_head; /* bytes before the first row, before each row */
	uint64_t n;
	uint32_t dim;
};

/* Open by the ending of the name. Errors: -EINVAL (VDB_002) for another ending, -EUCLEAN (VDB_003) for a file whose
 * size does not fit, naming the offset; -errno of the disk. vecfile_close afterwards. */
int vecfile_open(struct vecfile *f, const char *path, struct err *e);
void vecfile_close(struct vecfile *f);

/* Row i (below n) as floats or as whole numbers, dim of them. -EUCLEAN when a row says another length; vecfile_i32 of a
 * file of floats is -EINVAL. */
int vecfile_f32(const struct vecfile *f, uint64_t i, float *ret, struct err *e);
int vecfile_i32(const struct vecfile *f, uint64_t i, int32_t *ret, struct err *e);
