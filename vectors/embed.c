/* SPDX-License-Identifier: MIT */
/* embed.c - from terms to vectors. L1; any thread. */
#include "vectors/embed.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/crc32c.h"
#include "lib/mem.h"
#include "vectors/embed_i.h"
#include "vectors/kernel.h"

#define HASH_SHARE 0.1f /* of the square of the length, where there are topics */
#define WORD_WEIGHT 1.0f
#define GRAM_WEIGHT 0.8f /* of all n-grams of a term together */
#define GRAM_LEAST  3
#define GRAM_MOST   5

/* ---- the model ---- */

int embed_alloc(struct embed *m)
{
	m->slots = 64;
	while (m->slots < 2 * m->terms)
		m->slots *= 2;
	size_t n = m->terms + 1;
	m->slot = calloc(m->slots, sizeof *m->slot);
	m->key = calloc(n, sizeof *m->key);
	m->idf = calloc(n, sizeof *m->idf);
	m->scale = m->has_topics ? calloc(n, sizeof *m->scale) : NULL;
	m->row = m->has_topics ? calloc(n, EMBED_TOPICS) : NULL;
	return m->slot && m->key && m->idf && (!m->has_topics || (m->scale && m->row)) ? 0 : -ENOMEM;
}

void embed_free(struct embed *m)
{
	if (!m)
		return;
	free(m->slot);
	free(m->key);
	free(m->idf);
	free(m->scale);
	free(m->row);
	free(m);
}

void embed_index(struct embed *m)
{
	memset(m->slot, 0, m->slots * sizeof *m->slot);
	for (uint32_t i = 0; i < m->terms; i++) {
		uint32_t at = (uint32_t)m->key[i] & (m->slots - 1);
		while (m->slot[at])
			at = (at + 1) & (m->slots - 1);
		m->slot[at] = i + 1;
	}
}

static uint32_t find(const struct embed *m, uint64_t key) /* 1 + its number; 0: none */
{
	uint32_t at = (uint32_t)key & (m->slots - 1);
	while (m->slot[at] && m->key[m->slot[at] - 1] != key)
		at = (at + 1) & (m->slots - 1);
	return m->slot[at];
}

uint32_t embed_version_of(const struct embed *m)
{
	const uint32_t head[] = {m->texts, m->terms, m->has_topics};
	uint32_t crc = crc32c(head, sizeof head);
	crc ^= crc32c(m->key, m->terms * sizeof *m->key);
	crc = crc * 31 + crc32c(m->idf, m->terms * sizeof *m->idf);
	if (m->has_topics) {
		crc = crc * 31 + crc32c(m->scale, m->terms * sizeof *m->scale);
		crc = crc * 31 + crc32c(m->row, (size_t)m->terms * EMBED_TOPICS);
	}
	return crc;
}

struct embed_info embed_info(const struct embed *m)
{
	size_t each = sizeof *m->key + sizeof *m->idf + (m->has_topics ? sizeof *m->scale + EMBED_TOPICS : 0);
	return (struct embed_info){.version = m->version,
				   .texts = m->texts,
				   .terms = m->terms,
				   .has_topics = m->has_topics,
				   .bytes = sizeof *m + m->slots * sizeof *m->slot + m->terms * each};
}

/* ---- terms ---- */

uint64_t embed_hash(const char *term, size_t len)
{
	uint64_t h = 0xcbf29ce484222325;
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)term[i]) * 0x100000001b3;
	return embed_mix(h);
}

static void put_hash(float *to, size_t dim, uint64_t h, float weight)
{
	to[(h >> 1) % dim] += h & 1 ? weight : -weight;
}

/* Where a term lies among the hashes: itself, at two places, and its n-grams with its ends marked. */
static void hash_term(const char *term, size_t len, uint64_t h, float *to, size_t dim)
{
	char marked[2 * TOKEN_MAX + 4];
	size_t n = len < sizeof marked - 2 ? len : sizeof marked - 2, grams = 0;
	memset(to, 0, dim * sizeof *to);
	marked[0] = '^';
	memcpy(marked + 1, term, n);
	marked[n + 1] = '$';
	for (size_t g = GRAM_LEAST; g <= GRAM_MOST && g <= n + 2; g++)
		grams += n + 3 - g;
	float weight = grams ? GRAM_WEIGHT / sqrtf((float)grams) : 0;
	for (size_t g = GRAM_LEAST; g <= GRAM_MOST && g <= n + 2; g++)
		for (size_t i = 0; i + g <= n + 2; i++)
			put_hash(to, dim, embed_mix(embed_hash(marked + i, g) + g), weight);
	put_hash(to, dim, embed_mix(h + 1), WORD_WEIGHT * (float)M_SQRT1_2);
	put_hash(to, dim, embed_mix(h + 2), WORD_WEIGHT * (float)M_SQRT1_2);
}

static size_t hash_dim(const struct embed *m)
{
	return m->has_topics ? EMBED_DIM - EMBED_TOPICS : EMBED_DIM;
}

float embed_term(const struct embed *m, const char *term, size_t len, struct embed_parts *ret)
{
	uint64_t h = embed_hash(term, len);
	uint32_t number = find(m, h);
	hash_term(term, len, h, ret->hashes, hash_dim(m));
	if (m->has_topics && !number)
		memset(ret->topics, 0, sizeof ret->topics);
	else if (m->has_topics)
		for (size_t i = 0; i < EMBED_TOPICS; i++)
			ret->topics[i] = m->scale[number - 1] * (float)m->row[(size_t)(number - 1) * EMBED_TOPICS + i];
	return number ? m->idf[number - 1] : m->idf_new;
}

