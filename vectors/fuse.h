/* SPDX-License-Identifier: MIT */
/* fuse.h - what words found and what vectors found, made one list. L1; any thread.
 *
 * A convex combination of scores (Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", 2023): BM25 as a
 * share of the best, cosine between the least and the greatest of the list. Fusing ranks instead of scores lost more than it won
 * here (docs/RAG.md). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "vectors/lexical.h"
#include "vectors/vec.h"

#define FUSE_WORDS 100 /* hits that are worth having of each list */
#define FUSE_NEAR  50

struct fused {
	uint32_t doc;
	float score;	    /* 0 to 1 */
	float words, cosine; /* BM25; 0 where the list lacks it */
};

/* What the vectors count for, 0 to 1. mean_terms: of a text of the index. Short texts have little to learn topics from, and vectors
 * made of hashes alone know spellings but no meaning. */
float fuse_weight(bool has_topics, double mean_terms);

/* Both lists, best first, ret has room for words_n + near_n; returns how many there are, best first, equal
 * ones by ascending number. The ids of near are numbers of texts. */
size_t fuse(const struct lexical_hit *words, size_t words_n, const struct vec_hit *near, size_t near_n, float weight,
	    struct fused *ret);
