/* SPDX-License-Identifier: MIT */
/* test_lsa.c - directions of rows whose directions are known. */
#include "vectors/lsa.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "tests/vectors/data.h"

enum { BLOCKS = 40, WIDE = 5, HIGH = 12, ROWS = BLOCKS * HIGH, COLS = BLOCKS * WIDE, MOST = ROWS * WIDE };

/* Blocks beside each other, each a multiple of one row: its direction is that row's, and no two share a column. */
struct blocks {
	uint64_t begin[ROWS + 1];
	uint32_t col[MOST];
	float weight[MOST];
	float direction[BLOCKS][WIDE]; /* of length 1 */
	float sigma[BLOCKS];	       /* greatest first */
	struct sparse a;
};

static struct blocks *made(void)
{
	static struct blocks b;
	unsigned seed = 11;
	uint64_t n = 0;
	for (uint32_t i = 0; i < BLOCKS; i++) {
		double len = 0;
		float times[HIGH], sum = 0;
		for (int j = 0; j < WIDE; j++) {
			b.direction[i][j] = data_gauss(&seed);
			len += (double)b.direction[i][j] * (double)b.direction[i][j];
		}
		for (int j = 0; j < WIDE; j++)
			b.direction[i][j] /= (float)sqrt(len);
		for (int r = 0; r < HIGH; r++) {
			times[r] = data_gauss(&seed);
			sum += times[r] * times[r];
		}
		b.sigma[i] = 100 * powf(0.9f, (float)i);
		for (int r = 0; r < HIGH; r++) {
			for (uint32_t j = 0; j < WIDE; j++) {
				b.col[n] = i * WIDE + j;
				b.weight[n++] = b.sigma[i] * times[r] / sqrtf(sum) * b.direction[i][j];
			}
			b.begin[i * HIGH + (uint32_t)r + 1] = n;
		}
	}
	b.a = (struct sparse){ROWS, COLS, b.begin, b.col, b.weight};
	return &b;
}

static void the_greatest_are_found_in_their_order(void **state)
{
	(void)state;
	const struct blocks *b = made();
	enum { K = 20 };
	static float v[COLS * K];
	float sigma[K];
	assert_int_equal(lsa_directions(&b->a, K, NULL, v, sigma, NULL), 0);
	for (size_t i = 0; i < K; i++) {
		assert_true(fabsf(sigma[i] / b->sigma[i] - 1) < 1e-3f);
		float along = 0;
		for (size_t j = 0; j < WIDE; j++)
			along += v[(i * WIDE + j) * K + i] * b->direction[i][j];
		assert_true(fabsf(fabsf(along) - 1) < 1e-3f);
	}
}

static void they_have_length_one_and_stand_at_right_angles(void **state)
{
	(void)state;
	const struct blocks *b = made();
	enum { K = 30 };
	static float v[COLS * K];
	assert_int_equal(lsa_directions(&b->a, K, NULL, v, NULL, NULL), 0);
	for (size_t i = 0; i < K; i++)
		for (size_t j = 0; j <= i; j++) {
			double dot = 0;
			for (size_t c = 0; c < COLS; c++)
				dot += (double)v[c * K + i] * (double)v[c * K + j];
			assert_true(fabs(dot - (i == j)) < 1e-3);
		}
}

static void equal_rows_give_equal_bits(void **state)
{
	(void)state;
	static float first[COLS * 16], second[COLS * 16];
	assert_int_equal(lsa_directions(&made()->a, 16, NULL, first, NULL, NULL), 0);
	assert_int_equal(lsa_directions(&made()->a, 16, NULL, second, NULL, NULL), 0);
	assert_memory_equal(first, second, sizeof first);
}

static void directions_that_are_not_there_are_zero(void **state)
{
	(void)state;
	const uint64_t begin[] = {0, 2, 4, 4};
	const uint32_t col[] = {0, 1, 0, 1};
	const float weight[] = {3, 4, 6, 8};
	const struct sparse a = {3, 4, begin, col, weight};
	float v[4 * 3], sigma[3];
	assert_int_equal(lsa_directions(&a, 3, NULL, v, sigma, NULL), 0);
	assert_true(fabsf(sigma[0] - 5 * sqrtf(5)) < 1e-3f);
	assert_true(fabsf(fabsf(v[0]) - 0.6f) < 1e-4f && fabsf(fabsf(v[3]) - 0.8f) < 1e-4f);
	for (size_t c = 0; c < 4; c++)
		assert_true(v[c * 3 + 1] == 0 && v[c * 3 + 2] == 0);
	const uint64_t none[] = {0, 0};
	const struct sparse empty = {1, 0, none, col, weight};
	assert_int_equal(lsa_directions(&empty, 3, NULL, v, sigma, NULL), 0);
	assert_true(sigma[0] == 0);
}

static void it_ends_when_told_to(void **state)
{
	(void)state;
	static float v[COLS * 16];
	_Atomic bool stop = true;
	struct err e;
	assert_int_equal(lsa_directions(&made()->a, 16, &stop, v, NULL, &e), -ECANCELED);
	assert_int_equal(lsa_directions(&made()->a, 0, NULL, v, NULL, &e), -EINVAL);
	assert_int_equal(lsa_directions(&made()->a, LSA_K_MAX + 1, NULL, v, NULL, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_greatest_are_found_in_their_order),
		cmocka_unit_test(they_have_length_one_and_stand_at_right_angles),
		cmocka_unit_test(equal_rows_give_equal_bits),
		cmocka_unit_test(directions_that_are_not_there_are_zero),
		cmocka_unit_test(it_ends_when_told_to),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
