/* SPDX-License-Identifier: MIT */
/* approvals.h - acts that policy wants a person to decide on: who asked, who may decide, what became of it. L2; loop thread
 * only.
 *
 * The run of an agent that has to wait keeps its place and uses up none of its time; the act of a user of the host is
 * refused with the approval's number, and may be repeated once that is given. */
#pragma once

#include "policies/policy.h"
#include "runtime/runtime.h"
#include "runtime/timers.h"

#define APPROVALS_PENDING_MAX	   10000
#define APPROVALS_PENDING_OF_ASKER 100

enum approval_state {
	APPROVAL_PENDING,
	APPROVAL_APPROVED,
	APPROVAL_DENIED,
	APPROVAL_EXPIRED,   /* nobody decided in time: no denial */
	APPROVAL_USED,	    /* approved, and the act was carried out */
	APPROVAL_WITHDRAWN, /* what asked for it is gone */
	APPROVAL_STATES,
};
const char *approval_state_word(enum approval_state s);

struct approval {
	uint32_t id; /* of one count with the agents' serials; never reused */
	enum approval_state state;
	uint32_t uid, view;   /* who asked; of a run: nobody */
	uint32_t agent, run;  /* the run that waits, 0: an act of somebody's */
	char *object, *action, *type, *op, *resource, *arguments;
	char *rule, *file, *reason, *to, *version; /* to: names with commas, "": root */
	uint32_t line;
	uint64_t asked_ms, expires_ms, decided_ms, valid_until_ms; /* wall clock */
	uint32_t decided_by; /* uid */
	char *why;	     /* of the decision */
	uint32_t edited_by;  /* uid */
	char *asked;	     /* the arguments before somebody edited them; "": nobody did */
	char *edited;	     /* the whole list as JSON; "" */
	/* not kept */
	pid_t used_by;
	uint64_t used_ns;
	bool dirty;
	struct runtime *rt;
	struct rt_timer timer; /* of its expiry */
};

/* An act that a rule of the effect Escalate speaks of. */
struct approval_ask {
	const struct actor *who;
	const struct agent *agent; /* whose run it is, NULL: an act of who's */
	uint32_t run;
	const char *action, *tier, *type, *op, *resource, *arguments; /* tier NULL: not known */
	const struct policy_decision *d;
	const char *version; /* of the set */
};
/* 0: it is approved, and that is recorded as used. Else -EACCES: APPROVAL_001 it waits, now or since earlier; APPROVAL_002 it
 * was denied; or what kept it from being asked for. */
int approvals_ask(struct runtime *rt, const struct approval_ask *q, struct err *e);

/* Borrowed until the next change; NULL: none. */
const struct approval *approval_find(struct runtime *rt, uint32_t id);
/* In order of id; pending ones, or those that are done. */
const struct approval *approval_next(struct runtime *rt, uint32_t after, bool pending);
/* What a run waits for; 0: nothing. */
uint32_t approval_of_run(struct runtime *rt, uint32_t agent, uint32_t run);

/* May who know of it? Root, who asked, who may decide. -EACCES FS_002. */
int approval_may_see(const struct approval *a, const struct actor *who, struct err *e);
int approval_render(const struct approval *a, bool json, struct buf *out);
int approval_render_decision(const struct approval *a, struct buf *out);

/* What the run is to be started with, whole, as a line of JSON; who may decide on it may write another. The run is then decided
 * on by policy again, as what it has become. -EINVAL APPROVAL_004 for what is no list, -EPERM for whom may not. */
int approval_render_arguments(struct runtime *rt, const struct approval *a, struct buf *out);
int approval_edit_check(const char *text, size_t len, struct err *e);
int approval_edit(struct runtime *rt, const struct actor *who, uint32_t id, const char *text, size_t len,
		  struct runtime_done done, struct err *e);

/* `approve` or `deny`, `: reason` may follow. -EINVAL APPROVAL_004 for other words. */
int approval_decision_check(const char *line, size_t len, struct err *e);
/* By who, whom the rule must name (root, where it names nobody), never by who asked and never from within an agent. done
 * when it is durable; what waits goes on from there. */
int approval_decide(struct runtime *rt, const struct actor *who, uint32_t id, const char *line, size_t len,
		    struct runtime_done done, struct err *e);
