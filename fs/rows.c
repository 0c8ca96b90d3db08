/* SPDX-License-Identifier: MIT */
/* rows.c - the rows of the tables made into a tree of rows. L3; loop thread only. */
#include <stdio.h>
#include <string.h>

#include "fs/tree_i.h"
#include "lib/mem.h"

static const struct {
	const char *text;
	enum part part;
} parts[] = {
	{"{agent}", PART_AGENT}, {"{run}", PART_RUN}, {"{call}", PART_CALL},
	{"{spec}", PART_SPEC},   {"{key}", PART_KEY},   {"{folder}", PART_FOLDER}, {"{file}", PART_FILE},
	{"{approval}", PART_APPROVAL}, {"{secrets}", PART_SECRETS}, {"{secret}", PART_SECRET},
	{"{secret}.json", PART_SECRET_INFO},
};

static enum part part_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (strcmp(name, parts[i].text) == 0)
			return parts[i].part;
	return PART_LITERAL;
}

static struct row *row_child_named(struct tree *t, struct row *dir, const char *name)
{
	for (unsigned i = 0; i < dir->children; i++)
		if (strcmp(t->rows[dir->child[i]].name, name) == 0)
			return &t->rows[dir->child[i]];
	return NULL;
}

static struct row *row_add(struct tree *t, struct row *dir, const char *name)
{
	if (t->row_count == ROWS_MAX || (dir && dir->children == ARRAY_LEN(dir->child)))
		return NULL;
	struct row *r = &t->rows[++t->row_count];
	r->id = (uint8_t)t->row_count;
	r->name = strdup(name);
	r->part = part_of(name);
	/* A user's file says itself whose it is. */
	bool is_file = r->part == PART_FOLDER || r->part == PART_FILE;
	r->below_agent = r->part == PART_AGENT || (dir && dir->below_agent && !is_file);
	r->below_approval = r->part == PART_APPROVAL || (dir && dir->below_approval);
	r->in_view = dir && (dir->in_view || (r->part == PART_AGENT && strcmp(dir->name, VIEWS) == 0));
	if (dir) {
		r->parent = dir->id;
		dir->child[dir->children++] = r->id;
	}
	return r->name ? r : NULL;
}

static int add_node(struct tree *t, const struct fs_node *node, const char *at_path, struct err *e)
{
	autofree char *path = strdup(at_path);
	struct row *at = &t->rows[1];
	char *save = NULL;
	for (char *name = strtok_r(path, "/", &save); name; name = strtok_r(NULL, "/", &save)) {
		struct row *next = row_child_named(t, at, name);
		if (!next)
			next = row_add(t, at, name);
		if (!next)
			return err_set(e, ERR_SYS_MEMORY, "no room for the row '%s'", at_path);
		at = next;
	}
	if (at->node)
		return err_set(e, ERR_FS_INVALID, "two rows for '%s'", at_path);
	at->node = node;
	return 0;
}

/* The same row a second time, where an agent finds it. */
static int add_to_view(struct tree *t, const struct fs_node *node, struct err *e)
{
	char path[128];
	snprintf(path, sizeof path, VIEWS "/{agent}/%s", node->view);
	return add_node(t, node, path, e);
}

static int add_rows(struct tree *t, struct err *e)
{
	int r = row_add(t, NULL, "") ? 0 : err_set(e, ERR_SYS_MEMORY, "no memory for the tree");
	for (const struct fs_node *const *table = fs_tables; r == 0 && *table; table++)
		for (const struct fs_node *node = *table; r == 0 && node->path; node++)
			r = add_node(t, node, node->path, e);
	for (const struct fs_node *const *table = fs_tables; r == 0 && *table; table++)
		for (const struct fs_node *node = *table; r == 0 && node->path; node++)
			r = node->view ? add_to_view(t, node, e) : 0;
	return r;
}

/* Which rows have a text whose version is part of the id: those with room for it. A run's number takes
 * all of the room. */
static void mark_versions(struct tree *t)
{
	for (unsigned i = 1; i <= t->row_count; i++) {
		struct row *r = &t->rows[i];
		bool room = r->part == PART_LITERAL || r->part == PART_KEY;
		for (struct row *up = r; room && up->id != 1; up = &t->rows[up->parent])
			room = up->part != PART_RUN;
		r->versioned = room && row_has_text(r) && !r->node->fixed;
		r->version_shift = r->part == PART_KEY ? 6 : 0;
	}
}

static void mark_directories(struct tree *t)
{
	for (unsigned i = 1; i <= t->row_count; i++) {
		struct row *dir = &t->rows[t->rows[i].parent];
		const struct fs_node *node = t->rows[i].node;
		if (t->rows[i].part != PART_AGENT && t->rows[i].part != PART_SPEC)
			continue;
		dir->lists = node && node->store ? node->store : &fs_store_agents;
		dir->asked = true; /* by an earlier worker's callers */
		dir->changed_ms = t->boot_ms;
		if (node && node->store)
			dir->docs = t->rows[i].id;
	}
}

/* A folder's children are those of the directory that it is in. */
static void mark_folders(struct tree *t)
{
	for (unsigned i = 1; i <= t->row_count; i++) {
		struct row *r = &t->rows[i];
		struct row *dir = &t->rows[r->parent];
		r->files |= r->part == PART_FOLDER || r->part == PART_FILE;
		dir->files |= r->files;
		r->secrets |= r->part == PART_SECRETS || r->part == PART_SECRET || r->part == PART_SECRET_INFO;
		dir->secrets |= r->secrets;
		if (r->part != PART_FOLDER && r->part != PART_SECRETS)
			continue;
		memcpy(r->child, dir->child, sizeof r->child);
		r->children = dir->children;
	}
}

static uint8_t row_id_of(struct tree *t, const char *path)
{
	for (unsigned i = 1; i <= t->row_count; i++)
		if (t->rows[i].node && strcmp(t->rows[i].node->path, path) == 0)
			return t->rows[i].id;
	return 0;
}

int rows_build(struct tree *t, struct err *e)
{
	int r = add_rows(t, e);
	if (r < 0)
		return r;
	mark_versions(t);
	mark_directories(t);
	mark_folders(t);
	t->agents_row = t->rows[row_id_of(t, "agents/{spec}")].parent;
	t->agent_row = row_id_of(t, "agents/{agent}");
	return 0;
}

enum fs_kind row_kind(const struct row *r)
{
	return r->node ? r->node->kind : FS_DIR;
}

mode_t row_mode(const struct row *r)
{
	mode_t mode = r->node ? r->node->mode : 0755;
	if (!r->in_view)
		return mode;
	return row_kind(r) == FS_DIR ? 0500 : mode & 0444 ? 0400 : 0;
}
