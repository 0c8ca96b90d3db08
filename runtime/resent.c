/* SPDX-License-Identifier: MIT */
/* resent.c - which requests were carried out already: a request that a killed worker did not answer is
 * given to the next one and must not act a second time. L2; loop thread only. */
#include "runtime/runtime_i.h"

#define REQS_KEPT 4096 /* far more than can be unanswered at once: FUSE holds back after 64 */

struct reqs { /* made with the first request */
	struct {
		uint64_t req;
		uint32_t run;
	} ring[REQS_KEPT];
	unsigned next;
};

void runtime_note_req(struct runtime *rt, uint64_t req, uint32_t run)
{
	struct reqs *q = rt->reqs;
	if (!req)
		return;
	if (!q && !(q = rt->reqs = calloc(1, sizeof *q)))
		abort(); /* a request that acts twice is worse than a worker that starts again */
	q->ring[q->next].req = req;
	q->ring[q->next].run = run;
	q->next = (q->next + 1) % REQS_KEPT;
}

/* Newest first: the first record of a request may be followed by others that queue nothing. */
static unsigned find(const struct reqs *q, uint64_t req, bool with_run)
{
	for (unsigned i = 0; q && req && i < REQS_KEPT; i++) {
		unsigned at = (q->next + REQS_KEPT - 1 - i) % REQS_KEPT;
		if (q->ring[at].req == req && (!with_run || q->ring[at].run))
			return at;
	}
	return REQS_KEPT;
}

bool runtime_was_done(struct runtime *rt, const struct actor *who, struct err *e)
{
	(void)e;
	return find(rt->reqs, who->req, false) < REQS_KEPT;
}

uint32_t runtime_run_of_req(struct runtime *rt, const struct actor *who)
{
	unsigned at = find(rt->reqs, who->req, true);
	return at < REQS_KEPT ? rt->reqs->ring[at].run : 0;
}
