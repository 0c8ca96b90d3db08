/* SPDX-License-Identifier: MIT */
/* test_lexical.c - the index of words against BM25 computed text by text, while texts come and go. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "tests/support/check.h"
#include "vectors/lexical.h"

enum { DOCS = 600, WORDS = 80, QUERIES = 400, MOST = 40 };

/* Words that the tokenizer leaves as they are; few and of very different frequency. */
static void word_of(unsigned n, char out[8])
{
	snprintf(out, 8, "w%02u", n);
}

static unsigned random_word(unsigned *seed)
{
	double u = (double)rand_r(seed) / RAND_MAX;
	return (unsigned)(u * u * u * (WORDS - 1));
}

/* The word and a blank behind what is at `at`; how many bytes that were. */
static size_t put_word(char *at, const char *word)
{
	size_t len = strlen(word);
	memcpy(at, word, len);
	memcpy(at + len, " ", 2);
	return len + 1;
}

struct world {
	char text[DOCS][8 * MOST];
	unsigned count[DOCS][WORDS], len[DOCS];
	bool there[DOCS];
	struct lexical *ix;
	struct tokens *t;
};

static void add_random(struct world *w, unsigned doc, unsigned *seed)
{
	char *at = w->text[doc];
	unsigned n = 1 + (unsigned)rand_r(seed) % (MOST - 1);
	for (unsigned i = 0; i < n; i++) {
		unsigned word = random_word(seed);
		char s[8];
		word_of(word, s);
		at += put_word(at, s);
		w->count[doc][word]++;
	}
	w->len[doc] = n;
	w->there[doc] = true;
	assert_int_equal(lexical_add(w->ix, doc, w->text[doc], strlen(w->text[doc]), w->t, NULL), 0);
}

struct corpus {
	double docs, words, df[WORDS];
};

static struct corpus corpus_of(const struct world *w)
{
	struct corpus c = {0};
	for (unsigned d = 0; d < DOCS; d++) {
		c.docs += w->there[d];
		c.words += w->there[d] ? w->len[d] : 0;
		for (unsigned t = 0; t < WORDS; t++)
			c.df[t] += w->there[d] && w->count[d][t];
	}
	return c;
}

static double naive(const struct world *w, const struct corpus *c, unsigned doc, const unsigned *query)
{
	double score = 0;
	for (unsigned t = 0; t < WORDS; t++) {
		double n = w->count[doc][t];
		if (query[t] && n > 0)
			score += query[t] * log(1 + (c->docs - c->df[t] + 0.5) / (c->df[t] + 0.5)) * n * 2.2 /
				 (n + 1.2 * (0.25 + 0.75 * w->len[doc] * c->docs / c->words));
	}
	return score;
}

static bool is_even(void *arg, uint32_t doc)
{
	(void)arg;
	return doc % 2 == 0;
}

static void check_query(struct world *w, unsigned *seed, bool even)
{
	unsigned query[WORDS] = {0}, n = 1 + (unsigned)rand_r(seed) % 5, found = 0;
	char text[64], *at = text;
	struct lexical_hit hits[DOCS];
	struct lexical_scratch s = {0};
	size_t k = 1 + (size_t)rand_r(seed) % 20, got;
	for (unsigned i = 0; i < n; i++) {
		unsigned word = random_word(seed);
		char name[8];
		word_of(word, name);
		at += put_word(at, name);
		query[word]++;
	}
	struct corpus c = corpus_of(w);
	struct lexical_filter f = {is_even, NULL};
	assert_int_equal(lexical_search(w->ix, text, strlen(text), w->t, even ? &f : NULL, &s, hits, k, &got, NULL), 0);
	double worst = INFINITY;
	for (size_t i = 0; i < got; i++) {
		assert_true(w->there[hits[i].doc] && (!even || hits[i].doc % 2 == 0));
		double want = naive(w, &c, hits[i].doc, query);
		assert_true(fabs(want - (double)hits[i].score) < 1e-4 * (1 + want));
		assert_true((double)hits[i].score <= worst);
		worst = (double)hits[i].score;
	}
	for (unsigned d = 0; d < DOCS; d++)
		if (w->there[d] && (!even || d % 2 == 0) && naive(w, &c, d, query) > worst * 1.0001)
			found++;
	if (got == k)
		assert_true(found < k);
	else
		for (unsigned d = 0, all = 0; d < DOCS; d++) {
			all += w->there[d] && (!even || d % 2 == 0) && naive(w, &c, d, query) > 0;
			if (d == DOCS - 1)
				assert_int_equal(all, got);
		}
	lexical_scratch_done(&s);
}

