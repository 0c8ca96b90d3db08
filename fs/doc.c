/* SPDX-License-Identifier: MIT */
/* doc.c - documents in agents/ that are not agents: scratch files of editors, and new specs between
 * their creation and their commit. In memory, bounded per user. L3; loop thread only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/tree_i.h"
#include "lib/mem.h"
#include "lib/parse.h"

bool doc_is_spec_name(const char *name)
{
	enum value_format f;
	const char *dot = strrchr(name, '.');
	return dot && dot != name && value_format_of(name, &f) == 0 &&
	       name_ok(name, (size_t)(dot - name));
}

uint32_t doc_id(const struct doc *d)
{
	return (uint32_t)(d->st.seq & 0xffffff);
}

struct doc *doc_find(struct tree *t, const char *name)
{
	return map_get(&t->docs_by_name, name, strlen(name));
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
	if (!u || index_add(&t->docs_by_id, &d->by_id, doc_id(d)) < 0)
		return -ENOMEM;
	if (!d->st.unnamed && map_put(&t->docs_by_name, d->st.name, d) < 0) {
		index_del(&t->docs_by_id, &d->by_id);
		return -ENOMEM;
	}
	d->user = u;
	u->docs++;
	*t->docs_end = d;
	t->docs_end = &d->next;
	tree_agents_changed(t);
	return 0;
}

static void docs_expire(struct tree *t)
{
	uint64_t now = clock_wall_ms();
	for (struct doc *d = t->docs, *next; d; d = next) {
		next = d->next;
		if (d->opens == 0 && now - d->st.mtime_ms > SCRATCH_AGE_MS)
			doc_drop(t, d);
	}
}

/* vim asks whether it may create a file named 4913 or so; refused, it writes in place instead of renaming
 * the spec away, which would end the agent. */
static bool all_digits(const char *name)
{
	return name[strspn(name, "0123456789")] == 0;
}

int doc_new(struct tree *t, const struct actor *who, const char *name, mode_t mode,
	    struct doc **ret, struct err *e)
{
	docs_expire(t);
	struct user *u = user_of(t, who->uid);
	if (u && u->docs >= SCRATCH_PER_UID)
		return err_set(e, ERR_FS_SCRATCH, "more than %d unfinished files of one user",
			       SCRATCH_PER_UID);
	if (all_digits(name) || strlen(name) >= sizeof(struct doc_state){0}.name)
		return err_set(e, ERR_FS_MODE, "'%s' is not a name for a spec file", name);
	struct doc *d = calloc(1, sizeof *d);
	if (!d)
		return err_set(e, ERR_SYS_MEMORY, "no memory for '%s'", name);
	do
		d->st.seq = t->next_seq++;
	while (doc_id(d) == 0 || doc_by_id(t, doc_id(d)));
	memcpy(d->st.name, name, strlen(name) + 1);
	d->st.scratch = !doc_is_spec_name(name);
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
		map_del(&t->docs_by_name, d->st.name);
		tree_agents_changed(t);
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

bool doc_mode_to_agent(struct tree *t, const struct doc *d, const char *file,
		       const struct actor *who, struct runtime_done done)
{
	struct agent *a = agent_find(t->rt, file, (size_t)(strrchr(file, '.') - file));
	struct actor act = *who;
	struct err e;
	if (!a)
		return false;
	bool fresh = !d->st.scratch; /* not one that another document replaced */
	uid_t uid = fresh && d->st.uid != agent_uid(a) ? d->st.uid : (uid_t)-1;
	gid_t gid = fresh && d->st.gid != agent_gid(a) ? d->st.gid : (gid_t)-1;
	if (d->st.mode == agent_mode_bits(a) && uid == (uid_t)-1 && gid == (gid_t)-1)
		return false;
	act.req += act.req ? 1 : 0; /* an act of its own */
	int r = agent_chown(t->rt, &act, a, uid, gid, d->st.mode, done, &e);
	if (r < 0)
		errors_record(t->rt, who, file, "chmod", a, &e);
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
	struct doc *old = doc_find(t, name);
	if (strlen(name) >= sizeof d->st.name)
		return err_sys(e, ERR_FS_MODE, ENAMETOOLONG, "'%s'", name);
	if (old == d)
		return 0;
	if (old)
		doc_unname(t, old);
	map_del(&t->docs_by_name, d->st.name);
	memcpy(d->st.name, name, strlen(name) + 1);
	d->st.unnamed = map_put(&t->docs_by_name, d->st.name, d) < 0;
	d->st.scratch = !doc_is_spec_name(name);
	d->st.mtime_ms = clock_wall_ms();
	tree_agents_changed(t);
	doc_keep(t, d);
	return d->st.unnamed ? err_set(e, ERR_SYS_MEMORY, "no memory for '%s'", name) : 0;
}

void doc_closed(struct tree *t, struct doc *d)
{
	if (--d->opens == 0 && (!d->st.scratch || d->st.unnamed))
		doc_drop(t, d);
}
