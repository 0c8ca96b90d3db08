/* SPDX-License-Identifier: MIT */
/* lexical_i.h - how the inverted index lies in memory; inside vectors/ only. L1. */
#pragma once

#include "lib/map.h"
#include "vectors/lexical.h"

struct postings { /* of one term, in order of doc */
	uint8_t *bytes;
	size_t len, cap;
	uint32_t last; /* doc of the last one */
	uint32_t n;    /* how many; those of removed texts count until they are cut out */
	char term[];
};

struct lexical {
	struct map terms;
	struct postings **all;
	size_t all_n, all_cap;
	uint16_t *length; /* of each doc in terms; 0: there is none */
	uint32_t docs_cap;
	uint64_t docs, length_sum, postings, dead; /* dead: removed texts whose postings are there */
};

static inline uint32_t get_varint(const uint8_t **at)
{
	uint32_t v = 0;
	for (unsigned shift = 0;; shift += 7) {
		uint8_t b = *(*at)++;
		v |= (uint32_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return v;
	}
}
