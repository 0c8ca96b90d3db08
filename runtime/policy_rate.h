/* SPDX-License-Identifier: MIT */
/* policy_rate.h - token buckets of the rules of effect Limit, one for each rule and who asks. In memory: a start fills them. L2;
 * loop thread only. */
#pragma once

#include "lib/map.h"
#include "policies/policy.h"

#define RATES_MAX 10000 /* buckets that are not full */

struct rates { /* zeroed is empty */
	struct map buckets;
	struct rate_bucket *first; /* in order of their making */
	size_t n;
};

/* Take one from the bucket of that rule and asker; now in milliseconds of a clock that only grows. false: it is empty, and
 * *ret_wait_ms is how long until it is not; or there are too many askers, then it is 0. */
bool rate_take(struct rates *r, const char *rule, const char *asker, const struct policy_rate *rate, uint64_t now_ms,
	       uint64_t *ret_wait_ms);
void rates_clear(struct rates *r);
