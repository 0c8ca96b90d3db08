/* SPDX-License-Identifier: MIT */
/* embed_i.h - what the files of embed*.c share; inside vectors/ only. L1. */
#pragma once

#include "vectors/embed.h"
#include "vectors/lsa.h"

#define EMBED_TEXTS_MAX 16384u /* of a sample */
#define EMBED_TERMS_MAX 32768u

struct embed {
	uint32_t texts, terms, version;
	bool has_topics;
	float idf_new;	/* of a term that is not known */
	float low, high; /* cosines that stand for relevance 0 and 1 */
	uint32_t slots; /* of the hash table, a power of two */
	uint32_t *slot; /* 1 + number of a term; 0: none */
	uint64_t *key;	/* of each term: its hash */
	float *idf;
	float *scale; /* topics: the row times its scale */
	int8_t *row;  /* terms x EMBED_TOPICS */
};

struct embed_sample {
	uint32_t texts; /* of the index */
	float idf_new;
	struct sparse a; /* rows of length 1 */
	uint64_t *begin;
	uint32_t *col;
	float *weight;
	float *idf;	   /* of each column */
	uint32_t *name_at; /* of each column, into names */
	struct buf names;
};

struct embed_parts { /* sums, before they are scaled */
	float topics[EMBED_TOPICS];
	float hashes[EMBED_DIM];
};

static inline uint64_t embed_mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

uint64_t embed_hash(const char *term, size_t len);
/* The model's arrays for so many terms; 0 or -ENOMEM. */
int embed_alloc(struct embed *m);
void embed_index(struct embed *m); /* fill the hash table from the keys */
uint32_t embed_version_of(const struct embed *m);
/* The term's vector: dense, both parts. Returns its idf. */
float embed_term(const struct embed *m, const char *term, size_t len, struct embed_parts *ret);
void embed_add(struct embed_parts *to, float weight, const struct embed_parts *term, bool has_topics);
/* Scale and put together. 0: nothing is in it. */
int embed_join(const struct embed *m, const struct embed_parts *p, float ret[EMBED_DIM]);
float embed_tf(uint32_t count); /* 1 + ln count */
