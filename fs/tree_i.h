/* SPDX-License-Identifier: MIT */
/* tree_i.h - what the files of fs/ share and nobody else sees. L3; loop thread only. */
#pragma once

#include "fs/tree.h"
#include "lib/map.h"

#define ROWS_MAX        255
#define SLOT_HOLD_MS    2000
#define SCRATCH_AGE_MS  (10u * 60 * 1000)
#define SCRATCH_PER_UID 64
#define SLOTS_MAX       8192
#define RENDER_MAX      (16u << 20)
#define RENDER_CACHE    64
#define STREAM_MAX      (1u << 20)

enum part { PART_LITERAL, PART_AGENT, PART_RUN, PART_CALL, PART_SPEC, PART_KEY };

struct row { /* a row of a table, or a directory that follows from the rows below it */
	const struct fs_node *node; /* NULL: an implied directory */
	char *name;                 /* last component as written */
	enum part part;
	uint8_t id;
	uint8_t parent;
	uint8_t child[64];
	uint8_t children;
};

struct place { /* a decoded node id */
	const struct row *row;
	uint32_t serial; /* of the agent; 0 none */
	uint32_t sub;
};

struct rendering { /* a text made at lookup for the open that follows */
	fs_id id;
	pid_t pid;
	uint64_t at_ns;
	struct buf text;
};

struct doc { /* a document in agents/ that is not an agent: an editor's scratch file, or a new spec
	      * between its creation and its commit */
	struct doc *next;
	uint32_t id;
	char *name;
	bool scratch; /* has a life of its own; else it goes with its last open */
	bool committed;
	uid_t uid;
	gid_t gid;
	mode_t mode;
	unsigned opens;
	uint64_t mtime_ms;
	struct buf text;
};

struct answer { /* what a question led to: a run, or a text that was there at once */
	unsigned refs;
	struct run *run; /* owned reference, or NULL */
	char *text;      /* owned, when run is NULL */
	size_t len;
};

struct slot { /* where one process, or one name in run.d, finds its answer */
	struct slot *next;
	uint32_t id;
	uint32_t serial;
	uid_t uid;
	pid_t pid;           /* 0: by name */
	uint64_t start_time; /* of the process, against reuse of pids */
	char *name;
	struct answer *answer; /* to its last question, or NULL */
	uint64_t used_ms;
	unsigned opens;
};

struct tree {
	struct runtime *rt;
	char *mount;
	struct row rows[ROWS_MAX + 1]; /* [1] is the root; 0 unused */
	unsigned row_count;
	uint8_t agents_row, spec_row, doc_row, agent_row, call_row, named_row;
	uint64_t boot_ms;
	struct rendering cache[RENDER_CACHE];
	struct doc *docs;
	uint32_t next_doc;
	struct slot *slots;
	uint32_t next_slot;
	unsigned slot_count;
	void (*stale)(void *arg, uint64_t dir, const char *name);
	void *stale_arg;
};

struct handle {
	struct tree *t;
	struct place at;
	fs_id id;
	struct actor who;
	int flags;
	const struct handle_ops *ops;
	struct buf in;      /* what was written and not committed; a store document's whole text */
	struct buf snap;    /* what reads are served from */
	bool have_snap;
	bool dirty;
	int fd;             /* FS_LOG */
	struct doc *doc;    /* FS_STORE: scratch or new */
	struct err refused; /* FS_STORE: why a write was refused; code ERR_NONE: none was */
	/* FS_CALL */
	struct answer *answer;
	uint64_t end_of_write, base;
	bool base_set;
	struct run_waiter poll_waiter;
	bool polling;
	/* FS_STREAM */
	struct event_sub sub;
	enum agent_state seen;
	bool answered;
	void (*wake)(void *arg);
	void *wake_arg;
	struct stream_read *readers;
	struct buf queue; /* lines that no read took yet */
	bool lost;        /* the queue was full: lines were dropped */
};

