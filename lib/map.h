/* SPDX-License-Identifier: MIT */
/* map.h - hash map from string to pointer; keys are borrowed from the stored objects. L0. */
#pragma once

#include <stddef.h>

struct map_slot {
	const char *key; /* borrowed; must live and stay unchanged while it is in the map */
	void *value;
	size_t hash;
};

struct map {
	struct map_slot *slots; /* power of two, or NULL */
	size_t cap, used, n;    /* used counts n and tombstones */
};

void map_done(struct map *m);
void *map_get(const struct map *m, const char *key, size_t key_len); /* NULL when absent */
/* Insert; -EEXIST when the key is there, -ENOMEM. */
int map_put(struct map *m, const char *key, void *value);
void *map_del(struct map *m, const char *key); /* the value that was there, or NULL */
