/* SPDX-License-Identifier: MIT */
/* files_change.c - commands on users' files, and what their records do. L2; loop thread only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/parse.h"
#include "runtime/rag.h"
#include "runtime/runtime_i.h"

static int gone(struct err *e)
{
	return err_sys(e, ERR_FS_NOT_FOUND, ESTALE, "the file is gone");
}

static int may_change(struct runtime *rt, const struct actor *who, const struct file *f, mode_t mode, struct err *e)
{
	autobuf struct buf path;
	buf_init(&path, PATH_MAX);
	file_resource(rt, f, &path);
	return runtime_authorize(rt, who, "rag.change", path.data, f->uid, f->gid, mode, W_OK, e);
}

/* Journal what happens to f, which is at path. */
static int record_at(struct runtime *rt, const struct actor *who, struct facts *f, const struct file *folder, const char *name,
		     struct runtime_done done, struct err *e)
{
	autobuf struct buf path;
	buf_init(&path, JOURNAL_BODY_MAX);
	file_place(rt, folder, &path);
	if (name)
		buf_printf(&path, "%s%s", path.len ? "/" : "", name);
	f->object = path.data;
	return record(rt, who, f, done, e);
}

static unsigned depth_of(struct runtime *rt, const struct file *f)
{
	unsigned n = 0;
	for (; f && f->serial; f = file_by_serial(rt, f->parent))
		n++;
	return n;
}

