/* SPDX-License-Identifier: MIT */
/* map.c - open addressing, linear probing, keyed SipHash against crafted names. L0. */
#include "lib/map.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/sys.h"

static const char tombstone[1];

static unsigned char seed[crypto_shorthash_KEYBYTES];

static void make_seed(void)
{
	sys->random(seed, sizeof seed);
}

static size_t hash_of(const char *key, size_t len)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	uint64_t h;
	pthread_once(&once, make_seed);
	crypto_shorthash((unsigned char *)&h, (const unsigned char *)key, len, seed);
	return (size_t)h;
}

void map_done(struct map *m)
{
	free(m->slots);
	*m = (struct map){0};
}

static struct map_slot *find(const struct map *m, const char *key, size_t len, size_t hash)
{
	for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
		struct map_slot *s = &m->slots[i];
		if (!s->key)
			return NULL;
		if (s->key != tombstone && s->hash == hash && strlen(s->key) == len &&
		    memcmp(s->key, key, len) == 0)
			return s;
	}
}

void *map_get(const struct map *m, const char *key, size_t key_len)
{
	if (!m->n)
		return NULL;
	struct map_slot *s = find(m, key, key_len, hash_of(key, key_len));
	return s ? s->value : NULL;
}

static void place(struct map_slot *slots, size_t cap, struct map_slot s)
{
	size_t i = s.hash & (cap - 1);
	while (slots[i].key)
		i = (i + 1) & (cap - 1);
	slots[i] = s;
}

static int grow(struct map *m)
{
	size_t cap = 16;
	while (cap < (m->n + 1) * 2)
		cap *= 2;
	struct map_slot *slots = calloc(cap, sizeof *slots);
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].key && m->slots[i].key != tombstone)
			place(slots, cap, m->slots[i]);
	free(m->slots);
	m->slots = slots;
	m->cap = cap;
	m->used = m->n;
	return 0;
}

int map_put(struct map *m, const char *key, void *value)
{
	size_t len = strlen(key), hash = hash_of(key, len);
	if (m->n && find(m, key, len, hash))
		return -EEXIST;
	if ((m->used + 1) * 4 > m->cap * 3) {
		int r = grow(m);
		if (r < 0)
			return r;
	}
	place(m->slots, m->cap, (struct map_slot){key, value, hash});
	m->n++;
	m->used++;
	return 0;
}

void *map_del(struct map *m, const char *key)
{
	if (!m->n)
		return NULL;
	size_t len = strlen(key);
	struct map_slot *s = find(m, key, len, hash_of(key, len));
	if (!s)
		return NULL;
	void *value = s->value;
	s->key = tombstone; /* placed over only by grow(), so probes stay unbroken */
	s->value = NULL;
	m->n--;
	return value;
}
