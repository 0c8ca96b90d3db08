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

/* ---- approval_store.c ---- */
int approvals_save(struct runtime *rt, struct err *e);
int approvals_load(struct runtime *rt, struct err *e);
struct approval *approval_add(struct runtime *rt, uint32_t id); /* NULL: no memory */
void approval_remove(struct runtime *rt, struct approval *a);

/* ---- approval_text.c ---- */
/* Does the rule name who? */
bool approval_is_named(const struct approval *a, const struct actor *who);
const char *approval_risk(const struct approval *a); /* low, medium, high */
