/* SPDX-License-Identifier: MIT */
/* names_secrets.c - the names in secrets/: finding, making, removing and listing them. L3; loop thread only. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/tree_i.h"
#include "runtime/secrets.h"

/* In a view only what a rule gives to its agent is there. */
static bool is_there(struct tree *t, const struct place *p, const struct secret *s)
{
	if (!s)
		return false;
	if (!p->row->in_view)
		return true;
	const struct agent *a = agent_by_serial(t->rt, p->serial);
	return a && secret_is_granted(t->rt, a, s);
}

const struct secret *place_secret(struct tree *t, const struct place *p)
{
	const struct secret *s = secret_by_number(t->rt, p->sub);
	return s && s->folder == (p->row->part == PART_SECRETS) && is_there(t, p, s) ? s : NULL;
}

int secrets_child(struct tree *t, const struct place *dir, const char *name, struct place *ret)
{
	char base[256];
	size_t len = strlen(name);
	if (ret->row->part == PART_SECRET_INFO) {
		if (len <= 5 || len >= sizeof base || strcmp(name + len - 5, ".json") != 0)
			return -ENOENT;
		snprintf(base, sizeof base, "%.*s", (int)(len - 5), name);
		name = base;
	}
	const struct secret *s = secret_child(t->rt, dir->sub, name);
	if (!is_there(t, ret, s) || s->folder != (ret->row->part == PART_SECRETS))
		return -ENOENT;
	ret->sub = SECRET_NUMBER(s);
	return 0;
}

const struct secret *secrets_list_next(struct tree *t, const struct place *dir, const struct row *row, uint32_t after)
{
	struct place p = {.row = row, .serial = dir->serial};
	const struct secret *s = secret_next(t->rt, dir->sub, after);
	while (s && (s->folder != (row->part == PART_SECRETS) || !is_there(t, &p, s)))
		s = secret_next(t->rt, dir->sub, SECRET_NUMBER(s));
	return s;
}

/* ---- making and removing ---- */

/* Its creation is durable before a value is. */
int secrets_create(struct tree *t, const struct actor *who, const struct place *dir, const char *name, struct place *ret,
		   struct err *e)
{
	*ret = (struct place){.row = row_of_part(t, dir, PART_SECRET), .serial = dir->serial};
	return secret_make(t->rt, who, dir->sub, name, false, &ret->sub, req_nobody, e);
}

void secrets_remove(struct tree *t, struct fs_req *req, uint32_t number)
{
	struct err e;
	struct runtime_done done = req_done(req, 0);
	t->changes++;
	if (secret_delete(t->rt, &req->who, number, done, &e) < 0)
		done.fn(done.arg, &e);
}

void secrets_mkdir(struct tree *t, struct fs_req *req, const struct place *dir, const char *name)
{
	struct err e;
	const struct secret *there = secret_child(t->rt, dir->sub, name);
	struct making *m = making_begin(t, req, dir, &(struct place){.row = row_of_part(t, dir, PART_SECRETS), .serial = dir->serial});
	if (!m)
		return;
	if (there && req_was_done(t, req)) {
		m->at.sub = SECRET_NUMBER(there);
		making_end(m, NULL);
		return;
	}
	if (secret_make(t->rt, &req->who, dir->sub, name, true, &m->at.sub, (struct runtime_done){making_end, m}, &e) < 0)
		making_end(m, &e);
}
