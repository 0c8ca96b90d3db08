/* SPDX-License-Identifier: MIT */
/* files_i.h - what the runtime holds of users' files. L2; loop thread only. */
#pragma once

#include "lib/map.h"
#include "runtime/files.h"

struct facts;

struct files {
	struct file root;
	struct file **roots; /* of agents that have files, in order of serial */
	size_t roots_n, roots_cap;
	struct map names;   /* by key */
	struct file **all;  /* in order of serial */
	size_t n, cap;
	struct dead_content { /* of files that have another one or are gone, until the store knows that */
		uint64_t content, seq;
	} *dead;
	size_t dead_n, dead_cap;
	struct pool *pool; /* opened with the first job */
	uint64_t last_content;
	bool dirty; /* one of them is */
};

struct file *files_find(struct runtime *rt, uint32_t serial); /* NULL: none, and the root */
/* Into the tables; NULL: no memory, or there is one of that name. */
struct file *files_add(struct runtime *rt, uint32_t serial, uint32_t parent, const char *name);
/* Out of them and freed. */
void files_drop(struct runtime *rt, struct file *f);
void files_drop_root(struct runtime *rt, uint32_t agent); /* that has no children */
int files_move(struct runtime *rt, struct file *f, uint32_t parent, const char *name); /* 0 or -ENOMEM */

/* With the agent go its files; by the record seq. */
void files_agent_gone(struct runtime *rt, uint32_t agent, uint64_t seq);
bool files_is_record(unsigned type);
void files_apply(struct runtime *rt, const struct facts *f);
/* The content is nobody's by the record seq: it goes once the store includes that. */
void content_retire(struct runtime *rt, uint64_t content, uint64_t seq);
void files_written(struct runtime *rt, uint64_t seq);
int files_save(struct runtime *rt, struct err *e);
int files_load(struct runtime *rt, struct err *e);
/* At a start that no worker preceded: contents that are nobody's go. */
void files_sweep(struct runtime *rt);
void files_close(struct runtime *rt);
/* Where a content is; the directory for 0. */
void content_path(const struct runtime *rt, uint64_t content, char out[PATH_MAX]);
struct pool *files_pool(struct runtime *rt); /* NULL: no threads can be had */
