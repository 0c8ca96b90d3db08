/* SPDX-License-Identifier: MIT */
/* names.c - making, removing and renaming names. In agents/, policies/ and sandbox/profiles/ a name is an object of the
 * directory's store (store.h), or an editor's scratch file; below an agent, `rm -r` may unlink what is only shown, and the rmdir of the agent's
 * directory deletes it. L3; loop thread only. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "fs/handle_i.h"
#include "runtime/files.h"

static bool in_agents(struct tree *t, const struct place *dir)
{
	return dir->row->id == t->agents_row;
}

static int refuse(struct err *e, const char *what)
{
	return err_set(e, ERR_FS_NOT_SUPPORTED, "%s", what);
}

int dir_writable(struct tree *t, const struct actor *who, const struct place *dir, struct err *e)
{
	struct fs_attr a;
	int r = place_attr_short(t, dir, who, &a, e);
	return r < 0 ? r : access_check(t, who, &a, dir->row->node, W_OK | X_OK, e);
}

int own_or_root(struct tree *t, const struct actor *who, const struct place *p, struct err *e)
{
	struct fs_attr a;
	int r = place_attr_short(t, p, who, &a, e);
	if (r < 0 || who->uid == 0 || who->uid == a.uid || who->uid == t->uid)
		return r;
	return err_set(e, ERR_FS_MODE, "only its owner may remove or replace it");
}

static int create_doc(struct tree *t, const struct actor *who, const struct row *row, const char *name,
		      mode_t mode, struct place *ret, struct err *e)
{
	struct doc *doc;
	const struct fs_store *store = row->node->store;
	int r = store->is_name(name) ? store->may_begin(t->rt, name, e) : 0;
	if (r == 0)
		r = doc_new(t, who, row, name, mode, &doc, e);
	if (r == 0)
		*ret = (struct place){.row = row, .sub = doc_id(doc)};
	return r;
}

static int create_exchange(struct tree *t, const struct actor *who, const struct place *dir,
			   const char *name, struct place *ret, struct err *e)
{
	*ret = (struct place){.row = &t->rows[dir->row->child[0]], .serial = dir->serial};
	struct err why = {0};
	struct slot *s = slot_by_name(t, who, ret, name, true, &why);
	if (!s) {
		if (e)
			*e = why;
		return -why.eno;
	}
	ret->sub = slot_id(s);
	return 0;
}

static int create_new(struct tree *t, const struct actor *who, const struct place *dir,
		      const char *name, mode_t mode, struct place *ret, struct err *e)
{
	const struct row *child = dir->row->children ? &t->rows[dir->row->child[0]] : NULL;
	int r = dir_writable(t, who, dir, e);
	if (r < 0)
		return r;
	if (place_docs(t, dir))
		return create_doc(t, who, place_docs(t, dir), name, mode, ret, e);
	if (!dir->row->in_view && row_of_part(t, dir, PART_SECRET))
		return secrets_create(t, who, dir, name, ret, e);
	if (row_of_part(t, dir, PART_FILE))
		return files_create(t, who, dir, name, mode, ret, e);
	if (child && child->part == PART_CALL)
		return create_exchange(t, who, dir, name, ret, e);
	return refuse(e, "files cannot be made here; a spec file in agents/ makes an agent");
}

int tree_create(struct tree *t, const struct actor *who, fs_id dir, const char *name, mode_t mode,
		int flags, struct fs_attr *ret, struct handle **ret_h, struct err *e)
{
	struct place d, p;
	struct actor maker = *who;
	int r = place_of(t, dir, &d, e);
	if (r < 0)
		return r;
	if (place_child(t, who, &d, name, &p, NULL) == 0) {
		if (flags & O_EXCL)
			return err_set(e, ERR_AGENT_EXISTS, "'%s' exists", name);
		r = place_attr(t, &p, who, ret, e);
		return r < 0 ? r : tree_open(t, who, ret->id, flags, ret_h, e);
	}
	r = create_new(t, who, &d, name, mode, &p, e);
	if (r == 0)
		r = place_attr(t, &p, who, ret, e);
	if (r < 0)
		return r;
	if (p.row->part == PART_SPEC || p.row->part == PART_FILE || p.row->part == PART_SECRET) /* who makes a file may write it, whatever mode it asked for */
		maker.uid = 0;
	r = tree_open(t, &maker, ret->id, flags & ~O_TRUNC, ret_h, e);
	if (r == 0)
		handle_set_opener(*ret_h, who);
	return r;
}

/* Find name in dir for a change by req's actor. */
static int target(struct tree *t, struct fs_req *req, fs_id dir, const char *name,
		  struct place *ret_dir, struct place *ret, struct err *e)
{
	int r = place_of(t, dir, ret_dir, e);
	if (r == 0)
		r = place_child(t, &req->who, ret_dir, name, ret, e);
	if (r == 0)
		r = dir_writable(t, &req->who, ret_dir, e);
	if (r == 0)
		r = own_or_root(t, &req->who, ret, e);
	return r;
}

