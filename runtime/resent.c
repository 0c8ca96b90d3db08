/* SPDX-License-Identifier: MIT */
/* resent.c - which requests were carried out already: a request that a killed worker did not answer is
 * given to the next one and must not act a second time. L2; loop thread only. */
#include "runtime/runtime.h"

#define REQS_KEPT 4096 /* far more than can be unanswered at once: FUSE holds back after 64 */

/* One runtime in a process; the ids of its mount are not those of any other mount. */
static struct {
	uint64_t req;
	uint32_t run;
} ring[REQS_KEPT];
static unsigned next;

void runtime_note_req(struct runtime *rt, uint64_t req, uint32_t run)
{
	(void)rt;
	if (!req)
		return;
	ring[next].req = req;
	ring[next].run = run;
	next = (next + 1) % REQS_KEPT;
}

/* Newest first: the first record of a request may be followed by others that queue nothing. */
static unsigned find(uint64_t req, bool with_run)
{
	for (unsigned i = 0; req && i < REQS_KEPT; i++) {
		unsigned at = (next + REQS_KEPT - 1 - i) % REQS_KEPT;
		if (ring[at].req == req && (!with_run || ring[at].run))
			return at;
	}
	return REQS_KEPT;
}

bool runtime_was_done(struct runtime *rt, const struct actor *who, struct err *e)
{
	(void)rt, (void)e;
	return find(who->req, false) < REQS_KEPT;
}

uint32_t runtime_run_of_req(struct runtime *rt, const struct actor *who)
{
	(void)rt;
	unsigned at = find(who->req, true);
	return at < REQS_KEPT ? ring[at].run : 0;
}
