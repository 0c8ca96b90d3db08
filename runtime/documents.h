/* SPDX-License-Identifier: MIT */
/* documents.h - texts that an installation keeps as files of a directory: policies/, policies/shadow/, sandbox/profiles/. L2; loop thread
 * only.
 *
 * A document is an object of the journal like an agent: it has an owner, a mode and a serial. A text that its kind does not
 * take changes nothing. */
#pragma once

#include "runtime/runtime.h"

enum document_kind { DOCUMENT_POLICY, DOCUMENT_PROFILE, DOCUMENT_SHADOW, DOCUMENT_KINDS };

struct document {
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
const struct document *document_find(struct runtime *rt, enum document_kind k, const char *file);
const struct document *document_by_serial(struct runtime *rt, enum document_kind k, uint32_t serial);
const struct document *document_next(struct runtime *rt, enum document_kind k, uint32_t after); /* in order of serial */

/* Commands, as those on agents (runtime.h). The files of others are changed by root alone. */
int document_put(struct runtime *rt, enum document_kind k, const struct actor *who, const char *file, const char *text,
		 size_t len, struct runtime_done done, struct err *e);
int document_delete(struct runtime *rt, enum document_kind k, const struct actor *who, uint32_t serial,
		    struct runtime_done done, struct err *e);
/* A file of the new name is replaced. */
int document_rename(struct runtime *rt, enum document_kind k, const struct actor *who, uint32_t serial,
		    const char *new_file, struct runtime_done done, struct err *e);
/* -1: unchanged. */
int document_chown(struct runtime *rt, enum document_kind k, const struct actor *who, uint32_t serial, uid_t uid, gid_t gid,
		   mode_t mode, struct runtime_done done, struct err *e);
/* Would this text be taken under this name? *unfinished: more text behind its end could still make it right. */
int document_check(struct runtime *rt, enum document_kind k, const char *file, const char *text, size_t len,
		   bool *unfinished, struct err *e);
/* May a file of this name be begun? */
int document_may_begin(struct runtime *rt, enum document_kind k, const char *file, struct err *e);
