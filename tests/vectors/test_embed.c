/* SPDX-License-Identifier: MIT */
/* test_embed.c - vectors of texts whose nearness is known, and models that come back from bytes. */
#include "vectors/embed.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "tests/support/check.h"

enum { TOPICS = 24, WORDS = 12, TEXTS = 720 };

struct world {
	struct lexical *ix;
	struct tokens *t;
	struct embed *m;
	char text[TEXTS][256];
};

/* A text has words of its topic, never both of the topic's two names: these are synonyms. */
static void write_text(char out[256], unsigned i, unsigned *seed)
{
	size_t at = (size_t)snprintf(out, 256, "%s%c7 ", i / TOPICS % 2 ? "eng" : "mot", 'a' + (int)(i % TOPICS));
	for (int w = 0; w < 14; w++) /* and words of no topic, of which there are many */
		if (rand_r(seed) % 3 == 0)
			at += (size_t)snprintf(out + at, 256 - at, "n%c%c%c ", 'a' + rand_r(seed) % 12, 'a' + rand_r(seed) % 12, 'a' + rand_r(seed) % 12);
		else
			at += (size_t)snprintf(out + at, 256 - at, "w%c%c ", 'a' + (int)(i % TOPICS), 'a' + rand_r(seed) % WORDS);
}

static struct embed *learn(const struct lexical *ix)
{
	struct embed_sample *s = NULL;
	struct embed *m = NULL;
	assert_int_equal(embed_sample(&s, ix, NULL), 0);
	assert_int_equal(embed_learn(&m, s, NULL, NULL), 0);
	embed_sample_free(s);
	return m;
}

static int setup_of(void **state, unsigned texts)
{
	struct world *w = calloc(1, sizeof *w);
	unsigned seed = 5;
	assert_int_equal(lexical_new(&w->ix, NULL), 0);
	assert_int_equal(tokens_new(&w->t, NULL), 0);
	for (unsigned i = 0; i < texts; i++) {
		write_text(w->text[i], i, &seed);
		assert_int_equal(lexical_add(w->ix, i, w->text[i], strlen(w->text[i]), w->t, NULL), 0);
	}
	w->m = learn(w->ix);
	*state = w;
	return 0;
}

static int setup(void **state)
{
	return setup_of(state, TEXTS);
}

static int setup_few(void **state)
{
	return setup_of(state, 100);
}

static int teardown(void **state)
{
	struct world *w = *state;
	embed_free(w->m);
	lexical_free(w->ix);
	tokens_free(w->t);
	free(w);
	return 0;
}

static double cosine(const float *a, const float *b)
{
	double sum = 0;
	for (size_t i = 0; i < EMBED_DIM; i++)
		sum += (double)a[i] * (double)b[i];
	return sum;
}

static double between(const struct world *w, const char *a, const char *b)
{
	float x[EMBED_DIM], y[EMBED_DIM];
	assert_int_equal(embed_text(w->m, a, strlen(a), w->t, x, NULL), 1);
	assert_int_equal(embed_text(w->m, b, strlen(b), w->t, y, NULL), 1);
	assert_true(fabs(cosine(x, x) - 1) < 1e-5);
	return cosine(x, y);
}

static void words_that_stand_beside_the_same_words_are_near(void **state)
{
	const struct world *w = *state;
	assert_true(embed_info(w->m).has_topics);
	for (int i = 0; i < TOPICS; i++) { /* no text has both of the names, and the question has no word of the text */
		char motor[16];
		double own, other = 0;
		snprintf(motor, sizeof motor, "mot%c7", 'a' + i);
		own = between(w, motor, w->text[i + TOPICS]);
		for (int j = 0; j < TOPICS; j++)
			other = j != i && between(w, motor, w->text[j + TOPICS]) > other ? between(w, motor, w->text[j + TOPICS]) : other;
		if (own <= other)
			fail_msg("%s: %.3f its own, %.3f another's", motor, own, other);
	}
}

static void words_that_nobody_knows_are_near_their_like(void **state)
{
	const struct world *w = *state;
	assert_true(between(w, "crankshaft", "cranksahft") > between(w, "crankshaft", "philharmonic") + 0.1);
	assert_true(between(w, "max_retry_count", "maxRetryCount") > between(w, "max_retry_count", "open_file_limit") + 0.1);
}

static void the_lists_give_what_the_texts_give(void **state)
{
	const struct world *w = *state;
	static float all[50 * EMBED_DIM];
	float one[EMBED_DIM];
	lexical_remove(w->ix, 33);
	assert_int_equal(embed_all(w->m, w->ix, 20, 50, NULL, all, NULL), 0);
	for (unsigned i = 0; i < 50; i++) {
		const float *row = all + i * EMBED_DIM;
		assert_int_equal(embed_text(w->m, w->text[20 + i], strlen(w->text[20 + i]), w->t, one, NULL), 1);
		if (20 + i == 33)
			assert_true(cosine(row, row) == 0);
		else
			assert_true(cosine(row, one) > 0.99999);
	}
	_Atomic bool stop = true;
	assert_int_equal(embed_all(w->m, w->ix, 20, 50, &stop, all, NULL), -ECANCELED);
}

