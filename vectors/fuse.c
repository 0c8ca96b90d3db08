/* SPDX-License-Identifier: MIT */
/* fuse.c - two lists of hits made one. L1; any thread. */
#include "vectors/fuse.h"

#include <stdlib.h>

#define TOPICS_WEIGHT 0.4f
#define HASHES_WEIGHT 0.1f
#define SHORT_TERMS   30 /* of a text: the vectors count for nothing more than HASHES_WEIGHT */
#define LONG_TERMS    60 /* they count in full */

float fuse_weight(bool has_topics, double mean_terms)
{
	double share = (mean_terms - SHORT_TERMS) / (LONG_TERMS - SHORT_TERMS);
	share = share < 0 ? 0 : share > 1 ? 1 : share;
	return has_topics ? HASHES_WEIGHT + (TOPICS_WEIGHT - HASHES_WEIGHT) * (float)share : HASHES_WEIGHT;
}

static int by_doc(const void *a, const void *b)
{
	const struct fused *x = a, *y = b;
	return x->doc < y->doc ? -1 : x->doc > y->doc;
}

static int by_score(const void *a, const void *b)
{
	const struct fused *x = a, *y = b;
	return x->score != y->score ? (x->score > y->score ? -1 : 1) : by_doc(a, b);
}

size_t fuse(const struct lexical_hit *words, size_t words_n, const struct vec_hit *near, size_t near_n, float weight,
	    struct fused *ret)
{
	size_t n = 0, kept = 0;
	float best = words_n ? words[0].score : 0;
	float top = near_n ? near[0].score : 0, least = near_n ? near[near_n - 1].score : 0;
	float range = top - least;
	for (size_t i = 0; i < words_n; i++)
		ret[n++] = (struct fused){words[i].doc, (1 - weight) * words[i].score / best, words[i].score, 0};
	for (size_t i = 0; i < near_n; i++) {
		float share = range > 0 ? (near[i].score - least) / range : 1;
		ret[n++] = (struct fused){(uint32_t)near[i].id, weight * share, 0, near[i].score};
	}
	if (n)
		qsort(ret, n, sizeof *ret, by_doc);
	for (size_t i = 0; i < n; i++)
		if (kept && ret[kept - 1].doc == ret[i].doc) {
			ret[kept - 1].score += ret[i].score;
			ret[kept - 1].words += ret[i].words;
			ret[kept - 1].cosine += ret[i].cosine;
		} else {
			ret[kept++] = ret[i];
		}
	if (kept)
		qsort(ret, kept, sizeof *ret, by_score);
	return kept;
}
