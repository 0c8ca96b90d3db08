/* SPDX-License-Identifier: MIT */
/* store.h - what the documents of a directory become when they are committed: the objects of one kind, an agent of a
 * spec's text, a rule file of a policy's. The tree gathers, names and lists documents of every kind in the same way
 * (handle_store.c, doc.c, names.c); what differs is one table of this. L3; loop thread only. */
#pragma once

#include "fs/node.h"

struct stored { /* borrowed until the next change */
	const char *file;
	uint32_t serial; /* never reused */
	uid_t uid;
	gid_t gid;
	mode_t mode; /* permission bits */
	size_t len;  /* of the text */
	uint64_t mtime_ms;
};

struct fs_store {
	const char *thing;  /* "a spec", in sentences */
	const char *events; /* what the types of its events begin with: "agent." */
	bool (*is_name)(const char *file);
	/* The object whose file is called exactly that; the first with a serial > after. false: none. */
	bool (*find)(struct runtime *rt, const char *file, struct stored *ret);
	bool (*by_serial)(struct runtime *rt, uint32_t serial, struct stored *ret);
	bool (*next)(struct runtime *rt, uint32_t after, struct stored *ret);
	int (*text)(struct runtime *rt, uint32_t serial, struct buf *out, struct err *e);
	/* May a document of this name be begun? What no text can cure is said here. */
	int (*may_begin)(struct runtime *rt, const char *file, struct err *e);
	int (*check)(struct runtime *rt, const char *file, const char *text, size_t len, bool *unfinished,
		     struct err *e);
	/* Commands of the runtime: 0 and done is called once, or -errno. */
	int (*put)(struct runtime *rt, const struct actor *who, const char *file, const char *text, size_t len,
		   struct runtime_done done, struct err *e);
	int (*remove)(struct runtime *rt, const struct actor *who, uint32_t serial, struct runtime_done done,
		      struct err *e);
	int (*rename)(struct runtime *rt, const struct actor *who, uint32_t serial, const char *new_file,
		      struct runtime_done done, struct err *e);
	int (*chattr)(struct runtime *rt, const struct actor *who, uint32_t serial, uid_t uid, gid_t gid, mode_t mode,
		      struct runtime_done done, struct err *e);
};

extern const struct fs_store fs_store_agents, fs_store_policies, fs_store_profiles, fs_store_shadows;
