/* SPDX-License-Identifier: MIT */
/* quota.c - memory and cores that running agents hold: taken in one step or refused. L2. */
#include "runtime/quota.h"

#include <assert.h>
#include <stdio.h>

static bool fits(uint64_t total, uint64_t used, uint64_t need)
{
	return total == 0 || (used <= total && need <= total - used);
}

static void explain(char *why, size_t cap, const char *what, uint64_t need, uint64_t left)
{
	if (why)
		snprintf(why, cap, "%s: needs %llu, free %llu", what, (unsigned long long)need,
			 (unsigned long long)left);
}

static uint64_t left(uint64_t total, uint64_t used)
{
	return total > used ? total - used : 0;
}

static bool check(const struct quota_need *total, const struct quota_need *used,
		  const struct quota_need *need, char *why, size_t cap)
{
	if (!fits(total->memory_mb, used->memory_mb, need->memory_mb)) {
		explain(why, cap, "memory_mb", need->memory_mb,
			left(total->memory_mb, used->memory_mb));
		return false;
	}
	if (!fits(total->cpu_millis, used->cpu_millis, need->cpu_millis)) {
		explain(why, cap, "cpu_millis", need->cpu_millis,
			left(total->cpu_millis, used->cpu_millis));
		return false;
	}
	return true;
}

bool quota_take(struct quota *q, const struct quota_need *need, char *why, size_t cap)
{
	if (!check(&q->total, &q->used, need, why, cap))
		return false;
	q->used.memory_mb += need->memory_mb;
	q->used.cpu_millis += need->cpu_millis;
	return true;
}

void quota_give(struct quota *q, const struct quota_need *need)
{
	assert(q->used.memory_mb >= need->memory_mb && q->used.cpu_millis >= need->cpu_millis);
	q->used.memory_mb -= need->memory_mb;
	q->used.cpu_millis -= need->cpu_millis;
}

bool quota_possible(const struct quota *q, const struct quota_need *need, char *why, size_t cap)
{
	return check(&q->total, &(struct quota_need){0}, need, why, cap);
}
