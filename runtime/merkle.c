/* SPDX-License-Identifier: MIT */
/* merkle.c - the Merkle tree of RFC 6962. L2; any thread. */
#include "runtime/merkle.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"

/* ---- hashes ---- */

static EVP_MD *sha256;

static void fetch(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!sha256)
		abort(); /* a trail without its hash is none */
}

/* One for each thread, kept: making one takes longer than hashing a record. */
static pthread_key_t contexts;

static void context_free(void *ctx)
{
	EVP_MD_CTX_free(ctx);
}

static void once(void)
{
	fetch();
	if (pthread_key_create(&contexts, context_free) != 0)
		abort();
}

static EVP_MD_CTX *context(void)
{
	static pthread_once_t done = PTHREAD_ONCE_INIT;
	pthread_once(&done, once);
	EVP_MD_CTX *ctx = pthread_getspecific(contexts);
	if (ctx)
		return ctx;
	ctx = EVP_MD_CTX_new();
	if (!ctx || pthread_setspecific(contexts, ctx) != 0)
		abort();
	return ctx;
}

static void hash(unsigned char first, const void *a, size_t a_len, const void *b, size_t b_len,
		 unsigned char out[MERKLE_HASH])
{
	EVP_MD_CTX *ctx = context();
	if (EVP_DigestInit_ex2(ctx, sha256, NULL) != 1 || EVP_DigestUpdate(ctx, &first, 1) != 1 ||
	    EVP_DigestUpdate(ctx, a, a_len) != 1 || (b_len && EVP_DigestUpdate(ctx, b, b_len) != 1) ||
	    EVP_DigestFinal_ex(ctx, out, NULL) != 1)
		abort();
}

void merkle_leaf(const void *data, size_t len, unsigned char out[MERKLE_HASH])
{
	hash(0, data, len, NULL, 0, out);
}

void merkle_node(const unsigned char left[MERKLE_HASH], const unsigned char right[MERKLE_HASH],
		 unsigned char out[MERKLE_HASH])
{
	hash(1, left, MERKLE_HASH, right, MERKLE_HASH, out);
}

/* ---- growing ---- */

void merkle_add(struct merkle *m, const unsigned char leaf[MERKLE_HASH], struct buf *stored)
{
	unsigned char h[MERKLE_HASH];
	unsigned level = 0;
	memcpy(h, leaf, sizeof h);
	if (stored)
		buf_add(stored, h, sizeof h);
	for (; m->size >> level & 1; level++) {
		merkle_node(m->peak[level], h, h);
		if (stored)
			buf_add(stored, h, sizeof h);
	}
	memcpy(m->peak[level], h, sizeof h);
	m->size++;
}

void merkle_root(const struct merkle *m, unsigned char out[MERKLE_HASH])
{
	bool first = true;
	if (m->size == 0) { /* of no bytes at all */
		EVP_MD_CTX *ctx = context();
		if (EVP_DigestInit_ex2(ctx, sha256, NULL) != 1 || EVP_DigestFinal_ex(ctx, out, NULL) != 1)
			abort();
		return;
	}
	for (unsigned l = 0; l <= MERKLE_DEPTH; l++) {
		if (!(m->size >> l & 1))
			continue;
		if (first)
			memcpy(out, m->peak[l], MERKLE_HASH);
		else
			merkle_node(m->peak[l], out, out);
		first = false;
	}
}

/* ---- the store ---- */

uint64_t merkle_stored(unsigned level, uint64_t n)
{
	uint64_t at = 0;
	for (unsigned l = level; l > 0; l--)
		n = 2 * n + 1; /* the last leaf below it: it stands `level` behind that */
	for (; n > 0; n >>= 1)
		at += n;
	/* n leaves before have completed n + n/2 + n/4 + ... hashes */
	return at + level;
}

uint64_t merkle_stored_count(uint64_t size)
{
	uint64_t n = 0;
	for (; size > 0; size >>= 1)
		n += size;
	return n;
}

