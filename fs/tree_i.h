/* SPDX-License-Identifier: MIT */
/* tree_i.h - what the files of fs/ share and nobody else sees. L3; loop thread only. */
#pragma once

#include "fs/index.h"
#include "fs/keep.h"
#include "fs/store.h"
#include "fs/tree.h"
#include "lib/map.h"
#include "lib/parse.h"

#define VIEWS		     "views" /* its directories are what sandboxes have as their /symbi */
#define VIEW_OPEN_MAX	     256     /* files of one view open at once, by all of its agent's processes */
#define ROWS_MAX             255
#define KEYS_MAX             64   /* names that one {key} stands for */
#define STAT_HOLD_MS         2000 /* a stat waits this long for an answer that is being made */
#define SCRATCH_AGE_MS       (10u * 60 * 1000)
#define SCRATCH_PER_UID      64
#define SLOTS_PER_UID        16384
#define ANSWER_BYTES_PER_UID (16u << 20) /* of answers that were texts at once */
#define WALKERS              256
#define UNSIZED              1024
#define UNSIZED_NS           100000000u
#define RENDER_MAX           (16u << 20)
#define RENDER_WAYS          8 /* so many newer texts of one set must come before an open loses its own */
#define RENDER_CACHE         (64 * RENDER_WAYS)
#define RENDER_REUSE_NS      50000000u /* lookups of one process that follow each other see one text */
#define STREAM_MAX           (1u << 20)

enum part { PART_LITERAL, PART_AGENT, PART_RUN, PART_CALL, PART_SPEC, PART_KEY, PART_FOLDER, PART_FILE, PART_APPROVAL,
	    PART_SECRETS, PART_SECRET, PART_SECRET_INFO };

struct row { /* a row of a table, or a directory that follows from the rows below it */
	const struct fs_node *node; /* NULL: an implied directory */
	char *name;                 /* last component as written */
	enum part part;
	uint8_t id;
	uint8_t parent;
	uint8_t child[64];
	uint8_t children;
	bool below_agent; /* stands for an agent, or for what belongs to one */
	bool files;	  /* a folder or file of users', or the root of such: its serial is that of runtime/files.h */
	bool secrets; /* secrets/, or in it: sub is the number of a secret (runtime/secrets.h) */
	bool below_approval; /* stands for an approval, or for what belongs to one */
	bool in_view;	  /* is the view of an agent, or in it: the id says who asks, whoever that claims to be */
	/* The id of the file names one text of it, so that a reader keeps the text that it looked up
	 * while others already get the next one, and the kernel may cache either. */
	bool versioned;
	uint8_t version_shift; /* bits of sub below the version */
	const struct fs_store *lists; /* of a directory: whose objects are names in it */
	uint8_t docs;		      /* and the row of their documents, where they are made; 0 none */
	bool asked;	     /* of such a directory: its times were told to somebody since they changed */
	uint64_t changed_ms; /* a name came or went in it */
	uint64_t changes;    /* how often */
};

struct place { /* a decoded node id */
	const struct row *row;
	uint32_t serial; /* of the agent or of the document's object; 0 none */
	/* A run's number, a key, a document, a caller's pid, an exchange, or what place_sub_of says. */
	uint32_t sub;
	uint32_t version; /* of a versioned row; 0: whichever is now */
};

struct rendering {  /* a text made at lookup, for the open that follows */
	fs_id base; /* the place without a version; 0: none */
	uid_t uid;
	pid_t pid;
	uint32_t version;
	uint64_t at_ns, changes;
	struct buf text;
};

struct user { /* what one uid holds in the tree's memory */
	struct index_link link;
	uid_t uid;
	unsigned docs, slots;
	size_t answer_bytes;
	struct slot *oldest, *newest;
};

struct doc { /* a document that is no object of its store (store.h): an editor's scratch file, or a new spec
	      * between its creation and its commit */
	struct index_link by_id;
	struct doc *next;
	struct user *user;    /* who made it */
	struct doc_state {    /* plain bytes: kept */
		uint64_t seq; /* grows with each document; its low 24 bits are in the node id */
		uint8_t row;  /* of its directory's documents */
		bool unnamed; /* removed, or its name is an object's now: goes with its last close */
		uint32_t serial; /* of the object that it became; 0: none yet */
		bool scratch;    /* has a life of its own; else it goes with its last close */
		uid_t uid;
		gid_t gid;
		mode_t mode;
		uint64_t mtime_ms;
		char name[256];
	} st;
	unsigned opens;
	char key[264]; /* row and name: where docs_by_name has it */
	/* Its name is an object's now, and which one's; the journal does not have that for sure yet. */
	bool hidden;
	uint32_t serial;
	struct buf text;
};