float embed_tf(uint32_t count)
{
	return 1 + logf((float)count);
}

void embed_add(struct embed_parts *to, float weight, const struct embed_parts *term, bool has_topics)
{
	const struct vec_kernel *k = vec_kernel_best();
	if (has_topics)
		k->axpy_f32(to->topics, weight, term->topics, EMBED_TOPICS);
	k->axpy_f32(to->hashes, weight, term->hashes, has_topics ? EMBED_DIM - EMBED_TOPICS : EMBED_DIM);
}

/* x scaled to the length `to`; false: it has none. */
static bool scale_to(float *x, size_t n, float to)
{
	double sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += (double)x[i] * (double)x[i];
	float by = sum > 1e-20 ? to / (float)sqrt(sum) : 0;
	for (size_t i = 0; i < n; i++)
		x[i] *= by;
	return by > 0;
}

int embed_join(const struct embed *m, const struct embed_parts *p, float ret[EMBED_DIM])
{
	if (!m->has_topics) {
		memcpy(ret, p->hashes, EMBED_DIM * sizeof *ret);
		return scale_to(ret, EMBED_DIM, 1);
	}
	memcpy(ret, p->topics, sizeof p->topics);
	memcpy(ret + EMBED_TOPICS, p->hashes, (EMBED_DIM - EMBED_TOPICS) * sizeof *ret);
	bool topics = scale_to(ret, EMBED_TOPICS, sqrtf(1 - HASH_SHARE));
	bool hashes = scale_to(ret + EMBED_TOPICS, EMBED_DIM - EMBED_TOPICS, sqrtf(HASH_SHARE));
	return topics && hashes ? 1 : scale_to(ret, EMBED_DIM, 1);
}

/* ---- texts ---- */

struct met { /* a term of the text */
	uint64_t key;
	uint32_t at, len; /* in words */
};

struct meeting {
	struct met *met;
	size_t n, cap;
	struct buf words;
};

static int meet(void *arg, const char *term, size_t len)
{
	struct meeting *w = arg;
	if (w->n == w->cap) {
		size_t cap = w->cap ? 2 * w->cap : 256;
		struct met *more = realloc(w->met, cap * sizeof *more);
		if (!more)
			return -ENOMEM;
		w->met = more;
		w->cap = cap;
	}
	w->met[w->n++] = (struct met){embed_hash(term, len), (uint32_t)w->words.len, (uint32_t)len};
	return buf_add(&w->words, term, len);
}

static int by_key(const void *a, const void *b) /* sums of floats depend on the order */
{
	const struct met *x = a, *y = b;
	return x->key < y->key ? -1 : x->key > y->key;
}

int embed_text(const struct embed *m, const char *text, size_t len, struct tokens *t, float ret[EMBED_DIM], struct err *e)
{
	struct meeting w = {0};
	struct embed_parts sum = {0}, term;
	buf_init(&w.words, UINT32_MAX);
	memset(ret, 0, EMBED_DIM * sizeof *ret);
	int r = tokens_each(t, text, len, meet, &w);
	if (r == 0 && w.n)
		qsort(w.met, w.n, sizeof *w.met, by_key);
	for (size_t i = 0, n; r == 0 && i < w.n; i += n) {
		for (n = 1; i + n < w.n && w.met[i + n].key == w.met[i].key;)
			n++;
		float idf = embed_term(m, w.words.data + w.met[i].at, w.met[i].len, &term);
		embed_add(&sum, idf * embed_tf((uint32_t)n), &term, m->has_topics);
	}
	buf_done(&w.words);
	free(w.met);
	return r < 0 ? err_set(e, ERR_SYS_MEMORY, "no memory for the vector of a text") : embed_join(m, &sum, ret);
}

int embed_all(const struct embed *m, const struct lexical *ix, uint32_t from, uint32_t n, const _Atomic bool *stop, float *ret,
	      struct err *e)
{
	struct embed_parts term;
	autofree struct embed_parts *sums = calloc(n, sizeof *sums);
	if (!sums)
		return err_set(e, ERR_SYS_MEMORY, "no memory for %u vectors", n);
	for (size_t i = 0; i < lexical_terms(ix); i++) {
		struct lexical_list l;
		uint32_t doc, count;
		float idf = 0;
		bool known = false;
		const char *name = lexical_term(ix, i, &l);
		if (stop && atomic_load_explicit(stop, memory_order_relaxed))
			return err_sys(e, ERR_SYS_STOPPING, ECANCELED, "vectors of %u texts", n);
		while (lexical_next(&l, &doc, &count) && doc < from + n) {
			if (doc < from)
				continue;
			if (!known)
				idf = embed_term(m, name, strlen(name), &term);
			known = true;
			embed_add(&sums[doc - from], idf * embed_tf(count), &term, m->has_topics);
		}
	}
	for (uint32_t i = 0; i < n; i++)
		embed_join(m, &sums[i], ret + (size_t)i * EMBED_DIM);
	return 0;
}

float embed_relevance(const struct embed *m, float cosine)
{
	float r = (cosine - m->low) / (m->high - m->low);
	return r < 0 ? 0 : r > 1 ? 1 : r;
}
