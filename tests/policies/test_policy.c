/* SPDX-License-Identifier: MIT */
/* test_policy.c - sets of rules: the seeds' own texts, networks, names, and what is refused and how. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "policies/policy.h"
#include "tests/policies/set_of.h"

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

static void tiers_may_say_what_the_seed_lets_them(void **state)
{
	static const char text[] = "communication_policies:\n"
				   "  - name: \"docker_to_docker\"\n"
				   "    source_tier: \"docker\"\n"
				   "    destination_tier: \"docker\"\n"
				   "    allowed_message_types: [\"data\", \"event\", \"rpc\"]\n"
				   "    security_requirements:\n"
				   "      encryption_required: false\n"
				   "      signature_required: true\n"
				   "      audit_logging: true\n"
				   "    rate_limits:\n"
				   "      messages_per_second: 1000\n"
				   "      burst_size: 100\n"
				   "\n"
				   "  - name: \"docker_to_firecracker\"\n"
				   "    source_tier: \"docker\"\n"
				   "    destination_tier: \"firecracker\"\n"
				   "    allowed_message_types: [\"data\"]\n"
				   "    security_requirements:\n"
				   "      encryption_required: true\n"
				   "      signature_required: true\n"
				   "      audit_logging: true\n"
				   "      content_filtering: true\n"
				   "    rate_limits:\n"
				   "      messages_per_second: 10\n"
				   "      burst_size: 5\n";
	static const char more[] = "  - {name: more, source_tier: Tier1, destination_tier: Tier1,\n"
				   "     allowed_message_types: [control], rate_limits: {messages_per_second: 7}}\n";
	struct policy_message_decision d;
	struct policy_set *s = set_of(text);
	(void)state;
	policy_decide_message(s, "docker", "Tier1", POLICY_MESSAGE_RPC, &d);
	assert_true(d.allowed && d.signature && d.audit && !d.encryption && !d.filtering);
	assert_int_equal(d.per_second, 1000);
	assert_int_equal(d.burst, 100);
	policy_decide_message(s, "Tier1", "Tier1", POLICY_MESSAGE_CONTROL, &d);
	assert_false(d.allowed);
	assert_string_equal(d.rule, "docker_to_docker");
	policy_decide_message(s, "Tier1", "Tier3", POLICY_MESSAGE_DATA, &d);
	assert_true(d.allowed && d.encryption && d.filtering);
	assert_int_equal(d.line, 14);
	policy_decide_message(s, "Tier3", "Tier1", POLICY_MESSAGE_DATA, &d); /* not back */
	assert_false(d.allowed);
	assert_null(d.rule);
	policy_decide_message(s, "gvisor", "gvisor", POLICY_MESSAGE_DATA, &d);
	assert_false(d.allowed);
	policy_decide_message(s, "Tier9", "Tier1", POLICY_MESSAGE_DATA, &d);
	assert_false(d.allowed);
	policy_set_free(s);
	autobuf struct buf both;
	buf_init(&both, 4096);
	buf_printf(&both, "%s%s", text, more);
	s = set_of(both.data); /* the rows of a pair together: either's types, what one requires, the lowest rate */
	policy_decide_message(s, "Tier1", "Tier1", POLICY_MESSAGE_CONTROL, &d);
	assert_true(d.allowed && d.signature);
	assert_int_equal(d.per_second, 7);
	assert_int_equal(d.burst, 7);
	policy_set_free(s);
	static const char *const wrong[] = {
		"- {name: a, source_tier: dockr, destination_tier: docker, allowed_message_types: [data]}",
		"- {name: a, source_tier: docker, destination_tier: docker, allowed_message_types: [dat]}",
		"- {name: a, source_tier: docker, destination_tier: docker, allowed_message_types: []}",
		"- {source_tier: docker, destination_tier: docker, allowed_message_types: [data]}",
		"- {name: a, source_tier: docker, destination_tier: docker, allowed_message_types: [data],"
		" rate_limits: {burst_size: 1}}",
		"- {name: a, source_tier: docker, destination_tier: docker, allowed_message_types: [data],"
		" security_requirements: {encryption: true}}",
	};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		char file[400];
		struct err e = {0};
		snprintf(file, sizeof file, "version: '1.0'\ncommunication_policies:\n%s\n", wrong[i]);
		struct policy_source src = {"p.yaml", file, strlen(file)};
		assert_int_equal(policy_set_new(&s, &src, 1, &e), -EINVAL);
		assert_int_equal(e.line, 3);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_seeds_files_decide),
		cmocka_unit_test(loopback_is_denied_in_every_spelling),
		cmocka_unit_test(networks_ports_and_names),
		cmocka_unit_test(names_have_one_spelling),
		cmocka_unit_test(tiers_may_say_what_the_seed_lets_them),
		cmocka_unit_test(what_is_not_understood_is_refused_with_its_line),
		cmocka_unit_test(deny_beats_all_and_priority_only_names),
		cmocka_unit_test(time_and_weekday),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
