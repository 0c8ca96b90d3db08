/* SPDX-License-Identifier: MIT */
/* tree.c - the rows made into a tree: node ids, name resolution, listing. L3; loop thread only. */
#include "fs/tree_i.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/parse.h"

static const struct {
	const char *text;
	enum part part;
} parts[] = {
	{"{agent}", PART_AGENT}, {"{run}", PART_RUN}, {"{call}", PART_CALL},
	{"{spec}", PART_SPEC},   {"{key}", PART_KEY},
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
	if (dir) {
		r->parent = dir->id;
		dir->child[dir->children++] = r->id;
	}
	return r->name ? r : NULL;
}

static int add_node(struct tree *t, const struct fs_node *node, struct err *e)
{
	autofree char *path = strdup(node->path);
	struct row *at = &t->rows[1];
	char *save = NULL;
	for (char *name = strtok_r(path, "/", &save); name; name = strtok_r(NULL, "/", &save)) {
		struct row *next = row_child_named(t, at, name);
		if (!next)
			next = row_add(t, at, name);
		if (!next)
			return err_set(e, ERR_SYS_MEMORY, "no room for the row '%s'", node->path);
		at = next;
	}
	if (at->node)
		return err_set(e, ERR_FS_INVALID, "two rows for '%s'", node->path);
	at->node = node;
	return 0;
}

static uint8_t row_id_of(struct tree *t, const char *path)
{
	for (unsigned i = 1; i <= t->row_count; i++)
		if (t->rows[i].node && strcmp(t->rows[i].node->path, path) == 0)
			return t->rows[i].id;
	return 0;
}

int tree_new(struct tree **ret, struct runtime *rt, const char *mount, struct err *e)
{
	struct tree *t = calloc(1, sizeof *t);
	if (!t || !(t->mount = strdup(mount ? mount : "")) || !row_add(t, NULL, "")) {
		tree_free(t);
		return err_set(e, ERR_SYS_MEMORY, "no memory for the tree");
	}
	t->rt = rt;
	t->boot_ms = clock_wall_ms();
	for (int i = 0; i < RENDER_CACHE; i++)
		buf_init(&t->cache[i].text, RENDER_MAX);
	for (const struct fs_node *const *table = fs_tables; *table; table++)
		for (const struct fs_node *node = *table; node->path; node++) {
			int r = add_node(t, node, e);
			if (r < 0) {
				tree_free(t);
				return r;
			}
		}
	t->spec_row = row_id_of(t, "agents/{spec}");
	t->agents_row = t->rows[t->spec_row].parent;
	t->call_row = row_id_of(t, "agents/{agent}/run");
	t->agent_row = t->rows[t->call_row].parent;
	t->named_row = row_id_of(t, "agents/{agent}/run.d/{call}");
	/* Ids of documents and slots begin at the clock: an id that a worker gave out before it was
	 * killed means nothing to the next one, instead of something else. */
	t->next_doc = t->next_slot = (uint32_t)(clock_wall_ms() / 16) & 0xffffff;
	*ret = t;
	return 0;
}

void tree_free(struct tree *t)
{
	if (!t)
		return;
	while (t->docs)
		doc_drop(t, t->docs);
	while (t->slots)
		slot_drop(t, t->slots);
	for (int i = 0; i < RENDER_CACHE; i++)
		buf_done(&t->cache[i].text);
	for (unsigned i = 1; i <= t->row_count; i++)
		free(t->rows[i].name);
	free(t->mount);
	free(t);
}

struct runtime *tree_runtime(struct tree *t)
{
	return t->rt;
}

void tree_on_stale(struct tree *t, void (*fn)(void *arg, uint64_t dir, const char *name), void *arg)
{
	t->stale = fn;
	t->stale_arg = arg;
}

/* ---- ids ---- */

fs_id place_id(const struct place *p)
{
	if (p->row->id == 1)
		return FS_ROOT_ID;
	return (uint64_t)p->row->id << 56 | (uint64_t)p->serial << 24 | (p->sub & 0xffffff);
}

