/* SPDX-License-Identifier: MIT */
/* test_policy_random.c - random rules and requests against an evaluator that looks at every rule. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "policies/policy.h"
#include "tests/policies/naive.h"
#include "tests/policies/set_of.h"

enum { RULES = 300, REQUESTS = 20000, ROUNDS = 50 };

struct naive_rule {
	enum policy_effect effect;
	unsigned priority;
	int type; /* -1 any */
	unsigned ops;
	char patterns[2][40];
	int agent, level, tier, capability, meta; /* -1 none */
};

static const char *const agents[] = {"ann", "bob", "cat", "ann2"};
static const char *const levels[] = {"standard", "high"};
static const char *const tiers[] = {"None", "Tier1"};
static const char *const caps[] = {"net", "disk"};
static const char *const dirs[] = {"tmp", "etc", "a", "b", "home", ".x"};

static int one_of(unsigned *seed, size_t n)
{
	return (int)((unsigned)rand_r(seed) % n);
}

static void random_path(unsigned *seed, bool pattern, char out[40])
{
	unsigned n = (unsigned)one_of(seed, 4) + 1, at = 0;
	for (unsigned i = 0; i < n; i++) {
		static const char *const signs[] = {"*", "**", "?", "*m*"};
		int dice = pattern ? one_of(seed, 8) : 7;
		at += (unsigned)snprintf(out + at, 40 - at, "/%s", dice < 4 ? signs[dice] : dirs[one_of(seed, 6)]);
	}
}

static void random_rule(unsigned *seed, struct naive_rule *r)
{
	*r = (struct naive_rule){.effect = (enum policy_effect)one_of(seed, 5),
				 .priority = (unsigned)one_of(seed, 4),
				 .type = one_of(seed, 3) ? one_of(seed, 2) * POLICY_SECRET : -1,
				 .ops = 1u + (unsigned)one_of(seed, 255),
				 .agent = one_of(seed, 2) ? one_of(seed, 5) : -1,
				 .level = one_of(seed, 4) ? -1 : one_of(seed, 2),
				 .tier = one_of(seed, 4) ? -1 : one_of(seed, 2),
				 .capability = one_of(seed, 5) ? -1 : one_of(seed, 2),
				 .meta = one_of(seed, 5) ? -1 : one_of(seed, 2)};
	random_path(seed, true, r->patterns[0]);
	random_path(seed, true, r->patterns[1]);
}

static void write_rule(const struct naive_rule *r, unsigned i, struct buf *out)
{
	buf_printf(out, "- name: r%u\n  effect: %s\n  priority: %u\n  resources: ['%s', '%s']\n  operations: [", i,
		   policy_effect_word(r->effect), r->priority, r->patterns[0], r->patterns[1]);
	for (unsigned o = 0, n = 0; o < POLICY_OPS; o++)
		if (r->ops >> o & 1)
			buf_printf(out, "%s%s", n++ ? ", " : "", policy_op_word((enum policy_op)o));
	buf_adds(out, "]\n");
	if (r->effect == POLICY_LIMIT)
		buf_adds(out, "  limits: {per_minute: 1}\n");
	buf_adds(out, "  conditions:\n  - agent_tier: '*'\n");
	if (r->type >= 0)
		buf_printf(out, "  - resource_type: %s\n", policy_type_word((enum policy_type)r->type));
	if (r->agent >= 0) /* the fifth: any whose name begins with ann */
		buf_printf(out, "  - agent: %s\n", r->agent == 4 ? "ann*" : agents[r->agent]);
	if (r->level >= 0)
		buf_printf(out, "  - agent_security_level: [%s, other]\n", levels[r->level]);
	if (r->tier >= 0)
		buf_printf(out, "  - agent_tier: %s\n", tiers[r->tier]);
	if (r->capability >= 0)
		buf_printf(out, "  - capability: %s\n", caps[r->capability]);
	if (r->meta >= 0)
		buf_printf(out, "  - metadata: {team: t%d}\n", r->meta);
}

struct naive_request {
	struct policy_request q;
	char path[40];
	int agent, level, tier, meta;
	unsigned caps;
};

