/* SPDX-License-Identifier: MIT */
/* secrets_i.h - what the runtime holds of secrets. L2; loop thread only. */
#pragma once

#include "runtime/secrets.h"

#define SECRETS_KEY	 "master.key" /* in the state directory */
#define SECRETS_NEXT_KEY "master.key.next"

struct facts;
struct journal_record;

struct secrets {
	struct secret **all; /* in order of number */
	size_t n, cap;
	uint64_t generation_last;
	struct secret_key *key; /* NULL: not looked for yet, or none */
	struct secret_key *next; /* while it is rotated: seals what is written; NULL: none */
	struct rotation *rotation;
	bool dirty;
};

bool secrets_is_record(unsigned type);
void secrets_apply(struct runtime *rt, const struct facts *f);
int secrets_save(struct runtime *rt, struct err *e);
int secrets_load(struct runtime *rt, struct err *e);
void secrets_close(struct runtime *rt);
/* Into the table; NULL: no memory. text is taken. */
struct secret *secrets_add(struct runtime *rt, uint32_t serial, uint32_t parent, const char *path, bool folder);
void secrets_drop(struct runtime *rt, struct secret *s);
/* The record's body without the value, however sealed: its digest stands there. false: the record has none. */
bool secrets_redact(const struct journal_record *rec, struct buf *out);

/* ---- secrets_rotate.c ---- */
/* The keys are in memory, or -errno. */
int secrets_keys(struct runtime *rt, struct err *e);
/* Behind the replay: go on with a rotation that was under way. */
void secrets_start(struct runtime *rt);
/* No more of it; the caller frees what it returns once the journal is closed. */
struct rotation *secrets_rotate_stop(struct runtime *rt);