int place_of(struct tree *t, fs_id id, struct place *ret, struct err *e)
{
	unsigned row = id == FS_ROOT_ID ? 1 : (unsigned)(id >> 56);
	if (row == 0 || row > t->row_count)
		return err_set(e, ERR_FS_NOT_FOUND, "no such file");
	*ret = (struct place){&t->rows[row], id == FS_ROOT_ID ? 0 : (uint32_t)(id >> 24),
			      id == FS_ROOT_ID ? 0 : (uint32_t)(id & 0xffffff)};
	return 0;
}

enum fs_kind row_kind(const struct row *r)
{
	return r->node ? r->node->kind : FS_DIR;
}

int place_bind(struct tree *t, const struct place *p, const struct actor *who, struct fs_ctx *ret,
	       struct err *e)
{
	*ret = (struct fs_ctx){.rt = t->rt, .who = *who, .node = p->row->node, .tree = t};
	if (p->serial) {
		ret->agent = agent_by_serial(t->rt, p->serial);
		if (!ret->agent)
			return err_set(e, ERR_AGENT_NOT_FOUND, "the agent is gone");
	}
	const struct row *dir = &t->rows[p->row->parent];
	if (p->row->part == PART_RUN || dir->part == PART_RUN) {
		ret->run = run_find(t->rt, ret->agent, p->sub);
		if (!ret->run)
			return err_set(e, ERR_FS_NOT_FOUND, "run %u is gone", p->sub);
	}
	ret->name = place_name(p);
	return 0;
}

const char *place_name(const struct place *p)
{
	if (p->row->part == PART_KEY && p->row->node)
		return p->row->node->keys[p->sub];
	return p->row->name;
}

void place_path(struct tree *t, const struct place *p, struct buf *out)
{
	if (p->row->id == 1)
		return;
	const struct row *parent = &t->rows[p->row->parent];
	if (parent->id != 1) {
		place_path(t, &(struct place){parent, p->serial, p->sub}, out);
		buf_adds(out, "/");
	}
	struct agent *a = p->serial ? agent_by_serial(t->rt, p->serial) : NULL;
	struct doc *d = p->row->part == PART_SPEC && !p->serial ? doc_by_id(t, p->sub) : NULL;
	struct slot *s = p->row->part == PART_CALL ? slot_by_id(t, p->sub) : NULL;
	switch (p->row->part) {
	case PART_AGENT:
		buf_adds(out, a ? agent_name(a) : "?");
		break;
	case PART_SPEC:
		buf_adds(out, a ? agent_file_name(a) : d ? d->name : "?");
		break;
	case PART_RUN:
		buf_printf(out, "%u", p->sub);
		break;
	case PART_CALL:
		buf_adds(out, s && s->name ? s->name : "?");
		break;
	case PART_KEY:
	case PART_LITERAL:
		buf_adds(out, place_name(p));
		break;
	}
}

/* ---- names ---- */

static int not_found(struct err *e, const char *name)
{
	return err_set(e, ERR_FS_NOT_FOUND, "no such file '%s'", name);
}

/* One child row tried for one name: 0 found, -ENOENT not this row's, or another failure. */
static int try_child(struct tree *t, const struct actor *who, const struct place *dir,
		     const struct row *row, const char *name, struct place *ret, struct err *e)
{
	*ret = (struct place){row, dir->serial, dir->sub};
	size_t len = strlen(name);
	struct agent *a;
	struct doc *d;
	uint64_t n;
	switch (row->part) {
	case PART_LITERAL:
		if (strcmp(row->name, name) != 0)
			return -ENOENT;
		if (row_kind(row) == FS_CALL) {
			struct slot *s = slot_for_reader(t, who, dir->serial);
			if (!s)
				return err_set(e, ERR_SYS_MEMORY, "too many callers");
			ret->sub = s->id;
		}
		return 0;
	case PART_AGENT:
		a = agent_find(t->rt, name, len);
		ret->serial = a ? (uint32_t)agent_serial(a) : 0;
		return a ? 0 : -ENOENT;
	case PART_SPEC: {
		const char *dot = strrchr(name, '.');
		a = dot ? agent_find(t->rt, name, (size_t)(dot - name)) : NULL;
		if (a && strcmp(agent_file_name(a), name) == 0) {
			ret->serial = (uint32_t)agent_serial(a);
			return 0;
		}
		d = doc_find(t, name);
		ret->sub = d ? d->id : 0;
		return d ? 0 : -ENOENT;
	}
	case PART_RUN:
		if (parse_u64(name, 1, 0xffffff, &n, NULL) < 0 ||
		    !run_find(t->rt, agent_by_serial(t->rt, dir->serial), (uint32_t)n))
			return -ENOENT;
		ret->sub = (uint32_t)n;
		return 0;
	case PART_CALL: {
		struct slot *s = slot_by_name(t, who, dir->serial, name, false, e);
		ret->sub = s ? s->id : 0;
		return s ? 0 : -ENOENT;
	}
	case PART_KEY:
		for (ret->sub = 0; row->node->keys[ret->sub]; ret->sub++)
			if (strcmp(row->node->keys[ret->sub], name) == 0)
				return 0;
		return -ENOENT;
	}
	return -ENOENT;
}

