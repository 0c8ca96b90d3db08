/* SPDX-License-Identifier: MIT */
/* tree.h - the tree of /symbi without a transport: lookup, attributes, listing, open files. L3;
 * loop thread only. FUSE and the socket are both clients of this API, so permission, policy,
 * metrics and errors are decided once, here.
 *
 * A node is named by a 64-bit id that is computed from what it stands for, never stored: row (8
 * bits), agent serial (32), sub (24: a run's number, a key, a caller's pid, a document, or a hash of the
 * text that a rendered file has now). A worker that was restarted understands the ids its predecessor
 * gave out, and a million names cost no memory. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "fs/node.h"
#include "lib/buf.h"
#include "lib/err.h"

struct tree;
struct handle;

int tree_new(struct tree **ret, struct runtime *rt, const char *mount, struct err *e);
void tree_free(struct tree *t);
struct runtime *tree_runtime(struct tree *t);

typedef uint64_t fs_id;
#define FS_ROOT_ID ((fs_id)1)

/* Called before anybody is told that something changed by which the attributes of id, as a kernel keeps
 * them (FS_HOLD_NAME), are wrong. Names need no such call: what a name that is gone or was given to
 * something else stood for answers -ESTALE, and the kernel looks the name up again. */
void tree_on_stale(struct tree *t, void (*fn)(void *arg, fs_id id), void *arg);

/* Take over what earlier workers held (keep.h); from now on the same is kept for the next one. adopt is
 * called for every file that was open, with the number it got by handle_set_number. keep_fd is
 * borrowed. To be called once, before the first request. */
int tree_recover(struct tree *t, int keep_fd,
		 void (*adopt)(void *arg, struct handle *h, uint64_t number), void *arg,
		 struct err *e);
/* What was done so far is known to the next worker; before every reply. */
void tree_publish(struct tree *t);
/* Request req is carried out from now on, 0: none. Its number outlives a worker that dies of it, and a request that
 * two workers died of is deadly: it must be refused. */
void tree_doing(struct tree *t, uint64_t req);
bool tree_is_deadly(const struct tree *t, uint64_t req);
/* Between requests: housekeeping of what is kept. */
void tree_turn(struct tree *t);
/* A random number by which this mount differs from others; the same for all its workers. */
uint32_t tree_tag(const struct tree *t);

enum fs_hold {                /* for how long what a lookup said may be believed */
	       FS_HOLD_NOT,   /* not at all: another caller gets another answer */
	       FS_HOLD_SHORT, /* the attributes for some 10 ms, the name not at all */
	       FS_HOLD_VERSION, /* the name not at all; the id stands for one text, which never changes */
	       FS_HOLD_PLACE, /* the name as below, the attributes for a second */
	       FS_HOLD_NAME,  /* until tree_on_stale says otherwise; a directory's listing, too */
	       FS_HOLD_FIXED, /* for ever, and the text too */
};

struct fs_attr {
	fs_id id;
	mode_t mode; /* with S_IFDIR / S_IFREG */
	uid_t uid;
	gid_t gid;
	uint64_t size;
	uint64_t mtime_ms, ctime_ms;
	uint32_t mtime_ns; /* beyond mtime_ms, of both */
	enum fs_kind kind;
	enum fs_hold hold;
};

/* A request that may be answered later. The transport embeds it, keeps it until reply is called,
 * and may call fs_req_cancel any time before (reply is then called with -EINTR, unless the act
 * itself can no longer be stopped). */
struct fs_req {
	struct actor who;
	bool again; /* an earlier worker got it too and may have carried it out */
	/* r: 0, a count of bytes, or -errno. data/len: what a read returns, valid during the call.
	 * e: the sentence when r < 0, may be NULL. */
	void (*reply)(struct fs_req *req, int r, const void *data, size_t len, const struct err *e);
	void *arg; /* the transport's */
	/* set by the operation while the request is pending */
	void (*cancel)(struct fs_req *req);
	void *op;
	struct fs_attr attr; /* tree_stat: the result */
};
void fs_req_cancel(struct fs_req *req);

/* Resolve one name. 0 or -ENOENT ... attr filled; -ESTALE when dir is what is gone. Sizes of rendered files
 * are true: the rendering is kept for the open that follows from the same process. */
int tree_lookup(struct tree *t, const struct actor *who, fs_id dir, const char *name,
		struct fs_attr *ret, struct err *e);
int tree_getattr(struct tree *t, const struct actor *who, fs_id id, struct fs_attr *ret,
		 struct err *e);
/* As lookup (name != NULL) or getattr, but a call file whose answer is being made is held until it
 * is there or two seconds have passed, without that limit for who has it open to read it; the result is in
 * req->attr. */
void tree_stat(struct tree *t, struct fs_req *req, fs_id id, const char *name);

/* Is the size that tree_stat gave last of this call file a guess, because the answer was not there in time? */
bool tree_unsized(const struct tree *t, fs_id id);

/* List a directory from cookie `after` (0: the start). fn returns false to stop. Cookies stay valid
 * while others create and delete. Sizes are those of documents only: listing renders nothing. */
