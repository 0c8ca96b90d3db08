/* SPDX-License-Identifier: MIT */
/* lexical.c - postings, BM25 term at a time. L1; see lexical.h for threads. */
#include "vectors/lexical.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "vectors/lexical_i.h"

#define K1 1.2f
#define B  0.75f

int lexical_new(struct lexical **ret, struct err *e)
{
	*ret = calloc(1, sizeof **ret);
	return *ret ? 0 : err_set(e, ERR_SYS_MEMORY, "no memory for an index of words");
}

void lexical_free(struct lexical *ix)
{
	if (!ix)
		return;
	for (size_t i = 0; i < ix->all_n; i++) {
		free(ix->all[i]->bytes);
		free(ix->all[i]);
	}
	free(ix->all);
	free(ix->length);
	map_done(&ix->terms);
	free(ix);
}

/* ---- lists ---- */

static size_t put_varint(uint8_t *at, uint32_t v)
{
	size_t n = 0;
	for (; v >= 0x80; v >>= 7)
		at[n++] = (uint8_t)(v | 0x80);
	at[n++] = (uint8_t)v;
	return n;
}

static int postings_add(struct postings *p, uint32_t doc, uint32_t count)
{
	if (p->cap - p->len < 10) {
		size_t cap = p->cap ? p->cap + p->cap / 2 + 10 : 12;
		uint8_t *bytes = realloc(p->bytes, cap);
		if (!bytes)
			return -ENOMEM;
		p->bytes = bytes;
		p->cap = cap;
	}
	p->len += put_varint(p->bytes + p->len, doc - p->last);
	p->len += put_varint(p->bytes + p->len, count);
	p->last = doc;
	p->n++;
	return 0;
}

static struct postings *term_new(struct lexical *ix, const char *term, size_t len)
{
	if (ix->all_n == ix->all_cap) {
		size_t cap = ix->all_cap ? 2 * ix->all_cap : 1024;
		struct postings **all = realloc(ix->all, cap * sizeof(struct postings *));
		if (!all)
			return NULL;
		ix->all = all;
		ix->all_cap = cap;
	}
	struct postings *p = calloc(1, sizeof *p + len + 1);
	if (!p)
		return NULL;
	memcpy(p->term, term, len);
	if (map_put(&ix->terms, p->term, p) < 0) {
		free(p);
		return NULL;
	}
	ix->all[ix->all_n++] = p;
	return p;
}

/* ---- the terms of one text, counted ---- */

struct counted {
	struct postings *p;
	uint32_t n;
};

struct counting {
	struct lexical *ix;
	const struct lexical *known; /* instead of ix: terms that it lacks are left out */
	struct counted *terms;
	size_t n, cap, most;
	uint32_t total;
};

static int by_list(const void *a, const void *b)
{
	const struct counted *x = a, *y = b;
	return x->p < y->p ? -1 : x->p > y->p;
}

/* Equal ones beside each other, counted. */
static void counting_merge(struct counting *c)
{
	size_t kept = 0;
	if (!c->n)
		return;
	qsort(c->terms, c->n, sizeof *c->terms, by_list);
	for (size_t i = 0; i < c->n; i++)
		if (kept && c->terms[kept - 1].p == c->terms[i].p)
			c->terms[kept - 1].n += c->terms[i].n;
		else
			c->terms[kept++] = c->terms[i];
	c->n = kept;
}

static int count_term(void *arg, const char *term, size_t len)
{
	struct counting *c = arg;
	struct postings *p = map_get(c->ix ? &c->ix->terms : &c->known->terms, term, len);
	if (!p && c->ix && !(p = term_new(c->ix, term, len)))
		return -ENOMEM;
	if (!p)
		return 0;
	if (c->n == c->cap) {
		counting_merge(c);
		if (c->most && c->n >= c->most)
			return 0;
	}
	if (c->n == c->cap || c->n * 2 > c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 256;
		struct counted *terms = realloc(c->terms, cap * sizeof *terms);
		if (!terms)
			return -ENOMEM;
		c->terms = terms;
		c->cap = cap;
	}
	c->terms[c->n++] = (struct counted){p, 1};
	c->total++;
	return 0;
}

static int count_text(struct counting *c, const char *text, size_t len, struct tokens *t, struct err *e)
{
	if (tokens_each(t, text, len, count_term, c) < 0)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the words of a text");
	counting_merge(c);
	return 0;
}

/* ---- changes ---- */

