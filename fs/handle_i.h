/* SPDX-License-Identifier: MIT */
/* handle_i.h - an open file, for the files that make its kinds. L3; loop thread only.
 *
 * What has to outlive the worker is in handle_state, `in` and `snap`. An operation changes these, calls
 * handle_keep for the state (and handle_keep_in for bytes of `in`), and then replies. An operation that
 * fails keeps nothing: if it comes again it is tried again. */
#pragma once

#include "fs/tree_i.h"
#include "runtime/secret.h"

struct handle_state { /* plain bytes: kept */
	fs_id id;
	struct actor who;
	int flags;
	uint64_t opened_by; /* the request */
	uint64_t poll_key;
	bool dirty; /* something was written that no commit took */
	/* The last write that was carried out, and its reply. */
	uint64_t wrote_by;
	uint32_t wrote;
	/* LINES, VALUE: how much of `in` was carried out, as how many lines of the last write. */
	uint32_t taken, lines;
	uint64_t upload; /* FILE: the content that is being written; 0: none */
	uint64_t doc; /* STORE: seq of a document; 0: an agent's spec */
	/* CALL */
	uint64_t answer; /* id */
	uint64_t end_of_write, base;
	bool base_set;
	/* STREAM */
	uint64_t given; /* sequence of the last event that was given whole */
	uint64_t begun; /* of the one that was given in part */
	uint32_t part;  /* bytes given of it */
	uint32_t seen;  /* wait/agents: the state that is known, or that is the answer */
	bool answered, gone;
	uint64_t read_by; /* the last read; `in` holds what it gave */
	/* STORE: why a write was refused; code ERR_NONE: none was. Last: it is large and rarely kept. */
	struct err refused;
};

struct handle {
	struct tree *t;
	struct place at;
	struct handle_state st;
	uint64_t number; /* 0: not kept */
	unsigned refs;   /* one for being open, one for each operation that goes on */
	struct index_link by_id, by_number; /* the latter while a worker takes over */
	struct handle *prev, *next;         /* of all that are open */
	const struct handle_ops *ops;
	struct buf in;   /* what was written and not committed; a document's whole text */
	struct buf snap; /* what reads are served from */
	bool have_snap;
	int fd; /* LOG, FILE */
	struct secret_text value; /* SECRET */
	void (*wake)(void *arg);
	void *wake_arg;
	struct doc *doc; /* STORE */
	struct commit *commit;
	uint64_t writes; /* counts them, so that a commit knows whether there was one behind it */
	bool again;      /* release: the request came again */
	bool running;    /* LINES, VALUE: lines of a write are being carried out */
	struct answer *answer; /* CALL */
	struct slot *slot;     /* CALL by name */
	struct answer_waiter poll_waiter;
	bool polling;
	struct event_sub sub; /* STREAM */
	struct stream_read *readers;
	struct buf queue; /* lines that no read took yet */
};

struct handle_ops {
	int (*open)(struct handle *h, struct err *e);
	/* In place of open, in a worker that takes over: st, in and snap are there. */
	int (*restore)(struct handle *h, struct err *e);
	void (*read)(struct handle *h, struct fs_req *req, uint64_t off, size_t size,
		     bool nonblock);
	void (*write)(struct handle *h, struct fs_req *req, uint64_t off, const char *data,
		      size_t len, bool nonblock);
	/* NULL: `>` on a command or value file, there is nothing to cut. */
	int (*truncate)(struct handle *h, uint64_t size, struct err *e);
	void (*flush)(struct handle *h, struct fs_req *req);
	void (*release)(struct handle *h);
	/* who, again: of the request, which may put a question */
	unsigned (*poll)(struct handle *h, const struct actor *who, bool again);
};
extern const struct handle_ops handle_text_ops, handle_log_ops, handle_store_ops, handle_call_ops,
	handle_stream_ops, handle_sink_ops, handle_file_ops, handle_secret_ops;

/* Without checks and without opening: for tree_open and for taking over. NULL: no memory. */
struct handle *handle_new(struct tree *t, const struct place *p, const struct handle_state *st);
void handle_set_opener(struct handle *h, const struct actor *who);
struct handle *handle_ref(struct handle *h);
void handle_unref(struct handle *h);

/* 1 MiB for bytes on their way into a reply; valid until the next call. */
char *read_buffer(void);

/* Flush at release what was written after the last flush; a failure is only recorded. */
void handle_flush_last(struct handle *h);

void handle_keep(const struct handle *h);
void handle_keep_in(const struct handle *h, uint64_t from); /* from: first byte that changed */
void handle_keep_all(const struct handle *h);

/* Is this write the one that was carried out last, come again? */
bool handle_wrote(const struct handle *h, const struct fs_req *req);
/* Take note that it was; keeps the state. */
void handle_set_wrote(struct handle *h, const struct fs_req *req, size_t len);
