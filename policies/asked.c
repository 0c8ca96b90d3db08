/* SPDX-License-Identifier: MIT */
/* asked.c - a request in words, as people and programs write it, becomes one that can be decided. L1; any thread. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "policies/policy.h"

int policy_asked_make(struct policy_asked *a, const struct policy_words *w, struct err *e)
{
	*a = (struct policy_asked){.q = {.resource = a->resource, .agent = w->agent, .tier = w->tier,
					 .security_level = w->level ? w->level : "standard", .time_s = time(NULL)}};
	if (policy_type_find(w->type ? w->type : "File", &a->q.type) < 0)
		return err_set(e, ERR_POLICY_REQUEST, "'%.60s' is no resource type", w->type);
	if (!w->op || policy_op_find(w->op, &a->q.op) < 0)
		return err_set(e, ERR_POLICY_REQUEST, "'%.60s' is no operation; one of Read Write Execute Delete Create "
			       "Modify List Connect", w->op ? w->op : "");
	if (!w->resource)
		return err_set(e, ERR_POLICY_REQUEST, "no resource is named");
	int r = a->q.type == POLICY_FILE      ? policy_path_normal(w->resource, a->resource, e)
		: a->q.type == POLICY_NETWORK ? policy_host_normal(w->resource, a->resource, e)
		: snprintf(a->resource, sizeof a->resource, "%s", w->resource) < POLICY_RESOURCE_MAX
			? 0
			: err_set(e, ERR_POLICY_REQUEST, "the resource's name is too long");
	if (r == 0 && w->address && (r = policy_host_normal(w->address, a->address, e)) == 0) {
		a->addresses[0] = a->address;
		a->q.addresses = a->addresses;
		a->q.addresses_n = 1;
	}
	return r;
}

const char **policy_words_at(struct policy_words *w, const char *key)
{
	const struct {
		const char *key, **at;
	} known[] = {{"type", &w->type},   {"operation", &w->op}, {"resource", &w->resource}, {"agent", &w->agent},
		     {"tier", &w->tier}, {"level", &w->level},	  {"address", &w->address}};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(known[i].key, key) == 0)
			return known[i].at;
	return NULL;
}
