/* SPDX-License-Identifier: MIT */
/* quota.h - memory and cores that running agents hold: taken in one step or refused. L2. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct quota_need {
	uint64_t memory_mb;
	uint64_t cpu_millis;
};

struct quota { /* a total of 0 is no limit */
	struct quota_need total, used;
};

/* Both or nothing. On a refusal why (may be NULL) says which resource, how much and what is free. */
bool quota_take(struct quota *q, const struct quota_need *need, char *why, size_t cap);
void quota_give(struct quota *q, const struct quota_need *need);
bool quota_possible(const struct quota *q, const struct quota_need *need, char *why, size_t cap);
