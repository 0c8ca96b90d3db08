/* SPDX-License-Identifier: MIT */
/* list.c - listing directories. L3; loop thread only.
 *
 * A cookie is (child row << 48 | position within it) + 1. Positions are serials, numbers and sequences
 * that only grow, so a listing that goes on later neither repeats nor misses a name. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/tree_i.h"
#include "runtime/approvals.h"
#include "runtime/secrets.h"
#include "runtime/files.h"

#define DOCS_FROM (1ull << 40) /* positions of documents, behind every agent's serial */

struct listing {
	struct tree *t;
	const struct actor *who;
	bool (*fn)(void *, const char *, const struct fs_attr *, uint64_t);
	void *arg;
};

static bool list_one(struct listing *l, const struct place *p, const char *name, unsigned i,
		     uint64_t pos)
{
	struct fs_attr a;
	if (place_attr_short(l->t, p, l->who, &a, NULL) < 0)
		return true; /* went away meanwhile */
	return l->fn(l->arg, name, &a, ((uint64_t)i << 48 | pos) + 1);
}

static bool list_agents(struct listing *l, const struct row *row, unsigned i, uint64_t after)
{
	for (struct agent *a = agent_next(l->t->rt, after); a;
	     a = agent_next(l->t->rt, agent_serial(a))) {
		struct place p = {.row = row, .serial = (uint32_t)agent_serial(a), .sub = place_sub_of(row, a)};
		if (!list_one(l, &p, agent_name(a), i, agent_serial(a)))
			return false;
	}
	return true;
}

static bool list_stored(struct listing *l, const struct row *row, unsigned i, uint64_t after)
{
	struct stored st = {.serial = (uint32_t)after};
	while (row->node->store->next(l->t->rt, st.serial, &st)) {
		struct place p = {.row = row, .serial = st.serial};
		if (!list_one(l, &p, st.file, i, st.serial))
			return false;
	}
	return true;
}

static bool list_docs(struct listing *l, const struct row *row, unsigned i, uint64_t after)
{
	for (struct doc *d = l->t->docs; d; d = d->next) {
		if (d->st.row != row->id || d->hidden || d->st.unnamed || DOCS_FROM + d->st.seq <= after)
			continue;
		struct place p = {.row = row, .sub = doc_id(d)};
		if (!list_one(l, &p, d->st.name, i, DOCS_FROM + d->st.seq))
			return false;
	}
	return true;
}

static bool list_files(struct listing *l, const struct place *dir, const struct row *row, unsigned i, uint64_t after)
{
	const struct file *f = file_next(l->t->rt, dir->serial, (uint32_t)after);
	for (; f; f = file_next(l->t->rt, dir->serial, f->serial)) {
		struct place p = {.row = row, .serial = f->serial};
		if (S_ISDIR(f->mode) == (row->part == PART_FOLDER) && !list_one(l, &p, f->name, i, f->serial))
			return false;
	}
	return true;
}

static bool list_runs(struct listing *l, const struct place *dir, const struct row *row, unsigned i,
		      uint64_t after)
{
	struct agent *a = agent_by_serial(l->t->rt, dir->serial);
	struct place p = {.row = row, .serial = dir->serial};
	for (struct run *r = run_next(l->t->rt, a, (uint32_t)after); r;
	     r = run_next(l->t->rt, a, p.sub)) {
		char name[16];
		p.sub = run_number(r);
		snprintf(name, sizeof name, "%u", p.sub);
		if (!list_one(l, &p, name, i, p.sub))
			return false;
	}
	return true;
}

static bool list_approvals(struct listing *l, const struct place *dir, const struct row *row, unsigned i, uint64_t after)
{
	bool pending = strcmp(dir->row->name, "pending") == 0;
	struct place p = {.row = row, .serial = (uint32_t)after};
	for (const struct approval *a; (a = approval_next(l->t->rt, p.serial, pending));) {
		char name[16];
		p.serial = a->id;
		snprintf(name, sizeof name, "%u", a->id);
		if (!list_one(l, &p, name, i, a->id))
			return false;
	}
	return true;
}

