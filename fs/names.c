/* SPDX-License-Identifier: MIT */
/* names.c - making, removing and renaming names. In agents/ a name is an agent, or an editor's
 * scratch file; below an agent, `rm -r` may unlink what is only shown, and the rmdir of the agent's
 * directory deletes it. L3; loop thread only. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "fs/tree_i.h"

static bool in_agents(struct tree *t, const struct place *dir)
{
	return dir->row->id == t->agents_row;
}

static int refuse(struct err *e, const char *what)
{
	return err_set(e, ERR_FS_NOT_SUPPORTED, "%s", what);
}

static int dir_writable(struct tree *t, const struct actor *who, const struct place *dir,
			struct err *e)
{
	struct fs_attr a;
	int r = place_attr(t, dir, who, &a, e);
	return r < 0 ? r : access_check(t, who, &a, dir->row->node, W_OK | X_OK, e);
}

/* May who remove or replace the object p of a directory that everybody may write (sticky)? */
static int own_or_root(struct tree *t, const struct actor *who, const struct place *p,
		       struct err *e)
{
	struct fs_attr a;
	int r = place_attr(t, p, who, &a, e);
	if (r < 0 || who->uid == 0 || who->uid == a.uid || who->uid == geteuid())
		return r;
	return err_set(e, ERR_FS_MODE, "only its owner may remove or replace it");
}

