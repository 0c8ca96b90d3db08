/* SPDX-License-Identifier: MIT */
/* test_policy.c - sets of rules: the seeds' own texts, what is refused and how, and random rules and requests against
 * an evaluator that looks at every rule. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "policies/policy.h"
#include "tests/policies/naive.h"
#include "tests/support/check.h"

static struct policy_set *set_of(const char *text)
{
	struct policy_set *s = NULL;
	struct policy_source src = {"access_policies.yaml", text, strlen(text)};
	struct err e;
	if (policy_set_new(&s, &src, 1, &e) < 0)
		fail_msg("%s", e.msg);
	return s;
}

static enum policy_effect decide(const struct policy_set *s, enum policy_type type, enum policy_op op,
				 const char *resource)
{
	struct policy_decision d;
	char normal[POLICY_RESOURCE_MAX];
	struct err e;
	struct policy_request q = {.type = type, .op = op, .resource = normal, .security_level = "standard"};
	int r = type == POLICY_NETWORK ? policy_host_normal(resource, normal, &e)
				       : policy_path_normal(resource, normal, &e);
	if (r < 0)
		return POLICY_DENY; /* what cannot be decided on is not allowed */
	policy_decide(s, &q, &d);
	return d.effect;
}

/* ---- the seed's policies ---- */

static const char seed_text[] = "version: \"1.0\"\n"
			   "policies:\n"
			   "  - name: \"default_file_access\"\n"
			   "    priority: 100\n"
			   "    conditions:\n"
			   "      - resource_type: \"File\"\n"
			   "      - agent_security_level: \"standard\"\n"
			   "    effect: \"Allow\"\n"
			   "    resources:\n"
			   "      - \"/tmp/**\"\n"
			   "      - \"/workspace/**\"\n"
			   "    operations: [\"Read\", \"Write\"]\n"
			   "  - name: \"network_restrictions\"\n"
			   "    priority: 200\n"
			   "    conditions:\n"
			   "      - resource_type: \"Network\"\n"
			   "    effect: \"Deny\"\n"
			   "    resources:\n"
			   "      - \"127.0.0.1/**\"\n"
			   "      - \"localhost/**\"\n"
			   "    operations: [\"Connect\"]\n";

static const char all_networks[] = "  - name: others\n"
				   "    conditions: [{resource_type: Network}]\n"
				   "    effect: Allow\n"
				   "    resources: ['**']\n"
				   "    operations: [Connect]\n";

static void the_seeds_files_decide(void **state)
{
	struct policy_set *s = set_of(seed_text);
	(void)state;
	assert_int_equal(policy_set_rules(s), 2);
	assert_int_equal(decide(s, POLICY_FILE, POLICY_READ, "/tmp/a"), POLICY_ALLOW);
	assert_int_equal(decide(s, POLICY_FILE, POLICY_WRITE, "/workspace/x/y"), POLICY_ALLOW);
	assert_int_equal(decide(s, POLICY_FILE, POLICY_READ, "//tmp/./a/"), POLICY_ALLOW);
	assert_int_equal(decide(s, POLICY_FILE, POLICY_EXECUTE, "/tmp/a"), POLICY_DENY);
	static const char *const denied[] = {"/etc/passwd", "/tmp/../etc/passwd", "tmp/a", "/tmpx/a", "/TMP/a", "/tmp/a/.."};
	for (size_t i = 0; i < ARRAY_LEN(denied); i++)
		assert_int_equal(decide(s, POLICY_FILE, POLICY_READ, denied[i]), POLICY_DENY);
	struct policy_decision d;
	struct policy_request q = {.type = POLICY_FILE, .resource = "/tmp/a", .security_level = "low"};
	policy_decide(s, &q, &d);
	assert_int_equal(d.effect, POLICY_DENY);
	assert_null(d.rule);
	policy_set_free(s);
}

