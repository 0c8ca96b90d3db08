/* SPDX-License-Identifier: MIT */
/* data.h - vectors that lie as real ones do, in clusters of few dimensions, and an exact search to compare with. */
#pragma once

#include <math.h>
#include <stdlib.h>

#include "lib/err.h"
#include "tests/support/check.h"
#include "tests/support/tempdir.h"
#include "vectors/vec.h"

#define OK(call)                                                                                                                           \
	do {                                                                                                                               \
		struct err e_ = {0};                                                                                                       \
		struct err *e = &e_;                                                                                                       \
		if ((call) < 0)                                                                                                            \
			fail_msg("%s: %s", #call, e_.msg);                                                                                 \
	} while (0)

/* What is alone in its thread and would take the thread sanitizer most of a test's time. */
#define DATA_ALONE __attribute__((no_sanitize_thread)) static inline

DATA_ALONE float data_gauss(unsigned *seed)
{
	float u = ((float)rand_r(seed) + 1) / ((float)RAND_MAX + 2), w = (float)rand_r(seed) / (float)RAND_MAX;
	return sqrtf(-2 * logf(u)) * cosf(6.2831853f * w);
}

/* n vectors: one of n / 50 centres, 12 directions of its own spread, a little noise in all. */
DATA_ALONE float *data_make(size_t n, unsigned dim, unsigned seed)
{
	unsigned fixed = 77; /* centres and directions are those of every seed */
	size_t centres = 40;
	float *mid = malloc(centres * dim * sizeof *mid), *axis = malloc(12 * dim * sizeof *axis), *x = malloc(n * dim * sizeof *x);
	assert_true(mid && axis && x);
	for (size_t i = 0; i < centres * dim; i++)
		mid[i] = data_gauss(&fixed);
	for (size_t i = 0; i < 12ul * dim; i++)
		axis[i] = data_gauss(&fixed);
	for (size_t i = 0; i < n; i++) {
		const float *m = mid + (unsigned)rand_r(&seed) % centres * dim;
		float a[12];
		for (int j = 0; j < 12; j++)
			a[j] = 0.4f * data_gauss(&seed);
		for (unsigned d = 0; d < dim; d++) {
			float s = m[d] + 0.1f * data_gauss(&seed);
			for (int j = 0; j < 12; j++)
				s += a[j] * axis[(unsigned)j * dim + d];
			x[i * dim + d] = s;
		}
	}
	free(mid);
	free(axis);
	return x;
}

/* The score that vec.h promises, in double precision. */
DATA_ALONE double data_score(enum vec_metric m, const float *a, const float *b, unsigned dim)
{
	double dot = 0, aa = 0, bb = 0, l2 = 0;
	for (unsigned d = 0; d < dim; d++) {
		dot += (double)a[d] * b[d];
		aa += (double)a[d] * a[d];
		bb += (double)b[d] * b[d];
		l2 += ((double)a[d] - b[d]) * ((double)a[d] - b[d]);
	}
	return m == VEC_COSINE ? dot / sqrt(aa * bb) : m == VEC_DOT ? dot : -l2;
}

/* How many of the hits are among the true k nearest of the rows for which live(id) holds (NULL: all); ids are
 * indices of x. Scores of the hits are checked too. */
DATA_ALONE unsigned data_right(enum vec_metric m, const float *x, size_t n, unsigned dim, const float *q, const struct vec_hit *hits,
				  int got, unsigned k, bool (*live)(uint64_t id))
{
	double *score = malloc(n * sizeof *score), kth = INFINITY;
	size_t alive = 0;
	assert_non_null(score);
	for (size_t i = 0; i < n; i++) {
		score[i] = !live || live(i) ? data_score(m, q, x + i * dim, dim) : -INFINITY;
		alive += !live || live(i);
	}
	assert_int_equal(got, alive < k ? alive : k);
	for (unsigned j = 0; j < k; j++) { /* the k-th best: selection is quick enough */
		double best = -INFINITY;
		for (size_t i = 0; i < n; i++)
			if (score[i] < kth && score[i] > best)
				best = score[i];
		kth = best;
	}
	unsigned right = 0;
	for (int i = 0; i < got; i++) {
		assert_true(hits[i].id < n);
		assert_true(!live || live(hits[i].id));
		double s = score[hits[i].id];
		assert_true(fabs(s - (double)hits[i].score) <= 2e-4 * (1 + fabs(s)));
		assert_true(i == 0 || hits[i - 1].score >= hits[i].score);
		right += s >= kth - 1e-6 * (1 + fabs(kth));
	}
	free(score);
	return right;
}

static inline void data_put(struct vec_index *v, const float *x, size_t from, size_t n, unsigned dim)
{
	for (size_t i = 0; i < n; i += 1000) {
		struct vec_row rows[1000];
		size_t some = n - i < 1000 ? n - i : 1000;
		for (size_t j = 0; j < some; j++)
			rows[j] = (struct vec_row){.id = from + i + j, .vector = x + (from + i + j) * dim};
		OK(vec_upsert(v, rows, some, e));
	}
}
