/* SPDX-License-Identifier: MIT */
/* index.c - hash index with links in the objects. L3; loop thread only. */
#include "fs/index.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char *seed(void)
{
	static unsigned char key[crypto_shorthash_KEYBYTES];
	static int made;
	if (!made) {
		randombytes_buf(key, sizeof key);
		made = 1;
	}
	return key;
}

uint64_t hash_pair(uint64_t a, uint64_t b)
{
	uint64_t in[2] = {a, b}, h;
	crypto_shorthash((unsigned char *)&h, (const unsigned char *)in, sizeof in, seed());
	return h;
}

uint64_t hash_text(uint64_t a, const char *text)
{
	uint64_t h;
	crypto_shorthash((unsigned char *)&h, (const unsigned char *)text, strlen(text), seed());
	return hash_pair(a, h);
}

static int grow(struct index *x)
{
	size_t cap = x->cap ? x->cap * 2 : 16;
	struct index_link **b = calloc(cap, sizeof(struct index_link *));
	if (!b)
		return -ENOMEM;
	for (size_t i = 0; i < x->cap; i++)
		for (struct index_link *l = x->buckets[i], *next; l; l = next) {
			next = l->next;
			l->next = b[l->hash & (cap - 1)];
			b[l->hash & (cap - 1)] = l;
		}
	free(x->buckets);
	x->buckets = b;
	x->cap = cap;
	return 0;
}

int index_add(struct index *x, struct index_link *l, uint64_t hash)
{
	if (x->n >= x->cap && grow(x) < 0)
		return -ENOMEM;
	struct index_link **b = &x->buckets[hash & (x->cap - 1)];
	l->hash = hash;
	l->next = *b;
	*b = l;
	x->n++;
	return 0;
}

void index_del(struct index *x, struct index_link *l)
{
	if (!x->cap)
		return;
	struct index_link **at = &x->buckets[l->hash & (x->cap - 1)];
	while (*at && *at != l)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = l->next;
	x->n--;
}

static struct index_link *same(struct index_link *l, uint64_t hash)
{
	while (l && l->hash != hash)
		l = l->next;
	return l;
}

struct index_link *index_find(const struct index *x, uint64_t hash)
{
	return x->cap ? same(x->buckets[hash & (x->cap - 1)], hash) : NULL;
}

struct index_link *index_again(const struct index_link *l)
{
	return same(l->next, l->hash);
}

void index_done(struct index *x)
{
	free(x->buckets);
	*x = (struct index){0};
}