int tree_readdir(struct tree *t, const struct actor *who, fs_id dir, uint64_t after,
		 bool (*fn)(void *arg, const char *name, const struct fs_attr *a, uint64_t cookie),
		 void *arg, struct err *e);

/* A listing of dir begins. */
int tree_opendir(struct tree *t, const struct actor *who, fs_id dir, struct fs_attr *ret,
		 struct err *e);

/* What df(1) shows: the file system under the state directory, and as many files as there are agents. */
void tree_statfs(struct tree *t, struct statvfs *ret);

/* ---- names ---- */
int tree_create(struct tree *t, const struct actor *who, fs_id dir, const char *name, mode_t mode,
		int flags, struct fs_attr *ret, struct handle **ret_h, struct err *e);
void tree_unlink(struct tree *t, struct fs_req *req, fs_id dir, const char *name);
void tree_rmdir(struct tree *t, struct fs_req *req, fs_id dir, const char *name);
void tree_rename(struct tree *t, struct fs_req *req, fs_id dir, const char *name, fs_id new_dir,
		 const char *new_name, bool noreplace);
void tree_mkdir(struct tree *t, struct fs_req *req, fs_id dir, const char *name, mode_t mode);
/* chmod, chown; -1 leaves a field. Times are accepted and ignored. */
void tree_chattr(struct tree *t, struct fs_req *req, fs_id id, uid_t uid, gid_t gid, mode_t mode);

/* ---- open files ---- */
int tree_open(struct tree *t, const struct actor *who, fs_id id, int flags, struct handle **ret,
	      struct err *e);
/* O_TRUNC after the fact: the open document's buffer is cut to size. */
int handle_truncate(struct handle *h, uint64_t size, struct err *e);
void handle_read(struct handle *h, struct fs_req *req, uint64_t off, size_t size, bool nonblock);
void handle_write(struct handle *h, struct fs_req *req, uint64_t off, const char *data, size_t len,
		  bool nonblock);
/* Commit what was written since the last commit; nothing when nothing was. */
void handle_flush(struct handle *h, struct fs_req *req);
/* Commits what no flush saw; a failure is only recorded. */
void handle_release(struct handle *h);
/* The same for a request that may come again (struct actor, struct fs_req). */
void handle_close(struct handle *h, uint64_t req, bool again);
/* Readiness as poll(2) bits; wake is called (repeatedly) when it may have changed. Polling puts a question
 * that was written and not yet asked; who and again are those of the request (struct fs_req). */
unsigned handle_poll(struct handle *h, const struct actor *who, bool again, void (*wake)(void *arg),
		     void *arg);
/* LOG: the file behind it, borrowed, for sendfile(2); -1 when it does not exist yet. */
int handle_fd(const struct handle *h);
/* CALL: the number of the run that the last question became; 0 when there is none. */
uint32_t handle_run(const struct handle *h);
enum fs_kind handle_kind(const struct handle *h);
enum fs_hold handle_hold(const struct handle *h);
/* The handle outlives this worker under this number (not 0), which its request `opened_by` was answered
 * with. */
void handle_set_number(struct handle *h, uint64_t number, uint64_t opened_by);
/* The request that opened it, for one that comes again; and the node. */
uint64_t handle_opened_by(const struct handle *h);
fs_id handle_id(const struct handle *h);
/* What poll(2) waiters are called by; kept for the next worker. 0: nobody polled. */
void handle_set_poll_key(struct handle *h, uint64_t key);
uint64_t handle_poll_key(const struct handle *h);

/* ---- by path, for sockets: with the checks that the kernel makes on the mount ---- */
int tree_walk(struct tree *t, const struct actor *who, const char *path, struct fs_attr *ret,
	      struct err *e);
/* open(2) by path, with O_CREAT O_EXCL O_TRUNC. *ret is filled for a directory too, then the result is
 * -EISDIR. *ret_created (may be NULL) says whether the name is new. */
int tree_open_path(struct tree *t, const struct actor *who, const char *path, int flags,
		   struct fs_attr *ret, struct handle **ret_h, bool *ret_created, struct err *e);
/* The next entries of a directory as JSON objects {name,type,mode,uid,gid,size,mtime}, each followed by
 * a newline and, but for the first of all, preceded by a comma, until about `want` bytes are there.
 * *cookie: 0 at first, then as it was left. 1: there is more, 0: that was the end, or -errno. */
int tree_list_part(struct tree *t, const struct actor *who, fs_id dir, uint64_t *cookie,
		   struct buf *out, size_t want, struct err *e);
void tree_delete(struct tree *t, struct fs_req *req, const char *path);
/* Record a failure in `errors`; the transports call it once for each failed operation. */
void tree_failed(struct tree *t, const struct actor *who, fs_id id, const char *name,
		 const char *op, const struct err *e);

/* README of the tree, and docs/TREE.md. */
int tree_render_readme(struct buf *out);
int tree_render_view_readme(struct buf *out); /* of an agent's view */
int tree_render_doc(struct buf *out);
