/* SPDX-License-Identifier: MIT */
/* kernel.h - the inner loops, one set for each kind of CPU, chosen when the program runs. L1; any thread.
 *
 * A code is a vector in bytes: round(x / scale) + 128 for stored rows (unsigned), without the 128 for the side that
 * asks (signed), which is what the CPU's dot product of bytes takes. Both are padded with zeros (128, 0) to a
 * multiple of VEC_PAD. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VEC_PAD 64 /* bytes: a cache line, a vector of AVX-512 */

struct vec_kernel {
	const char *name;
	/* Sum of x[i] * q[i]; n is a multiple of VEC_PAD. The 128 in x is the caller's to take off: 128 * sum(q). */
	int32_t (*dot_code)(const uint8_t *x, const int8_t *q, size_t n);
	/* The same for four rows at once. */
	void (*dot_code4)(const uint8_t *const x[4], const int8_t *q, size_t n, int32_t ret[4]);
	float (*dot_f32)(const float *a, const float *b, size_t n);
	float (*l2_f32)(const float *a, const float *b, size_t n); /* squared distance */
	/* y[i] += a * x[i]; every kind gives the same bits. y and x do not overlap. */
	void (*axpy_f32)(float *y, float a, const float *x, size_t n);
	/* Fill a padded row code of x[n]; returns its scale (0 when x is all zero). *ret_sum: of the codes less 128. */
	float (*encode)(const float *x, size_t n, uint8_t *code, int32_t *ret_sum);
};

/* The best that this CPU runs, and all that it runs, best first; the last is "portable". */
const struct vec_kernel *vec_kernel_best(void);
size_t vec_kernels(const struct vec_kernel *ret[4]);

static inline size_t vec_padded(size_t dim)
{
	return (dim + VEC_PAD - 1) / VEC_PAD * VEC_PAD;
}

/* kernel_x86.c; NULL where the CPU or the compiler's target lacks them. */
const struct vec_kernel *vec_kernel_avx512(void);
const struct vec_kernel *vec_kernel_avx2(void);
