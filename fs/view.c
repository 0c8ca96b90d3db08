/* SPDX-License-Identifier: MIT */
/* view.c - the views of agents: who acts in one, and how many files it has open there. L3; loop thread only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/tree_i.h"
#include "lib/mem.h"

struct viewer { /* an agent in whose view files are open */
	struct index_link link;
	uint32_t serial;
	unsigned opens;
};

struct actor place_actor(const struct place *p, const struct actor *who)
{
	struct actor a = *who;
	if (p->row->in_view)
		a.view = p->serial;
	return a;
}

const char *path_in_view(const char *path)
{
	const char *rest = strchr(path + sizeof VIEWS, '/');
	return rest ? rest + 1 : "";
}

static struct viewer *viewer_of(const struct tree *t, uint32_t serial)
{
	struct index_link *l = index_find(&t->viewers, hash_pair(serial, 0));
	while (l && container_of(l, struct viewer, link)->serial != serial)
		l = index_again(l);
	return l ? container_of(l, struct viewer, link) : NULL;
}

int view_may_open(const struct tree *t, const struct place *p, struct err *e)
{
	const struct viewer *v = p->row->in_view ? viewer_of(t, p->serial) : NULL;
	if (!v || v->opens < VIEW_OPEN_MAX)
		return 0;
	return err_set(e, ERR_RESOURCE_SHORT, "%u files of this agent's view are open; close some", v->opens);
}

int view_opened(struct tree *t, const struct place *p)
{
	struct viewer *v = p->row->in_view ? viewer_of(t, p->serial) : NULL;
	if (p->row->in_view && !v) {
		v = calloc(1, sizeof *v);
		if (!v || index_add(&t->viewers, &v->link, hash_pair(p->serial, 0)) < 0) {
			free(v);
			return -ENOMEM;
		}
		v->serial = p->serial;
	}
	if (v)
		v->opens++;
	return 0;
}

void view_closed(struct tree *t, const struct place *p)
{
	struct viewer *v = p->row->in_view ? viewer_of(t, p->serial) : NULL;
	if (!v || --v->opens)
		return;
	index_del(&t->viewers, &v->link);
	free(v);
}
