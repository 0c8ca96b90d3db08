/* SPDX-License-Identifier: MIT */
/* groups.c - sets of group ids, interned. L0; one thread. */
#include "lib/groups.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/mem.h"

#define NGROUPS_KERNEL 65536 /* the most groups that a process can have on Linux */

struct groups {
	struct groups *next; /* of the same bucket */
	size_t n;
	gid_t gids[]; /* ascending */
};

static struct groups *buckets[256];
static size_t sets;

static int ascending(const void *a, const void *b)
{
	gid_t x = *(const gid_t *)a, y = *(const gid_t *)b;
	return (x > y) - (x < y);
}

static size_t sort_unique(gid_t *g, size_t n)
{
	size_t kept = 0;
	qsort(g, n, sizeof *g, ascending);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || g[kept - 1] != g[i])
			g[kept++] = g[i];
	return kept;
}

static struct groups **bucket_of(const gid_t *g, size_t n)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < n; i++)
		h = (h ^ g[i]) * 16777619u;
	return &buckets[(h ^ h >> 16) % ARRAY_LEN(buckets)];
}

const struct groups *groups_intern(const gid_t *gids, size_t n)
{
	struct groups *made = n ? malloc(sizeof *made + n * sizeof *gids) : NULL;
	if (!made)
		return NULL;
	memcpy(made->gids, gids, n * sizeof *gids);
	made->n = sort_unique(made->gids, n);
	struct groups **bucket = bucket_of(made->gids, made->n);
	for (struct groups *g = *bucket; g; g = g->next)
		if (g->n == made->n && memcmp(g->gids, made->gids, g->n * sizeof *gids) == 0) {
			free(made);
			return g;
		}
	if (sets == GROUPS_SETS_MAX) {
		free(made);
		return NULL;
	}
	sets++;
	made->next = *bucket;
	*bucket = made;
	return made;
}

bool groups_has(const struct groups *g, gid_t gid)
{
	return g && bsearch(&gid, g->gids, g->n, sizeof gid, ascending);
}

const struct groups *groups_of_peer(int fd)
{
	gid_t few[32];
	socklen_t len = sizeof few;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, few, &len) == 0)
		return groups_intern(few, len / sizeof *few);
	if (errno != ERANGE || len > NGROUPS_KERNEL * sizeof *few)
		return NULL;
	autofree gid_t *many = malloc(len);
	if (!many || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, many, &len) < 0)
		return NULL;
	return groups_intern(many, len / sizeof *many);
}
