/* SPDX-License-Identifier: MIT */
/* node.h - a file of the tree is one row. L3; loop thread only.
 *
 * Directories, lookup, permission, policy action, audit, metrics, README and docs/TREE.md follow
 * from the rows. Behaviour belongs to the kind; what is special to a file is in its callbacks. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "runtime/runtime.h"

#define FS_DEPTH_MAX 6          /* components of a path */
#define FS_DOC_MAX   (1u << 20) /* bytes of a document or a call's question */

enum fs_kind {
	FS_DIR,      /* children are rows below it, or `objects` */
	FS_RENDERED, /* read callback renders it when looked up; true size; snapshot per open */
	FS_LOG,      /* backed by an append-only file on disk: `file` gives its path */
	FS_VALUE,    /* rendered, and one line written sets it */
	FS_LINES,    /* each complete line written is a command; reads are empty or rendered */
	FS_STORE,    /* a document: gathered, checked, committed whole (a spec) */
	FS_CALL,     /* write a question, read its answer */
	FS_STREAM,   /* reads wait for what comes next (wait/...) */
	FS_SECRET,   /* a secret: sealed when it was written whole, opened for each reader */
	FS_FILE,     /* a user's file of any size: written aside, committed whole */
	FS_SINK,     /* bytes go to a pipe as they come (stdin) */
};

struct tree;
struct fs_store;
struct fs_later;
struct file;
struct fs_ctx { /* who asks about what; valid during the call */
	struct runtime *rt;
	struct actor who;
	const struct fs_node *node;
	struct agent *agent; /* bound by {agent}, else NULL */
	struct run *run;     /* bound by {run}, else NULL */
	const struct file *file; /* bound by {folder} or {file}, else NULL */
	const struct secret *secret;	 /* bound by {secret} and {secrets}, else NULL */
	const struct approval *approval; /* bound by {approval}, else NULL */
	const char *name;    /* the last component's name: "memory_mb", a call's NAME ... */
	struct tree *tree;
};

struct fs_node {
	const char *path; /* "agents/{agent}/status"; the root is "" */
	mode_t mode;      /* permission bits; the owner is the agent's, or root */
	enum fs_kind kind;
	const char *action; /* what policy is asked: "agent.read" */
	/* RENDERED VALUE LINES: the text now. Memory only, starts no work. 0 or -errno. */
	int (*read)(const struct fs_ctx *c, struct buf *out, struct err *e);
	/* VALUE, LINES: one line without its '\n'; done is called once when durable. */
	int (*write)(const struct fs_ctx *c, const char *data, size_t len, struct runtime_done done,
		     struct err *e);
	/* The same line: is it right? Called before anything is done, so that a write with a wrong line does
	 * nothing, and for a VALUE that has no '\n' yet. Of a CALL: what was written of a question, at each end of a
	 * line; wrong is what no more text makes a question, and the write is refused: shells do not look at what
	 * close says. May be NULL. */
	int (*check)(const struct fs_ctx *c, const char *data, size_t len, struct err *e);
	/* STORE: what its documents become. */
	const struct fs_store *store;
	/* CALL: the answer to a question, at once. NULL: the question becomes a run of the agent. */
	int (*ask)(const struct fs_ctx *c, const char *q, size_t len, struct buf *out,
		   struct err *e);
	/* The same for an answer that takes work: 0, and l is told once, on the loop thread (fs_answer_later). */
	int (*ask_later)(const struct fs_ctx *c, const char *q, size_t len, struct fs_later *l, struct err *e);
	/* Last component "{key}": the names it stands for, NULL-ended. */
	const char *const *keys;
	/* Where it shows in the view of an agent, of which it then tells: "self/status"; NULL: it has no name there.
	 * There it is only to be read, by the agent, whom no policy needs to allow to know itself. */
	const char *view;
	/* STREAM: of the agent's next state, not of events. */
	bool states;
	/* STREAM: only of events whose type begins so; NULL: all. */
	const char *only;
	/* The text is the same for as long as the daemon lives. */
	bool fixed;
	/* LOG: the file behind it; while there is none, `read` gives its beginning. */
	int (*file)(const struct fs_ctx *c, char *out, size_t cap, struct err *e);
	const char *doc; /* one line: README and docs/TREE.md */
};
/* The answer: text (borrowed) or e. Ends l. */
void fs_answer_later(struct fs_later *l, const char *text, size_t len, const struct err *e);

extern const struct fs_node
	*const fs_tables[]; /* NULL-ended list of row arrays, each ended by .path NULL */
