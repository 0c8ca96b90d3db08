/* SPDX-License-Identifier: MIT */
/* memory.h - what an agent remembers, and what of its knowledge it shares. L2; loop thread only.
 *
 * An entry is a line of text in one of five files: what was said (conversation), facts, procedures, what happened (episodic), and
 * working variables (working: KEY VALUE, one value each). Entries are records of the journal and rows of the store. All but working
 * ones are found by the agent's own query, and by nobody else's.
 *
 * Each has an importance of 0 to 1, given when it was written (0.5 unless said). Its weight is .3 importance + .25 of how often an
 * answer drew on it + .3 recency (half in 24 hours) + .15 importance, times 1 for facts, 1.2 for procedures, 0.9 for what happened
 * and was said. What nobody drew on for a day (working), 7 days (conversation, episodic) or 30 days (facts, procedures) is
 * forgotten, but for entries of importance 1. Where the context would exceed context.max_context_size_mb, conversation and
 * episodic entries of the least weight are forgotten first, and what still has no room is refused. */
#pragma once

#include "runtime/runtime.h"

#define MEMORY_TEXT_MAX	   (16u << 10) /* bytes of an entry */
#define MEMORY_ENTRIES_MAX 100000      /* of one agent */
#define SHARES_MAX	   10000

enum memory_kind { MEMORY_CONVERSATION, MEMORY_FACTS, MEMORY_PROCEDURES, MEMORY_EPISODIC, MEMORY_WORKING, MEMORY_KINDS };
extern const char *const memory_keys[]; /* their names, NULL-ended */

/* A line of memory/KEY. `TEXT` adds an entry, `{"text":..., "importance":0.9}` one of that importance, `-ID` forgets one; of
 * working: `KEY VALUE` sets, `KEY` alone unsets. -EINVAL CTX_002, -EFBIG RESOURCE_003, -EACCES. */
int memory_line(struct runtime *rt, const struct actor *who, struct agent *a, const char *key, const char *line, size_t len,
		struct runtime_done done, struct err *e);
/* Is it such a line? Nothing is done. */
int memory_check(const char *key, const char *line, size_t len, struct err *e);
/* One JSON object a line, oldest first; of working: KEY VALUE lines. */
int memory_render(struct runtime *rt, const struct agent *a, const char *key, struct buf *out);
/* key value lines: entries and bytes of each kind, of knowledge, and how much there may be. */
int memory_render_stats(struct runtime *rt, const struct agent *a, struct buf *out);
/* May the agent's knowledge grow by so many bytes? 0, or -EFBIG RESOURCE_003. */
int memory_room(struct runtime *rt, const struct agent *a, uint64_t more, struct err *e);

/* ---- sharing ----
 * A line of `share`: `share PATH AGENT LEVEL`, `unshare PATH AGENT`. PATH is a file of knowledge/, AGENT the one that may find it,
 * `*` every one. LEVEL is Public (with `*` alone), Restricted, or Confidential: then each answer that shows it is a record.
 * What is Secret is not shared. */
int share_line(struct runtime *rt, const struct actor *who, struct agent *a, const char *line, size_t len, struct runtime_done done,
	       struct err *e);
int share_check(const char *line, size_t len, struct err *e);
int share_render(struct runtime *rt, const struct agent *a, struct buf *out);
/* Serials of others' files that the agent may find, in order; *ret is the caller's. -ENOMEM. */
int shares_with(struct runtime *rt, uint32_t agent, uint32_t **ret, size_t *n);
/* The answer to who's question for the agent showed that file: a record where it is confidential. */
void share_shown(struct runtime *rt, const struct actor *who, uint32_t agent, uint32_t file);