int place_child(struct tree *t, const struct actor *who, const struct place *dir, const char *name,
		struct place *ret, struct err *e)
{
	if (row_kind(dir->row) != FS_DIR)
		return err_sys(e, ERR_FS_INVALID, ENOTDIR, "'%s'", name);
	struct fs_ctx bound;
	int r = place_bind(t, dir, who, &bound, e);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < dir->row->children; i++) {
		r = try_child(t, who, dir, &t->rows[dir->row->child[i]], name, ret, e);
		if (r != -ENOENT)
			return r;
	}
	return not_found(e, name);
}

int tree_lookup(struct tree *t, const struct actor *who, fs_id dir, const char *name,
		struct fs_attr *ret, struct err *e)
{
	struct place d, p;
	int r = place_of(t, dir, &d, e);
	if (r == 0)
		r = place_child(t, who, &d, name, &p, e);
	return r < 0 ? r : place_attr(t, &p, who, ret, e);
}

int tree_getattr(struct tree *t, const struct actor *who, fs_id id, struct fs_attr *ret,
		 struct err *e)
{
	struct place p;
	int r = place_of(t, id, &p, e);
	return r < 0 ? r : place_attr(t, &p, who, ret, e);
}

/* ---- listing: cookies are (child index << 48 | position within it) + 1 ---- */

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
	if (place_attr(l->t, p, l->who, &a, NULL) < 0)
		return true; /* went away meanwhile */
	return l->fn(l->arg, name, &a, ((uint64_t)i << 48 | pos) + 1);
}

static bool list_agents(struct listing *l, const struct row *row, unsigned i, uint64_t after)
{
	for (struct agent *a = agent_next(l->t->rt, after); a;
	     a = agent_next(l->t->rt, agent_serial(a))) {
		const char *name = row->part == PART_SPEC ? agent_file_name(a) : agent_name(a);
		struct place p = {row, (uint32_t)agent_serial(a), 0};
		if (!list_one(l, &p, name, i, agent_serial(a)))
			return false;
	}
	return true;
}

#define DOCS_FROM (1ull << 40) /* positions of documents, behind every agent's serial */

static bool list_docs(struct listing *l, const struct row *row, unsigned i, uint64_t after)
{
	uint64_t n = 0;
	for (struct doc *d = l->t->docs; d; d = d->next) {
		if (++n <= (after > DOCS_FROM ? after - DOCS_FROM : 0) || d->committed)
			continue;
		struct place p = {row, 0, d->id};
		if (!list_one(l, &p, d->name, i, DOCS_FROM + n))
			return false;
	}
	return true;
}

static bool list_row(struct listing *l, const struct place *dir, const struct row *row, unsigned i,
		     uint64_t after)
{
	struct place p = {row, dir->serial, dir->sub};
	switch (row->part) {
	case PART_LITERAL:
		return after >= 1 || list_one(l, &p, row->name, i, 1);
	case PART_AGENT:
		return list_agents(l, row, i, after);
	case PART_SPEC:
		return (after >= DOCS_FROM || list_agents(l, row, i, after)) &&
		       list_docs(l, row, i, after);
	case PART_RUN: {
		struct agent *a = agent_by_serial(l->t->rt, dir->serial);
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
	case PART_CALL: {
		uint64_t n = 0;
		for (struct slot *s = l->t->slots; s; s = s->next) {
			if (!s->name || s->serial != dir->serial || s->uid != l->who->uid)
				continue;
			p.sub = s->id;
			if (++n > after && !list_one(l, &p, s->name, i, n))
				return false;
		}
		return true;
	}
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