static void remove_stored(struct tree *t, struct fs_req *req, const struct fs_store *store, uint32_t serial)
{
	struct err e;
	struct runtime_done done = req_done(req, 0);
	t->changes++;
	tree_stored_stale(t, store, serial, STALE_GONE);
	if (store->remove(t->rt, &req->who, serial, done, &e) < 0)
		done.fn(done.arg, &e);
}

/* Was it carried out by a worker that could not say so any more? Then say so. */
static bool settled(struct tree *t, struct fs_req *req)
{
	if (!req_was_done(t, req))
		return false;
	req_ok(req, 0);
	return true;
}

static void finish(struct tree *t, struct fs_req *req, int r, const struct err *e)
{
	if (r < 0) {
		req_fail(req, r, e);
		return;
	}
	t->changes++;
	req_note_done(t, req);
	req_ok(req, 0);
}

void tree_unlink(struct tree *t, struct fs_req *req, fs_id dir, const char *name)
{
	struct err e = {0};
	struct place d, p;
	if (settled(t, req))
		return;
	int r = target(t, req, dir, name, &d, &p, &e);
	if (r == 0 && p.row->part == PART_SECRET && !p.row->in_view) {
		secrets_remove(t, req, p.sub);
		return;
	}
	if (r == 0 && p.row->part == PART_FILE) {
		files_remove(t, req, p.serial);
		return;
	}
	if (r == 0 && p.row->part == PART_SPEC && p.serial) {
		remove_stored(t, req, place_store(&p), p.serial);
		return;
	}
	if (r == 0 && p.row->part == PART_SPEC)
		doc_unname(t, doc_by_id(t, p.sub));
	else if (r == 0 && p.row->part == PART_CALL)
		slot_unname(t, slot_by_id(t, p.sub));
	else if (r == 0 && (!d.serial || row_kind(p.row) == FS_DIR || p.row->in_view))
		r = refuse(&e, "this file is part of the tree");
	/* else: shown only; `rm -r` of an agent comes by here before its rmdir */
	finish(t, req, r, &e);
}

void tree_rmdir(struct tree *t, struct fs_req *req, fs_id dir, const char *name)
{
	struct err e = {0};
	struct place d, p;
	if (settled(t, req))
		return;
	int r = target(t, req, dir, name, &d, &p, &e);
	if (r == 0 && row_kind(p.row) != FS_DIR)
		r = err_sys(&e, ERR_FS_INVALID, ENOTDIR, "'%s'", name);
	if (r == 0 && p.row->part == PART_SECRETS && !p.row->in_view) {
		secrets_remove(t, req, p.sub);
		return;
	}
	if (r == 0 && p.row->part == PART_FOLDER) {
		files_remove(t, req, p.serial);
		return;
	}
	if (r == 0 && in_agents(t, &d)) {
		remove_stored(t, req, &fs_store_agents, p.serial);
		return;
	}
	if (r == 0 && (!p.serial || p.row->in_view))
		r = refuse(&e, "this directory is part of the tree");
	finish(t, req, r, &e);
}

const struct row *row_of_part(const struct tree *t, const struct place *p, enum part part)
{
	for (unsigned i = 0; i < p->row->children; i++)
		if (t->rows[p->row->child[i]].part == part)
			return &t->rows[p->row->child[i]];
	return NULL;
}

void making_end(void *making, const struct err *why)
{
	struct making *m = making;
	struct err e = {0};
	int r = why ? -why->eno : place_attr(m->t, &m->at, &m->req->who, &m->req->attr, &e);
	if (r < 0)
		req_fail(m->req, r, why ? why : &e);
	else
		req_ok(m->req, 0);
	free(m);
}

struct making *making_begin(struct tree *t, struct fs_req *req, const struct place *dir, const struct place *at)
{
	struct err e;
	struct making *m = calloc(1, sizeof *m);
	int r = m ? dir_writable(t, &req->who, dir, &e) : err_set(&e, ERR_SYS_MEMORY, "no memory for a folder");
	if (r < 0) {
		free(m);
		req_fail(req, r, &e);
		return NULL;
	}
	*m = (struct making){t, req, *at};
	t->changes++;
	return m;
}

