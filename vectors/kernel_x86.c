/* SPDX-License-Identifier: MIT */
/* kernel_x86.c - the inner loops in AVX-512 with VNNI, and in AVX2; each function is compiled for its own instructions, the
 * rest of the program for any x86-64. L1; any thread. */
#include "vectors/kernel.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "vectors/encode_i.h"

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")))
#define AVX2   __attribute__((target("avx2,fma")))

/* ---- AVX-512 ---- */

AVX512 static int32_t dot_code_512(const uint8_t *x, const int8_t *q, size_t n)
{
	__m512i a = _mm512_setzero_si512(), b = a;
	size_t i = 0;
	for (; i + 128 <= n; i += 128) {
		a = _mm512_dpbusd_epi32(a, _mm512_loadu_si512(x + i), _mm512_loadu_si512(q + i));
		b = _mm512_dpbusd_epi32(b, _mm512_loadu_si512(x + i + 64), _mm512_loadu_si512(q + i + 64));
	}
	if (i < n)
		a = _mm512_dpbusd_epi32(a, _mm512_loadu_si512(x + i), _mm512_loadu_si512(q + i));
	return _mm512_reduce_add_epi32(_mm512_add_epi32(a, b));
}

/* Add up the lanes of each: four sums in one vector. */
AVX512 static inline __m128i sum4_512(__m512i a, __m512i b, __m512i c, __m512i d)
{
	__m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
	__m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
	__m512i all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
	__m256i half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
	return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

AVX512 static void dot_code4_512(const uint8_t *const x[4], const int8_t *q, size_t n, int32_t ret[4])
{
	const uint8_t *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3];
	__m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
	for (size_t i = 0; i < n; i += 64) {
		__m512i y = _mm512_loadu_si512(q + i);
		a = _mm512_dpbusd_epi32(a, _mm512_loadu_si512(x0 + i), y);
		b = _mm512_dpbusd_epi32(b, _mm512_loadu_si512(x1 + i), y);
		c = _mm512_dpbusd_epi32(c, _mm512_loadu_si512(x2 + i), y);
		d = _mm512_dpbusd_epi32(d, _mm512_loadu_si512(x3 + i), y);
	}
	_mm_storeu_si128((__m128i *)(void *)ret, sum4_512(a, b, c, d));
}

AVX512 static float dot_f32_512(const float *a, const float *b, size_t n)
{
	__m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
	size_t i = 0;
	for (; i + 64 <= n; i += 64) {
		s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
		s1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16), s1);
		s2 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 32), _mm512_loadu_ps(b + i + 32), s2);
		s3 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 48), _mm512_loadu_ps(b + i + 48), s3);
	}
	for (; i < n; i += 16) {
		__mmask16 m = n - i >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << (n - i)) - 1);
		s0 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(m, a + i), _mm512_maskz_loadu_ps(m, b + i), s0);
	}
	return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3)));
}

AVX512 static float l2_f32_512(const float *a, const float *b, size_t n)
{
	__m512 s0 = _mm512_setzero_ps(), s1 = s0;
	size_t i = 0;
	for (; i + 32 <= n; i += 32) {
		__m512 d0 = _mm512_sub_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i));
		__m512 d1 = _mm512_sub_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16));
		s0 = _mm512_fmadd_ps(d0, d0, s0);
		s1 = _mm512_fmadd_ps(d1, d1, s1);
	}
	for (; i < n; i += 16) {
		__mmask16 m = n - i >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << (n - i)) - 1);
		__m512 d = _mm512_sub_ps(_mm512_maskz_loadu_ps(m, a + i), _mm512_maskz_loadu_ps(m, b + i));
		s0 = _mm512_fmadd_ps(d, d, s0);
	}
	return _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
}

/* Products are rounded before they are added, as everywhere. */
AVX512 static void axpy_f32_512(float *y, float a, const float *x, size_t n)
{
	__m512 v = _mm512_set1_ps(a);
	for (size_t i = 0; i < n; i += 16) {
		__mmask16 m = n - i >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << (n - i)) - 1);
		__m512 more = _mm512_mul_ps(v, _mm512_maskz_loadu_ps(m, x + i));
		_mm512_mask_storeu_ps(y + i, m, _mm512_add_ps(_mm512_maskz_loadu_ps(m, y + i), more));
	}
}

AVX512 static float encode_512(const float *x, size_t n, uint8_t *code, int32_t *ret_sum)
{
	return encode_inline(x, n, code, ret_sum);
}

