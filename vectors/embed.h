/* SPDX-License-Identifier: MIT */
/* embed.h - texts as vectors, learnt from the texts themselves: near are those that share words, or words that stand beside the same
 * words elsewhere. L1.
 *
 * Two parts, each of length 1 before it is weighed. Topics: latent semantic analysis (Deerwester et al., 1990), the directions of
 * the texts' tf-idf rows (lsa.h). Hashes: each term and its character 3- to 5-grams at fixed places (Weinberger et al., "Feature
 * hashing", 2009); they know unknown words, other spellings and identifiers. Below EMBED_COLD texts there are no topics worth the
 * name and the hashes are the whole vector.
 *
 * A model is a function of the index that it was made of. Vectors of two models mean nothing to each other: embed_version. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "vectors/lexical.h"

#define EMBED_DIM    384
#define EMBED_TOPICS 256 /* of them, where there are topics */
#define EMBED_COLD   500 /* texts */

/* What a model is made of: a sample of 16,384 texts and 32,768 terms at most, some 16 to 60 MB. While nobody changes ix. */
struct embed_sample;
int embed_sample(struct embed_sample **ret, const struct lexical *ix, struct err *e);
void embed_sample_free(struct embed_sample *s); /* NULL is fine */

struct embed; /* never changes: any number of threads */
/* Learn; seconds of one CPU and some 60 MB at most. stop as of lsa_directions. -ENOMEM, -ECANCELED. */
int embed_learn(struct embed **ret, const struct embed_sample *s, const _Atomic bool *stop, struct err *e);
void embed_free(struct embed *m); /* NULL is fine */

struct embed_info {
	uint32_t version; /* a checksum of the model: equal ones give equal vectors */
	uint32_t texts;	  /* that there were when it was made */
	uint32_t terms;
	bool has_topics;
	size_t bytes; /* of memory */
};
struct embed_info embed_info(const struct embed *m);

/* The vector of a text, of length 1. Returns 1; 0 when no term of it says anything: ret is all 0 then; -ENOMEM. */
int embed_text(const struct embed *m, const char *text, size_t len, struct tokens *t, float ret[EMBED_DIM], struct err *e);
/* Those of the texts [from, from + n) of an index, as embed_text up to rounding; EMBED_DIM floats each, all 0 for one that is
 * not there. Reads all lists of ix. -ENOMEM, -ECANCELED. */
int embed_all(const struct embed *m, const struct lexical *ix, uint32_t from, uint32_t n, const _Atomic bool *stop, float *ret,
	      struct err *e);

/* A cosine as 0 (what a question of random words and a text that they are not from have, 19 times in 20) to 1 (what they have
 * with the text that they are from, half of the time), measured on the model's own texts. */
float embed_relevance(const struct embed *m, float cosine);

/* The model as bytes, and back. -EUCLEAN VDB_003 for bytes that embed_save did not write. */
int embed_save(const struct embed *m, struct buf *out);
int embed_load(struct embed **ret, const char *data, size_t len, struct err *e);