void tree_mkdir(struct tree *t, struct fs_req *req, fs_id dir, const char *name, mode_t mode)
{
	struct err e;
	struct place d;
	int r = place_of(t, dir, &d, &e);
	if (r == 0 && !d.row->in_view && row_of_part(t, &d, PART_SECRETS)) {
		secrets_mkdir(t, req, &d, name);
		return;
	}
	if (r == 0 && row_of_part(t, &d, PART_FOLDER)) {
		files_mkdir(t, req, &d, name, mode);
		return;
	}
	if (r == 0 && in_agents(t, &d) && strcmp(name, ".git") == 0)
		r = err_set(&e, ERR_FS_NOT_SUPPORTED,
			    "specs are kept here and nothing else: git --git-dir=DIR "
			    "--work-tree=agents keeps the repository elsewhere");
	else if (r == 0 && in_agents(t, &d))
		r = err_set(&e, ERR_FS_NOT_SUPPORTED,
			    "an agent is made by writing its spec: agents/%s.yaml", name);
	else if (r == 0 && place_docs(t, &d))
		r = err_set(&e, ERR_FS_NOT_SUPPORTED, "%s is a file here: %s.yaml",
			    place_docs(t, &d)->node->store->thing, name);
	else if (r == 0)
		r = refuse(&e, "directories cannot be made here");
	req_fail(req, r, &e);
}

/* ---- rename ---- */

struct becoming { /* a scratch file on its way into the journal under a spec's name */
	struct tree *t;
	struct fs_req *req;
	uint32_t doc;     /* id */
	unsigned pending; /* records that are not durable yet, and the caller */
	struct err e;
};

static void became_spec(void *arg, const struct err *e)
{
	struct becoming *b = arg;
	if (e && b->e.code == ERR_NONE)
		b->e = *e;
	if (--b->pending)
		return;
	struct doc *doc = doc_by_id(b->t, b->doc);
	bool failed = b->e.code != ERR_NONE;
	if (!failed && doc)
		doc_unname(b->t, doc);
	if (failed)
		req_fail(b->req, -b->e.eno, &b->e);
	else
		req_ok(b->req, 0);
	free(b);
}

/* A scratch file becomes a spec: check and commit; both names stay when that fails. */
static void rename_to_spec(struct tree *t, struct fs_req *req, struct doc *doc,
			   const char *new_name)
{
	struct err e;
	struct becoming *b = calloc(1, sizeof *b);
	if (!b) {
		req_fail(req, -ENOMEM, NULL);
		return;
	}
	*b = (struct becoming){.t = t, .req = req, .doc = doc_id(doc), .pending = 2};
	struct runtime_done done = {became_spec, b};
	const struct fs_store *store = doc_store(t, doc);
	struct stored there;
	if (store->find(t->rt, new_name, &there))
		tree_stored_stale(t, store, there.serial, STALE_TEXT);
	int r = store->put(t->rt, &req->who, new_name, doc->text.data, doc->text.len, done, &e);
	if (r == 0) {
		doc_hide(t, doc);
		b->pending++;
		if (!doc_mode_to_object(t, doc, new_name, &req->who, done))
			b->pending--; /* the caller is still counted */
	} else {
		became_spec(b, &e);
	}
	became_spec(b, NULL);
}

/* The same, carried out by a worker that was killed before it could drop the scratch file. */
static void rename_settled(struct tree *t, struct fs_req *req, fs_id dir, const char *name)
{
	struct place d;
	const struct row *docs = place_of(t, dir, &d, NULL) == 0 ? place_docs(t, &d) : NULL;
	struct doc *doc = docs ? doc_find(t, docs, name) : NULL;
	if (doc)
		doc_unname(t, doc);
	req_ok(req, 0);
}

static void rename_stored(struct tree *t, struct fs_req *req, const struct place *p, const char *new_name,
			  uint32_t there)
{
	struct err e;
	struct runtime_done done = req_done(req, 0);
	const struct fs_store *store = place_store(p);
	tree_stored_stale(t, store, p->serial, STALE_GONE);
	if (there && there != p->serial)
		tree_stored_stale(t, store, there, STALE_GONE);
	int r = store->rename(t->rt, &req->who, p->serial, new_name, done, &e);
	if (r < 0)
		done.fn(done.arg, &e);
}

static int may_rename(struct tree *t, struct fs_req *req, const struct place *dir,
		      const struct place *p, const char *new_name, bool noreplace,
		      struct place *there, struct err *e)
{
	const struct fs_store *store = place_store(p);
	if (!place_docs(t, dir) || !store)
		return refuse(e, "only documents (agents/ policies/ sandbox/profiles/) can be renamed, each within its directory");
	if (p->serial && !store->is_name(new_name))
		return err_set(e, ERR_AGENT_NAME,
			       "'%s' is not the name of %s (NAME.yaml, .yml, .json, .toml); what is in force "
			       "cannot be moved aside, copy it instead", new_name, store->thing);
	struct place found;
	if (place_child(t, &req->who, dir, new_name, &found, NULL) < 0)
		return 0;
	*there = found;
	if (noreplace)
		return err_set(e, ERR_AGENT_EXISTS, "'%s' exists", new_name);
	if (found.row->part != PART_SPEC)
		return refuse(e, "this name is the tree's own");
	return own_or_root(t, &req->who, &found, e);
}

