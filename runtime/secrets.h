/* SPDX-License-Identifier: MIT */
/* secrets.h - the secrets of an installation: names and sealed values, who may read them, a record of each access. L2; loop
 * thread only.
 *
 * A value is in memory in its sealed form (secret.h) and is opened for one reader at a time. Journal and store have the
 * sealed form, too; the audit trail has its digest. */
#pragma once

#include "runtime/runtime.h"
#include "runtime/secret.h"

#define SECRETS_MAX	  10000 /* secrets and folders */
#define SECRETS_DEPTH_MAX 16	/* folders in each other */

struct secret { /* read only; borrowed until the next change */
	uint32_t serial; /* of one count with the agents'; the low 24 bits, its number, are its alone among secrets */
	uint32_t parent; /* number of its folder, 0: the root */
	char *path;	 /* "app/api_key" */
	const char *name; /* the last part of it */
	bool folder;
	uid_t uid;
	gid_t gid;
	uint64_t generation; /* grows with every value of any secret; 0: no value was written */
	uint64_t size;	     /* bytes of the value */
	uint64_t created_ms, mtime_ms;
	char *sealed; /* base64; NULL: no value */
	bool dirty;
};
#define SECRET_NUMBER(s) ((s)->serial & 0xffffffu)

const struct secret *secret_by_number(struct runtime *rt, uint32_t number); /* NULL: none */
const struct secret *secret_child(struct runtime *rt, uint32_t folder, const char *name);
/* The first of the folder's in order of number, behind `after`. */
const struct secret *secret_next(struct runtime *rt, uint32_t folder, uint32_t after);

/* Does a rule give it to the agent, or of a folder anything in it? A question, no act: nothing is recorded. */
bool secret_is_granted(struct runtime *rt, const struct agent *a, const struct secret *s);

/* The value, for who, and the record that it was read, which comes first. -ENOKEY SECRET_001 without a master key, -EBADMSG
 * SECRET_002. The caller owns *ret. May who read it? was asked before, by the tree. */
int secret_read(struct runtime *rt, const struct actor *who, const struct secret *s, struct secret_text *ret,
		struct err *e);
/* {"name":...,"generation":...,"size":...,...} */
int secret_render_json(const struct secret *s, struct buf *out);

/* Commands, as those on agents (runtime.h). *ret: its number, there at once. A secret begins without a value. */
int secret_make(struct runtime *rt, const struct actor *who, uint32_t folder, const char *name, bool is_folder,
		uint32_t *ret, struct runtime_done done, struct err *e);
/* Is there a master key to seal with? */
int secret_may_write(struct runtime *rt, struct err *e);
int secret_write(struct runtime *rt, const struct actor *who, uint32_t number, const void *value, size_t len,
		 struct runtime_done done, struct err *e);
/* Wrap every value by the key in STATE/master.key.next, which then takes the place of STATE/master.key; done comes when that
 * is durable. -EINVAL SECRET_003 where there is no such file, -EBUSY while a rotation goes on. */
int secrets_rotate(struct runtime *rt, const struct actor *who, struct runtime_done done, struct err *e);
int secret_delete(struct runtime *rt, const struct actor *who, uint32_t number, struct runtime_done done, struct err *e);
