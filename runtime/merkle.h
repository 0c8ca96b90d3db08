/* SPDX-License-Identifier: MIT */
/* merkle.h - the Merkle tree of RFC 6962 (SHA-256): growing it, its head, proofs and their checks. L2; any thread, an object
 * by one at a time.
 *
 * Hashes are stored in the order in which they become known: the leaf's, then those of the subtrees that it completes.
 * So the store only grows, and merkle_stored says where a hash stands (the layout of Go's sumdb/tlog). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

#define MERKLE_HASH  32u
#define MERKLE_DEPTH 63
/* A proof has at most as many hashes, each MERKLE_HASH bytes. */
#define MERKLE_PROOF_MAX (2 * MERKLE_DEPTH)

/* RFC 6962, 2.1: of a leaf's bytes; of two subtrees. The only failure is libcrypto's and ends the process. */
void merkle_leaf(const void *data, size_t len, unsigned char out[MERKLE_HASH]);
void merkle_node(const unsigned char left[MERKLE_HASH], const unsigned char right[MERKLE_HASH],
		 unsigned char out[MERKLE_HASH]);

/* A tree that grows, without its leaves: what its head follows from. Zeroed: the empty one. */
struct merkle {
	uint64_t size;
	unsigned char peak[MERKLE_DEPTH + 1][MERKLE_HASH]; /* [l] stands when bit l of size does */
};

/* Append a leaf by its hash. The hashes that became known by it are appended to stored (may be NULL). */
void merkle_add(struct merkle *m, const unsigned char leaf[MERKLE_HASH], struct buf *stored);
void merkle_root(const struct merkle *m, unsigned char out[MERKLE_HASH]);

/* Place in the store of the hash of the subtree of 2^level leaves that is the n'th of its level; number of hashes in the
 * store of a tree of that size. */
uint64_t merkle_stored(unsigned level, uint64_t n);
uint64_t merkle_stored_count(uint64_t size);

/* Read hash number `at` of a store. 0 or -errno. */
typedef int merkle_read(void *arg, uint64_t at, unsigned char out[MERKLE_HASH]);

/* The tree of that size from its store. 0 or read's error. */
int merkle_load(struct merkle *ret, uint64_t size, merkle_read *read, void *arg);

struct merkle_proof {
	unsigned n;
	unsigned char hash[MERKLE_PROOF_MAX][MERKLE_HASH];
};
/* That leaf `index` is in the tree of `size` leaves; index < size. 0, -EINVAL, or read's error. */
int merkle_prove_leaf(struct merkle_proof *ret, uint64_t index, uint64_t size, merkle_read *read, void *arg);
/* That the tree of `size` leaves begins with that of `old` ones; 0 < old <= size. */
int merkle_prove_growth(struct merkle_proof *ret, uint64_t old, uint64_t size, merkle_read *read, void *arg);

/* RFC 9162, 2.1.3.2 and 2.1.4.2: what anybody checks who has the heads. */
bool merkle_leaf_ok(const struct merkle_proof *p, const unsigned char leaf[MERKLE_HASH], uint64_t index, uint64_t size,
		    const unsigned char root[MERKLE_HASH]);
bool merkle_growth_ok(const struct merkle_proof *p, uint64_t old, const unsigned char old_root[MERKLE_HASH], uint64_t size,
		      const unsigned char root[MERKLE_HASH]);
