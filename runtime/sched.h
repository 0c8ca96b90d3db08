/* SPDX-License-Identifier: MIT */
/* sched.h - whose turn is it: start-time fair queueing with virtual deadlines over agents. L2.
 *
 * Each entity has a virtual time that grows by service / weight. The waiting entity with the
 * earliest deadline (virtual time + expected service / weight) goes first. An entity that slept
 * starts at the queue's virtual time, so sleeping earns no credit; one that got more than it was
 * expected to use pays for it when it comes back. Nobody starves: the deadline of a waiting
 * entity is fixed, those of the others move on with every turn. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sched_entity { /* embed; zeroed is "not waiting, weight unset" */
	uint64_t vtime, deadline; /* service in microseconds * SCHED_SCALE / weight */
	uint64_t order;		  /* ties: first come first */
	size_t place;		  /* in the heap + 1 */
	unsigned weight;
	uint32_t expect_us; /* moving average of one turn */
};

struct sched {
	struct sched_entity **heap;
	size_t n, cap;
	uint64_t vtime, order;
};

#define SCHED_SCALE	16u
#define SCHED_EXPECT_US 100000u /* before anything was measured */

void sched_done(struct sched *s);
void sched_add(struct sched *s, struct sched_entity *e, unsigned weight); /* idempotent */
void sched_remove(struct sched *s, struct sched_entity *e);		  /* idempotent */
struct sched_entity *sched_first(const struct sched *s);		  /* NULL: nobody waits */
/* The entity was given a turn: it is charged what it is expected to use and stays as it was. */
void sched_charge(struct sched *s, struct sched_entity *e);
/* The turn used so much: correct the charge. */
void sched_measured(struct sched *s, struct sched_entity *e, uint64_t used_us);
