/* SPDX-License-Identifier: MIT */
/* tree.c - node ids, name resolution, what a kernel has to be told. L3; loop thread only. */
#include "fs/tree_i.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs/caller.h"
#include "lib/crc32c.h"
#include "lib/mem.h"
#include "lib/parse.h"
#include "runtime/approvals.h"
#include "runtime/secrets.h"
#include "runtime/files.h"

static void on_event(struct event_sub *sub, uint64_t seq, const struct agent *about,
		     const char *line, size_t len);

int tree_new(struct tree **ret, struct runtime *rt, const char *mount, struct err *e)
{
	struct tree *t = calloc(1, sizeof *t);
	if (!t || !(t->mount = strdup(mount ? mount : ""))) {
		free(t);
		return err_set(e, ERR_SYS_MEMORY, "no memory for the tree");
	}
	t->rt = rt;
	t->uid = geteuid();
	t->gid = getegid();
	t->boot_ms = clock_wall_ms();
	t->docs_end = &t->docs;
	t->next_seq = 1;
	for (int i = 0; i < RENDER_CACHE; i++)
		buf_init(&t->cache[i].text, RENDER_MAX);
	int r = rows_build(t, e);
	t->sub.fn = on_event;
	t->sub.changes = true;
	event_subscribe(rt, &t->sub);
	if (r < 0) {
		tree_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void tree_free(struct tree *t)
{
	if (!t)
		return;
	event_unsubscribe(&t->sub);
	laters_forget(t);
	while (t->docs)
		doc_drop(t, t->docs);
	users_free(t);
	map_done(&t->docs_by_name);
	index_done(&t->docs_by_id);
	index_done(&t->slots_by_key);
	index_done(&t->slots_by_id);
	index_done(&t->handles_by_id);
	index_done(&t->answers);
	index_done(&t->viewers);
	keep_close(t->keep);
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

/* ---- what a kernel has to be told ---- */

void tree_on_stale(struct tree *t, void (*fn)(void *arg, fs_id id), void *arg)
{
	t->stale = fn;
	t->stale_arg = arg;
}

/* Does what a kernel keeps about p depend on what happened? Below a directory that is gone nothing is
 * found, and a new text concerns the spec alone; mode and owner concern every name that is held. */
static bool is_concerned(const struct tree *t, const struct row *r, enum stale what)
{
	bool is_spec = r->node && r->node->store == &fs_store_agents;
	switch (what) {
	case STALE_GONE: return is_spec || r->part == PART_AGENT;
	case STALE_TEXT: return is_spec;
	case STALE_OWNER: return is_spec || r->part == PART_AGENT || r->parent == t->agent_row;
	}
	return false;
}

/* A kernel that keeps a listing compares the directory's times, so no two listings have the same. */
void tree_names_changed(struct tree *t, const struct fs_store *store)
{
	uint64_t now = clock_wall_ms();
	for (unsigned i = 1; i <= t->row_count; i++) {
		struct row *r = &t->rows[i];
		if (r->lists != store)
			continue;
		r->changed_ms = now;
		r->changes++;
		if (t->stale && r->asked)
			t->stale(t->stale_arg, place_id(&(struct place){.row = r}));
		r->asked = r->asked && !t->stale;
	}
}

static const struct fs_store *const stores[] = {&fs_store_agents, &fs_store_policies, &fs_store_profiles,
						&fs_store_shadows};

void tree_all_changed(struct tree *t)
{
	for (size_t i = 0; i < ARRAY_LEN(stores); i++)
		tree_names_changed(t, stores[i]);
}

void tree_agent_stale(struct tree *t, const struct agent *a, enum stale what)
{
	for (unsigned i = 1; t->stale && i <= t->row_count; i++) {
		const struct row *r = &t->rows[i];
		struct place p = {.row = r, .serial = (uint32_t)agent_serial(a)};
		if (r->part == PART_AGENT)
			p.sub = place_sub_of(r, a);
		if (is_concerned(t, r, what))
			t->stale(t->stale_arg, place_id(&p));
	}
}

void tree_stored_stale(struct tree *t, const struct fs_store *store, uint32_t serial, enum stale what)
{
	struct agent *a = store == &fs_store_agents ? agent_by_serial(t->rt, serial) : NULL;
	if (a)
		tree_agent_stale(t, a, what);
}

static bool is_type(const char *line, size_t len, const char *type)
{
	char key[64];
	int n = snprintf(key, sizeof key, "\"type\":\"%s\"", type);
	return memmem(line, len, key, (size_t)n) != NULL;
}

static bool changes_names(const char *line, size_t len, const struct fs_store *store)
{
	char type[64];
	for (const char *how = "deleted\0created\0renamed\0"; *how; how += strlen(how) + 1)
		if (snprintf(type, sizeof type, "%s%s", store->events, how) && is_type(line, len, type))
			return true;
	return false;
}

/* Everything that happens to agents comes by here, whoever asked for it. */
static void on_event(struct event_sub *sub, uint64_t seq, const struct agent *about,
		     const char *line, size_t len)
{
	struct tree *t = container_of(sub, struct tree, sub);
	t->changes++;
	(void)seq;
	for (size_t i = 0; i < ARRAY_LEN(stores); i++)
		if (changes_names(line, len, stores[i]))
			tree_names_changed(t, stores[i]);
	if (!about)
		return;
	bool gone = is_type(line, len, "agent.deleted");
	if (gone)
		tree_agent_stale(t, about, STALE_GONE);
	else if (is_type(line, len, "agent.updated"))
		tree_agent_stale(t, about, STALE_TEXT);
	else if (is_type(line, len, "agent.owner"))
		tree_agent_stale(t, about, STALE_OWNER);
}

/* ---- ids ---- */

fs_id place_id(const struct place *p)
{
	if (p->row->id == 1)
		return FS_ROOT_ID;
	uint32_t sub = p->sub | p->version << p->row->version_shift;
	return (uint64_t)p->row->id << 56 | (uint64_t)p->serial << 24 | (sub & 0xffffff);
}

int place_of(struct tree *t, fs_id id, struct place *ret, struct err *e)
{
	unsigned row = id == FS_ROOT_ID ? 1 : (unsigned)(id >> 56);
	if (row == 0 || row > t->row_count)
		return err_set(e, ERR_FS_NOT_FOUND, "no such file");
	*ret = (struct place){.row = &t->rows[row]};
	if (id == FS_ROOT_ID)
		return 0;
	ret->serial = (uint32_t)(id >> 24);
	ret->sub = (uint32_t)(id & 0xffffff);
	if (ret->row->versioned) {
		ret->version = ret->sub >> ret->row->version_shift;
		ret->sub &= (1u << ret->row->version_shift) - 1;
	}
	/* Ids come from outside: where there is an agent it must be named, a key must be one of the row's. */
	if ((ret->row->below_agent || ret->row->below_approval) && !ret->serial)
		return err_set(e, ERR_FS_NOT_FOUND, "no such file");
	if ((ret->row->part == PART_FOLDER || ret->row->part == PART_FILE) && !ret->serial)
		return err_set(e, ERR_FS_NOT_FOUND, "no such file");
	const struct fs_node *n = ret->row->node;
	for (uint32_t i = 0; ret->row->part == PART_KEY && i <= ret->sub; i++)
		if (!n->keys[i])
			return err_set(e, ERR_FS_NOT_FOUND, "no such file");
	return 0;
}

/* A directory that stands for a name says which in its id: when the agent is renamed the old one is
 * stale, and a kernel that still has the old name in its cache finds that out. */
uint32_t place_sub_of(const struct row *r, const struct agent *a)
{
	if (r->in_view) /* no kernel keeps that name, and who has it bound keeps it when the agent is renamed */
		return 0;
	const char *name = agent_name(a);
	uint32_t h = crc32c(name, strlen(name));
	return (h ^ h >> 24) & 0xffffff;
}

int place_bind(struct tree *t, const struct place *p, const struct actor *who, struct fs_ctx *ret,
	       struct err *e)
{
	*ret = (struct fs_ctx){.rt = t->rt, .who = place_actor(p, who), .node = p->row->node, .tree = t};
	struct stored st;
	const struct fs_store *store = place_store(p);
	if (p->serial && p->row->files && p->row->part != PART_LITERAL) {
		ret->file = file_by_serial(t->rt, p->serial);
		if (!ret->file || S_ISDIR(ret->file->mode) != (p->row->part == PART_FOLDER))
			return err_sys(e, ERR_FS_NOT_FOUND, ESTALE, "the file is gone");
		ret->name = ret->file->name;
		return 0;
	}
	if (p->row->secrets && p->row->part != PART_LITERAL && !(ret->secret = place_secret(t, p)))
		return err_sys(e, ERR_FS_NOT_FOUND, ESTALE, "the secret is gone");
	if (p->row->below_approval && !(ret->approval = place_approval(t, p)))
		return err_sys(e, ERR_FS_NOT_FOUND, ESTALE, "approval %u is not here", p->serial);
	if (p->serial && !p->row->below_approval && !place_is_agents(p) && (!store || !store->by_serial(t->rt, p->serial, &st)))
		return err_sys(e, ERR_FS_NOT_FOUND, ESTALE, "the file is gone");
	if (p->serial && place_is_agents(p)) {
		ret->agent = agent_by_serial(t->rt, p->serial);
		/* The kernel may still know the name; -ESTALE makes it look the name up again. */
		if (!ret->agent)
			return err_sys(e, ERR_AGENT_NOT_FOUND, ESTALE, "the agent is gone");
		if (p->row->part == PART_AGENT && p->sub != place_sub_of(p->row, ret->agent))
			return err_sys(e, ERR_AGENT_NOT_FOUND, ESTALE,
				       "the agent has another name");
	}
	const struct row *dir = &t->rows[p->row->parent];
	if (p->row->part == PART_RUN || dir->part == PART_RUN) {
		ret->run = run_find(t->rt, ret->agent, p->sub);
		if (!ret->run)
			return err_sys(e, ERR_FS_NOT_FOUND, ESTALE, "run %u is gone", p->sub);
	}
	ret->name = place_name(p);
	return 0;
}

const struct approval *place_approval(struct tree *t, const struct place *p)
{
	const struct approval *a = approval_find(t->rt, p->serial);
	const struct row *top = p->row;
	while (top->part != PART_APPROVAL)
		top = &t->rows[top->parent];
	bool pending = strcmp(t->rows[top->parent].name, "pending") == 0;
	return a && (a->state == APPROVAL_PENDING) == pending ? a : NULL;
}

const char *place_name(const struct place *p)
{
	if (p->row->part == PART_KEY && p->row->node)
		return p->row->node->keys[p->sub];
	return p->row->name;
}

static void place_path_of_file(struct tree *t, const struct place *p, struct buf *out)
{
	const struct file *f = file_by_serial(t->rt, p->serial);
	place_path(t, &(struct place){.row = &t->rows[p->row->parent], .serial = f ? file_owner(t->rt, f) : 0}, out);
	buf_adds(out, "/");
	if (f)
		file_path(t->rt, f, out);
	else
		buf_adds(out, "?");
}

void place_path(struct tree *t, const struct place *p, struct buf *out)
{
	if (p->row->id == 1)
		return;
	if (p->row->part == PART_FOLDER || p->row->part == PART_FILE) {
		place_path_of_file(t, p, out);
		return;
	}
	const struct secret *secret = p->row->secrets && p->sub ? secret_by_number(t->rt, p->sub) : NULL;
	if (secret) {
		const struct row *top = p->row;
		while (top->part != PART_LITERAL)
			top = &t->rows[top->parent];
		place_path(t, &(struct place){.row = top, .serial = p->serial}, out);
		buf_printf(out, "/%s%s", secret->path, p->row->part == PART_SECRET_INFO ? ".json" : "");
		return;
	}
	const struct row *parent = &t->rows[p->row->parent];
	if (parent->id != 1) {
		place_path(t, &(struct place){parent, p->serial, p->sub, 0}, out);
		buf_adds(out, "/");
	}
	struct agent *a = p->serial && place_is_agents(p) ? agent_by_serial(t->rt, p->serial) : NULL;
	struct stored st = {0};
	if (p->serial && place_store(p))
		place_store(p)->by_serial(t->rt, p->serial, &st);
	struct doc *d = p->row->part == PART_SPEC && !p->serial ? doc_by_id(t, p->sub) : NULL;
	struct slot *s = p->row->part == PART_CALL ? slot_by_id(t, p->sub) : NULL;
	switch (p->row->part) {
	case PART_AGENT: buf_adds(out, a ? agent_name(a) : "?"); break;
	case PART_SPEC: buf_adds(out, st.file ? st.file : d ? d->st.name : "?"); break;
	case PART_RUN: buf_printf(out, "%u", p->sub); break;
	case PART_FOLDER:
	case PART_FILE: break; /* above */
	case PART_APPROVAL: buf_printf(out, "%u", p->serial); break;
	case PART_SECRETS:
	case PART_SECRET:
	case PART_SECRET_INFO: break; /* above */
	case PART_CALL: buf_adds(out, s ? s->st.name : "?"); break;
	case PART_KEY:
	case PART_LITERAL: buf_adds(out, place_name(p)); break;
	}
}

/* ---- names ---- */

static int not_found(struct err *e, const char *name)
{
	return err_set(e, ERR_FS_NOT_FOUND, "no such file '%s'", name);
}

static int find_spec(struct tree *t, const char *name, struct place *ret)
{
	struct stored st;
	if (place_store(ret)->find(t->rt, name, &st)) {
		ret->serial = st.serial;
		return 0;
	}
	struct doc *d = doc_find(t, ret->row, name);
	ret->sub = d ? doc_id(d) : 0;
	return d ? 0 : -ENOENT;
}

/* Each caller of a call file has a node of its own, so that none waits behind another's. */
static uint32_t sub_of_caller(const struct actor *who)
{
	struct caller c;
	return caller_of(who->pid, &c) ? (uint32_t)c.pid & 0xffffff : 0;
}

/* Below a run everything is named by its number. */
uint32_t sub_below(const struct place *dir)
{
	return dir->row->part == PART_RUN ? dir->sub : 0;
}

/* One child row tried for one name: 0 found, -ENOENT not this row's. */
static int try_child(struct tree *t, const struct actor *who, const struct place *dir,
		     const struct row *row, const char *name, struct place *ret)
{
	*ret = (struct place){.row = row, .serial = dir->serial, .sub = sub_below(dir)};
	struct agent *a;
	const struct file *f;
	struct slot *s;
	uint64_t n;
	switch (row->part) {
	case PART_LITERAL:
		if (strcmp(row->name, name) != 0)
			return -ENOENT;
		if (row_kind(row) == FS_CALL)
			ret->sub = sub_of_caller(who);
		else if (row_kind(row) == FS_SINK) /* a full pipe holds up its own writer only */
			ret->sub = (uint32_t)who->pid & 0xffffff;
		return 0;
	case PART_AGENT:
		a = agent_find(t->rt, name, strlen(name));
		if (!a)
			return -ENOENT;
		ret->serial = (uint32_t)agent_serial(a);
		ret->sub = place_sub_of(row, a);
		return 0;
	case PART_SPEC: return find_spec(t, name, ret);
	case PART_RUN:
		if (parse_u64(name, 1, 0xffffff, &n, NULL) < 0 || name[0] == '0' ||
		    !run_find(t->rt, agent_by_serial(t->rt, dir->serial), (uint32_t)n))
			return -ENOENT;
		ret->sub = (uint32_t)n;
		return 0;
	case PART_FOLDER:
	case PART_FILE:
		f = file_child(t->rt, dir->serial, name, strlen(name));
		if (!f || S_ISDIR(f->mode) != (row->part == PART_FOLDER))
			return -ENOENT;
		ret->serial = f->serial;
		return 0;
	case PART_SECRETS:
	case PART_SECRET:
	case PART_SECRET_INFO: return secrets_child(t, dir, name, ret);
	case PART_APPROVAL:
		if (parse_u64(name, 1, UINT32_MAX, &n, NULL) < 0 || name[0] == '0')
			return -ENOENT;
		ret->serial = (uint32_t)n;
		return place_approval(t, ret) ? 0 : -ENOENT;
	case PART_CALL:
		s = slot_by_name(t, who, ret, name, false, NULL);
		ret->sub = s ? slot_id(s) : 0;
		return s ? 0 : -ENOENT;
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
		r = try_child(t, who, dir, &t->rows[dir->row->child[i]], name, ret);
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
