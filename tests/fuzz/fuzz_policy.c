/* SPDX-License-Identifier: MIT */
/* fuzz_policy.c - a policy file, a name of a resource and a pattern, each behind a zero byte. A set that is accepted
 * decides, the index and the list of all matching rules name the same best one, and a normal name stays as it is. */
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "policies/glob.h"
#include "policies/policy.h"

static void same_twice(int (*normal)(const char *, char *, struct err *), const char *text, char *out)
{
	char again[POLICY_RESOURCE_MAX];
	struct err e;
	if (normal(text, out, &e) < 0) {
		out[0] = 0;
		return;
	}
	if (normal(out, again, &e) < 0 || strcmp(out, again) != 0)
		abort();
}

static void decide(const struct policy_set *s, enum policy_type type, const char *resource)
{
	for (unsigned op = 0; op < POLICY_OPS; op++) {
		struct policy_decision d;
		autobuf struct buf all;
		const char *addresses[] = {"127.0.0.1", "[2001:db8::1]"};
		struct policy_request q = {.type = type, .op = (enum policy_op)op, .resource = resource, .agent = "a",
					   .tier = "None", .security_level = "standard", .addresses = addresses,
					   .addresses_n = 2, .time_s = 1795478400};
		buf_init(&all, 64u << 20);
		policy_decide(s, &q, &d);
		policy_explain(s, &q, &all);
		/* The first of the rules that do not only audit is the one that decides. */
		const char *first = all.data;
		while (strncmp(first, "matches Audit ", 14) == 0)
			first = strchr(first, '\n') + 1;
		bool none = strncmp(first, "decision ", 9) == 0;
		if (none != !d.rule)
			abort();
		if (d.rule && strncmp(strchr(first + 8, ' ') + 1, d.rule, strlen(d.rule)) != 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	char text[4096], path[POLICY_RESOURCE_MAX], host[POLICY_RESOURCE_MAX];
	if (size >= sizeof text - 2)
		return 0;
	memcpy(text, data, size);
	memset(text + size, 0, 2);
	const char *name = text + strnlen(text, size) + 1, *pattern = name <= text + size ? name + strlen(name) + 1 : "";
	if (name > text + size)
		name = "";
	if (pattern > text + size)
		pattern = "";
	struct glob *g = NULL;
	struct err e;
	if (glob_new(&g, pattern, &e) == 0)
		glob_match(g, name, strlen(name));
	glob_free(g);
	same_twice(policy_path_normal, name, path);
	same_twice(policy_host_normal, name, host);
	static const char *const files[] = {"p.yaml", "p.json"};
	for (int i = 0; i < 2; i++) {
		struct policy_set *s = NULL;
		struct policy_source src = {files[i], text, strlen(text)};
		if (policy_set_new(&s, &src, 1, &e) < 0)
			continue;
		if (path[0])
			decide(s, POLICY_FILE, path);
		if (host[0])
			decide(s, POLICY_NETWORK, host);
		policy_set_free(s);
	}
	return 0;
}