static bool naive_matches(const struct naive_rule *r, const struct naive_request *n)
{
	bool agent = r->agent < 0 || r->agent == n->agent || (r->agent == 4 && (n->agent == 0 || n->agent == 3));
	return (r->type < 0 || r->type == (int)n->q.type) && r->ops >> n->q.op & 1 && agent &&
	       (r->level < 0 || r->level == n->level) && (r->tier < 0 || r->tier == n->tier) &&
	       (r->capability < 0 || n->caps >> r->capability & 1) && (r->meta < 0 || r->meta == n->meta) &&
	       (naive_glob(r->patterns[0], n->path, true) || naive_glob(r->patterns[1], n->path, true));
}

static int naive_best(const struct naive_rule *rules, const struct naive_request *n, bool *audit)
{
	int best = -1;
	*audit = false;
	for (int i = 0; i < RULES; i++) {
		if (!naive_matches(&rules[i], n))
			continue;
		if (rules[i].effect == POLICY_AUDIT) {
			*audit = true;
			continue;
		}
		const struct naive_rule *b = best < 0 ? NULL : &rules[best];
		if (!b || rules[i].effect < b->effect ||
		    (rules[i].effect == b->effect && rules[i].priority > b->priority))
			best = i;
	}
	return best;
}

static void random_request(unsigned *seed, struct naive_request *n)
{
	static const char *cap_list[2];
	static struct policy_pair pair = {"team", NULL};
	n->agent = one_of(seed, 4);
	n->level = one_of(seed, 2);
	n->tier = one_of(seed, 2);
	n->meta = one_of(seed, 3) - 1;
	n->caps = (unsigned)one_of(seed, 4);
	random_path(seed, false, n->path);
	n->q = (struct policy_request){.type = one_of(seed, 2) ? POLICY_FILE : POLICY_SECRET,
				       .op = (enum policy_op)one_of(seed, POLICY_OPS),
				       .resource = n->path,
				       .agent = agents[n->agent],
				       .tier = tiers[n->tier],
				       .security_level = levels[n->level],
				       .capabilities = cap_list,
				       .metadata = &pair,
				       .metadata_n = n->meta >= 0};
	pair.value = n->meta == 0 ? "t0" : "t1";
	for (unsigned i = 0; i < 2; i++)
		if (n->caps >> i & 1)
			cap_list[n->q.capabilities_n++] = caps[i];
}

static void a_million_random_requests_agree_with_one_that_looks_at_every_rule(void **state)
{
	unsigned seed = 5, effects[POLICY_EFFECTS] = {0}, none = 0;
	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		static struct naive_rule rules[RULES];
		autobuf struct buf text;
		buf_init(&text, 1u << 20);
		buf_adds(&text, "version: '1.0'\npolicies:\n");
		unsigned used = round % 10 ? (unsigned)one_of(&seed, 30) + 1 : RULES;
		for (unsigned i = 0; i < RULES; i++) {
			random_rule(&seed, &rules[i]);
			if (i < used)
				write_rule(&rules[i], i, &text);
			else
				rules[i].ops = 0;
		}
		struct policy_set *s = set_of(text.data);
		for (unsigned i = 0; i < REQUESTS; i++) {
			struct naive_request n;
			struct policy_decision d;
			char name[16];
			bool audit;
			random_request(&seed, &n);
			int best = naive_best(rules, &n, &audit);
			snprintf(name, sizeof name, "r%d", best);
			policy_decide(s, &n.q, &d);
			if (d.audit != audit || (best < 0) != !d.rule || (best >= 0 && strcmp(d.rule, name) != 0) ||
			    (best >= 0 && d.effect != rules[best].effect))
				fail_msg("round %u: %s of '%s' by %s: %s, not %s", round, policy_op_word(n.q.op),
					 n.path, n.q.agent, d.rule ? d.rule : "none", best < 0 ? "none" : name);
			effects[d.effect] += best >= 0;
			none += best < 0;
		}
		policy_set_free(s);
	}
	assert_true(effects[POLICY_DENY] > 1000 && effects[POLICY_ESCALATE] > 1000 && effects[POLICY_LIMIT] > 1000 &&
		    effects[POLICY_ALLOW] > 1000 && none > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_million_random_requests_agree_with_one_that_looks_at_every_rule),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
