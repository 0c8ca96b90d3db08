/* SPDX-License-Identifier: MIT */
/* groups.h - sets of supplementary group ids, each kept once, so that an actor is a plain value that
 * can be copied and kept. L0; one thread. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#define GROUPS_SETS_MAX 4096 /* distinct sets that are kept */

struct groups; /* never freed: there are few distinct sets on a machine */

/* The one set with these members; order and repetition do not matter. NULL for the empty set, and
 * when GROUPS_SETS_MAX sets are kept or memory is short: then no supplementary group counts. */
const struct groups *groups_intern(const gid_t *gids, size_t n);
/* NULL is the empty set. */
bool groups_has(const struct groups *g, gid_t gid);
/* The supplementary groups of the peer of a connected Unix socket (SO_PEERGROUPS). */
const struct groups *groups_of_peer(int fd);
