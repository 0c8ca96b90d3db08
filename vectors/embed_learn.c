/* SPDX-License-Identifier: MIT */
/* embed_learn.c - a model made of the lists of an index. L1; any thread. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "vectors/embed_i.h"
#include "vectors/kernel.h"

#define TOPIC_LEAST_DF 2   /* a word of one text alone lies beside nothing */
#define QUESTIONS      512 /* that relevance is measured by */
#define QUESTION_WORDS 6

/* ---- the sample ---- */

void embed_sample_free(struct embed_sample *s)
{
	if (!s)
		return;
	free(s->begin);
	free(s->col);
	free(s->weight);
	free(s->idf);
	free(s->name_at);
	buf_done(&s->names);
	free(s);
}

struct sampling {
	struct embed_sample *s;
	const struct lexical *ix;
	uint32_t *row_of; /* of each text: 1 + its row; 0: not taken */
	uint32_t end;	  /* of the texts' numbers */
	uint32_t *terms;  /* taken: numbers of the index's */
};

/* Texts at random, but always the same ones. */
static int take_texts(struct sampling *g)
{
	g->end = lexical_docs_end(g->ix);
	g->row_of = calloc(g->end + 1, sizeof *g->row_of);
	if (!g->row_of)
		return -ENOMEM;
	uint64_t n = g->s->texts;
	for (uint32_t doc = 0; doc < g->end; doc++)
		if (lexical_has(g->ix, doc) && (n <= EMBED_TEXTS_MAX || (embed_mix(doc) >> 32) * n >> 32 < EMBED_TEXTS_MAX))
			g->row_of[doc] = ++g->s->a.rows;
	g->s->begin = calloc(g->s->a.rows + 2, sizeof *g->s->begin);
	return g->s->begin ? 0 : -ENOMEM;
}

/* The most frequent terms, EMBED_TERMS_MAX of them at most. */
static int take_terms(struct sampling *g)
{
	struct lexical_list l;
	uint32_t least = g->s->texts >= EMBED_COLD ? TOPIC_LEAST_DF : 1, room = EMBED_TERMS_MAX;
	size_t n = lexical_terms(g->ix);
	autofree uint32_t *with = calloc(g->s->texts + 2, sizeof *with); /* how many terms have a df */
	g->terms = malloc(EMBED_TERMS_MAX * sizeof *g->terms);
	if (!with || !g->terms)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		lexical_term(g->ix, i, &l);
		with[l.df <= g->s->texts ? l.df : g->s->texts + 1]++;
	}
	uint32_t all_from = g->s->texts + 2;
	while (all_from > least && with[all_from - 1] <= room)
		room -= with[--all_from];
	for (size_t i = 0; i < n; i++) {
		lexical_term(g->ix, i, &l);
		bool take = l.df >= all_from;
		if (!take && l.df + 1 == all_from && l.df >= least && room) {
			take = true;
			room--;
		}
		if (take)
			g->terms[g->s->a.cols++] = (uint32_t)i;
	}
	return 0;
}

static int read_lists(struct sampling *g)
{
	struct embed_sample *s = g->s;
	struct lexical_list l;
	uint32_t doc, count;
	for (uint32_t c = 0; c < s->a.cols; c++)
		for (lexical_term(g->ix, g->terms[c], &l); lexical_next(&l, &doc, &count);)
			if (g->row_of[doc])
				s->begin[g->row_of[doc] + 1]++; /* one too far: filling moves it */
	for (uint32_t r = 1; r < s->a.rows + 2; r++)
		s->begin[r] += s->begin[r - 1];
	uint64_t total = s->begin[s->a.rows + 1];
	s->col = malloc((total + 1) * sizeof *s->col);
	s->weight = malloc((total + 1) * sizeof *s->weight);
	s->idf = malloc((s->a.cols + 1) * sizeof *s->idf);
	s->name_at = malloc((s->a.cols + 1) * sizeof *s->name_at);
	if (!s->col || !s->weight || !s->idf || !s->name_at)
		return -ENOMEM;
	for (uint32_t c = 0; c < s->a.cols; c++) {
		const char *name = lexical_term(g->ix, g->terms[c], &l);
		s->idf[c] = lexical_idf(g->ix, l.df);
		s->name_at[c] = (uint32_t)s->names.len;
		buf_add(&s->names, name, strlen(name) + 1);
		while (lexical_next(&l, &doc, &count))
			if (g->row_of[doc]) {
				uint64_t at = s->begin[g->row_of[doc]]++;
				s->col[at] = c;
				s->weight[at] = s->idf[c] * embed_tf(count);
			}
	}
	return s->names.fail;
}

static void scale_rows(struct embed_sample *s)
{
	for (uint32_t r = 0; r < s->a.rows; r++) {
		double sum = 0;
		for (uint64_t i = s->begin[r]; i < s->begin[r + 1]; i++)
			sum += (double)s->weight[i] * (double)s->weight[i];
		for (uint64_t i = s->begin[r]; i < s->begin[r + 1]; i++)
			s->weight[i] *= sum > 0 ? 1 / (float)sqrt(sum) : 0;
	}
}