static void agrees_with_bm25(void **state)
{
	(void)state;
	struct world *w = calloc(1, sizeof *w);
	unsigned seed = 7;
	assert_non_null(w);
	assert_int_equal(lexical_new(&w->ix, NULL), 0);
	assert_int_equal(tokens_new(&w->t, NULL), 0);
	for (unsigned d = 0; d < DOCS; d++) {
		add_random(w, d, &seed);
		for (unsigned gone; rand_r(&seed) % 2 && (gone = (unsigned)rand_r(&seed) % (d + 1)) <= d && w->there[gone];) {
			lexical_remove(w->ix, gone);
			w->there[gone] = false;
			memset(w->count[gone], 0, sizeof w->count[gone]);
		}
		if (d % 3 == 0 && d > 20) {
			lexical_compact(w->ix);
			check_query(w, &seed, d % 2);
		}
	}
	lexical_compact(w->ix);
	for (unsigned q = 0; q < QUERIES; q++)
		check_query(w, &seed, q % 4 == 0);
	lexical_compact(w->ix);
	struct lexical_stats st = lexical_stats(w->ix);
	unsigned there = 0, postings = 0;
	for (unsigned d = 0; d < DOCS; d++) {
		there += w->there[d];
		for (unsigned t = 0; t < WORDS; t++)
			postings += w->count[d][t] > 0;
	}
	assert_int_equal(st.docs, there);
	assert_int_equal(st.postings, postings);
	lexical_free(w->ix);
	tokens_free(w->t);
	free(w);
}

static void long_and_empty_queries(void **state)
{
	(void)state;
	struct lexical *ix;
	struct tokens *t;
	struct lexical_scratch s = {0};
	struct lexical_hit hits[3];
	size_t n;
	autobuf struct buf q;
	buf_init(&q, 4 << 20);
	assert_int_equal(lexical_new(&ix, NULL), 0);
	assert_int_equal(tokens_new(&t, NULL), 0);
	assert_int_equal(lexical_search(ix, "nothing", 7, t, NULL, &s, hits, 3, &n, NULL), 0);
	assert_int_equal(n, 0);
	for (unsigned i = 0; i < 2000; i++) {
		char text[16];
		snprintf(text, sizeof text, "x%u common", i);
		assert_int_equal(lexical_add(ix, i, text, strlen(text), t, NULL), 0);
		buf_printf(&q, "x%u common ", i);
	}
	assert_int_equal(lexical_search(ix, q.data, q.len, t, NULL, &s, hits, 3, &n, NULL), 0);
	assert_int_equal(n, 3);
	assert_int_equal(lexical_search(ix, "", 0, t, NULL, &s, hits, 3, &n, NULL), 0);
	assert_int_equal(n, 0);
	assert_int_equal(lexical_search(ix, "common", 6, t, NULL, &s, hits, 3, &n, NULL), 0);
	assert_int_equal(n, 3);
	assert_int_equal(hits[0].doc, 0); /* of equal ones the older */
	assert_int_equal(lexical_df(ix, "common", 6), 2000);
	assert_int_equal(lexical_df(ix, "other", 5), 0);
	lexical_remove(ix, 0); /* not cut out yet, and not found */
	lexical_remove(ix, 0);
	lexical_remove(ix, 99999);
	assert_int_equal(lexical_search(ix, "x0 common", 9, t, NULL, &s, hits, 3, &n, NULL), 0);
	assert_int_equal(n, 3);
	assert_int_equal(hits[0].doc, 1);
	lexical_scratch_done(&s);
	lexical_free(ix);
	tokens_free(t);
}

/* ---- as bytes ---- */

struct bytes {
	struct buf b;
	size_t at;
};

static int put(void *arg, const void *data, size_t len)
{
	struct bytes *s = arg;
	return buf_add(&s->b, data, len);
}

static int get(void *arg, void *data, size_t len)
{
	struct bytes *s = arg;
	if (len > s->b.len - s->at)
		return -EUCLEAN;
	if (len)
		memcpy(data, s->b.data + s->at, len);
	s->at += len;
	return 0;
}

static void an_index_comes_back_from_its_bytes(void **state)
{
	(void)state;
	struct world *w = calloc(1, sizeof *w);
	struct bytes s = {0};
	struct lexical *again = NULL;
	unsigned seed = 17;
	assert_non_null(w);
	assert_int_equal(lexical_new(&w->ix, NULL), 0);
	assert_int_equal(tokens_new(&w->t, NULL), 0);
	buf_init(&s.b, 16u << 20);
	for (unsigned d = 0; d < DOCS; d++)
		add_random(w, d, &seed);
	for (unsigned d = 0; d < DOCS; d += 7) {
		lexical_remove(w->ix, d);
		w->there[d] = false;
	}
	lexical_compact(w->ix);
	assert_int_equal(lexical_save(w->ix, put, &s), 0);
	assert_int_equal(lexical_load(&again, s.b.len, get, &s), 0);
	assert_int_equal(s.at, s.b.len);
	lexical_free(w->ix);
	w->ix = again;
	for (unsigned q = 0; q < QUERIES; q++)
		check_query(w, &seed, q % 2);
	/* Whatever is changed or missing is refused, or gives an index that can be searched. */
	for (size_t i = 0; i < s.b.len; i += 1 + i / 16) {
		struct lexical_stats st;
		s.at = 0;
		s.b.data[i] ^= (char)(1 << i % 8);
		if (lexical_load(&again, s.b.len, get, &s) == 0) {
			st = lexical_stats(again);
			assert_true(st.docs <= DOCS);
			lexical_free(again);
		}
		s.b.data[i] ^= (char)(1 << i % 8);
		s.at = s.b.len - i;
		assert_true(i == s.b.len || lexical_load(&again, s.b.len, get, &s) < 0);
	}
	lexical_free(w->ix);
	tokens_free(w->t);
	buf_done(&s.b);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_index_comes_back_from_its_bytes),
		cmocka_unit_test(agrees_with_bm25),
		cmocka_unit_test(long_and_empty_queries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
