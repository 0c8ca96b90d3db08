/* SPDX-License-Identifier: MIT */
/* test_kernel.c - the inner loops of every CPU against the portable ones, and those against plain arithmetic. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vectors/data.h"
#include "vectors/kernel.h"

#define MOST 1088u

static void sums_of_codes_are_exact_in_all_of_them(void **state)
{
	(void)state;
	const struct vec_kernel *all[4];
	size_t kinds = vec_kernels(all);
	static _Alignas(64) uint8_t x[4][MOST];
	static _Alignas(64) int8_t q[MOST];
	unsigned seed = 3;
	for (size_t n = VEC_PAD; n <= MOST; n += VEC_PAD)
		for (int extreme = 0; extreme < 2; extreme++) {
			int32_t want[4] = {0};
			for (size_t i = 0; i < n; i++) {
				q[i] = extreme ? -127 : (int8_t)(rand_r(&seed) % 255 - 127);
				for (size_t j = 0; j < 4; j++) {
					x[j][i] = extreme ? 255 : (uint8_t)rand_r(&seed);
					want[j] += x[j][i] * q[i];
				}
			}
			for (size_t k = 0; k < kinds; k++) {
				const uint8_t *rows[4] = {x[0], x[1], x[2], x[3]};
				int32_t got[4];
				all[k]->dot_code4(rows, q, n, got);
				for (size_t j = 0; j < 4; j++) {
					assert_int_equal(got[j], want[j]);
					assert_int_equal(all[k]->dot_code(x[j], q, n), want[j]);
				}
			}
		}
}

static void floats_agree_at_every_length(void **state)
{
	(void)state;
	const struct vec_kernel *all[4];
	size_t kinds = vec_kernels(all);
	float a[300], b[300];
	unsigned seed = 5;
	for (size_t i = 0; i < 300; i++) {
		a[i] = data_gauss(&seed);
		b[i] = data_gauss(&seed);
	}
	for (size_t n = 1; n <= 299; n++) {
		double dot = 0, l2 = 0, size = 0;
		for (size_t i = 0; i < n; i++) {
			dot += (double)a[i + 1] * b[i];
			l2 += ((double)a[i + 1] - b[i]) * ((double)a[i + 1] - b[i]);
			size += fabs((double)a[i + 1] * b[i]);
		}
		for (size_t k = 0; k < kinds; k++) { /* not aligned either */
			assert_true(fabs(all[k]->dot_f32(a + 1, b, n) - dot) <= 1e-5 * (1 + size));
			assert_true(fabs(all[k]->l2_f32(a + 1, b, n) - l2) <= 1e-5 * (1 + l2));
		}
	}
}

static void sums_of_multiples_are_the_same_in_all_of_them(void **state)
{
	(void)state;
	const struct vec_kernel *all[4];
	size_t kinds = vec_kernels(all);
	float x[200], y[200], want[200], got[200];
	unsigned seed = 7;
	for (size_t n = 0; n < 199; n++) {
		float a = data_gauss(&seed);
		for (size_t i = 0; i < 200; i++) {
			x[i] = data_gauss(&seed);
			want[i] = y[i] = data_gauss(&seed);
		}
		for (size_t i = 0; i < n; i++) {
			volatile float product = a * x[i + 1]; /* rounded by itself */
			want[i + 1] = y[i + 1] + product;
		}
		for (size_t k = 0; k < kinds; k++) {
			memcpy(got, y, sizeof got);
			all[k]->axpy_f32(got + 1, a, x + 1, n);
			assert_memory_equal(got, want, sizeof got);
		}
	}
}

static void codes_are_the_same_in_all_of_them_and_near_what_they_stand_for(void **state)
{
	(void)state;
	const struct vec_kernel *all[4];
	size_t kinds = vec_kernels(all);
	float x[200];
	unsigned seed = 9;
	for (size_t n = 1; n <= 200; n++) {
		uint8_t code[4][256];
		int32_t sum[4], want = 0;
		float scale[4], most = 0;
		for (size_t i = 0; i < n; i++) {
			x[i] = data_gauss(&seed) * powf(10, (float)(n % 9) - 4);
			most = fmaxf(most, fabsf(x[i]));
		}
		for (size_t k = 0; k < kinds; k++)
			scale[k] = all[k]->encode(x, n, code[k], &sum[k]);
		for (size_t i = 0; i < n; i++) {
			want += code[0][i] - 128;
			assert_true(fabsf((float)(code[0][i] - 128) * scale[0] - x[i]) <= 0.501f * most / 127);
		}
		for (size_t i = n; i < vec_padded(n); i++)
			assert_int_equal(code[0][i], 128);
		for (size_t k = 0; k < kinds; k++) {
			assert_memory_equal(code[k], code[0], vec_padded(n));
			assert_int_equal(sum[k], want);
			assert_true(scale[k] == scale[0]);
		}
	}
}

static void what_has_no_size_is_all_zero(void **state)
{
	(void)state;
	const struct vec_kernel *all[4];
	size_t kinds = vec_kernels(all);
	const float none[3] = {0, -0.0f, 1e-40f};
	for (size_t k = 0; k < kinds; k++) {
		uint8_t code[64];
		int32_t sum = 1;
		assert_true(all[k]->encode(none, 3, code, &sum) == 0);
		assert_int_equal(sum, 0);
		for (int i = 0; i < 64; i++)
			assert_int_equal(code[i], 128);
	}
}

static void there_is_always_a_portable_one(void **state)
{
	(void)state;
	const struct vec_kernel *all[4];
	size_t kinds = vec_kernels(all);
	assert_true(kinds >= 1);
	assert_string_equal(all[kinds - 1]->name, "portable");
	assert_ptr_equal(vec_kernel_best(), all[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_of_codes_are_exact_in_all_of_them),
		cmocka_unit_test(floats_agree_at_every_length),
		cmocka_unit_test(sums_of_multiples_are_the_same_in_all_of_them),
		cmocka_unit_test(codes_are_the_same_in_all_of_them_and_near_what_they_stand_for),
		cmocka_unit_test(what_has_no_size_is_all_zero),
		cmocka_unit_test(there_is_always_a_portable_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
