/* SPDX-License-Identifier: MIT */
/* files.h - files and folders that users put into the tree (rag/docs/): their names, owners and contents. L2; loop thread
 * only.
 *
 * Names are objects of the journal, with serials like agents. Contents are files of the state directory, each written once:
 * a text on its way in is one of its own, which the record of its commit names, so that a reader keeps what it opened and a
 * text is there whole or not at all. */
#pragma once

#include <limits.h>

#include "lib/pool.h"
#include "runtime/runtime.h"

#define FILES_MAX	1000000 /* files and folders */
#define FILE_NAME_MAX	255	/* bytes */
#define FILES_DEPTH_MAX 32	/* folders in each other */

struct file { /* read only; borrowed until the next change */
	uint32_t serial; /* never reused, of one count with the agents' */
	uint32_t parent; /* 0: the root */
	const char *name;
	uid_t uid;
	gid_t gid;
	uint32_t mode; /* S_IFDIR or S_IFREG, and permission bits */
	uint64_t content; /* 0: it is empty, or a folder */
	uint64_t size, mtime_ms, created_ms;
	/* private */
	char *key;		/* "PARENT/name" */
	struct file **children; /* in order of serial */
	uint32_t children_n, children_cap;
	bool dirty; /* the store has another state */
	bool is_root; /* of an agent's files; its serial is the agent's */
};

/* 0: the root folder of rag/docs, never NULL; an agent's: the root folder of its knowledge/. */
const struct file *file_by_serial(struct runtime *rt, uint32_t serial);
/* Serial of the agent whose knowledge it belongs to; 0: it belongs to rag/docs. */
uint32_t file_owner(struct runtime *rt, const struct file *f);
const struct file *file_child(struct runtime *rt, uint32_t folder, const char *name, size_t len);
/* The first of the folder's with a serial > after; NULL at the end. O(log n). */
const struct file *file_next(struct runtime *rt, uint32_t folder, uint32_t after);
/* The first of all with a serial > after. */
const struct file *file_next_of_all(struct runtime *rt, uint32_t after);
size_t file_count(const struct runtime *rt);
/* "notes/a.md"; of a root "". */
void file_path(struct runtime *rt, const struct file *f, struct buf *out);
/* The same, below agents/NAME/knowledge/ where it is an agent's. */
void file_place(struct runtime *rt, const struct file *f, struct buf *out);
/* How policies call it: rag/docs/PATH, agents/NAME/knowledge/PATH. */
void file_resource(struct runtime *rt, const struct file *f, struct buf *out);

/* ---- contents ---- */
/* Open it to read; -1 and errno where there is none (ENOENT also of an empty one). Any thread, of a content number. */
int file_open(const struct runtime *rt, uint64_t content);
/* A new one to be written, not yet anybody's; opened for reading and writing. The caller owns *ret_fd, and commits or drops
 * the content. -errno SYS_002. */
int content_new(struct runtime *rt, uint64_t *ret, int *ret_fd, struct err *e);
int content_reopen(const struct runtime *rt, uint64_t content); /* by a worker that takes over; -1 and errno */
void content_drop(struct runtime *rt, uint64_t content);

/* ---- commands, as those on agents (runtime.h). The caller asked the tree for permission to change the folder. ---- */
/* Make an empty file or a folder. *ret: its serial, there at once; durable before any later command is. */
int file_make(struct runtime *rt, const struct actor *who, uint32_t folder, const char *name, mode_t mode, uint32_t *ret,
	      struct runtime_done done, struct err *e);
/* What was written to content is the file's from now on. The caller made it durable (content_sync) and does not write to it any
 * more. */
int file_commit(struct runtime *rt, const struct actor *who, uint32_t serial, uint64_t content, uint64_t size,
		const char *digest, struct runtime_done done, struct err *e);
int file_remove(struct runtime *rt, const struct actor *who, uint32_t serial, struct runtime_done done, struct err *e);
/* A file of the new name is replaced, an empty folder by a folder. */
int file_rename(struct runtime *rt, const struct actor *who, uint32_t serial, uint32_t folder, const char *name,
		struct runtime_done done, struct err *e);
/* -1: unchanged. */
int file_chattr(struct runtime *rt, const struct actor *who, uint32_t serial, uid_t uid, gid_t gid, mode_t mode,
		struct runtime_done done, struct err *e);

/* Make a content durable and digest it, on a worker thread. */
struct content_sync {
	struct pool_job job; /* private */
	int fd;		     /* in: borrowed until done */
	uint64_t size;	     /* out: bytes */
	char digest[65];     /* out: SHA-256, hex */
	int result;	     /* out: 0 or -errno */
	void (*done)(struct content_sync *s); /* loop thread */
	const struct runtime *rt;
};
void content_sync(struct runtime *rt, struct content_sync *s);
