/* SPDX-License-Identifier: MIT */
/* policies.h - the policy files of an installation and the one set that they make, which decides. L2; loop thread only.
 *
 * A file is an object of the journal like an agent: it has an owner, a mode and a serial. Every change compiles the whole
 * set anew; a text that does not fit into it changes nothing. Files that were stored and do not compile at a start (a
 * later version wrote them) leave no set: then nothing is allowed but to root, until they are mended or removed. */
#pragma once

#include "policies/policy.h"
#include "runtime/runtime.h"

#define POLICY_FILES_MAX 1000

struct policy_file {
	uint32_t serial; /* never reused, of one count with the agents' */
	char *file;	 /* "guard.yaml" */
	char *text;
	size_t text_len;
	uid_t uid;
	gid_t gid;
	uint32_t mode_bits;
	uint64_t created_ms, mtime_ms;
	bool dirty; /* the store has another state */
};

/* Borrowed until the next change; NULL: none. */
const struct policy_file *policy_file_find(struct runtime *rt, const char *file);
const struct policy_file *policy_file_by_serial(struct runtime *rt, uint32_t serial);
const struct policy_file *policy_file_next(struct runtime *rt, uint32_t after); /* in order of serial */

/* Commands, as those on agents (runtime.h). The files of others are changed by root alone. */
int policy_file_put(struct runtime *rt, const struct actor *who, const char *file, const char *text, size_t len,
		    struct runtime_done done, struct err *e);
int policy_file_delete(struct runtime *rt, const struct actor *who, uint32_t serial, struct runtime_done done,
		       struct err *e);
/* A file of the new name is replaced. */
int policy_file_rename(struct runtime *rt, const struct actor *who, uint32_t serial, const char *new_file,
		       struct runtime_done done, struct err *e);
/* -1: unchanged. */
int policy_file_chown(struct runtime *rt, const struct actor *who, uint32_t serial, uid_t uid, gid_t gid, mode_t mode,
		      struct runtime_done done, struct err *e);
/* Would this text be taken under this name? *unfinished: more text behind its end could still make it right. */
int policy_file_check(struct runtime *rt, const char *file, const char *text, size_t len, bool *unfinished,
		      struct err *e);
/* May a file of this name be begun? */
int policy_file_may_begin(struct runtime *rt, const char *file, struct err *e);

/* The active set; NULL: the stored files do not compile and *ret_why (may be NULL) says why. */
const struct policy_set *policies_active(struct runtime *rt, const struct err **ret_why);

/* May this agent's program be started, and in its tier? 0, or -EACCES POLICY_001 naming the rule. */
int policies_may_start(struct runtime *rt, struct agent *a, const struct agent_spec *s, struct err *e);

/* Decide a request in words, for an agent; of an agent that exists its spec is known. Appends the answer, as text or
 * JSON. 0, or -EINVAL POLICY_003 POLICY_004 for what is no request. */
int policies_check(struct runtime *rt, const struct policy_words *w, bool json, struct buf *out, struct err *e);

/* Texts: the set's files and rules in the order of their weight; its counters. 0 or -errno of the buffer. */
int policies_render_effective(struct runtime *rt, struct buf *out);
int policies_render_stats(struct runtime *rt, struct buf *out);
