/* SPDX-License-Identifier: MIT */
/* doc.c - documents in agents/ that are not agents: scratch files of editors, and new specs between
 * their creation and their commit. In memory, bounded per user. L3; loop thread only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/tree_i.h"
#include "lib/parse.h"

bool doc_is_spec_name(const char *name)
{
	enum value_format f;
	const char *dot = strrchr(name, '.');
	return dot && dot != name && value_format_of(name, &f) == 0 &&
	       name_ok(name, (size_t)(dot - name));
}

struct doc *doc_find(struct tree *t, const char *name)
{
	for (struct doc *d = t->docs; d; d = d->next)
		if (!d->committed && strcmp(d->name, name) == 0)
			return d;
	return NULL;
}

struct doc *doc_by_id(struct tree *t, uint32_t id)
{
	for (struct doc *d = t->docs; d; d = d->next)
		if (d->id == id)
			return d;
	return NULL;
}

static bool all_digits(const char *name)
{
	return name[strspn(name, "0123456789")] == 0;
}

int doc_new(struct tree *t, const struct actor *who, const char *name, mode_t mode,
	    struct doc **ret, struct err *e)
{
	docs_expire(t);
	unsigned mine = 0;
	for (struct doc *d = t->docs; d; d = d->next)
		mine += d->uid == who->uid;
	if (mine >= SCRATCH_PER_UID)
		return err_set(e, ERR_FS_SCRATCH, "more than %d unfinished files of one user",
			       SCRATCH_PER_UID);
	/* vim asks whether it may create a file named 4913; refused, it writes in place instead of
	 * renaming the spec away, which would end the agent. */
	if (all_digits(name))
		return err_set(e, ERR_FS_MODE, "'%s' is not a name for a spec file", name);
	struct doc *d = calloc(1, sizeof *d);
	if (!d || !(d->name = strdup(name))) {
		free(d);
		return err_set(e, ERR_SYS_MEMORY, "no memory for '%s'", name);
	}
	t->next_doc = (t->next_doc + 1) & 0xffffff;
	d->id = t->next_doc ? t->next_doc : ++t->next_doc;
	d->scratch = !doc_is_spec_name(name);
	d->uid = who->uid;
	d->gid = who->gid;
	d->mode = mode & 0777;
	d->mtime_ms = clock_wall_ms();
	buf_init(&d->text, FS_DOC_MAX);
	struct doc **end = &t->docs;
	while (*end)
		end = &(*end)->next;
	*end = d;
	*ret = d;
	return 0;
}

void doc_drop(struct tree *t, struct doc *d)
{
	struct doc **at = &t->docs;
	while (*at && *at != d)
		at = &(*at)->next;
	if (*at)
		*at = d->next;
	buf_done(&d->text);
	free(d->name);
	free(d);
}

void docs_expire(struct tree *t)
{
	uint64_t now = clock_wall_ms();
	for (struct doc *d = t->docs, *next; d; d = next) {
		next = d->next;
		if (d->opens == 0 && now - d->mtime_ms > SCRATCH_AGE_MS)
			doc_drop(t, d);
	}
}
