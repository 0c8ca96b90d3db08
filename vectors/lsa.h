/* SPDX-License-Identifier: MIT */
/* lsa.h - the directions in which many sparse rows lie: a truncated singular value decomposition. L1; any thread.
 *
 * Halko, Martinsson and Tropp, "Finding structure with randomness" (2011): a random start, two passes of subspace iteration, an
 * exact decomposition of the small rest. The start comes from a fixed count and all sums are made in one order, so equal rows
 * give equal directions. Memory: 4 bytes x (rows + columns) x (k + LSA_MORE). */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

#define LSA_MORE  16u	/* directions that are followed besides those asked for, so that the last of these are right */
#define LSA_K_MAX 1008u

struct sparse { /* borrowed arrays */
	uint32_t rows, cols;
	const uint64_t *begin; /* rows + 1: where a row's entries begin in col and weight */
	const uint32_t *col;
	const float *weight;
};

/* The k right singular vectors of the greatest singular values: row c of ret (cols rows of k) says how column c lies in them;
 * ret_sigma, when not NULL, the k values, greatest first. Directions that the rows do not have are 0. stop, when not NULL: given up
 * with -ECANCELED once it is true. -ENOMEM, -EINVAL (k). */
int lsa_directions(const struct sparse *a, unsigned k, const _Atomic bool *stop, float *ret, float *ret_sigma, struct err *e);
