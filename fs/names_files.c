/* SPDX-License-Identifier: MIT */
/* names_files.c - making, removing and renaming users' files and folders (runtime/files.h). L3; loop thread only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/tree_i.h"
#include "runtime/files.h"

/* Its creation is durable before anything is that is done to it. */
int files_create(struct tree *t, const struct actor *who, const struct place *dir, const char *name, mode_t mode,
		       struct place *ret, struct err *e)
{
	*ret = (struct place){.row = row_of_part(t, dir, PART_FILE)};
	return file_make(t->rt, who, dir->serial, name, mode & 0777, &ret->serial, req_nobody, e);
}

void files_remove(struct tree *t, struct fs_req *req, uint32_t serial)
{
	struct err e;
	struct runtime_done done = req_done(req, 0);
	t->changes++;
	if (file_remove(t->rt, &req->who, serial, done, &e) < 0)
		done.fn(done.arg, &e);
}

void files_mkdir(struct tree *t, struct fs_req *req, const struct place *dir, const char *name, mode_t mode)
{
	struct err e;
	const struct file *there = file_child(t->rt, dir->serial, name, strlen(name));
	struct making *m = making_begin(t, req, dir, &(struct place){.row = row_of_part(t, dir, PART_FOLDER)});
	if (!m)
		return;
	if (there && req_was_done(t, req)) {
		m->at.serial = there->serial;
		making_end(m, NULL);
		return;
	}
	/* making_end looks the folder up by its serial, which is set before the record can be durable. */
	if (file_make(t->rt, &req->who, dir->serial, name, S_IFDIR | (mode & 0777), &m->at.serial,
		      (struct runtime_done){making_end, m}, &e) < 0)
		making_end(m, &e);
}

void files_rename(struct tree *t, struct fs_req *req, const struct place *p, const struct place *to, const char *new_name,
			bool noreplace)
{
	struct err e;
	struct place there;
	int r = dir_writable(t, &req->who, to, &e);
	bool exists = place_child(t, &req->who, to, new_name, &there, NULL) == 0;
	if (r == 0 && exists && noreplace)
		r = err_set(&e, ERR_AGENT_EXISTS, "'%s' exists", new_name);
	if (r == 0 && exists)
		r = own_or_root(t, &req->who, &there, &e);
	if (r < 0) {
		req_fail(req, r, &e);
		return;
	}
	struct runtime_done done = req_done(req, 0);
	t->changes++;
	if (file_rename(t->rt, &req->who, p->serial, to->serial, new_name, done, &e) < 0)
		done.fn(done.arg, &e);
}
