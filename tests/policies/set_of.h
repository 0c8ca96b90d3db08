/* SPDX-License-Identifier: MIT */
/* set_of.h - a set of one file, or the end of the test. */
#pragma once

#include <string.h>

#include "policies/policy.h"
#include "tests/support/check.h"

static inline struct policy_set *set_of(const char *text)
{
	struct policy_set *s = NULL;
	struct policy_source src = {"access_policies.yaml", text, strlen(text)};
	struct err e;
	if (policy_set_new(&s, &src, 1, &e) < 0)
		fail_msg("%s", e.msg);
	return s;
}
