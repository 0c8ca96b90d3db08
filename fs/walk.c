/* SPDX-License-Identifier: MIT */
/* walk.c - who walks the tree: `cp -r` and `grep -r` open every file of a directory that they listed. A call
 * file in which such a process asked nothing is an empty file to it; to one that opens it by its name a
 * question was lost, and that is an error. L3; loop thread only. */
#include "fs/caller.h"
#include "fs/tree_i.h"

static bool has_call_file(const struct tree *t, const struct row *dir)
{
	for (unsigned i = 0; i < dir->children; i++)
		if (row_kind(&t->rows[dir->child[i]]) == FS_CALL)
			return true;
	return false;
}

int tree_opendir(struct tree *t, const struct actor *who, fs_id dir, struct fs_attr *ret,
		 struct err *e)
{
	struct place p;
	struct caller c;
	int r = tree_getattr(t, who, dir, ret, e);
	if (r == 0)
		r = place_of(t, dir, &p, e);
	if (r == 0 && has_call_file(t, p.row) && caller_of(who->pid, &c))
		t->walkers[t->next_walker++ % WALKERS] =
			(struct walker){p.row->id, p.serial, c.pid, c.start};
	return r;
}

bool place_walked(const struct tree *t, const struct place *p, const struct actor *who)
{
	struct caller c;
	if (!caller_of(who->pid, &c))
		return false;
	for (const struct walker *w = t->walkers; w < t->walkers + WALKERS; w++)
		if (w->pid == c.pid && w->start == c.start && w->row == p->row->parent &&
		    w->serial == p->serial)
			return true;
	return false;
}
