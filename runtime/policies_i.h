/* SPDX-License-Identifier: MIT */
/* policies_i.h - what the runtime holds of policies, shared by its files. L2; loop thread only. */
#pragma once

#include "runtime/policies.h"
#include "runtime/policy_rate.h"
#include "runtime/policy_shadow.h"

struct policies {
	struct policy_set *active; /* NULL: why says what is wrong */
	struct policy_set *next;   /* compiled for the record that is being written */
	struct policy_tried {	   /* compiled when a text was looked at: it is likely to be put next */
		struct policy_set *set;
		char *file, *text;
		uint64_t loads; /* and of use only while no other set was loaded */
	} tried;
	unsigned compiling; /* in the background */
	bool closing;
	struct err why;
	uint64_t loaded_ms, loads, refused;
	struct rates rates;
	struct shadow shadow;
	uint64_t asked, denied, audited, escalated;
};

/* ---- policy_files.c ---- */
/* Behind the replay: the set of all files. A failure leaves no set, and says so. */
void policies_compile(struct runtime *rt);
/* The first start of a state: the shipped set becomes a file of policies/, the first record of the journal. */
void policies_begin(struct runtime *rt);
void policies_close(struct runtime *rt);

/* ---- policy_ask.c ---- */
/* Would a rule let the agent do that, perhaps after an approval? Nothing is recorded. */
bool policies_would(struct runtime *rt, const struct agent *a, enum policy_type type, enum policy_op op, const char *resource);
/* May who do action ("agent.create") to the object of that name (may be NULL)? writes: it is more than reading.
 * 0, or -EACCES POLICY_001, and the refusal is in the journal. */
int policies_ask(struct runtime *rt, const struct actor *who, const char *action, const char *object, bool writes,
		 struct err *e);