static int make_room(struct lexical *ix, uint32_t doc)
{
	if (doc < ix->docs_cap)
		return 0;
	uint32_t cap = ix->docs_cap ? ix->docs_cap : 1024;
	while (cap <= doc)
		cap *= 2;
	uint16_t *length = realloc(ix->length, cap * sizeof *length);
	if (!length)
		return -ENOMEM;
	memset(length + ix->docs_cap, 0, (cap - ix->docs_cap) * sizeof *length);
	ix->length = length;
	ix->docs_cap = cap;
	return 0;
}

int lexical_add(struct lexical *ix, uint32_t doc, const char *text, size_t len, struct tokens *t, struct err *e)
{
	struct counting c = {.ix = ix};
	int r = doc == UINT32_MAX || make_room(ix, doc) < 0 ? err_set(e, ERR_SYS_MEMORY, "no memory for text %u", doc)
							    : count_text(&c, text, len, t, e);
	for (size_t i = 0; r == 0 && i < c.n; i++) {
		r = postings_add(c.terms[i].p, doc, c.terms[i].n);
		if (r < 0)
			err_set(e, ERR_SYS_MEMORY, "no memory for text %u", doc);
		ix->postings += r == 0;
	}
	if (r == 0) {
		/* A text without words still is one. */
		ix->length[doc] = (uint16_t)(c.total == 0 ? 1 : c.total < UINT16_MAX ? c.total : UINT16_MAX);
		ix->length_sum += ix->length[doc];
		ix->docs++;
	}
	free(c.terms);
	return r;
}

/* Cut the postings of texts that are gone out of a list. */
static void postings_cut(const struct lexical *ix, struct postings *p)
{
	const uint8_t *at = p->bytes, *end = p->bytes + p->len;
	uint8_t *to = p->bytes;
	uint32_t doc = 0, last = 0, n = 0;
	while (at < end) {
		doc += get_varint(&at);
		uint32_t count = get_varint(&at);
		if (!ix->length[doc])
			continue;
		/* What is written is never longer than what was read: gaps add up to no more bytes than they had. */
		to += put_varint(to, doc - last);
		to += put_varint(to, count);
		last = doc;
		n++;
	}
	p->len = (size_t)(to - p->bytes);
	p->last = last;
	p->n = n;
}

void lexical_compact(struct lexical *ix)
{
	for (size_t i = 0; i < ix->all_n && ix->dead; i++) {
		uint32_t before = ix->all[i]->n;
		postings_cut(ix, ix->all[i]);
		ix->postings -= before - ix->all[i]->n;
	}
	ix->dead = 0;
}

void lexical_remove(struct lexical *ix, uint32_t doc)
{
	if (doc >= ix->docs_cap || !ix->length[doc])
		return;
	ix->length_sum -= ix->length[doc];
	ix->length[doc] = 0;
	ix->docs--;
	ix->dead++;
	if (ix->dead * 4 > ix->docs + 64)
		lexical_compact(ix);
}

/* ---- search ---- */

void lexical_scratch_done(struct lexical_scratch *s)
{
	free(s->score);
	free(s->touched);
	*s = (struct lexical_scratch){0};
}

static int scratch_room(struct lexical_scratch *s, size_t docs)
{
	if (docs <= s->cap)
		return 0;
	lexical_scratch_done(s);
	s->score = calloc(docs, sizeof *s->score);
	s->touched = malloc(docs * sizeof *s->touched);
	if (!s->score || !s->touched)
		return -ENOMEM;
	s->cap = docs;
	return 0;
}

static float idf_of(const struct lexical *ix, uint32_t n)
{
	/* Removed texts are among the n, so they are among the texts too. */
	float docs = (float)(ix->docs + ix->dead), with = (float)n;
	return logf(1 + (docs - with + 0.5f) / (with + 0.5f));
}

float lexical_weight(const struct lexical *ix, const char *term, size_t len)
{
	return idf_of(ix, lexical_df(ix, term, len));
}

static void score_term(const struct lexical *ix, const struct counted *q, struct lexical_scratch *s)
{
	const struct postings *p = q->p;
	const uint8_t *at = p->bytes, *end = p->bytes + p->len;
	float idf = idf_of(ix, p->n) * (float)q->n;
	float per_word = ix->docs ? B * (float)ix->docs / (float)ix->length_sum : 0;
	for (uint32_t doc = 0; at < end;) {
		doc += get_varint(&at);
		float count = (float)get_varint(&at);
		if (!ix->length[doc])
			continue;
		if (s->score[doc] == 0)
			s->touched[s->n++] = doc;
		s->score[doc] += idf * count * (K1 + 1) / (count + K1 * (1 - B + per_word * ix->length[doc]));
	}
}

static bool is_better(const struct lexical_hit *a, const struct lexical_hit *b)
{
	return a->score > b->score || (a->score == b->score && a->doc < b->doc);
}