int tree_create(struct tree *t, const struct actor *who, fs_id dir, const char *name, mode_t mode,
		int flags, struct fs_attr *ret, struct handle **ret_h, struct err *e)
{
	struct place d, p;
	int r = place_of(t, dir, &d, e);
	if (r < 0)
		return r;
	if (place_child(t, who, &d, name, &p, NULL) == 0) {
		if (flags & O_EXCL)
			return err_set(e, ERR_AGENT_EXISTS, "'%s' exists", name);
		r = place_attr(t, &p, who, ret, e);
		return r < 0 ? r : tree_open(t, who, ret->id, flags, ret_h, e);
	}
	r = dir_writable(t, who, &d, e);
	if (r < 0)
		return r;
	struct row *child = d.row->children ? &t->rows[d.row->child[0]] : NULL;
	if (in_agents(t, &d)) {
		struct doc *doc;
		r = doc_new(t, who, name, mode, &doc, e);
		if (r < 0)
			return r;
		p = (struct place){&t->rows[t->spec_row], 0, doc->id};
	} else if (child && child->part == PART_CALL) {
		struct slot *s = slot_by_name(t, who, d.serial, name, true, e);
		if (!s)
			return e && e->eno ? -e->eno : -ENOMEM;
		p = (struct place){child, d.serial, s->id};
	} else {
		return refuse(e, "files cannot be made here; a spec file in agents/ makes an agent");
	}
	r = place_attr(t, &p, who, ret, e);
	/* Whoever makes a file may write it, whatever mode it asked for. */
	struct actor maker = *who;
	if (p.row->part == PART_SPEC)
		maker.uid = 0;
	if (r == 0)
		r = tree_open(t, &maker, ret->id, flags & ~O_TRUNC, ret_h, e);
	if (r == 0)
		(*ret_h)->who = *who;
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

static void remove_agent(struct tree *t, struct fs_req *req, uint32_t serial)
{
	struct err e;
	struct agent *a = agent_by_serial(t->rt, serial);
	struct runtime_done done = req_done(req, 0);
	if (t->stale) { /* the spec and the directory go together */
		fs_id dir = place_id(&(struct place){&t->rows[t->agents_row], 0, 0});
		t->stale(t->stale_arg, dir, agent_name(a));
		t->stale(t->stale_arg, dir, agent_file_name(a));
	}
	if (agent_delete(t->rt, &req->who, a, done, &e) < 0)
		done.fn(done.arg, &e);
}

void tree_unlink(struct tree *t, struct fs_req *req, fs_id dir, const char *name)
{
	struct err e = {0};
	struct place d, p;
	int r = target(t, req, dir, name, &d, &p, &e);
	if (r == 0 && p.row->part == PART_SPEC && p.serial) {
		remove_agent(t, req, p.serial);
		return;
	}
	if (r == 0 && p.row->part == PART_SPEC) {
		struct doc *doc = doc_by_id(t, p.sub);
		if (doc && doc->opens == 0)
			doc_drop(t, doc);
		else if (doc)
			doc->committed = true; /* unnamed now; goes with its last close */
	} else if (r == 0 && p.row->part == PART_CALL) {
		struct slot *s = slot_by_id(t, p.sub);
		if (s && s->opens == 0) {
			slot_drop(t, s);
		} else if (s) {
			free(s->name);
			s->name = strdup("");
		}
	} else if (r == 0 && !p.serial) {
		r = refuse(&e, "this file is part of the tree");
	} /* else: shown only; `rm -r` of an agent comes by here before its rmdir */
	if (r < 0)
		req_fail(req, r, &e);
	else
		req_ok(req, 0);
}

void tree_rmdir(struct tree *t, struct fs_req *req, fs_id dir, const char *name)
{
	struct err e = {0};
	struct place d, p;
	int r = target(t, req, dir, name, &d, &p, &e);
	if (r == 0 && row_kind(p.row) != FS_DIR)
		r = err_sys(&e, ERR_FS_INVALID, ENOTDIR, "'%s'", name);
	if (r == 0 && in_agents(t, &d)) {
		remove_agent(t, req, p.serial);
		return;
	}
	if (r == 0 && !p.serial)
		r = refuse(&e, "this directory is part of the tree");
	if (r < 0)
		req_fail(req, r, &e);
	else
		req_ok(req, 0);
}

void tree_mkdir(struct tree *t, struct fs_req *req, fs_id dir, const char *name)
{
	struct err e;
	struct place d;
	int r = place_of(t, dir, &d, &e);
	if (r == 0 && in_agents(t, &d))
		r = err_set(&e, ERR_FS_NOT_SUPPORTED,
			    "an agent is made by writing its spec: agents/%s.yaml", name);
	else if (r == 0)
		r = refuse(&e, "directories cannot be made here");
	req_fail(req, r, &e);
}

/* A scratch file becomes a spec: check and commit; both names stay when that fails. */
static void rename_doc_to_spec(struct tree *t, struct fs_req *req, struct doc *doc,
			       const char *new_name)
{
	struct err e;
	struct runtime_done done = req_done(req, 0);
	int r = agent_put(t->rt, &req->who, new_name, doc->text.data, doc->text.len, false, done,
			  &e);
	if (r < 0) {
		done.fn(done.arg, &e);
		return;
	}
	if (doc->opens)
		doc->committed = true;
	else
		doc_drop(t, doc);
}

static int rename_doc(struct tree *t, struct doc *doc, const char *new_name, struct err *e)
{
	struct doc *old = doc_find(t, new_name);
	char *copy = strdup(new_name);
	if (!copy)
		return err_set(e, ERR_SYS_MEMORY, "no memory for '%s'", new_name);
	if (old && old != doc && old->opens == 0)
		doc_drop(t, old);
	free(doc->name);
	doc->name = copy;
	doc->mtime_ms = clock_wall_ms();
	return 0;
}

void tree_rename(struct tree *t, struct fs_req *req, fs_id dir, const char *name, fs_id new_dir,
		 const char *new_name, bool noreplace)
{
	struct err e = {0};
	struct place d, p, there;
	int r = target(t, req, dir, name, &d, &p, &e);
	if (r == 0 && (dir != new_dir || !in_agents(t, &d) || p.row->part != PART_SPEC))
		r = refuse(&e, "only the spec files in agents/ can be renamed, within agents/");
	bool exists = r == 0 && place_child(t, &req->who, &d, new_name, &there, NULL) == 0;
	if (exists && noreplace)
		r = err_set(&e, ERR_AGENT_EXISTS, "'%s' exists", new_name);
	else if (exists)
		r = own_or_root(t, &req->who, &there, &e);
	bool to_spec = doc_is_spec_name(new_name);
	if (r == 0 && p.serial && !to_spec)
		r = err_set(&e, ERR_AGENT_NAME,
			    "'%s' is not a spec's name (NAME.yaml, .yml, .json, .toml); an agent "
			    "cannot be moved aside, copy its spec instead",
			    new_name);
	struct doc *doc = r == 0 && !p.serial ? doc_by_id(t, p.sub) : NULL;
	if (r == 0 && doc && to_spec) {
		rename_doc_to_spec(t, req, doc, new_name);
		return;
	}
	if (r == 0 && doc)
		r = rename_doc(t, doc, new_name, &e);
	if (r == 0 && p.serial) {
		struct agent *a = agent_by_serial(t->rt, p.serial);
		if (t->stale)
			t->stale(t->stale_arg, dir, agent_name(a));
		struct runtime_done done = req_done(req, 0);
		r = agent_rename(t->rt, &req->who, a, new_name, !noreplace, done, &e);
		if (r < 0)
			done.fn(done.arg, &e);
		return;
	}
	if (r < 0)
		req_fail(req, r, &e);
	else
		req_ok(req, 0);
}

void tree_chattr(struct tree *t, struct fs_req *req, fs_id id, uid_t uid, gid_t gid, mode_t mode)
{
	struct err e = {0};
	struct place p;
	int r = place_of(t, id, &p, &e);
	struct agent *a = r == 0 && p.serial ? agent_by_serial(t->rt, p.serial) : NULL;
	struct doc *doc = r == 0 && p.row->part == PART_SPEC && !p.serial ? doc_by_id(t, p.sub)
									  : NULL;
	if (r == 0 && uid == (uid_t)-1 && gid == (gid_t)-1 && mode == (mode_t)-1) {
		req_ok(req, 0); /* times only */
		return;
	}
	if (r == 0 && a && p.row->part == PART_SPEC) {
		struct runtime_done done = req_done(req, 0);
		r = agent_chown(t->rt, &req->who, a, uid, gid, mode, done, &e);
		if (r < 0)
			done.fn(done.arg, &e);
		return;
	}
	if (r == 0 && doc && (req->who.uid == doc->uid || req->who.uid == 0)) {
		doc->mode = mode == (mode_t)-1 ? doc->mode : mode & 0777;
		if (req->who.uid == 0 && uid != (uid_t)-1)
			doc->uid = uid;
		if (req->who.uid == 0 && gid != (gid_t)-1)
			doc->gid = gid;
	} else if (r == 0) {
		r = refuse(&e, "mode and owner are those of the spec file; change them there");
	}
	if (r < 0)
		req_fail(req, r, &e);
	else
		req_ok(req, 0);
}
