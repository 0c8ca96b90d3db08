/* SPDX-License-Identifier: MIT */
/* approvals_i.h - what the runtime holds of approvals, shared by its files. L2; loop thread only. */
#pragma once

#include "runtime/approvals.h"

struct facts;

struct approvals {
	struct approval **list; /* in order of id */
	size_t n, cap, pending;
	bool dirty;
};

/* ---- approvals.c ---- */
void approvals_apply(struct runtime *rt, const struct facts *f); /* the same live and in replay */
/* A run of the agent ended, or with run 0 the agent is gone: what it waits for is withdrawn. */
void approvals_withdraw(struct runtime *rt, uint32_t agent, uint32_t run);
void approvals_start(struct runtime *rt); /* behind the replay: the timers */
void approvals_close(struct runtime *rt);

/* Whom the rule names, or root; never who asked, never from within an agent. */
int approval_may_decide(struct runtime *rt, const struct approval *a, const struct actor *who, struct err *e);
bool approvals_is_record(unsigned type);

/* ---- approval_edit.c ---- */
/* A list of arguments as JSON, as much of it as a person reads. */
void approval_arguments(const char *const *argv, struct buf *out);
void approval_apply_edit(struct approval *a, const struct facts *f);
/* Where somebody edited the arguments of that run, *s becomes room, a copy of it with them: the caller frees room->argv, which
 * is NULL where nobody did. */
struct agent_spec;
int approval_edited_spec(struct runtime *rt, uint32_t agent, uint32_t run, const struct agent_spec **s,
			 struct agent_spec *room, struct err *e);

/* ---- approval_store.c ---- */
int approvals_save(struct runtime *rt, struct err *e);
int approvals_load(struct runtime *rt, struct err *e);
struct approval *approval_add(struct runtime *rt, uint32_t id); /* NULL: no memory */
void approval_remove(struct runtime *rt, struct approval *a);

/* ---- approval_text.c ---- */
/* Does the rule name who? */
bool approval_is_named(const struct approval *a, const struct actor *who);
const char *approval_risk(const struct approval *a); /* low, medium, high */