static void loopback_is_denied_in_every_spelling(void **state)
{
	char text[2000];
	(void)state;
	snprintf(text, sizeof text, "%s%s", seed_text, all_networks);
	struct policy_set *s = set_of(text);
	static const char *const denied[] = {
		"127.0.0.1", "127.0.0.1:80", "127.0.0.1:80/x", "localhost", "LocalHost.:22", "127.9.9.9", "[::1]:80",
		"0x7f.1", "2130706433", "017700000001", "127.1", "0", "0.0.0.0:1", "[::]", "[::ffff:127.0.0.1]:443",
		"[0:0:0:0:0:0:0:1]"};
	for (size_t i = 0; i < ARRAY_LEN(denied); i++)
		if (decide(s, POLICY_NETWORK, POLICY_CONNECT, denied[i]) != POLICY_DENY)
			fail_msg("%s is allowed", denied[i]);
	static const char *const allowed[] = {"example.com:443", "10.0.0.1", "128.0.0.1", "[2001:db8::1]:80", "1270.example"};
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
		if (decide(s, POLICY_NETWORK, POLICY_CONNECT, allowed[i]) != POLICY_ALLOW)
			fail_msg("%s is denied", allowed[i]);
	struct policy_decision d;
	const char *bad[] = {"93.184.216.34", "127.0.0.1"}, *good[] = {"93.184.216.34"};
	struct policy_request q = {.type = POLICY_NETWORK, .op = POLICY_CONNECT, .resource = "rebind.example:80",
				   .addresses = bad, .addresses_n = 2};
	policy_decide(s, &q, &d);
	assert_int_equal(d.effect, POLICY_DENY);
	assert_string_equal(d.rule, "network_restrictions");
	q.addresses = good;
	q.addresses_n = 1;
	policy_decide(s, &q, &d);
	assert_int_equal(d.effect, POLICY_ALLOW);
	policy_set_free(s);
}