/* heap[0] is the worst of them. */
static void sift_down(struct lexical_hit *heap, size_t n, size_t i)
{
	for (size_t child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && is_better(&heap[child], &heap[child + 1]))
			child++;
		if (!is_better(&heap[i], &heap[child]))
			return;
		struct lexical_hit h = heap[i];
		heap[i] = heap[child];
		heap[child] = h;
	}
}

static int by_score(const void *a, const void *b)
{
	return is_better(a, b) ? -1 : is_better(b, a);
}

/* Take the best k of what was touched and passes, and leave all scores 0. The filter is asked of the few that would be among them. */
static size_t take_best(struct lexical_scratch *s, const struct lexical_filter *filter, struct lexical_hit *ret, size_t k)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n; i++) {
		struct lexical_hit h = {s->touched[i], s->score[s->touched[i]]};
		s->score[h.doc] = 0;
		if ((n == k && (!k || !is_better(&h, &ret[0]))) || (filter && !filter->fn(filter->arg, h.doc)))
			continue;
		if (n < k) {
			ret[n++] = h;
			for (size_t j = n == k ? k / 2 : 0; j-- > 0;)
				sift_down(ret, n, j);
		} else {
			ret[0] = h;
			sift_down(ret, n, 0);
		}
	}
	s->n = 0;
	qsort(ret, n, sizeof *ret, by_score);
	return n;
}

static int rarest_first(const void *a, const void *b)
{
	const struct counted *x = a, *y = b;
	int r = x->p->n < y->p->n ? -1 : x->p->n > y->p->n;
	return r ? r : strcmp(x->p->term, y->p->term);
}

int lexical_search(const struct lexical *ix, const char *query, size_t len, struct tokens *t,
		   const struct lexical_filter *filter, struct lexical_scratch *s, struct lexical_hit *ret, size_t k,
		   size_t *n, struct err *e)
{
	struct counting c = {.known = ix, .most = 2 * LEXICAL_QUERY_TERMS};
	*n = 0;
	int r = count_text(&c, query, len, t, e);
	if (r == 0 && scratch_room(s, ix->docs_cap) < 0)
		r = err_set(e, ERR_SYS_MEMORY, "no memory for a search");
	if (r == 0 && c.n) /* always in one order: sums of floats depend on it */
		qsort(c.terms, c.n, sizeof *c.terms, rarest_first);
	for (size_t i = 0; r == 0 && i < c.n && i < LEXICAL_QUERY_TERMS; i++)
		score_term(ix, &c.terms[i], s);
	if (r == 0)
		*n = take_best(s, filter, ret, k);
	free(c.terms);
	return r;
}

uint32_t lexical_df(const struct lexical *ix, const char *term, size_t len)
{
	const struct postings *p = map_get(&ix->terms, term, len);
	return p ? p->n : 0;
}

struct lexical_stats lexical_stats(const struct lexical *ix)
{
	struct lexical_stats s = {.docs = ix->docs, .terms = ix->all_n, .postings = ix->postings};
	s.bytes = ix->docs_cap * sizeof *ix->length + ix->all_cap * sizeof(void *) + ix->terms.cap * sizeof *ix->terms.slots;
	for (size_t i = 0; i < ix->all_n; i++)
		s.bytes += sizeof *ix->all[i] + strlen(ix->all[i]->term) + 1 + ix->all[i]->cap;
	return s;
}

/* ---- reading the lists ---- */

size_t lexical_terms(const struct lexical *ix)
{
	return ix->all_n;
}

const char *lexical_term(const struct lexical *ix, size_t i, struct lexical_list *ret)
{
	const struct postings *p = ix->all[i];
	*ret = (struct lexical_list){.ix = ix, .at = p->bytes, .end = p->bytes + p->len, .df = p->n};
	return p->term;
}

bool lexical_next(struct lexical_list *l, uint32_t *doc, uint32_t *count)
{
	while (l->at < l->end) {
		l->doc += get_varint(&l->at);
		*count = get_varint(&l->at);
		*doc = l->doc;
		if (l->ix->length[l->doc])
			return true;
	}
	return false;
}

float lexical_idf(const struct lexical *ix, uint32_t df)
{
	return idf_of(ix, df);
}

bool lexical_has(const struct lexical *ix, uint32_t doc)
{
	return doc < ix->docs_cap && ix->length[doc];
}

uint64_t lexical_docs(const struct lexical *ix)
{
	return ix->docs;
}

double lexical_mean_terms(const struct lexical *ix)
{
	return ix->docs ? (double)ix->length_sum / (double)ix->docs : 0;
}

uint32_t lexical_docs_end(const struct lexical *ix)
{
	uint32_t n = ix->docs_cap;
	while (n && !ix->length[n - 1])
		n--;
	return n;
}
