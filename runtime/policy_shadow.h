/* SPDX-License-Identifier: MIT */
/* policy_shadow.h - a second set beside the active one: what it would have decided otherwise, before it decides. L2; loop thread
 * only.
 *
 * The files of policies/shadow/ are laid over the active ones: one of the same name stands in its place, others are added.
 * Without any there is no shadow set. Whatever the active set decides is decided by this one too, and a difference is counted,
 * and recorded as long as a token bucket has tokens. It never changes what happens. */
#pragma once

#include "policies/policy.h"
#include "runtime/policy_rate.h"
#include "runtime/runtime.h"

#define SHADOW_PAIRS_MAX 256 /* kinds of differences that are told apart */
#define SHADOW_PER_S	 10  /* records */
#define SHADOW_BURST	 100

struct shadow_pair { /* from one rule to another: how often, and the newest example */
	enum policy_effect was, would;
	char *was_rule, *would_rule;
	uint64_t n, last_ms;
	char example[400];
};

struct shadow {
	struct policy_set *set;	 /* NULL: there is none */
	struct err why;		 /* for which reason, where there are files */
	bool compiling, again;	 /* in the background; and once more behind that */
	uint64_t decisions, differ, recorded, missed; /* by this set */
	uint32_t missed_since;	 /* the last record */
	struct rates rates;
	struct shadow_pair pairs[SHADOW_PAIRS_MAX];
	size_t pairs_n;
};

/* Files of either directory are another: compile, in the background where that takes long. */
void shadow_changed(struct runtime *rt);
void shadow_close(struct runtime *rt); /* waits for what is compiled */

struct shadow_act { /* that was decided; borrowed */
	const struct actor *who;
	const char *action;
	const struct agent *agent; /* that acts, NULL: none */
	const struct policy_request *q;
	bool needs_rule; /* what no rule speaks of is denied */
};
/* was: with what became of it where no rule spoke. */
void shadow_see(struct runtime *rt, const struct shadow_act *a, const struct policy_decision *was);

/* Texts: its version and counters; the differences, a line each, the most frequent first. 0 or -errno of the buffer. */
int shadow_render_stats(struct runtime *rt, struct buf *out);
int shadow_render_diff(struct runtime *rt, struct buf *out);
