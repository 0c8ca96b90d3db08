/* SPDX-License-Identifier: MIT */
/* diff.c - what differs between two sets of policies. L1; any thread. */
#include <string.h>

#include "lib/mem.h"
#include "policies/policy_i.h"

static void say(struct buf *out, const char *sign, const struct rule *r)
{
	buf_printf(out, "%s %s %s (%s:%u)\n", sign, policy_effect_word(r->effect), r->name, r->file, r->line);
}

static const struct rule *named(const struct policy_set *s, const char *name)
{
	return map_get(&s->names, name, strlen(name));
}

static size_t rules_diff(const struct policy_set *from, const struct policy_set *to, struct buf *out)
{
	size_t n = 0;
	for (size_t i = 0; i < from->rules_n; i++)
		if (!named(to, from->rules[i]->name)) {
			say(out, "-", from->rules[i]);
			n++;
		}
	for (size_t i = 0; i < to->rules_n; i++) {
		const struct rule *r = to->rules[i], *was = named(from, r->name);
		if (was && memcmp(was->digest, r->digest, sizeof r->digest) == 0)
			continue;
		say(out, was ? "~" : "+", r);
		n++;
	}
	return n;
}

static bool same_comm(const struct comm *a, const struct comm *b)
{
	return !a->name == !b->name && a->types == b->types && a->requires == b->requires && a->per_second == b->per_second &&
	       a->burst == b->burst;
}

static size_t comms_diff(const struct policy_set *from, const struct policy_set *to, struct buf *out)
{
	static const char *const tiers[POLICY_TIERS] = {"None", "Tier1", "Tier2", "Tier3"};
	size_t n = 0;
	for (int a = 0; a < POLICY_TIERS; a++)
		for (int b = 0; b < POLICY_TIERS; b++) {
			const struct comm *x = &from->comms[a][b], *y = &to->comms[a][b];
			if (same_comm(x, y))
				continue;
			buf_printf(out, "%s Messages %s to %s\n", !x->name ? "+" : !y->name ? "-" : "~", tiers[a], tiers[b]);
			n++;
		}
	return n;
}

int policy_diff(const struct policy_set *from, const struct policy_set *to, size_t *ret_n, struct buf *out)
{
	*ret_n = rules_diff(from, to, out);
	*ret_n += comms_diff(from, to, out);
	return out->fail;
}
