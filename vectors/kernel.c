/* SPDX-License-Identifier: MIT */
/* kernel.c - the portable inner loops, and which set this CPU gets. L1; any thread. */
#include "vectors/kernel.h"

#include "vectors/encode_i.h"

static int32_t dot_code(const uint8_t *x, const int8_t *q, size_t n)
{
	int32_t sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += x[i] * q[i];
	return sum;
}

static void dot_code4(const uint8_t *const x[4], const int8_t *q, size_t n, int32_t ret[4])
{
	for (int j = 0; j < 4; j++)
		ret[j] = dot_code(x[j], q, n);
}

/* Sixteen sums beside each other: the order of additions is fixed, and so is the result. */
static float dot_f32(const float *a, const float *b, size_t n)
{
	float sum[16] = {0}, rest = 0;
	size_t i = 0;
	for (; i + 16 <= n; i += 16)
		for (size_t j = 0; j < 16; j++)
			sum[j] += a[i + j] * b[i + j];
	for (; i < n; i++)
		rest += a[i] * b[i];
	for (size_t j = 0; j < 16; j++)
		rest += sum[j];
	return rest;
}

static float l2_f32(const float *a, const float *b, size_t n)
{
	float sum[16] = {0}, rest = 0;
	size_t i = 0;
	for (; i + 16 <= n; i += 16)
		for (size_t j = 0; j < 16; j++)
			sum[j] += (a[i + j] - b[i + j]) * (a[i + j] - b[i + j]);
	for (; i < n; i++)
		rest += (a[i] - b[i]) * (a[i] - b[i]);
	for (size_t j = 0; j < 16; j++)
		rest += sum[j];
	return rest;
}

static void axpy_f32(float *y, float a, const float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] += a * x[i];
}

static float encode(const float *x, size_t n, uint8_t *code, int32_t *ret_sum)
{
	return encode_inline(x, n, code, ret_sum);
}

static const struct vec_kernel portable = {
	.name = "portable",
	.dot_code = dot_code,
	.dot_code4 = dot_code4,
	.dot_f32 = dot_f32,
	.l2_f32 = l2_f32,
	.axpy_f32 = axpy_f32,
	.encode = encode,
};

size_t vec_kernels(const struct vec_kernel *ret[4])
{
	size_t n = 0;
	const struct vec_kernel *some[] = {vec_kernel_avx512(), vec_kernel_avx2(), &portable};
	for (size_t i = 0; i < sizeof some / sizeof some[0]; i++)
		if (some[i])
			ret[n++] = some[i];
	return n;
}

const struct vec_kernel *vec_kernel_best(void)
{
	const struct vec_kernel *all[4];
	vec_kernels(all);
	return all[0];
}
