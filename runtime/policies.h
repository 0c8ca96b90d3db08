/* SPDX-License-Identifier: MIT */
/* policies.h - the policy files of an installation and the one set that they make, which decides. L2; loop thread only.
 *
 * The files are documents (documents.h) of the kind DOCUMENT_POLICY. Every change compiles the whole set anew; a text that does not fit into it changes nothing. Files that were stored and do not compile at a start (a
 * later version wrote them) leave no set: then nothing is allowed but to root, until they are mended or removed. */
#pragma once

#include "policies/policy.h"
#include "runtime/documents.h"

#define POLICY_FILES_MAX 1000

/* The active set; NULL: the stored files do not compile and *ret_why (may be NULL) says why. */
const struct policy_set *policies_active(struct runtime *rt, const struct err **ret_why);

/* May the program of this run be started, and in its tier? 0, or -EACCES: POLICY_001 naming the rule, APPROVAL_001 when
 * somebody has to decide first, APPROVAL_002 when that was denied. */
int policies_may_start(struct runtime *rt, struct agent *a, const struct agent_spec *s, uint32_t run, struct err *e);

/* May this agent connect to target (host:port, as policy_host_normal has it), whose name has these addresses (in its
 * spelling too)? listed: its spec or profile names it, and only a rule that speaks of it can forbid it; else one must allow
 * it. *ret_rule is the rule that decided, borrowed from the set, or NULL. 0, or -EACCES POLICY_001 naming the rule; a
 * refusal is not journalled here. */
int policies_may_connect(struct runtime *rt, struct agent *a, const struct agent_spec *s, const char *target,
			 const char *const *addresses, size_t n, bool listed, const char **ret_rule, struct err *e);

/* Decide a request in words, for an agent; of an agent that exists its spec is known. Appends the answer, as text or
 * JSON. 0, or -EINVAL POLICY_003 POLICY_004 for what is no request. */
int policies_check(struct runtime *rt, const struct policy_words *w, bool json, struct buf *out, struct err *e);

/* The same question: every rule that matches, and the decision. -EINVAL also where no set is active. */
int policies_explain(struct runtime *rt, const struct policy_words *w, struct buf *out, struct err *e);

/* Texts: the set's files and rules in the order of their weight; its counters. 0 or -errno of the buffer. */
int policies_render_effective(struct runtime *rt, struct buf *out);
int policies_render_stats(struct runtime *rt, struct buf *out);
