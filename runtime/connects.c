/* SPDX-License-Identifier: MIT */
/* connects.c - the network of a run: what its spec and its profile leave of it, and each connection that it wants: asked of
 * the policies, and recorded. L2; loop thread only. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/net_host.h"
#include "runtime/profiles.h"
#include "runtime/runtime_i.h"

int run_network(struct runtime *rt, const struct agent_spec *s, enum sandbox_network *ret, struct buf *list, struct err *e)
{
	struct sandbox_profile p;
	const char *own = s->destinations ? s->destinations : "";
	*ret = NETWORK_NONE;
	if (s->tier == TIER_NONE)
		return 0;
	int r = profile_get(rt, s->profile ? s->profile : SANDBOX_PROFILE_DEFAULT, &p, e);
	if (r < 0)
		return r;
	if (!s->network_given)
		r = sandbox_network_join(p.network, p.destinations, NETWORK_FULL, "", ret, list);
	else if (!s->profile)
		r = sandbox_network_join(s->network, own, NETWORK_FULL, "", ret, list);
	else
		r = sandbox_network_join(p.network, p.destinations, s->network, own, ret, list);
	return r < 0 ? err_set(e, ERR_SYS_MEMORY, "no memory for destinations") : 0;
}

/* As policies know an address: IPv6 in brackets. */
static void policy_address(const char *address, char out[static 48])
{
	bool v6 = strchr(address, ':');
	snprintf(out, 48, "%s%.45s%s", v6 ? "[" : "", address, v6 ? "]" : "");
}

static void target_of(const struct sandbox_connect *c, char out[static NET_TARGET_TEXT])
{
	struct net_host h = {0};
	snprintf(h.name, sizeof h.name, "%s", c->host);
	net_target_text(&h, c->port, out);
}

static void decide(struct runtime *rt, struct run *r, const struct sandbox_connect *c)
{
	char target[NET_TARGET_TEXT], texts[SANDBOX_ADDRESSES][48], why[SANDBOX_WHY];
	const char *addresses[SANDBOX_ADDRESSES], *rule = NULL;
	struct err e = {0};
	target_of(c, target);
	for (unsigned i = 0; i < c->addresses_n; i++) {
		policy_address(c->addresses[i], texts[i]);
		addresses[i] = texts[i];
	}
	const struct agent_spec *s = agent_spec_get(r->agent, &e);
	int n = s ? policies_may_connect(rt, r->agent, s, target, addresses, c->addresses_n, c->rule[0], &rule, &e) : -EINVAL;
	snprintf(why, sizeof why, "%.159s", e.msg);
	sandbox_answer(rt->spawn, run_id(r), c->number, n == 0, c->rule[0] && n == 0 ? NULL : rule, why, NULL);
}

void run_connect(struct runtime *rt, struct run *r, const struct sandbox_connect *c)
{
	char target[NET_TARGET_TEXT];
	if (c->number) {
		decide(rt, r, c);
		return;
	}
	target_of(c, target);
	struct facts f = {.type = REC_CONNECT,
			  .object = r->agent->name,
			  .serial = r->serial,
			  .run = r->number,
			  .resource = target,
			  .effect = c->allowed ? "Allow" : "Deny",
			  .rule = c->rule[0] ? c->rule : NULL,
			  .address = c->addresses_n == 1 ? c->addresses[0] : NULL,
			  .message = c->why[0] ? c->why : NULL,
			  .missed = c->missed};
	record(rt, &actor_self, &f, done_nobody, NULL);
}
