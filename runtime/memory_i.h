/* SPDX-License-Identifier: MIT */
/* memory_i.h - what the runtime holds of agents' memory. L2; loop thread only. */
#pragma once

#include "runtime/memory.h"
#include "runtime/timers.h"

struct facts;

struct memory_entry {
	uint32_t serial; /* of one count with agents and files: the ID that a user sees */
	enum memory_kind kind;
	double importance;
	uint32_t uses;
	uint64_t created_ms, used_ms; /* used: when an answer drew on it last, or it was written */
	char *text;
	size_t len;
	bool dirty;
};

struct memory_agent {
	uint32_t agent;
	struct memory_entry **all; /* in order of serial */
	size_t n, cap;
	uint64_t bytes;
};

struct share {
	uint32_t number, agent, file, with; /* number: of one count with all serials; with 0: every agent */
	char level[16];
	bool dirty;
};

struct memory {
	struct memory_agent **agents; /* in order of agent */
	size_t agents_n, agents_cap;
	struct share *shares;
	size_t shares_n, shares_cap;
	struct rt_timer cleanup;
	bool dirty;
};

bool memory_is_record(unsigned type);
void memory_apply(struct runtime *rt, const struct facts *f);
void memory_agent_gone(struct runtime *rt, uint32_t agent);
void memory_file_gone(struct runtime *rt, uint32_t file); /* nobody finds it any more */
void memory_used(struct runtime *rt, uint32_t agent, uint32_t serial); /* an answer drew on it */
void share_apply(struct runtime *rt, const struct facts *f);
void memory_start(struct runtime *rt);
int memory_save(struct runtime *rt, struct err *e);
int memory_load(struct runtime *rt, struct err *e);
void memory_close(struct runtime *rt);

/* ---- memory_table.c ---- */
struct memory_agent *memory_of(struct runtime *rt, uint32_t agent, bool make); /* NULL: none, or no memory */
struct memory_entry *memory_find(struct runtime *rt, uint32_t agent, uint32_t serial);
/* The entry of that serial, made when there is none; its text is copied. NULL: no memory. */
struct memory_entry *memory_put(struct runtime *rt, uint32_t agent, uint32_t serial, enum memory_kind kind, const char *text);
void memory_drop(struct runtime *rt, uint32_t agent, uint32_t serial);
struct share *share_add(struct runtime *rt, uint32_t number, uint32_t agent, uint32_t file, uint32_t with, const char *level);
void share_drop(struct runtime *rt, uint32_t number);
double memory_weight(const struct memory_entry *m, uint64_t now_ms);
