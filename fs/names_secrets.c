/* SPDX-License-Identifier: MIT */
/* names_secrets.c - the names in secrets/: finding, making, removing and listing them. L3; loop thread only. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/tree_i.h"
#include "runtime/secrets.h"

const struct row *secrets_row(const struct tree *t, const struct place *p, enum part part)
{
	for (unsigned i = 0; p->row->secrets && i < p->row->children; i++)
		if (t->rows[p->row->child[i]].part == part)
			return &t->rows[p->row->child[i]];
	return NULL;
}

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

static void ignore(void *arg, const struct err *e)
{
	(void)arg, (void)e; /* a journal that cannot be written ends the process */
}

/* Its creation is durable before a value is. */
int secrets_create(struct tree *t, const struct actor *who, const struct place *dir, const char *name, struct place *ret,
		   struct err *e)
{
	*ret = (struct place){.row = secrets_row(t, dir, PART_SECRET), .serial = dir->serial};
	return secret_make(t->rt, who, dir->sub, name, false, &ret->sub, (struct runtime_done){ignore, NULL}, e);
}

void secrets_remove(struct tree *t, struct fs_req *req, uint32_t number)
{
	struct err e;
	struct runtime_done done = req_done(req, 0);
	t->changes++;
	if (secret_delete(t->rt, &req->who, number, done, &e) < 0)
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

void secrets_mkdir(struct tree *t, struct fs_req *req, const struct place *dir, const char *name)
{
	struct err e;
	struct making *m = calloc(1, sizeof *m);
	int r = m ? dir_writable(t, &req->who, dir, &e) : err_set(&e, ERR_SYS_MEMORY, "no memory for a folder");
	if (r < 0) {
		free(m);
		req_fail(req, r, &e);
		return;
	}
	const struct secret *there = secret_child(t->rt, dir->sub, name);
	*m = (struct making){t, req, {.row = secrets_row(t, dir, PART_SECRETS), .serial = dir->serial}};
	t->changes++;
	if (there && req_was_done(t, req)) {
		m->at.sub = SECRET_NUMBER(there);
		made(m, NULL);
		return;
	}
	r = secret_make(t->rt, &req->who, dir->sub, name, true, &m->at.sub, (struct runtime_done){made, m}, &e);
	if (r < 0)
		made(m, &e);
}