static void texts_without_words_have_no_vector(void **state)
{
	const struct world *w = *state;
	static const char *const none[] = {"", "   \n", "the of and", "\xff\xfe", "..."};
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		float v[EMBED_DIM];
		assert_int_equal(embed_text(w->m, none[i], strlen(none[i]), w->t, v, NULL), 0);
		assert_true(cosine(v, v) == 0);
	}
}

static void equal_texts_give_equal_models(void **state)
{
	const struct world *w = *state;
	struct embed *again = learn(w->ix);
	assert_int_equal(embed_info(again).version, embed_info(w->m).version);
	embed_free(again);
	lexical_remove(w->ix, 3);
	lexical_compact(w->ix);
	again = learn(w->ix);
	assert_int_not_equal(embed_info(again).version, embed_info(w->m).version);
	embed_free(again);
}

static void relevance_parts_what_belongs_together_from_the_rest(void **state)
{
	const struct world *w = *state;
	unsigned own = 0, other = 0;
	for (unsigned i = 0; i < 200; i++) {
		char question[64];
		snprintf(question, sizeof question, "%.30s", w->text[i]);
		own += embed_relevance(w->m, (float)between(w, question, w->text[i])) >= 0.5f;
		other += embed_relevance(w->m, (float)between(w, question, w->text[i + 1])) >= 0.5f;
	}
	assert_true(own > 150);
	assert_true(other < 20);
	assert_true(embed_relevance(w->m, -1) == 0 && embed_relevance(w->m, 1) == 1);
}

static void a_model_comes_back_from_its_bytes(void **state)
{
	const struct world *w = *state;
	autobuf struct buf b;
	struct embed *m = NULL;
	float x[EMBED_DIM], y[EMBED_DIM];
	buf_init(&b, 64u << 20);
	assert_int_equal(embed_save(w->m, &b), 0);
	assert_int_equal(embed_load(&m, b.data, b.len, NULL), 0);
	assert_int_equal(embed_info(m).version, embed_info(w->m).version);
	embed_text(w->m, w->text[7], strlen(w->text[7]), w->t, x, NULL);
	embed_text(m, w->text[7], strlen(w->text[7]), w->t, y, NULL);
	assert_memory_equal(x, y, sizeof x);
	assert_true(embed_relevance(m, 0.4f) == embed_relevance(w->m, 0.4f));
	embed_free(m);
}

static void a_flipped_bit_is_refused(void **state)
{
	const struct world *w = *state;
	autobuf struct buf b;
	struct embed *m = NULL;
	struct err e;
	buf_init(&b, 64u << 20);
	assert_int_equal(embed_save(w->m, &b), 0);
	for (size_t i = 0; i < b.len; i += i < 64 ? 1 : 997) {
		b.data[i] ^= 4;
		assert_int_equal(embed_load(&m, b.data, b.len, &e), -EUCLEAN);
		b.data[i] ^= 4;
	}
	assert_int_equal(embed_load(&m, b.data, b.len - 1, &e), -EUCLEAN);
	assert_int_equal(embed_load(&m, b.data, 3, &e), -EUCLEAN);
	assert_int_equal(embed_load(&m, b.data, 0, &e), -EUCLEAN);
}

static void few_texts_make_a_model_of_hashes(void **state)
{
	const struct world *w = *state;
	assert_false(embed_info(w->m).has_topics);
	assert_true(between(w, "crankshaft", "cranksahft") > between(w, "crankshaft", "philharmonic") + 0.1);
	struct lexical *none = NULL;
	assert_int_equal(lexical_new(&none, NULL), 0);
	struct embed *m = learn(none); /* of nothing at all */
	float v[EMBED_DIM];
	assert_int_equal(embed_text(m, "crankshaft", 10, w->t, v, NULL), 1);
	embed_free(m);
	lexical_free(none);
}

int main(void)
{
	const struct CMUnitTest many[] = {
		cmocka_unit_test_setup_teardown(words_that_stand_beside_the_same_words_are_near, setup, teardown),
		cmocka_unit_test_setup_teardown(words_that_nobody_knows_are_near_their_like, setup, teardown),
		cmocka_unit_test_setup_teardown(the_lists_give_what_the_texts_give, setup, teardown),
		cmocka_unit_test_setup_teardown(texts_without_words_have_no_vector, setup, teardown),
		cmocka_unit_test_setup_teardown(equal_texts_give_equal_models, setup, teardown),
		cmocka_unit_test_setup_teardown(relevance_parts_what_belongs_together_from_the_rest, setup, teardown),
		cmocka_unit_test_setup_teardown(a_model_comes_back_from_its_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(a_flipped_bit_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(few_texts_make_a_model_of_hashes, setup_few, teardown),
	};
	return cmocka_run_group_tests(many, NULL, NULL);
}