/* ---- AVX2 ---- */

AVX2 static inline int32_t sum_256(__m256i v)
{
	__m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
	s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
	return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

/* The instruction for bytes saturates at 16 bits; these are widened first and exact. */
AVX2 static int32_t dot_code_256(const uint8_t *x, const int8_t *q, size_t n)
{
	__m256i a = _mm256_setzero_si256(), b = a;
	for (size_t i = 0; i < n; i += 32) {
		__m256i x0 = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(x + i)));
		__m256i x1 = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(x + i + 16)));
		__m256i q0 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(q + i)));
		__m256i q1 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(q + i + 16)));
		a = _mm256_add_epi32(a, _mm256_madd_epi16(x0, q0));
		b = _mm256_add_epi32(b, _mm256_madd_epi16(x1, q1));
	}
	return sum_256(_mm256_add_epi32(a, b));
}

AVX2 static void dot_code4_256(const uint8_t *const x[4], const int8_t *q, size_t n, int32_t ret[4])
{
	__m256i s[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};
	for (size_t i = 0; i < n; i += 16) {
		__m256i y = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(q + i)));
		for (int j = 0; j < 4; j++) {
			__m256i v = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(x[j] + i)));
			s[j] = _mm256_add_epi32(s[j], _mm256_madd_epi16(v, y));
		}
	}
	for (int j = 0; j < 4; j++)
		ret[j] = sum_256(s[j]);
}

AVX2 static inline float sum_ps_256(__m256 v)
{
	__m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
	s = _mm_add_ps(s, _mm_movehl_ps(s, s));
	return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

AVX2 static float dot_f32_256(const float *a, const float *b, size_t n)
{
	__m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
	size_t i = 0;
	for (; i + 32 <= n; i += 32) {
		s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
		s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), s1);
		s2 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 16), _mm256_loadu_ps(b + i + 16), s2);
		s3 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 24), _mm256_loadu_ps(b + i + 24), s3);
	}
	float sum = sum_ps_256(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));
	for (; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

AVX2 static float l2_f32_256(const float *a, const float *b, size_t n)
{
	__m256 s0 = _mm256_setzero_ps(), s1 = s0;
	size_t i = 0;
	for (; i + 16 <= n; i += 16) {
		__m256 d0 = _mm256_sub_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i));
		__m256 d1 = _mm256_sub_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8));
		s0 = _mm256_fmadd_ps(d0, d0, s0);
		s1 = _mm256_fmadd_ps(d1, d1, s1);
	}
	float sum = sum_ps_256(_mm256_add_ps(s0, s1));
	for (; i < n; i++)
		sum += (a[i] - b[i]) * (a[i] - b[i]);
	return sum;
}

AVX2 static void axpy_f32_256(float *y, float a, const float *x, size_t n)
{
	__m256 v = _mm256_set1_ps(a);
	size_t i = 0;
	for (; i + 8 <= n; i += 8)
		_mm256_storeu_ps(y + i, _mm256_add_ps(_mm256_loadu_ps(y + i), _mm256_mul_ps(v, _mm256_loadu_ps(x + i))));
	for (; i < n; i++)
		y[i] += a * x[i];
}

AVX2 static float encode_256(const float *x, size_t n, uint8_t *code, int32_t *ret_sum)
{
	return encode_inline(x, n, code, ret_sum);
}

static const struct vec_kernel avx512 = {
	.name = "avx512vnni",
	.dot_code = dot_code_512,
	.dot_code4 = dot_code4_512,
	.dot_f32 = dot_f32_512,
	.l2_f32 = l2_f32_512,
	.axpy_f32 = axpy_f32_512,
	.encode = encode_512,
};

static const struct vec_kernel avx2 = {
	.name = "avx2",
	.dot_code = dot_code_256,
	.dot_code4 = dot_code4_256,
	.dot_f32 = dot_f32_256,
	.l2_f32 = l2_f32_256,
	.axpy_f32 = axpy_f32_256,
	.encode = encode_256,
};

const struct vec_kernel *vec_kernel_avx512(void)
{
	bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
		   __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("fma");
	return has ? &avx512 : NULL;
}

const struct vec_kernel *vec_kernel_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &avx2 : NULL;
}

#else

const struct vec_kernel *vec_kernel_avx512(void)
{
	return NULL;
}

const struct vec_kernel *vec_kernel_avx2(void)
{
	return NULL;
}
#endif
