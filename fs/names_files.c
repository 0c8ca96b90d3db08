/* SPDX-License-Identifier: MIT */
/* names_files.c - making, removing and renaming users' files and folders (runtime/files.h). L3; loop thread only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/tree_i.h"
#include "runtime/files.h"

static void ignore(void *arg, const struct err *e)
{
	(void)arg, (void)e; /* a journal that cannot be written ends the process */
}
static const struct runtime_done done_ignored = {ignore, NULL};

const struct row *files_row(const struct tree *t, const struct place *p, enum part part)
{
	for (unsigned i = 0; p->row->files && i < p->row->children; i++)
		if (t->rows[p->row->child[i]].part == part)
			return &t->rows[p->row->child[i]];
	return NULL;
}

/* Its creation is durable before anything is that is done to it. */
int files_create(struct tree *t, const struct actor *who, const struct place *dir, const char *name, mode_t mode,
		       struct place *ret, struct err *e)
{
	*ret = (struct place){.row = files_row(t, dir, PART_FILE)};
	return file_make(t->rt, who, dir->serial, name, mode & 0777, &ret->serial, done_ignored, e);
}

void files_remove(struct tree *t, struct fs_req *req, uint32_t serial)
{
	struct err e;
	struct runtime_done done = req_done(req, 0);
	t->changes++;
	if (file_remove(t->rt, &req->who, serial, done, &e) < 0)
		done.fn(done.arg, &e);
}

struct making { /* a folder on its way into the journal */
	struct tree *t;
	struct fs_req *req;
	struct place at;
};

static void made(void *arg, const struct err *why)
{
	struct making *m = arg;
	struct err e = {0};
	int r = why ? -why->eno : place_attr(m->t, &m->at, &m->req->who, &m->req->attr, &e);
	if (r < 0)
		req_fail(m->req, r, why ? why : &e);
	else
		req_ok(m->req, 0);
	free(m);
}

void files_mkdir(struct tree *t, struct fs_req *req, const struct place *dir, const char *name, mode_t mode)
{
	struct err e;
	struct making *m = calloc(1, sizeof *m);
	const struct file *there = file_child(t->rt, dir->serial, name, strlen(name));
	int r = m ? dir_writable(t, &req->who, dir, &e) : err_set(&e, ERR_SYS_MEMORY, "no memory for a folder");
	if (r < 0) {
		free(m);
		req_fail(req, r, &e);
		return;
	}
	*m = (struct making){t, req, {.row = files_row(t, dir, PART_FOLDER)}};
	t->changes++;
	if (there && req_was_done(t, req)) {
		m->at.serial = there->serial;
		made(m, NULL);
		return;
	}
	/* `made` looks the folder up by its serial, which is set before the record can be durable. */
	r = file_make(t->rt, &req->who, dir->serial, name, S_IFDIR | (mode & 0777), &m->at.serial, (struct runtime_done){made, m}, &e);
	if (r < 0)
		made(m, &e);
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