int merkle_load(struct merkle *ret, uint64_t size, merkle_read *read, void *arg)
{
	*ret = (struct merkle){.size = size};
	for (unsigned l = 0; l <= MERKLE_DEPTH; l++) {
		if (!(size >> l & 1))
			continue;
		int r = read(arg, merkle_stored(l, (size >> l) - 1), ret->peak[l]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- proofs ---- */

struct proving {
	merkle_read *read;
	void *arg;
	struct merkle_proof *p;
};

/* Largest power of two below n, n > 1. */
static uint64_t split(uint64_t n)
{
	return 1ull << (63 - __builtin_clzll(n - 1));
}

/* Add the head of the leaves [from, to); from is a multiple of every complete subtree in it. */
static int add_range(const struct proving *g, uint64_t from, uint64_t to)
{
	struct merkle part = {.size = to - from};
	uint64_t at = from;
	if (g->p->n == MERKLE_PROOF_MAX)
		return -EINVAL;
	for (int l = MERKLE_DEPTH; l >= 0; l--) {
		if (!(part.size >> l & 1))
			continue;
		int r = g->read(g->arg, merkle_stored((unsigned)l, at >> l), part.peak[l]);
		if (r < 0)
			return r;
		at += 1ull << l;
	}
	merkle_root(&part, g->p->hash[g->p->n++]);
	return 0;
}

static int leaf_path(const struct proving *g, uint64_t m, uint64_t from, uint64_t to)
{
	if (to - from == 1)
		return 0;
	uint64_t k = split(to - from);
	int r = m < k ? leaf_path(g, m, from, from + k) : leaf_path(g, m - k, from + k, to);
	if (r < 0)
		return r;
	return m < k ? add_range(g, from + k, to) : add_range(g, from, from + k);
}

static int growth_path(const struct proving *g, uint64_t m, uint64_t from, uint64_t to, bool whole)
{
	if (m == to - from)
		return whole ? 0 : add_range(g, from, to);
	uint64_t k = split(to - from);
	int r = m <= k ? growth_path(g, m, from, from + k, whole) : growth_path(g, m - k, from + k, to, false);
	if (r < 0)
		return r;
	return m <= k ? add_range(g, from + k, to) : add_range(g, from, from + k);
}

int merkle_prove_leaf(struct merkle_proof *ret, uint64_t index, uint64_t size, merkle_read *read, void *arg)
{
	struct proving g = {read, arg, ret};
	ret->n = 0;
	return index < size ? leaf_path(&g, index, 0, size) : -EINVAL;
}

int merkle_prove_growth(struct merkle_proof *ret, uint64_t old, uint64_t size, merkle_read *read, void *arg)
{
	struct proving g = {read, arg, ret};
	ret->n = 0;
	return old > 0 && old <= size ? growth_path(&g, old, 0, size, true) : -EINVAL;
}

/* ---- checks ---- */

static bool same(const unsigned char a[MERKLE_HASH], const unsigned char b[MERKLE_HASH])
{
	return memcmp(a, b, MERKLE_HASH) == 0;
}

bool merkle_leaf_ok(const struct merkle_proof *p, const unsigned char leaf[MERKLE_HASH], uint64_t index, uint64_t size,
		    const unsigned char root[MERKLE_HASH])
{
	unsigned char h[MERKLE_HASH];
	uint64_t at = index, last = size - 1;
	memcpy(h, leaf, sizeof h);
	if (index >= size)
		return false;
	for (unsigned i = 0; i < p->n; i++) {
		if (last == 0)
			return false;
		if (at & 1 || at == last) {
			merkle_node(p->hash[i], h, h);
			for (; !(at & 1) && at; at >>= 1)
				last >>= 1;
		} else {
			merkle_node(h, p->hash[i], h);
		}
		at >>= 1;
		last >>= 1;
	}
	return last == 0 && same(h, root);
}

bool merkle_growth_ok(const struct merkle_proof *p, uint64_t old, const unsigned char old_root[MERKLE_HASH], uint64_t size,
		      const unsigned char root[MERKLE_HASH])
{
	unsigned char a[MERKLE_HASH], b[MERKLE_HASH];
	bool whole = (old & (old - 1)) == 0; /* then the old head is where the proof begins */
	uint64_t at = old - 1, last = size - 1;
	if (old == 0 || old > size)
		return false;
	if (old == size)
		return p->n == 0 && same(old_root, root);
	if (!whole && p->n == 0)
		return false;
	for (; at & 1; at >>= 1)
		last >>= 1;
	memcpy(a, whole ? old_root : p->hash[0], sizeof a);
	memcpy(b, a, sizeof b);
	for (unsigned i = !whole; i < p->n; i++) {
		if (last == 0)
			return false;
		if (at & 1 || at == last) {
			merkle_node(p->hash[i], a, a);
			merkle_node(p->hash[i], b, b);
			for (; !(at & 1) && at; at >>= 1)
				last >>= 1;
		} else {
			merkle_node(b, p->hash[i], b);
		}
		at >>= 1;
		last >>= 1;
	}
	return last == 0 && same(a, old_root) && same(b, root);
}