struct answer { /* what a question led to: a run, or a text that was there at once */
	struct index_link link; /* by id */
	unsigned refs;
	uint64_t id;
	uint32_t serial, number; /* of agent and run; number 0: a text */
	struct actor who;        /* who asked, by which request */
	struct run *run; /* owned reference; NULL: a text, or the run is not kept any more */
	struct fs_later *later; /* it is being made; NULL: it is there */
	struct place asked;	/* and where the question was put */
	struct err failed; /* why there is none; code ERR_NONE: there is */
	struct answer_waiter *waiters;
	struct run_waiter run_waiter; /* set while there are waiters for a run */
	/* Owned. Of a run: the question, for as long as the journal may not have it for sure. */
	char *text;
	size_t len;
};

struct answer_waiter { /* embed; as a struct run_waiter for every kind of answer */
	struct answer_waiter *next, **pprev;
	void (*fn)(struct answer_waiter *w);
};

struct slot { /* where one process, or one name in run.d, finds the answer to its last question */
	struct index_link by_key, by_id;
	struct slot *older, *newer; /* of the same user, by use */
	struct slot *prev, *next;   /* of all with a name, in order of seq */
	struct user *user;
	struct slot_state {   /* plain bytes: kept */
		uint64_t seq; /* low 24 bits: in the node id of a named one */
		uint8_t row;
		bool unnamed; /* removed while open */
		uint32_t serial;
		uid_t uid;
		pid_t pid; /* 0: by name */
		uint64_t start;
		uint64_t answer; /* id; 0 none */
		char name[NAME_LEN_MAX + 1];
	} st;
	struct answer *answer;
	size_t bytes; /* of the answer, as they were counted for the user */
	unsigned opens;
};

struct walker { /* a process that listed a directory with a call file in it */
	uint8_t row;
	uint32_t serial;
	pid_t pid;
	uint64_t start; /* 0: free */
};

struct tree {
	struct runtime *rt;
	uid_t uid; /* the daemon's own */
	gid_t gid;
	char *mount;
	struct row rows[ROWS_MAX + 1]; /* [1] is the root; 0 unused */
	unsigned row_count;
	uint8_t agents_row, agent_row;
	uint64_t boot_ms;
	uint64_t changes;           /* grows with everything that may change a text */
	struct rendering cache[RENDER_CACHE];
	struct { /* call files that were stated before their answer was there, and until when nobody waits again */
		fs_id id;
		uint64_t until_ns;
	} unsized[UNSIZED];
	struct walker walkers[WALKERS];
	unsigned next_walker;
	struct index users;
	struct doc *docs, **docs_end; /* in order of seq */
	struct map docs_by_name;
	struct index docs_by_id;
	struct index slots_by_key, slots_by_id;
	struct slot *named, *named_last;
	uint64_t next_seq; /* of documents, slots and answers */
	struct handle *handles;
	struct index handles_by_id;
	struct index answers;
	struct fs_later *laters; /* of answers that are being made */
	struct index viewers;
	struct keep *keep;
	struct event_sub sub;
	void (*stale)(void *arg, fs_id id);
	void *stale_arg;
};

/* ---- rows (rows.c) ---- */
int rows_build(struct tree *t, struct err *e); /* once; needs boot_ms */
enum fs_kind row_kind(const struct row *r);
mode_t row_mode(const struct row *r); /* without what a document or an owner says */

/* ---- ids and places (tree.c) ---- */
fs_id place_id(const struct place *p);
int place_of(struct tree *t, fs_id id, struct place *ret, struct err *e);
/* Of the row's directory or file that has the agent's name. */
uint32_t place_sub_of(const struct row *r, const struct agent *a);
/* What a child has in its id from its directory. */
uint32_t sub_below(const struct place *dir);
/* Bind the objects of a place; -ESTALE when they are gone. */
int place_bind(struct tree *t, const struct place *p, const struct actor *who, struct fs_ctx *ret,
	       struct err *e);
int place_child(struct tree *t, const struct actor *who, const struct place *dir, const char *name,
		struct place *ret, struct err *e);
const char *place_name(const struct place *p);
/* Path below the mount, for error messages. */
void place_path(struct tree *t, const struct place *p, struct buf *out);
/* What the documents of p's row become; NULL: it has none. */
const struct fs_store *place_store(const struct place *p);
/* ---- secrets (names_secrets.c) ---- */
/* The secret or folder at p; NULL: it is gone, or not for the agent whose view that is. */
const struct secret *place_secret(struct tree *t, const struct place *p);
int secrets_child(struct tree *t, const struct place *dir, const char *name, struct place *ret);
const struct secret *secrets_list_next(struct tree *t, const struct place *dir, const struct row *row, uint32_t after);
int secrets_create(struct tree *t, const struct actor *who, const struct place *dir, const char *name, struct place *ret,
		   struct err *e);