void tree_rename(struct tree *t, struct fs_req *req, fs_id dir, const char *name, fs_id new_dir,
		 const char *new_name, bool noreplace)
{
	struct err e = {0};
	struct place d, p, there = {0};
	if (req_was_done(t, req)) {
		rename_settled(t, req, dir, name);
		return;
	}
	int r = target(t, req, dir, name, &d, &p, &e);
	if (r == 0 && p.row->secrets) /* its name is sealed in; mv then copies */
		r = err_sys(&e, ERR_FS_NOT_SUPPORTED, EXDEV, "a secret is copied under its new name");
	if (r == 0 && (p.row->part == PART_FILE || p.row->part == PART_FOLDER)) {
		struct place to;
		r = place_of(t, new_dir, &to, &e);
		if (r == 0 && row_of_part(t, &to, PART_FILE)) {
			files_rename(t, req, &p, &to, new_name, noreplace);
			return;
		}
	}
	if (r == 0 && dir != new_dir)
		r = refuse(&e, "only documents (agents/ policies/ sandbox/profiles/) can be renamed, each within its directory");
	if (r == 0)
		r = may_rename(t, req, &d, &p, new_name, noreplace, &there, &e);
	if (r < 0) {
		req_fail(req, r, &e);
		return;
	}
	t->changes++;
	if (p.serial) {
		rename_stored(t, req, &p, new_name, there.row ? there.serial : 0);
		return;
	}
	struct doc *doc = doc_by_id(t, p.sub);
	if (doc_store(t, doc)->is_name(new_name)) {
		rename_to_spec(t, req, doc, new_name);
		return;
	}
	r = doc_rename(t, doc, new_name, &e);
	finish(t, req, r, &e);
}

/* ---- mode and owner ---- */

static int chattr_doc(struct tree *t, const struct actor *who, struct doc *doc, uid_t uid,
		      gid_t gid, mode_t mode, struct err *e)
{
	bool gives = (uid != (uid_t)-1 && uid != doc->st.uid) ||
		     (gid != (gid_t)-1 && gid != doc->st.gid && gid != who->gid);
	if ((who->uid != doc->st.uid && who->uid != 0) || (gives && who->uid != 0))
		return err_set(e, ERR_FS_MODE,
			       "only its owner may change the mode, and only root may give "
			       "it away");
	doc->st.mode = mode == (mode_t)-1 ? doc->st.mode : mode & 0777;
	doc->st.uid = uid == (uid_t)-1 ? doc->st.uid : uid;
	doc->st.gid = gid == (gid_t)-1 ? doc->st.gid : gid;
	doc_keep(t, doc);
	return 0;
}

/* tar and cp -a give every directory its owner and mode again. */
static bool has_already(struct tree *t, const struct place *p, const struct actor *who, uid_t uid,
			gid_t gid, mode_t mode)
{
	struct fs_attr a;
	return place_attr_short(t, p, who, &a, NULL) == 0 && (uid == (uid_t)-1 || uid == a.uid) &&
	       (gid == (gid_t)-1 || gid == a.gid) &&
	       (mode == (mode_t)-1 || mode == (a.mode & 07777));
}

void tree_chattr(struct tree *t, struct fs_req *req, fs_id id, uid_t uid, gid_t gid, mode_t mode)
{
	struct err e = {0};
	struct place p;
	int r = place_of(t, id, &p, &e);
	if (r == 0 && uid == (uid_t)-1 && gid == (gid_t)-1 && mode == (mode_t)-1) {
		req_ok(req, 0); /* times only */
		return;
	}
	if (r == 0 && (p.row->part == PART_FILE || p.row->part == PART_FOLDER)) {
		struct runtime_done done = req_done(req, 0);
		r = file_chattr(t->rt, &req->who, p.serial, uid, gid, mode, done, &e);
		if (r < 0)
			done.fn(done.arg, &e);
		return;
	}
	bool spec = r == 0 && p.row->part == PART_SPEC;
	struct doc *doc = spec && !p.serial ? doc_by_id(t, p.sub) : NULL;
	uint32_t serial = doc ? doc->serial : spec ? p.serial : 0;
	if (serial) {
		struct runtime_done done = req_done(req, 0);
		tree_stored_stale(t, place_store(&p), serial, STALE_OWNER);
		r = place_store(&p)->chattr(t->rt, &req->who, serial, uid, gid, mode, done, &e);
		if (r < 0)
			done.fn(done.arg, &e);
		return;
	}
	if (doc && !serial)
		r = chattr_doc(t, &req->who, doc, uid, gid, mode, &e);
	else if (r == 0 && !has_already(t, &p, &req->who, uid, gid, mode))
		r = refuse(&e, "mode and owner are those of the spec file; change them there");
	finish(t, req, r, &e);
}
