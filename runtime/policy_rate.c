/* SPDX-License-Identifier: MIT */
/* policy_rate.c - token buckets of the rules of effect Limit. L2; loop thread only. */
#include "runtime/policy_rate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"

struct rate_bucket {
	struct rate_bucket *next;
	struct policy_rate rate; /* as it was when it was used last */
	double tokens;
	uint64_t at_ms; /* when it had them */
	char key[];	/* "rule\nasker" */
};

static double tokens_at(const struct rate_bucket *b, uint64_t now_ms)
{
	double n = b->tokens + (double)(now_ms - b->at_ms) * b->rate.per_ms;
	return n < b->rate.burst ? n : b->rate.burst;
}

/* A bucket that is full says nothing that a new one would not. */
static void drop_full(struct rates *r, uint64_t now_ms)
{
	for (struct rate_bucket **at = &r->first; *at;) {
		struct rate_bucket *b = *at;
		if (tokens_at(b, now_ms) < b->rate.burst) {
			at = &b->next;
			continue;
		}
		*at = b->next;
		map_del(&r->buckets, b->key);
		free(b);
		r->n--;
	}
}

static struct rate_bucket *make(struct rates *r, const char *key, const struct policy_rate *rate, uint64_t now_ms)
{
	size_t len = strlen(key) + 1;
	if (r->n >= RATES_MAX)
		drop_full(r, now_ms);
	struct rate_bucket *b = r->n < RATES_MAX ? malloc(sizeof *b + len) : NULL;
	if (!b)
		return NULL;
	*b = (struct rate_bucket){.next = r->first, .rate = *rate, .tokens = rate->burst, .at_ms = now_ms};
	memcpy(b->key, key, len);
	if (map_put(&r->buckets, b->key, b) < 0) {
		free(b);
		return NULL;
	}
	r->first = b;
	r->n++;
	return b;
}

bool rate_take(struct rates *r, const char *rule, const char *asker, const struct policy_rate *rate, uint64_t now_ms,
	       uint64_t *ret_wait_ms)
{
	char key[512];
	int len = snprintf(key, sizeof key, "%.250s\n%.250s", rule, asker);
	struct rate_bucket *b = map_get(&r->buckets, key, (size_t)len);
	*ret_wait_ms = 0;
	if (!b && !(b = make(r, key, rate, now_ms)))
		return false;
	double have = tokens_at(b, now_ms);
	b->rate = *rate; /* a rule that was changed holds from now on */
	b->tokens = have < rate->burst ? have : rate->burst;
	b->at_ms = now_ms;
	if (b->tokens >= 1) {
		b->tokens -= 1;
		return true;
	}
	*ret_wait_ms = (uint64_t)((1 - b->tokens) / rate->per_ms) + 1;
	return false;
}

void rates_clear(struct rates *r)
{
	map_done(&r->buckets);
	for (struct rate_bucket *b; (b = r->first);) {
		r->first = b->next;
		free(b);
	}
	*r = (struct rates){0};
}
