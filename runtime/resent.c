/* SPDX-License-Identifier: MIT */
/* resent.c - which requests were carried out already: a request that a killed worker did not answer is
 * given to the next one and must not act a second time. L2; loop thread only. */
#include <errno.h>
#include <string.h>

#include "runtime/runtime_i.h"

#define REQS_KEPT  4096 /* far more than can be carried out and unanswered at once */
#define REQS_SAVED 512	/* as far back as the records before a mark of the store are unanswered */

struct noted {
	uint64_t req, run;
};

struct reqs { /* made with the first request */
	struct noted ring[REQS_KEPT];
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

int reqs_save(struct runtime *rt, struct err *e)
{
	struct noted last[REQS_SAVED];
	const struct reqs *q = rt->reqs;
	if (!q)
		return 0;
	for (unsigned i = 0; i < REQS_SAVED; i++)
		last[i] = q->ring[(q->next + REQS_KEPT - REQS_SAVED + i) % REQS_KEPT];
	return kv_put(rt->kv, "m/reqs", last, sizeof last, e);
}

static int load(void *arg, const void *data, size_t len)
{
	struct noted last[REQS_SAVED];
	if (len > sizeof last)
		return -EUCLEAN;
	memcpy(last, data, len);
	for (size_t i = 0; i < len / sizeof last[0]; i++)
		runtime_note_req(arg, last[i].req, (uint32_t)last[i].run);
	return 0;
}

int reqs_load(struct runtime *rt)
{
	return kv_get(rt->kv, "m/reqs", load, rt, NULL) == -EUCLEAN ? -EUCLEAN : 0;
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
