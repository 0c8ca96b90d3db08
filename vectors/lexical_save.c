/* SPDX-License-Identifier: MIT */
/* lexical_save.c - an inverted index as bytes, and back. L1; see lexical.h for threads. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vectors/lexical_i.h"

struct head {
	uint32_t docs_end, terms;
	uint64_t docs, length_sum, postings, dead;
};

struct list_head { /* the term and the bytes follow */
	uint32_t term_len, n, last, len;
};

int lexical_save(const struct lexical *ix, int (*put)(void *arg, const void *data, size_t len), void *arg)
{
	struct head h = {lexical_docs_end(ix), (uint32_t)ix->all_n, ix->docs, ix->length_sum, ix->postings, ix->dead};
	int r = put(arg, &h, sizeof h);
	if (r == 0)
		r = put(arg, ix->length, h.docs_end * sizeof *ix->length);
	for (size_t i = 0; r == 0 && i < ix->all_n; i++) {
		const struct postings *p = ix->all[i];
		struct list_head l = {(uint32_t)strlen(p->term), p->n, p->last, (uint32_t)p->len};
		r = put(arg, &l, sizeof l);
		if (r == 0)
			r = put(arg, p->term, l.term_len);
		if (r == 0)
			r = put(arg, p->bytes, p->len);
	}
	return r;
}

/* Every gap and count ends within the list, every text has a number below docs_end, and there are as many as it says. */
static bool list_is_right(const struct postings *p, uint32_t docs_end)
{
	uint64_t doc = 0;
	uint32_t n = 0;
	for (size_t i = 0; i < p->len; n++) {
		uint64_t v[2];
		for (int j = 0; j < 2; j++) {
			unsigned shift = 0;
			v[j] = 0;
			do {
				if (i == p->len || shift > 28)
					return false;
				v[j] |= (uint64_t)(p->bytes[i] & 0x7f) << shift;
				shift += 7;
			} while (p->bytes[i++] & 0x80);
		}
		doc += v[0];
		if (doc >= docs_end || (n && !v[0]) || !v[1] || v[1] > UINT32_MAX)
			return false;
	}
	return n == p->n && (!n || doc == p->last);
}

static int load_list(struct lexical *ix, uint32_t docs_end, int (*get)(void *arg, void *data, size_t len), void *arg)
{
	struct list_head l;
	int r = get(arg, &l, sizeof l);
	if (r < 0)
		return r;
	if (!l.term_len || l.term_len > 2 * TOKEN_MAX)
		return -EUCLEAN;
	struct postings *p = calloc(1, sizeof *p + l.term_len + 1);
	if (!p)
		return -ENOMEM;
	p->n = l.n;
	p->last = l.last;
	p->len = p->cap = l.len;
	r = get(arg, p->term, l.term_len);
	if (r == 0 && l.len)
		r = (p->bytes = malloc(l.len)) ? get(arg, p->bytes, l.len) : -ENOMEM;
	if (r == 0 && (strlen(p->term) != l.term_len || !list_is_right(p, docs_end)))
		r = -EUCLEAN;
	if (r == 0)
		r = map_put(&ix->terms, p->term, p);
	if (r < 0) {
		free(p->bytes);
		free(p);
		return r == -EEXIST ? -EUCLEAN : r;
	}
	ix->all[ix->all_n++] = p;
	return 0;
}

static int load_all(struct lexical *ix, uint64_t most, int (*get)(void *arg, void *data, size_t len), void *arg)
{
	struct head h;
	int r = get(arg, &h, sizeof h);
	if (r < 0)
		return r;
	if (h.docs_end > most / sizeof *ix->length || h.terms > most / sizeof(struct list_head) || h.docs > h.docs_end || h.dead > h.docs_end)
		return -EUCLEAN;
	ix->docs_cap = h.docs_end;
	ix->length = malloc((h.docs_end + 1ul) * sizeof *ix->length);
	ix->all_cap = h.terms + 1ul;
	ix->all = malloc(ix->all_cap * sizeof(struct postings *));
	if (!ix->length || !ix->all)
		return -ENOMEM;
	r = get(arg, ix->length, h.docs_end * sizeof *ix->length);
	for (uint32_t i = 0; r == 0 && i < h.docs_end; i++) {
		ix->docs += ix->length[i] != 0;
		ix->length_sum += ix->length[i];
	}
	if (r == 0 && (ix->docs != h.docs || ix->length_sum != h.length_sum))
		return -EUCLEAN;
	for (uint32_t i = 0; r == 0 && i < h.terms; i++) {
		r = load_list(ix, h.docs_end, get, arg);
		ix->postings += r == 0 ? ix->all[i]->n : 0;
	}
	ix->dead = h.dead;
	return r == 0 && ix->postings != h.postings ? -EUCLEAN : r;
}

int lexical_load(struct lexical **ret, uint64_t most, int (*get)(void *arg, void *data, size_t len), void *arg)
{
	struct lexical *ix = calloc(1, sizeof *ix);
	if (!ix)
		return -ENOMEM;
	int r = load_all(ix, most, get, arg);
	if (r < 0)
		lexical_free(ix);
	else
		*ret = ix;
	return r;
}
