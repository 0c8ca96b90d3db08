/* SPDX-License-Identifier: MIT */
/* doc.c - documents that are no objects of their store: scratch files of editors, and new specs and policy
 * files between their creation and their commit. In memory, bounded per user. L3; loop thread only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/tree_i.h"
#include "lib/mem.h"
#include "lib/parse.h"

uint32_t doc_id(const struct doc *d)
{
	return (uint32_t)(d->st.seq & 0xffffff);
}

static void key_of(const struct row *row, const char *name, char out[264])
{
	snprintf(out, 264, "%u/%.255s", row->id, name);
}

struct doc *doc_find(struct tree *t, const struct row *row, const char *name)
{
	char key[264];
	key_of(row, name, key);
	return map_get(&t->docs_by_name, key, strlen(key));
}

const struct fs_store *doc_store(const struct tree *t, const struct doc *d)
{
	return t->rows[d->st.row].node->store;
}

struct doc *doc_by_id(struct tree *t, uint32_t id)
{
	struct index_link *l = index_find(&t->docs_by_id, id);
	return l ? container_of(l, struct doc, by_id) : NULL;
}

void doc_keep(struct tree *t, const struct doc *d)
{
	keep_state(t->keep, KEEP_DOC, d->st.seq, &d->st, sizeof d->st);
}

/* In the list, in the indexes and in its user's count, or nowhere. */
static int enter(struct tree *t, struct doc *d)
{
	struct user *u = user_of(t, d->st.uid);
	key_of(&t->rows[d->st.row], d->st.name, d->key);
	if (!u || index_add(&t->docs_by_id, &d->by_id, doc_id(d)) < 0)
		return -ENOMEM;
	if (!d->st.unnamed && map_put(&t->docs_by_name, d->key, d) < 0) {
		index_del(&t->docs_by_id, &d->by_id);
		return -ENOMEM;
	}
	d->user = u;
	u->docs++;
	*t->docs_end = d;
	t->docs_end = &d->next;
	tree_names_changed(t, doc_store(t, d));
	return 0;
}

static void docs_expire(struct tree *t)
{
	for (struct doc *d = t->docs, *next; d; d = next) {
		next = d->next;
		if (d->opens == 0 && clock_since_ms(d->st.mtime_ms) > SCRATCH_AGE_MS)
			doc_drop(t, d);
	}
}

/* vim asks whether it may create a file named 4913 or so; refused, it writes in place instead of renaming
 * the spec away, which would end the agent. */
static bool all_digits(const char *name)
{
	return name[strspn(name, "0123456789")] == 0;
}

int doc_new(struct tree *t, const struct actor *who, const struct row *row, const char *name, mode_t mode,
	    struct doc **ret, struct err *e)
{
	const struct fs_store *store = row->node->store;
	docs_expire(t);
	struct user *u = user_of(t, who->uid);
	if (u && u->docs >= SCRATCH_PER_UID)
		return err_set(e, ERR_FS_SCRATCH, "more than %d unfinished files of one user",
			       SCRATCH_PER_UID);
	if (all_digits(name) || strlen(name) >= sizeof(struct doc_state){0}.name)
		return err_set(e, ERR_FS_MODE, "'%s' is not a name for %s", name, store->thing);
	struct doc *d = calloc(1, sizeof *d);
	if (!d)
		return err_set(e, ERR_SYS_MEMORY, "no memory for '%s'", name);
	do
		d->st.seq = t->next_seq++;
	while (doc_id(d) == 0 || doc_by_id(t, doc_id(d)));
	memcpy(d->st.name, name, strlen(name) + 1);
	d->st.row = row->id;
	d->st.scratch = !store->is_name(name);
	d->st.uid = who->uid;
	d->st.gid = who->gid;
	d->st.mode = mode & 0777;
	d->st.mtime_ms = clock_wall_ms();
	buf_init(&d->text, FS_DOC_MAX);
	if (enter(t, d) < 0) {
		free(d);
		return err_set(e, ERR_SYS_MEMORY, "no memory for '%s'", name);
	}
	doc_keep(t, d);
	*ret = d;
	return 0;
}