static int check_name(const char *name, struct err *e)
{
	if (strlen(name) > FILE_NAME_MAX)
		return err_sys(e, ERR_FS_MODE, ENAMETOOLONG, "'%.40s...' has more than %d bytes", name, FILE_NAME_MAX);
	if (!name[0] || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return err_set(e, ERR_FS_INVALID, "'%s' is no file's name", name);
	return 0;
}

int file_make(struct runtime *rt, const struct actor *who, uint32_t folder, const char *name, mode_t mode, uint32_t *ret,
	      struct runtime_done done, struct err *e)
{
	const struct file *up = file_by_serial(rt, folder);
	int r = up ? check_name(name, e) : gone(e);
	if (r == 0 && rt->stopping)
		r = err_set(e, ERR_SYS_STOPPING, "the daemon is stopping");
	if (r == 0 && rt->files.n >= FILES_MAX)
		r = err_set(e, ERR_RESOURCE_TOO_BIG, "more than %d files", FILES_MAX);
	if (r == 0 && depth_of(rt, up) >= FILES_DEPTH_MAX)
		r = err_set(e, ERR_RESOURCE_TOO_BIG, "more than %d folders in each other", FILES_DEPTH_MAX);
	if (r == 0 && file_child(rt, folder, name, strlen(name)))
		r = err_set(e, ERR_AGENT_EXISTS, "'%s' exists", name);
	if (r < 0)
		return r;
	struct facts f = {.type = REC_FILE_PUT,
			  .serial = rt->serial_last + 1,
			  .parent = folder,
			  .file = name,
			  .uid = who->uid,
			  .gid = who->gid,
			  .mode = (mode & 0777) | (S_ISDIR(mode) ? S_IFDIR : S_IFREG),
			  .fresh = true};
	*ret = f.serial;
	return record_at(rt, who, &f, up, name, done, e);
}

int file_commit(struct runtime *rt, const struct actor *who, uint32_t serial, uint64_t content, uint64_t size,
		const char *digest, struct runtime_done done, struct err *e)
{
	const struct file *old = files_find(rt, serial);
	int r = old && S_ISREG(old->mode) ? may_change(rt, who, old, old->mode & 0777, e) : gone(e);
	const struct agent *a = r == 0 ? agent_by_serial(rt, file_owner(rt, old)) : NULL;
	if (a && size > old->size)
		r = memory_room(rt, a, size - old->size, e);
	if (r < 0)
		return r;
	struct facts f = {.type = REC_FILE_PUT,
			  .serial = serial,
			  .parent = old->parent,
			  .file = old->name,
			  .uid = old->uid,
			  .gid = old->gid,
			  .mode = old->mode,
			  .content = content,
			  .size = size,
			  .digest = digest};
	return record_at(rt, who, &f, old, NULL, done, e);
}

int file_remove(struct runtime *rt, const struct actor *who, uint32_t serial, struct runtime_done done, struct err *e)
{
	const struct file *old = files_find(rt, serial);
	if (!old)
		return gone(e);
	if (old->children_n)
		return err_sys(e, ERR_FS_INVALID, ENOTEMPTY, "'%s'", old->name);
	struct facts f = {.type = REC_FILE_DELETE, .serial = serial};
	return record_at(rt, who, &f, old, NULL, done, e);
}

static int may_replace(const struct file *f, const struct file *there, struct err *e)
{
	if (S_ISDIR(there->mode) && !S_ISDIR(f->mode))
		return err_sys(e, ERR_FS_INVALID, EISDIR, "'%s'", there->name);
	if (!S_ISDIR(there->mode) && S_ISDIR(f->mode))
		return err_sys(e, ERR_FS_INVALID, ENOTDIR, "'%s'", there->name);
	return there->children_n ? err_sys(e, ERR_FS_INVALID, ENOTEMPTY, "'%s'", there->name) : 0;
}

int file_rename(struct runtime *rt, const struct actor *who, uint32_t serial, uint32_t folder, const char *name,
		struct runtime_done done, struct err *e)
{
	const struct file *old = files_find(rt, serial), *up = file_by_serial(rt, folder);
	int r = old && up ? check_name(name, e) : gone(e);
	if (r == 0 && file_owner(rt, old) != file_owner(rt, up)) /* who may find it changes: mv then copies */
		r = err_sys(e, ERR_FS_NOT_SUPPORTED, EXDEV, "'%s' is copied under its new name", old->name);
	for (const struct file *at = up; r == 0 && at && at->serial; at = file_by_serial(rt, at->parent))
		if (at == old)
			r = err_set(e, ERR_FS_INVALID, "a folder cannot be moved into itself");
	if (r == 0 && depth_of(rt, up) >= FILES_DEPTH_MAX)
		r = err_set(e, ERR_RESOURCE_TOO_BIG, "more than %d folders in each other", FILES_DEPTH_MAX);
	const struct file *there = r == 0 ? file_child(rt, folder, name, strlen(name)) : NULL;
	if (there && there != old)
		r = may_replace(old, there, e);
	if (r < 0)
		return r;
	if (there == old) {
		done.fn(done.arg, NULL);
		return 0;
	}
	struct facts f = {.type = REC_FILE_RENAME, .serial = serial, .parent = folder, .file = name};
	return record_at(rt, who, &f, old, NULL, done, e);
}

int file_chattr(struct runtime *rt, const struct actor *who, uint32_t serial, uid_t uid, gid_t gid, mode_t mode,
		struct runtime_done done, struct err *e)
{
	const struct file *old = files_find(rt, serial);
	if (!old)
		return gone(e);
	uid = uid == (uid_t)-1 ? old->uid : uid;
	gid = gid == (gid_t)-1 ? old->gid : gid;
	mode = mode == (mode_t)-1 ? old->mode & 0777 : mode & 0777;
	if (uid == old->uid && gid == old->gid && mode == (old->mode & 0777)) {
		done.fn(done.arg, NULL);
		return 0;
	}
	if (who->uid != 0 && who->uid != old->uid)
		return err_set(e, ERR_FS_MODE, "only its owner may change the mode of '%s'", old->name);
	if (who->uid != 0 && (uid != old->uid || (gid != old->gid && gid != who->gid)))
		return err_set(e, ERR_FS_MODE, "only root may give '%s' away", old->name);
	struct facts f = {.type = REC_FILE_CHOWN, .serial = serial, .uid = uid, .gid = gid, .mode = mode};
	return record_at(rt, who, &f, old, NULL, done, e);
}

/* ---- apply: the same live and in replay ---- */

bool files_is_record(unsigned type)
{
	return type >= REC_FILE_PUT && type <= REC_FILE_CHOWN;
}

static void apply_put(struct runtime *rt, const struct facts *f)
{
	struct file *p = files_find(rt, f->serial);
	if (!p && f->fresh && !(p = files_add(rt, f->serial, f->parent, f->file))) {
		if (rt->replaying) /* the store is ahead of the replay: the folder, or the name, is another's since */
			return;
		abort(); /* journalled; memory that differs from the journal must not serve */
	}
	if (!p)
		return; /* deleted since */
	if (f->fresh) {
		p->uid = f->uid;
		p->gid = f->gid;
		p->mode = f->mode;
		p->created_ms = f->time_ms;
	} else if (p->content != f->content) {
		content_retire(rt, p->content, f->seq);
	}
	p->content = f->content;
	p->size = f->size;
	p->mtime_ms = f->time_ms;
	p->dirty = true;
}

static void apply_delete(struct runtime *rt, struct file *p, uint64_t seq)
{
	char key[40];
	content_retire(rt, p->content, seq);
	snprintf(key, sizeof key, "f/%08x", p->serial);
	uint32_t serial = p->serial;
	files_drop(rt, p);
	memory_file_gone(rt, serial);
	store_forget(rt, key);
	if (!rt->replaying)
		rag_file_changed(rt, serial);
}

static void apply_rename(struct runtime *rt, struct file *p, const struct facts *f)
{
	struct file *there = (struct file *)file_child(rt, f->parent, f->file, strlen(f->file));
	if (there && there != p)
		apply_delete(rt, there, f->seq);
	if (there != p && files_move(rt, p, f->parent, f->file) < 0)
		abort(); /* see apply_put */
	p->dirty = true;
}

void files_agent_gone(struct runtime *rt, uint32_t agent, uint64_t seq)
{
	const struct file *top = file_by_serial(rt, agent);
	while (top && top->children_n) {
		const struct file *f = top;
		while (f->children_n)
			f = f->children[f->children_n - 1];
		apply_delete(rt, (struct file *)f, seq);
	}
	files_drop_root(rt, agent);
	rt->files.dirty = true;
}

void files_apply(struct runtime *rt, const struct facts *f)
{
	struct file *p = files_find(rt, f->serial);
	if (f->type == REC_FILE_PUT) {
		apply_put(rt, f);
	} else if (!p) {
		return; /* the store is ahead of the replay: it was deleted since */
	} else if (f->type == REC_FILE_DELETE) {
		if (!p->children_n)
			apply_delete(rt, p, f->seq);
	} else if (f->type == REC_FILE_RENAME) {
		apply_rename(rt, p, f);
	} else {
		p->uid = f->uid;
		p->gid = f->gid;
		p->mode = (p->mode & S_IFMT) | f->mode;
		p->dirty = true;
	}
	rt->files.dirty = true;
	store_changed(rt);
	if (!rt->replaying)
		rag_file_changed(rt, f->serial);
}