struct handle_ops {
	int (*open)(struct handle *h, struct err *e);
	void (*read)(struct handle *h, struct fs_req *req, uint64_t off, size_t size, bool nonblock);
	void (*write)(struct handle *h, struct fs_req *req, uint64_t off, const char *data,
		      size_t len, bool nonblock);
	void (*flush)(struct handle *h, struct fs_req *req);
	void (*release)(struct handle *h);
	unsigned (*poll)(struct handle *h);
};
extern const struct handle_ops handle_text_ops, handle_log_ops, handle_store_ops, handle_call_ops,
	handle_stream_ops, handle_sink_ops;

/* ids */
fs_id place_id(const struct place *p);
int place_of(struct tree *t, fs_id id, struct place *ret, struct err *e);
/* Bind the objects of a place; -ENOENT when they are gone. */
int place_bind(struct tree *t, const struct place *p, const struct actor *who, struct fs_ctx *ret,
	       struct err *e);
int place_attr(struct tree *t, const struct place *p, const struct actor *who, struct fs_attr *ret,
	       struct err *e);
int place_child(struct tree *t, const struct actor *who, const struct place *dir, const char *name,
		struct place *ret, struct err *e);
const char *place_name(const struct place *p);
enum fs_kind row_kind(const struct row *r);
/* Path below the mount, for error messages. */
void place_path(struct tree *t, const struct place *p, struct buf *out);

/* rendering */
int render_place(struct tree *t, const struct place *p, const struct actor *who, struct buf *out,
		 struct err *e);
void rendering_keep(struct tree *t, fs_id id, pid_t pid, struct buf *text);
bool rendering_take(struct tree *t, fs_id id, pid_t pid, struct buf *text);

/* replies */
void req_ok(struct fs_req *req, int r);
void req_data(struct fs_req *req, const void *data, size_t len);
void req_fail(struct fs_req *req, int r, const struct err *e);
/* A runtime_done that answers req with r on success. */
struct runtime_done req_done(struct fs_req *req, int r);
/* Reply with the part of text that [off, off+size) asks for. */
void req_slice(struct fs_req *req, const struct buf *text, uint64_t off, size_t size);

/* documents */
bool doc_is_spec_name(const char *name);
struct doc *doc_find(struct tree *t, const char *name);
struct doc *doc_by_id(struct tree *t, uint32_t id);
int doc_new(struct tree *t, const struct actor *who, const char *name, mode_t mode,
	    struct doc **ret, struct err *e);
void doc_drop(struct tree *t, struct doc *d);
void docs_expire(struct tree *t);

/* slots */
struct slot *slot_for_reader(struct tree *t, const struct actor *who, uint32_t serial);
struct slot *slot_by_id(struct tree *t, uint32_t id);
struct slot *slot_by_name(struct tree *t, const struct actor *who, uint32_t serial,
			  const char *name, bool make, struct err *e);
/* File the answer under the asking process and its parent. */
void slot_file_answer(struct tree *t, const struct actor *who, uint32_t serial, struct answer *a);
void slot_set_answer(struct slot *s, struct answer *a);
void slot_drop(struct tree *t, struct slot *s);

/* answers */
struct answer *answer_ref(struct answer *a);
void answer_unref(struct answer *a); /* NULL is fine */
bool answer_ready(const struct answer *a);
uint64_t answer_size(struct tree *t, const struct answer *a); /* 0 while it is being made */
/* Put the question; the call's own act. */
int answer_ask(struct tree *t, const struct place *p, const struct actor *who, const char *q,
	       size_t len, struct answer **ret, struct err *e);
/* The bytes of a ready answer at off into buf; or -errno with the reason that there is none. */
ssize_t answer_read(struct tree *t, const struct answer *a, uint64_t off, void *buf, size_t size,
		    struct err *e);

int access_check(struct tree *t, const struct actor *who, const struct fs_attr *a,
		 const struct fs_node *node, int want, struct err *e);
