/* SPDX-License-Identifier: MIT */
/* index.h - hash index of objects that carry their own links, so that finding one of many needs no
 * memory per look and removing needs no search. L3; loop thread only. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct index_link { /* embedded in the object */
	struct index_link *next;
	uint64_t hash;
};

struct index {
	struct index_link **buckets; /* a power of two, or NULL */
	size_t cap, n;
};

/* -ENOMEM, then nothing was added. The same hash may be there before. */
int index_add(struct index *x, struct index_link *l, uint64_t hash);
void index_del(struct index *x, struct index_link *l);
/* The first object with this hash, and the next one with the same; the caller compares keys. */
struct index_link *index_find(const struct index *x, uint64_t hash);
struct index_link *index_again(const struct index_link *l);
void index_done(struct index *x); /* frees the buckets, not the objects */

/* Of two numbers; of a text behind a number. Seeded once in a process: names come from users. */
uint64_t hash_pair(uint64_t a, uint64_t b);
uint64_t hash_text(uint64_t a, const char *text);
