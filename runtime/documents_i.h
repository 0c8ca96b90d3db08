/* SPDX-License-Identifier: MIT */
/* documents_i.h - what the runtime holds of documents, and what differs between their kinds. L2; loop thread only. */
#pragma once

#include "runtime/documents.h"

struct facts;
struct kv;

struct documents { /* of one kind */
	struct document **files; /* in order of serial */
	size_t n, cap;
	bool dirty; /* one of them is */
};

struct document_change { /* what the documents of a kind are to become */
	const char *without, *put; /* names of files; NULL none */
	const char *text;	   /* of put */
	size_t len;
};

struct document_type {
	const char *noun, *key; /* "policy file"; "p/" in the store */
	const char *action;	/* of who changes one */
	unsigned put;		/* its type of record; that of delete, rename and chown follow */
	enum err_code invalid;
	size_t most;
	/* Would the text be taken? */
	int (*check)(struct runtime *rt, const char *file, const char *text, size_t len, bool *unfinished, struct err *e);
	/* Take the change before it is journalled; `abandon` when it then is not. */
	int (*prepare)(struct runtime *rt, const struct document_change *c, struct err *e);
	void (*abandon)(struct runtime *rt);
	/* As prepare, for a put that takes too long for the loop, which then is false: then(arg, r, e) comes later, on the loop, and
	 * what it does at once may rely on what was prepared. NULL: none takes long. */
	bool (*prepare_later)(struct runtime *rt, const struct document_change *c, void (*then)(void *arg, int r, const struct err *e),
			      void *arg);
	/* The change is in the table. Not called in replay. */
	void (*changed)(struct runtime *rt);
};
extern const struct document_type document_policy, document_profile, document_shadow;

/* The kind that a record is about; DOCUMENT_KINDS: it is about no document. */
enum document_kind documents_of_record(unsigned type);
void documents_apply(struct runtime *rt, enum document_kind k, const struct facts *f);
bool documents_dirty(const struct runtime *rt);
int documents_save(struct runtime *rt, struct err *e);
int documents_load(struct runtime *rt, struct err *e);
void documents_close(struct runtime *rt);