static void networks_ports_and_names(void **state)
{
	struct policy_set *s = set_of("version: '1.0'\npolicies:\n"
				      "- {name: a, effect: Allow, operations: [Connect], conditions: {resource_type: Network},\n"
				      "   resources: ['api.example.com:443', '*.svc.example', '10.0.0.0/8:*', '[2001:db8::]/32',\n"
				      "               'web.example/v1/**']}\n");
	static const struct {
		const char *target;
		enum policy_effect want;
	} rows[] = {
		{"api.example.com:443", POLICY_ALLOW}, {"API.example.com:443/x", POLICY_ALLOW},
		{"api.example.com:80", POLICY_DENY},   {"api.example.com", POLICY_DENY},
		{"a.svc.example:1", POLICY_ALLOW},     {"svc.example:1", POLICY_DENY},
		{"10.255.0.1:5", POLICY_ALLOW},	       {"11.0.0.1:5", POLICY_DENY},
		{"[2001:db8:1::5]:5", POLICY_ALLOW},   {"[2001:db9::5]:5", POLICY_DENY},
		{"web.example/v1/x", POLICY_ALLOW},    {"web.example/v2/x", POLICY_DENY},
		{"web.example:8080/v1", POLICY_ALLOW},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (decide(s, POLICY_NETWORK, POLICY_CONNECT, rows[i].target) != rows[i].want)
			fail_msg("%s", rows[i].target);
	policy_set_free(s);
}

static void names_have_one_spelling(void **state)
{
	static const struct {
		const char *in, *path, *host; /* NULL: refused */
	} rows[] = {
		{"/", "/", NULL},	    {"//a/./b//", "/a/b", NULL},	 {"/a/..", NULL, NULL},
		{"", NULL, NULL},	    {".", NULL, NULL},			 {"a..", NULL, NULL},
		{"A.Example.", NULL, "a.example"}, {"0x7F.1:080/X", NULL, "127.0.0.1:80/X"},
		{"[::ffff:1.2.3.4]", NULL, "1.2.3.4"}, {"[0:0::1]:1", NULL, "[::1]:1"}, {"::1", NULL, NULL},
		{"a:0", NULL, NULL},	    {"a:65536", NULL, NULL},		 {"a:*", NULL, "a"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char out[POLICY_RESOURCE_MAX];
		struct err e;
		int r = policy_path_normal(rows[i].in, out, &e);
		assert_int_equal(r, rows[i].path ? 0 : -EINVAL);
		if (rows[i].path)
			assert_string_equal(out, rows[i].path);
		r = policy_host_normal(rows[i].in, out, &e);
		if ((r == 0) != (rows[i].host != NULL))
			fail_msg("'%s': %d", rows[i].in, r);
		if (rows[i].host)
			assert_string_equal(out, rows[i].host);
	}
}

/* ---- refusals ---- */

static void what_is_not_understood_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *rule, *says;
		unsigned line;
	} rows[] = {
		{"- {name: a, effect: Allow, operations: [Read]}", "rule 'a' has no 'resources'", 3},
		{"- {effect: Allow, operations: [Read], resources: [x]}", "has no 'name'", 3},
		{"- name: a\n  efect: Allow", "unknown key 'efect'; did you mean 'effect'?", 4},
		{"- name: a\n  effect: allow", "'allow' is no effect; did you mean 'Allow'?", 4},
		{"- name: a\n  operations: [Reed]", "'Reed' is no operation; did you mean 'Read'?", 4},
		{"- name: a\n  conditions: [{resource_typ: File}]", "did you mean 'resource_type'?", 4},
		{"- name: a\n  conditions: [{resource_type: Fil}]", "did you mean 'File'?", 4},
		{"- name: a\n  conditions: [{time: '8-9'}]", "write \"08:00-17:30\"", 4},
		{"- name: a\n  conditions: [{time: '24:01-09:00'}]", "is no time", 4},
		{"- name: a\n  conditions: [{weekday: Monday}]", "is no weekday", 4},
		{"- name: a\n  conditions: [{agent: []}]", "empty list", 4},
		{"- name: a\n  conditions: [{agent: '['}]", "has no ']'", 4},
		{"- name: a\n  name: b", "twice", 4},
		{"- name: a\n  enabled: maybe", "true or false", 4},
		{"- name: a\n  priority: -1", "from 0 to", 4},
		{"- {name: a, effect: Allow, operations: [Read], resources: ['[']}", "has no ']'", 3},
		{"- {name: a, effect: Limit, operations: [Read], resources: [x]}", "needs 'limits'", 3},
		{"- {name: a, effect: Allow, operations: [Read], resources: [x], to: [root]}", "belongs to", 3},
		{"- {name: a, effect: Allow, operations: [Read], resources: [x]}\n"
		 "- {name: a, effect: Allow, operations: [Read], resources: [x]}", "stands at p.yaml:3 already", 4},
		{"- {name: a, effect: Deny, operations: [Connect], resources: ['[::1'], conditions: {resource_type: Network}}",
		 "IPv6", 3},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[1000];
		struct policy_set *s = NULL;
		struct err e = {0};
		snprintf(text, sizeof text, "version: '1.0'\npolicies:\n%s\n", rows[i].rule);
		struct policy_source src = {"p.yaml", text, strlen(text)};
		assert_int_equal(policy_set_new(&s, &src, 1, &e), -EINVAL);
		assert_null(s);
		if (!strstr(e.msg, rows[i].says) || e.line != rows[i].line)
			fail_msg("'%s': line %u: %s", rows[i].rule, e.line, e.msg);
		assert_int_equal(e.code, ERR_POLICY_INVALID);
	}
	static const char *const files[] = {"", "[]", "version: '1.0'", "policies: []", "version: '2.0'\npolicies: []",
					    "version: '1.0'\npolicies: []\nmore: 1", "version: '1.0'\npolicies: {}"};
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct policy_set *s = NULL;
		struct policy_source src = {"p.yaml", files[i], strlen(files[i])};
		struct err e;
		assert_int_equal(policy_set_new(&s, &src, 1, &e), -EINVAL);
	}
}

