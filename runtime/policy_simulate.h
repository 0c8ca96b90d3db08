/* SPDX-License-Identifier: MIT */
/* policy_simulate.h - what another set would have decided in the cases that a journal has recorded. L2; any thread. */
#pragma once

#include "policies/policy.h"

struct policy_simulated {
	uint64_t decisions, differ;
};
/* Read the journal in dir, also beside a daemon that writes it, and append a line for each decision that s makes otherwise:
 * "SEQ WHO OPERATION TYPE RESOURCE: WAS (rule) -> NOW (rule)". Recorded are refusals, escalations and what an Audit rule asked
 * for; of an agent its name and tier are known. journal_scan's errors. */
int policy_simulate(const char *journal_dir, const struct policy_set *s, struct buf *out, struct policy_simulated *ret,
		    struct err *e);