static bool list_secrets(struct listing *l, const struct place *dir, const struct row *row, unsigned i, uint64_t after)
{
	struct place p = {.row = row, .serial = dir->serial, .sub = (uint32_t)after};
	for (const struct secret *s; (s = secrets_list_next(l->t, dir, row, p.sub));) {
		p.sub = SECRET_NUMBER(s);
		if (!list_one(l, &p, s->name, i, p.sub))
			return false;
	}
	return true;
}

static bool list_exchanges(struct listing *l, const struct place *dir, const struct row *row,
			   unsigned i, uint64_t after)
{
	for (struct slot *s = l->t->named; s; s = s->next) {
		if (s->st.seq <= after || s->st.unnamed || s->st.row != row->id ||
		    s->st.serial != dir->serial || s->st.uid != l->who->uid)
			continue;
		struct place p = {.row = row, .serial = dir->serial, .sub = slot_id(s)};
		if (!list_one(l, &p, s->st.name, i, s->st.seq))
			return false;
	}
	return true;
}

static bool list_row(struct listing *l, const struct place *dir, const struct row *row, unsigned i,
		     uint64_t after)
{
	struct place p = {.row = row, .serial = dir->serial, .sub = sub_below(dir)};
	switch (row->part) {
	case PART_LITERAL:
		if (row->name[0] == '.') /* there for who knows it; not for who copies the directory */
			return true;
		return after >= 1 || list_one(l, &p, row->name, i, 1);
	case PART_AGENT: return list_agents(l, row, i, after);
	case PART_SPEC:
		return (after >= DOCS_FROM || list_stored(l, row, i, after)) &&
		       list_docs(l, row, i, after);
	case PART_FOLDER:
	case PART_FILE: return list_files(l, dir, row, i, after);
	case PART_RUN: return list_runs(l, dir, row, i, after);
	case PART_SECRETS:
	case PART_SECRET: return list_secrets(l, dir, row, i, after);
	case PART_SECRET_INFO: return true; /* there for who knows it */
	case PART_APPROVAL: return list_approvals(l, dir, row, i, after);
	case PART_CALL: return list_exchanges(l, dir, row, i, after);
	case PART_KEY:
		for (p.sub = (uint32_t)after; row->node->keys[p.sub]; p.sub++)
			if (!list_one(l, &p, row->node->keys[p.sub], i, p.sub + 1))
				return false;
		return true;
	}
	return true;
}

int tree_readdir(struct tree *t, const struct actor *who, fs_id dir, uint64_t after,
		 bool (*fn)(void *arg, const char *name, const struct fs_attr *a, uint64_t cookie),
		 void *arg, struct err *e)
{
	struct place d;
	struct fs_ctx bound;
	int r = place_of(t, dir, &d, e);
	if (r == 0)
		r = place_bind(t, &d, who, &bound, e);
	if (r < 0)
		return r;
	if (row_kind(d.row) != FS_DIR)
		return err_sys(e, ERR_FS_INVALID, ENOTDIR, "not a directory");
	struct listing l = {t, who, fn, arg};
	unsigned first = after ? (unsigned)((after - 1) >> 48) : 0;
	uint64_t pos = after ? (after - 1) & 0xffffffffffffu : 0;
	for (unsigned i = first; i < d.row->children; i++, pos = 0)
		if (!list_row(&l, &d, &t->rows[d.row->child[i]], i, pos))
			break;
	return 0;
}

const struct fs_store *place_store(const struct place *p)
{
	return p->row->node ? p->row->node->store : NULL;
}

bool place_is_agents(const struct place *p)
{
	return p->row->below_agent || place_store(p) == &fs_store_agents;
}

const struct row *place_docs(const struct tree *t, const struct place *p)
{
	return p->row->docs ? &t->rows[p->row->docs] : NULL;
}