void secrets_mkdir(struct tree *t, struct fs_req *req, const struct place *dir, const char *name);
void secrets_remove(struct tree *t, struct fs_req *req, uint32_t number);

/* The approval that p is below; NULL: it is not there, or not in that directory any more. */
const struct approval *place_approval(struct tree *t, const struct place *p);
/* Is p below agents/NAME, or the spec? Then its serial is an agent's. */
bool place_is_agents(const struct place *p);
/* The row of the documents that are made in the directory p; NULL: none are. */
const struct row *place_docs(const struct tree *t, const struct place *p);
enum stale { STALE_GONE, STALE_TEXT, STALE_OWNER };
/* Tell what a kernel keeps about this agent and is not true any more. Before the change gets into the
 * journal, where somebody asked for it: a worker that is killed behind that tells nobody. */
void tree_agent_stale(struct tree *t, const struct agent *a, enum stale what);

/* A name came or went where the store's objects are listed. */
void tree_names_changed(struct tree *t, const struct fs_store *store);
/* The same everywhere. */
void tree_all_changed(struct tree *t);
/* The same as tree_agent_stale for an object of any store; those that no kernel keeps need none. */
void tree_stored_stale(struct tree *t, const struct fs_store *store, uint32_t serial, enum stale what);

/* ---- views (view.c) ---- */
/* who as it acts on p: in a view the agent, whatever process and uid that comes from. */
struct actor place_actor(const struct place *p, const struct actor *who);
/* A path in a view as the agent knows it, without VIEWS and its name. Borrows path. */
const char *path_in_view(const char *path);
/* Each open file of a view counts; those of p's are as many as may be: -EDQUOT. */
int view_may_open(const struct tree *t, const struct place *p, struct err *e);
int view_opened(struct tree *t, const struct place *p); /* 0 or -ENOMEM */
void view_closed(struct tree *t, const struct place *p);

/* ---- attributes (attr.c) ---- */
int place_attr(struct tree *t, const struct place *p, const struct actor *who, struct fs_attr *ret,
	       struct err *e);
/* Without sizes and versions: renders nothing. */
int place_attr_short(struct tree *t, const struct place *p, const struct actor *who,
		     struct fs_attr *ret, struct err *e);
/* What this caller finds in a call file; NULL: nothing. Borrowed. */
struct answer *place_answer(struct tree *t, const struct place *p, const struct actor *who);
/* who, with supplementary groups where it may matter whether gid is one. A request on the mount comes without
 * them. */
struct actor actor_with_groups(const struct actor *who, gid_t gid);
int access_check(struct tree *t, const struct actor *who, const struct fs_attr *a,
		 const struct fs_node *node, int want, struct err *e);

/* Has this caller opened id, to read it and to wait where it has to? (handle.c) */
bool handle_will_read(const struct tree *t, fs_id id, const struct actor *who);

/* ---- who walks the tree (walk.c) ---- */
/* Did this process list the directory of p lately? Then it opens what it finds, whatever that is. */
bool place_walked(const struct tree *t, const struct place *p, const struct actor *who);

/* ---- texts (text.c) ---- */
bool row_has_text(const struct row *r);
/* Its size, now or as this process looked it up a moment ago, and the place with its version. A place that
 * has a version already: -ESTALE when that text is not known any more. */
int text_size(struct tree *t, const struct place *p, const struct actor *who, struct place *ret,
	      uint64_t *ret_size, struct err *e);
/* The text for an open of p: of p's version when it has one, else -ESTALE. */
int text_for_open(struct tree *t, const struct place *p, const struct actor *who, struct buf *out,
		  struct err *e);

/* ---- names (names.c) ---- */
int dir_writable(struct tree *t, const struct actor *who, const struct place *dir, struct err *e);
/* May who remove or replace the object p of a directory that everybody may write (sticky)? */
int own_or_root(struct tree *t, const struct actor *who, const struct place *p, struct err *e);

/* The row below the directory p for what people make there of this kind; NULL: they make none. */
const struct row *row_of_part(const struct tree *t, const struct place *p, enum part part);
struct making { /* a folder on its way into the journal */
	struct tree *t;
	struct fs_req *req;
	struct place at; /* what it is; its serial or sub as soon as it has one */
};
/* May it be made in dir? NULL: no, and req was answered. Else making_end is the runtime_done of making it, which answers with
 * its attributes. */
struct making *making_begin(struct tree *t, struct fs_req *req, const struct place *dir, const struct place *at);
void making_end(void *making, const struct err *why);

/* ---- users' files (names_files.c) ---- */
int files_create(struct tree *t, const struct actor *who, const struct place *dir, const char *name, mode_t mode,
		 struct place *ret, struct err *e);
