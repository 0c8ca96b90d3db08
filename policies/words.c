/* SPDX-License-Identifier: MIT */
/* words.c - the words of the policy language. L1; any thread. */
#include <errno.h>
#include <string.h>

#include "lib/mem.h"
#include "policies/policy.h"

static const char *const effects[POLICY_EFFECTS] = {"Deny", "Escalate", "Limit", "Allow", "Audit"};
static const char *const types[POLICY_TYPES] = {"File",	 "Network", "Command", "Database", "Environment",
						"Agent", "Secret",  "Tool",    "Topic",	   "Model",
						"Memory", "Tier",   "Custom"};
static const char *const ops[POLICY_OPS] = {"Read",   "Write",	"Execute", "Delete",
					    "Create", "Modify", "List",	   "Connect"};

static int find(const char *const *words, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(words[i], word) == 0)
			return (int)i;
	return -ENOENT;
}

const char *policy_effect_word(enum policy_effect f)
{
	return effects[f];
}

const char *policy_type_word(enum policy_type t)
{
	return types[t];
}

const char *policy_op_word(enum policy_op o)
{
	return ops[o];
}

int policy_effect_find(const char *word, enum policy_effect *ret)
{
	int i = find(effects, ARRAY_LEN(effects), word);
	*ret = i < 0 ? POLICY_DENY : (enum policy_effect)i;
	return i < 0 ? i : 0;
}

int policy_type_find(const char *word, enum policy_type *ret)
{
	int i = find(types, ARRAY_LEN(types), word);
	*ret = i < 0 ? POLICY_CUSTOM : (enum policy_type)i;
	return i < 0 ? i : 0;
}

int policy_op_find(const char *word, enum policy_op *ret)
{
	int i = find(ops, ARRAY_LEN(ops), word);
	*ret = i < 0 ? POLICY_READ : (enum policy_op)i;
	return i < 0 ? i : 0;
}