int doc_restore(struct tree *t, const struct doc_state *st, struct buf *text)
{
	struct doc *d = calloc(1, sizeof *d);
	if (!d)
		return -ENOMEM;
	d->st = *st;
	d->hidden = st->unnamed;
	d->serial = st->serial;
	buf_init(&d->text, FS_DOC_MAX);
	if (buf_add(&d->text, text->data, text->len) < 0 || enter(t, d) < 0) {
		buf_done(&d->text);
		free(d);
		return -ENOMEM;
	}
	return 0;
}

void doc_hide(struct tree *t, struct doc *d)
{
	if (!d->hidden && !d->st.unnamed) {
		map_del(&t->docs_by_name, d->key);
		tree_names_changed(t, doc_store(t, d));
	}
	d->hidden = true;
}

void doc_drop(struct tree *t, struct doc *d)
{
	struct doc **at = &t->docs;
	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	if (!*at)
		t->docs_end = at;
	d->user->docs--;
	doc_hide(t, d);
	index_del(&t->docs_by_id, &d->by_id);
	keep_gone(t->keep, KEEP_DOC, d->st.seq);
	buf_done(&d->text);
	free(d);
}

bool doc_mode_to_object(struct tree *t, const struct doc *d, const char *file,
		       const struct actor *who, struct runtime_done done)
{
	const struct fs_store *store = doc_store(t, d);
	struct actor act = *who;
	struct stored st;
	struct err e;
	if (!store->find(t->rt, file, &st))
		return false;
	bool fresh = !d->st.scratch; /* not one that another document replaced */
	uid_t uid = fresh && d->st.uid != st.uid ? d->st.uid : (uid_t)-1;
	gid_t gid = fresh && d->st.gid != st.gid ? d->st.gid : (gid_t)-1;
	if (d->st.mode == st.mode && uid == (uid_t)-1 && gid == (gid_t)-1)
		return false;
	act.req += act.req ? 1 : 0; /* an act of its own */
	int r = store->chattr(t->rt, &act, st.serial, uid, gid, d->st.mode, done, &e);
	if (r < 0)
		errors_record(t->rt, who, file, "chmod",
			      store == &fs_store_agents ? agent_by_serial(t->rt, st.serial) : NULL, &e);
	return r == 0;
}

void doc_unname(struct tree *t, struct doc *d)
{
	doc_hide(t, d);
	d->st.unnamed = true;
	if (d->opens == 0)
		doc_drop(t, d);
	else
		doc_keep(t, d);
}

int doc_rename(struct tree *t, struct doc *d, const char *name, struct err *e)
{
	struct doc *old = doc_find(t, &t->rows[d->st.row], name);
	if (strlen(name) >= sizeof d->st.name)
		return err_sys(e, ERR_FS_MODE, ENAMETOOLONG, "'%s'", name);
	if (old == d)
		return 0;
	if (old)
		doc_unname(t, old);
	map_del(&t->docs_by_name, d->key);
	memcpy(d->st.name, name, strlen(name) + 1);
	key_of(&t->rows[d->st.row], name, d->key);
	d->st.unnamed = map_put(&t->docs_by_name, d->key, d) < 0;
	d->st.scratch = !doc_store(t, d)->is_name(name);
	d->st.mtime_ms = clock_wall_ms();
	tree_names_changed(t, doc_store(t, d));
	doc_keep(t, d);
	return d->st.unnamed ? err_set(e, ERR_SYS_MEMORY, "no memory for '%s'", name) : 0;
}

void doc_closed(struct tree *t, struct doc *d)
{
	if (--d->opens == 0 && (!d->st.scratch || d->st.unnamed))
		doc_drop(t, d);
}
