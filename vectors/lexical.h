/* SPDX-License-Identifier: MIT */
/* lexical.h - an inverted index over the words of texts, ranked by Okapi BM25. L1; any number of threads may search while
 * nobody changes it: the caller keeps the two apart.
 *
 * Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), with the idf of Lucene,
 * log(1 + (N - n + 0.5) / (n + 0.5)), which is never negative. k1 1.2, b 0.75. Terms are those of tokens.h.
 *
 * Postings are gaps and counts of 7 bits a byte, some 2 bytes each. Those of a removed text stay, and count among the
 * frequencies of its words, until removed texts are a quarter of all or lexical_compact is called; it is never found. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "vectors/tokens.h"

#define LEXICAL_QUERY_TERMS 128 /* different terms of a query; the rest of it is not looked at */

struct lexical;

int lexical_new(struct lexical **ret, struct err *e); /* 0 or -ENOMEM; the caller owns *ret */
void lexical_free(struct lexical *ix);		      /* NULL is fine */

/* Adds a text under a number of the caller's, greater than all before it. 0 or -ENOMEM; then a part of the terms may be
 * there, which lexical_remove takes out again. */
int lexical_add(struct lexical *ix, uint32_t doc, const char *text, size_t len, struct tokens *t, struct err *e);
void lexical_remove(struct lexical *ix, uint32_t doc); /* one that is not there is passed by */
/* Cut out what was removed: reads all lists. */
void lexical_compact(struct lexical *ix);

struct lexical_hit {
	uint32_t doc;
	float score; /* of BM25, above 0 */
};

struct lexical_filter { /* may this one be found? */
	bool (*fn)(void *arg, uint32_t doc);
	void *arg;
};

struct lexical_scratch { /* of a thread that searches, zeroed at first, kept from one search to the next */
	float *score;
	uint32_t *touched;
	size_t cap, n;
};
void lexical_scratch_done(struct lexical_scratch *s);

/* The best k for the words of query, best first, of equal ones the older first. filter may be NULL. *n: how many there are,
 * at most k. 0 or -ENOMEM. */
int lexical_search(const struct lexical *ix, const char *query, size_t len, struct tokens *t,
		   const struct lexical_filter *filter, struct lexical_scratch *s, struct lexical_hit *ret, size_t k,
		   size_t *n, struct err *e);

struct lexical_stats {
	uint64_t docs, terms, postings, bytes; /* bytes: of memory, roughly */
};
struct lexical_stats lexical_stats(const struct lexical *ix);

/* The weight of a term in a search, its idf: the rarer the term the greater, above 0. */
float lexical_weight(const struct lexical *ix, const char *term, size_t len);
/* How many texts have the term, removed ones until they are cut out; 0: none. A term as tokens.h makes it. */
uint32_t lexical_df(const struct lexical *ix, const char *term, size_t len);

/* ---- the lists themselves, while nobody changes the index ---- */
size_t lexical_terms(const struct lexical *ix); /* how many; some may be in no text any more */
struct lexical_list { /* the texts with one term, in order of their numbers */
	uint32_t df; /* as lexical_df */
	/* private */
	const struct lexical *ix;
	const uint8_t *at, *end;
	uint32_t doc;
};
/* The term i, below lexical_terms, in the order in which they came; borrowed. */
const char *lexical_term(const struct lexical *ix, size_t i, struct lexical_list *ret);
/* The next text that is there, and how often it has the term; false at the end. */
bool lexical_next(struct lexical_list *l, uint32_t *doc, uint32_t *count);
float lexical_idf(const struct lexical *ix, uint32_t df); /* lexical_weight of a term that so many texts have */
bool lexical_has(const struct lexical *ix, uint32_t doc);
uint64_t lexical_docs(const struct lexical *ix); /* how many texts are there */
double lexical_mean_terms(const struct lexical *ix); /* of a text; 0: there are none */
uint32_t lexical_docs_end(const struct lexical *ix); /* all texts have smaller numbers */

/* Give all of the index to put, in pieces; a negative return of put ends it and is returned. */
int lexical_save(const struct lexical *ix, int (*put)(void *arg, const void *data, size_t len), void *arg);
/* The same index from what was put; get fills exactly len bytes or returns -errno. most: how many bytes there are at all, so that
 * nothing is believed that cannot be. -EUCLEAN: this was never saved; -ENOMEM. */
int lexical_load(struct lexical **ret, uint64_t most, int (*get)(void *arg, void *data, size_t len), void *arg);