static void deny_beats_all_and_priority_only_names(void **state)
{
	struct policy_set *s = set_of("version: '1.0'\npolicies:\n"
				      "- {name: high, priority: 1000, effect: Allow, operations: [Read], resources: ['/a/**']}\n"
				      "- {name: low, priority: 1, effect: Deny, operations: [Read], resources: ['/a/b']}\n"
				      "- {name: lower, priority: 0, effect: Deny, operations: [Read], resources: ['/a/*']}\n"
				      "- {name: ask, effect: Escalate, operations: [Read], resources: ['/a/c/**'], to: [ann]}\n"
				      "- {name: few, effect: Limit, operations: [Read], resources: ['/a/c/d/**'],\n"
				      "   limits: {per_minute: 3}}\n"
				      "- {name: note, effect: Audit, operations: [Read], resources: ['/a/c/**']}\n"
				      "- {name: off, enabled: false, effect: Deny, operations: [Read], resources: ['**']}\n");
	struct policy_decision d;
	struct policy_request q = {.type = POLICY_FILE, .resource = "/a/b"};
	(void)state;
	policy_decide(s, &q, &d);
	assert_int_equal(d.effect, POLICY_DENY);
	assert_string_equal(d.rule, "low");
	assert_int_equal(d.line, 4);
	assert_string_equal(d.file, "access_policies.yaml");
	assert_false(d.audit);
	q.resource = "/a/c/d/e";
	policy_decide(s, &q, &d);
	assert_int_equal(d.effect, POLICY_ESCALATE);
	assert_string_equal(d.to->list.items[0].string.data, "ann");
	assert_true(d.audit);
	q.resource = "/a/e/f";
	policy_decide(s, &q, &d);
	assert_int_equal(d.effect, POLICY_ALLOW);
	autobuf struct buf out;
	buf_init(&out, 4096);
	q.resource = "/a/b";
	policy_explain(s, &q, &out);
	assert_string_equal(out.data, "matches Deny low (access_policies.yaml:4)\n"
				      "matches Deny lower (access_policies.yaml:5)\n"
				      "matches Allow high (access_policies.yaml:3)\n"
				      "decision Deny low\n");
	policy_set_free(s);
}

static void time_and_weekday(void **state)
{
	struct policy_set *s = set_of("version: '1.0'\npolicies:\n"
				      "- {name: day, effect: Allow, operations: [Read], resources: ['/day'],\n"
				      "   conditions: [{time: '08:00-17:30'}, {weekday: [Mon, Tue, Wed, Thu, Fri]}]}\n"
				      "- {name: night, effect: Allow, operations: [Read], resources: ['/night'],\n"
				      "   conditions: [{time: '22:00-06:00'}]}\n");
	static const struct {
		const char *resource;
		int64_t time;
		enum policy_effect want;
	} rows[] = {
		{"/day", 1795478400, POLICY_DENY},			 /* Tue 2026-11-24 00:00 UTC */
		{"/day", 1795478400 + 8 * 3600, POLICY_ALLOW},
		{"/day", 1795478400 + 17 * 3600 + 1799, POLICY_ALLOW},
		{"/day", 1795478400 + 17 * 3600 + 1800, POLICY_DENY},
		{"/day", 1795478400 + 4 * 86400 + 9 * 3600, POLICY_DENY}, /* Saturday */
		{"/night", 1795478400, POLICY_ALLOW},
		{"/night", 1795478400 + 6 * 3600, POLICY_DENY},
		{"/night", 1795478400 + 22 * 3600, POLICY_ALLOW},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct policy_decision d;
		struct policy_request q = {.type = POLICY_FILE, .resource = rows[i].resource, .time_s = rows[i].time};
		policy_decide(s, &q, &d);
		if (d.effect != rows[i].want)
			fail_msg("row %zu", i);
	}
	policy_set_free(s);
}

/* ---- random rules and requests ---- */

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
		buf_adds(out, "  limits: {n: 1}\n");
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
		cmocka_unit_test(the_seeds_files_decide),
		cmocka_unit_test(loopback_is_denied_in_every_spelling),
		cmocka_unit_test(networks_ports_and_names),
		cmocka_unit_test(names_have_one_spelling),
		cmocka_unit_test(what_is_not_understood_is_refused_with_its_line),
		cmocka_unit_test(deny_beats_all_and_priority_only_names),
		cmocka_unit_test(time_and_weekday),
		cmocka_unit_test(a_million_random_requests_agree_with_one_that_looks_at_every_rule),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