int embed_sample(struct embed_sample **ret, const struct lexical *ix, struct err *e)
{
	struct embed_sample *s = calloc(1, sizeof *s);
	struct sampling g = {.s = s, .ix = ix};
	if (!s)
		return err_set(e, ERR_SYS_MEMORY, "no memory for a sample of the texts");
	buf_init(&s->names, 16u << 20);
	s->texts = (uint32_t)lexical_docs(ix);
	s->idf_new = lexical_idf(ix, 0);
	int r = take_texts(&g);
	if (r == 0)
		r = take_terms(&g);
	if (r == 0)
		r = read_lists(&g);
	free(g.row_of);
	free(g.terms);
	if (r < 0) {
		embed_sample_free(s);
		return err_set(e, ERR_SYS_MEMORY, "no memory for a sample of the texts");
	}
	s->a.begin = s->begin;
	s->a.col = s->col;
	s->a.weight = s->weight;
	scale_rows(s);
	*ret = s;
	return 0;
}

/* ---- learning ---- */

static void put_row(struct embed *m, uint32_t c, const float *v)
{
	float most = 0;
	for (size_t i = 0; i < EMBED_TOPICS; i++)
		most = fmaxf(most, fabsf(v[i]));
	m->scale[c] = most / 127;
	for (size_t i = 0; i < EMBED_TOPICS; i++)
		m->row[(size_t)c * EMBED_TOPICS + i] = most > 0 ? (int8_t)lrintf(v[i] * 127 / most) : 0;
}

static int learn_topics(struct embed *m, const struct embed_sample *s, const _Atomic bool *stop, struct err *e)
{
	autofree float *v = malloc(((size_t)m->terms + 1) * EMBED_TOPICS * sizeof *v);
	if (!v)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the topics of %u words", m->terms);
	float sigma[EMBED_TOPICS], share[EMBED_TOPICS];
	int r = lsa_directions(&s->a, EMBED_TOPICS, stop, v, sigma, e);
	/* The root of the singular values as weights (Caron, 2001): what many texts share counts for more than what few have. */
	for (size_t i = 0; r == 0 && i < EMBED_TOPICS; i++)
		share[i] = sigma[0] > 0 ? sqrtf(sigma[i] / sigma[0]) : 0;
	for (uint32_t c = 0; r == 0 && c < m->terms; c++) {
		for (size_t i = 0; i < EMBED_TOPICS; i++)
			v[(size_t)c * EMBED_TOPICS + i] *= share[i];
		put_row(m, c, v + (size_t)c * EMBED_TOPICS);
	}
	return r;
}

/* The vector of a row of the sample; or, step > 0, of a question made of QUESTION_WORDS of its terms. */
static void vector_of(const struct embed *m, const struct embed_sample *s, uint32_t row, uint64_t seed, float ret[EMBED_DIM])
{
	struct embed_parts sum = {0}, term;
	uint64_t from = s->begin[row], n = s->begin[row + 1] - from;
	for (uint64_t i = 0; i < (seed ? QUESTION_WORDS : n) && n; i++) {
		uint64_t at = from + (seed ? embed_mix(seed + i) % n : i);
		const char *name = s->names.data + s->name_at[s->col[at]];
		float idf = embed_term(m, name, strlen(name), &term);
		embed_add(&sum, seed ? idf : s->weight[at], &term, m->has_topics);
	}
	memset(ret, 0, EMBED_DIM * sizeof *ret);
	embed_join(m, &sum, ret);
}

static int by_size(const void *a, const void *b)
{
	const float *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

/* What cosines mean: of questions and the texts that they are from, and others. */
static void measure_relevance(struct embed *m, const struct embed_sample *s)
{
	const struct vec_kernel *k = vec_kernel_best();
	float own[QUESTIONS], other[QUESTIONS], question[EMBED_DIM], text[EMBED_DIM];
	size_t n = 0;
	for (uint32_t i = 0; s->a.rows > 1 && i < QUESTIONS; i++) {
		uint32_t row = (uint32_t)(embed_mix(i) % s->a.rows), far = (uint32_t)((row + 1 + embed_mix(~(uint64_t)i) % (s->a.rows - 1)) % s->a.rows);
		vector_of(m, s, row, 1000 * (uint64_t)i + 1, question);
		vector_of(m, s, row, 0, text);
		own[n] = k->dot_f32(question, text, EMBED_DIM);
		vector_of(m, s, far, 0, text);
		other[n++] = k->dot_f32(question, text, EMBED_DIM);
	}
	m->low = 0.2f;
	m->high = 0.7f;
	if (n) {
		qsort(own, n, sizeof *own, by_size);
		qsort(other, n, sizeof *other, by_size);
		m->low = other[n * 19 / 20];
		m->high = fmaxf(own[n / 2], m->low + 0.1f);
	}
}

int embed_learn(struct embed **ret, const struct embed_sample *s, const _Atomic bool *stop, struct err *e)
{
	struct embed *m = calloc(1, sizeof *m);
	if (!m)
		return err_set(e, ERR_SYS_MEMORY, "no memory for a model");
	m->texts = s->texts;
	m->terms = s->a.cols;
	m->has_topics = s->texts >= EMBED_COLD;
	m->idf_new = s->idf_new;
	int r = embed_alloc(m) < 0 ? err_set(e, ERR_SYS_MEMORY, "no memory for a model of %u words", m->terms) : 0;
	for (uint32_t c = 0; r == 0 && c < m->terms; c++) {
		const char *name = s->names.data + s->name_at[c];
		m->key[c] = embed_hash(name, strlen(name));
		m->idf[c] = s->idf[c];
	}
	if (r == 0 && m->has_topics)
		r = learn_topics(m, s, stop, e);
	if (r < 0) {
		embed_free(m);
		return r;
	}
	embed_index(m);
	measure_relevance(m, s);
	m->version = embed_version_of(m);
	*ret = m;
	return 0;
}