void files_remove(struct tree *t, struct fs_req *req, uint32_t serial);
/* Reply with its attributes in req->attr. */
void files_mkdir(struct tree *t, struct fs_req *req, const struct place *dir, const char *name, mode_t mode);
/* From any folder to any folder `to`. */
void files_rename(struct tree *t, struct fs_req *req, const struct place *p, const struct place *to, const char *new_name,
		  bool noreplace);

/* ---- replies (request.c) ---- */
void req_ok(struct fs_req *req, int r);
void req_data(struct fs_req *req, const void *data, size_t len);
void req_fail(struct fs_req *req, int r, const struct err *e);
/* Reply with the part of text that [off, off+size) asks for. */
void req_slice(struct fs_req *req, const struct buf *text, uint64_t off, size_t size);
/* For what nobody waits for: a journal that cannot be written ends the process. */
extern const struct runtime_done req_nobody;
/* A runtime_done that answers req with r on success. */
struct runtime_done req_done(struct fs_req *req, int r);
/* Was this request carried out by a worker that could not answer it any more? */
bool req_was_done(struct tree *t, const struct fs_req *req);
/* Note that it was, for acts without a record in the journal. Comes before the reply. */
void req_note_done(struct tree *t, const struct fs_req *req);

/* ---- users, documents, slots, answers ---- */
struct user *user_of(struct tree *t, uid_t uid); /* NULL: no memory */
void users_free(struct tree *t);                 /* with all their exchanges */

struct doc *doc_find(struct tree *t, const struct row *row, const char *name);
const struct fs_store *doc_store(const struct tree *t, const struct doc *d);
struct doc *doc_by_id(struct tree *t, uint32_t id);
uint32_t doc_id(const struct doc *d);
/* row: of the documents of its directory. */
int doc_new(struct tree *t, const struct actor *who, const struct row *row, const char *name, mode_t mode,
	    struct doc **ret, struct err *e);
int doc_restore(struct tree *t, const struct doc_state *st, struct buf *text);
void doc_drop(struct tree *t, struct doc *d);
/* Its name is an object's from now on; nothing of that is kept until doc_unname. */
void doc_hide(struct tree *t, struct doc *d);
/* The object that was just made of d gets the mode that d has, and when it is new its owner: what its maker
 * asked for, in the same turn, before anybody else looks. true: done will be called. */
bool doc_mode_to_object(struct tree *t, const struct doc *d, const char *file,
		       const struct actor *who, struct runtime_done done);
void doc_unname(struct tree *t, struct doc *d); /* drops it when it is not open */
int doc_rename(struct tree *t, struct doc *d, const char *name, struct err *e);
void doc_closed(struct tree *t, struct doc *d);
void doc_keep(struct tree *t, const struct doc *d);

/* The answer to the last question of this process, its parent or its grandparent; NULL: none. */
struct answer *slot_answer(struct tree *t, const struct actor *who, const struct place *p);
/* File the answer under the asking process and its parent. */
void slot_file_answer(struct tree *t, const struct actor *who, const struct place *p,
		      struct answer *a);
struct slot *slot_by_id(struct tree *t, uint32_t id);
uint32_t slot_id(const struct slot *s);
struct slot *slot_by_name(struct tree *t, const struct actor *who, const struct place *p,
			  const char *name, bool make, struct err *e);
void slot_set_answer(struct tree *t, struct slot *s, struct answer *a);
int slot_restore(struct tree *t, const struct slot_state *st, struct answer *a);
void slot_unname(struct tree *t, struct slot *s);
void slot_closed(struct tree *t, struct slot *s);
void slot_drop(struct tree *t, struct slot *s);
void slot_keep(struct tree *t, const struct slot *s);

struct answer *answer_ref(struct answer *a);
void answer_unref(struct tree *t, struct answer *a); /* NULL is fine */
bool answer_ready(const struct answer *a);
/* Call w->fn once when the answer is ready, which it is not yet; who waits holds a reference. */
void answer_wait(struct answer *a, struct answer_waiter *w);
void answer_wait_cancel(struct answer_waiter *w); /* idempotent */
uint64_t answer_size(struct tree *t, const struct answer *a); /* 1 MiB while it is being made */
/* Put the question; the call's own act. again: it may have been put before. */
int answer_ask(struct tree *t, const struct place *p, const struct actor *who, bool again,
	       const char *q, size_t len, struct answer **ret, struct err *e);
/* The bytes of a ready answer at off into buf; or -errno with the reason that there is none. */
ssize_t answer_read(struct tree *t, const struct answer *a, uint64_t off, void *buf, size_t size,
		    struct err *e);
/* The caller holds a reference. */
struct answer *answer_restore(struct tree *t, uint64_t id, const void *state, struct buf *text);
struct answer *answer_of(struct tree *t, uint64_t id); /* borrowed; NULL: none */
void answer_keep(struct tree *t, struct answer *a);
/* Nobody waits any more for what is being made. */
void laters_forget(struct tree *t);
