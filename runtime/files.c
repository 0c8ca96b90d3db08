/* SPDX-License-Identifier: MIT */
/* files.c - the tables of users' files and folders. L2; loop thread only. */
#include "runtime/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/runtime_i.h"

/* The place in an array in order of serial where the first one with a serial >= serial stands. */
static size_t place_of(struct file *const *list, size_t n, uint32_t serial)
{
	return sorted_place(list, n, f, f->serial, serial);
}

struct file *files_find(struct runtime *rt, uint32_t serial)
{
	const struct files *t = &rt->files;
	size_t at = place_of(t->all, t->n, serial);
	return at < t->n && t->all[at]->serial == serial ? t->all[at] : NULL;
}

static int room(struct file ***list, size_t n, size_t *cap);
static void put_at(struct file **list, size_t n, struct file *f);

/* The root of an agent's files, made when it is asked for; who owns the agent owns it. */
static struct file *root_of(struct runtime *rt, uint32_t serial)
{
	struct files *t = &rt->files;
	size_t at = place_of(t->roots, t->roots_n, serial);
	struct file *f = at < t->roots_n && t->roots[at]->serial == serial ? t->roots[at] : NULL;
	const struct agent *a = agent_by_serial(rt, serial);
	if (!a)
		return f;
	if (!f) {
		f = room(&t->roots, t->roots_n, &t->roots_cap) == 0 ? calloc(1, sizeof *f) : NULL;
		if (!f)
			return NULL;
		*f = (struct file){.serial = serial, .name = "", .mode = S_IFDIR | 0700, .is_root = true};
		put_at(t->roots, t->roots_n++, f);
	}
	f->uid = agent_uid(a);
	f->gid = agent_gid(a);
	return f;
}

static struct file *parent_of(struct runtime *rt, uint32_t serial)
{
	struct file *f = serial ? files_find(rt, serial) : &rt->files.root;
	return f ? f : root_of(rt, serial);
}

uint32_t file_owner(struct runtime *rt, const struct file *f)
{
	while (f && f->serial && !f->is_root)
		f = file_by_serial(rt, f->parent);
	return f ? f->serial : 0;
}

const struct file *file_by_serial(struct runtime *rt, uint32_t serial)
{
	return parent_of(rt, serial);
}

const struct file *file_child(struct runtime *rt, uint32_t folder, const char *name, size_t len)
{
	char key[FILE_NAME_MAX + 16];
	if (len > FILE_NAME_MAX)
		return NULL;
	int n = snprintf(key, sizeof key, "%08x/%.*s", folder, (int)len, name);
	return map_get(&rt->files.names, key, (size_t)n);
}

const struct file *file_next(struct runtime *rt, uint32_t folder, uint32_t after)
{
	const struct file *f = parent_of(rt, folder);
	size_t at = f && after < UINT32_MAX ? place_of(f->children, f->children_n, after + 1) : 0;
	return f && after < UINT32_MAX && at < f->children_n ? f->children[at] : NULL;
}

const struct file *file_next_of_all(struct runtime *rt, uint32_t after)
{
	const struct files *t = &rt->files;
	size_t at = after < UINT32_MAX ? place_of(t->all, t->n, after + 1) : t->n;
	return at < t->n ? t->all[at] : NULL;
}

size_t file_count(const struct runtime *rt)
{
	return rt->files.n;
}

void file_path(struct runtime *rt, const struct file *f, struct buf *out)
{
	if (!f->serial || f->is_root)
		return;
	const struct file *up = files_find(rt, f->parent);
	if (up) {
		file_path(rt, up, out);
		buf_adds(out, "/");
	}
	buf_adds(out, f->name);
}

void file_resource(struct runtime *rt, const struct file *f, struct buf *out)
{
	if (!file_owner(rt, f))
		buf_adds(out, f->serial ? "rag/docs/" : "rag/docs");
	file_place(rt, f, out);
}

void file_place(struct runtime *rt, const struct file *f, struct buf *out)
{
	const struct agent *a = agent_by_serial(rt, file_owner(rt, f));
	if (a)
		buf_printf(out, "agents/%s/knowledge%s", agent_name(a), f->is_root ? "" : "/");
	file_path(rt, f, out);
}

/* ---- changes ---- */

/* Room for one more; 0 or -ENOMEM. */
static int room(struct file ***list, size_t n, size_t *cap)
{
	if (n < *cap)
		return 0;
	size_t more = *cap ? *cap * 2 : 8;
	struct file **p = realloc(*list, more * sizeof(struct file *));
	if (!p)
		return -ENOMEM;
	*list = p;
	*cap = more;
	return 0;
}

static void put_at(struct file **list, size_t n, struct file *f)
{
	size_t at = place_of(list, n, f->serial);
	memmove(&list[at + 1], &list[at], (n - at) * sizeof(struct file *));
	list[at] = f;
}

static void take_at(struct file **list, size_t n, const struct file *f)
{
	size_t at = place_of(list, n, f->serial);
	memmove(&list[at], &list[at + 1], (n - at - 1) * sizeof(struct file *));
}

static int child_add(struct file *folder, struct file *f)
{
	size_t cap = folder->children_cap;
	if (room(&folder->children, folder->children_n, &cap) < 0)
		return -ENOMEM;
	folder->children_cap = (uint32_t)cap;
	put_at(folder->children, folder->children_n++, f);
	return 0;
}

static void child_del(struct file *folder, const struct file *f)
{
	take_at(folder->children, folder->children_n, f);
	folder->children_n--;
}

static char *key_of(uint32_t parent, const char *name)
{
	char *key = NULL;
	return asprintf(&key, "%08x/%s", parent, name) < 0 ? NULL : key;
}

static void file_free(struct file *f)
{
	free(f->key);
	free(f->children);
	free(f);
}

struct file *files_add(struct runtime *rt, uint32_t serial, uint32_t parent, const char *name)
{
	struct files *t = &rt->files;
	struct file *up = parent_of(rt, parent), *f = calloc(1, sizeof *f);
	if (!f || !up || !(f->key = key_of(parent, name)) || room(&t->all, t->n, &t->cap) < 0) {
		if (f)
			file_free(f);
		return NULL;
	}
	f->serial = serial;
	f->parent = parent;
	f->name = f->key + 9;
	if (map_put(&t->names, f->key, f) < 0) {
		file_free(f);
		return NULL;
	}
	if (child_add(up, f) < 0) {
		map_del(&t->names, f->key);
		file_free(f);
		return NULL;
	}
	put_at(t->all, t->n++, f);
	if (serial > rt->serial_last)
		rt->serial_last = serial;
	return f;
}

void files_drop(struct runtime *rt, struct file *f)
{
	struct files *t = &rt->files;
	struct file *up = parent_of(rt, f->parent);
	if (up)
		child_del(up, f);
	take_at(t->all, t->n--, f);
	map_del(&t->names, f->key);
	file_free(f);
}

void files_drop_root(struct runtime *rt, uint32_t agent)
{
	struct files *t = &rt->files;
	size_t at = place_of(t->roots, t->roots_n, agent);
	if (at == t->roots_n || t->roots[at]->serial != agent)
		return;
	struct file *f = t->roots[at];
	take_at(t->roots, t->roots_n--, f);
	file_free(f);
}

int files_move(struct runtime *rt, struct file *f, uint32_t parent, const char *name)
{
	struct file *up = parent_of(rt, parent), *old = parent_of(rt, f->parent);
	char *key = up ? key_of(parent, name) : NULL;
	if (!key || child_add(up, f) < 0) {
		free(key);
		return -ENOMEM;
	}
	child_del(old, f); /* in the same folder it stood there twice, beside itself */
	map_del(&rt->files.names, f->key);
	free(f->key);
	f->key = key;
	f->name = key + 9;
	f->parent = parent;
	return map_put(&rt->files.names, f->key, f);
}

void files_close(struct runtime *rt)
{
	struct files *t = &rt->files;
	pool_close(t->pool);
	for (size_t i = 0; i < t->n; i++)
		file_free(t->all[i]);
	for (size_t i = 0; i < t->roots_n; i++)
		file_free(t->roots[i]);
	free(t->roots);
	free(t->all);
	free(t->dead);
	free(t->root.children);
	map_done(&t->names);
	*t = (struct files){0};
}

/* ---- the store ---- */

struct saved_file {
	uint32_t parent, uid, gid, mode;
	uint64_t content, size, mtime_ms, created_ms;
	const char *name;
};

#define S(member, kind) {#member, kind, offsetof(struct saved_file, member)}
/* A field's place is on disk for ever: append only. */
static const struct field saved_fields[] = {
	S(parent, FIELD_U32), S(uid, FIELD_U32),      S(gid, FIELD_U32),	S(mode, FIELD_U32),
	S(content, FIELD_U64), S(size, FIELD_U64), S(mtime_ms, FIELD_U64), S(created_ms, FIELD_U64), S(name, FIELD_STR),
};

static int save(struct kv *kv, const struct file *f, struct err *e)
{
	char key[40];
	autobuf struct buf b;
	buf_init(&b, 4096);
	struct saved_file s = {f->parent, f->uid, f->gid, f->mode, f->content, f->size, f->mtime_ms, f->created_ms, f->name};
	int r = fields_pack(saved_fields, ARRAY_LEN(saved_fields), &s, &b);
	snprintf(key, sizeof key, "f/%08x", f->serial);
	return r < 0 ? r : kv_put(kv, key, b.data, b.len, e);
}

int files_save(struct runtime *rt, struct err *e)
{
	struct files *t = &rt->files;
	int r = 0;
	for (size_t i = 0; r == 0 && t->dirty && i < t->n; i++)
		if (t->all[i]->dirty && (r = save(rt->kv, t->all[i], e)) == 0)
			t->all[i]->dirty = false;
	if (r == 0)
		t->dirty = false;
	return r;
}

struct loading {
	struct runtime *rt;
	bool again; /* some had no folder yet: a folder may have a greater serial than what was moved into it */
	size_t added;
};

static int load_one(void *arg, const char *key, const void *data, size_t len)
{
	struct loading *l = arg;
	struct saved_file s = {0};
	unsigned serial;
	if (sscanf(key, "f/%8x", &serial) != 1 ||
	    fields_unpack(saved_fields, ARRAY_LEN(saved_fields), data, len, &s) < 0 || !s.name)
		return -EUCLEAN;
	if (files_find(l->rt, serial))
		return 0;
	if (!parent_of(l->rt, s.parent)) {
		l->again = true;
		return 0;
	}
	struct file *f = files_add(l->rt, serial, s.parent, s.name);
	if (!f)
		return -ENOMEM;
	l->added++;
	f->uid = s.uid;
	f->gid = s.gid;
	f->mode = s.mode;
	f->content = s.content;
	f->size = s.size;
	f->mtime_ms = s.mtime_ms;
	f->created_ms = s.created_ms;
	return 0;
}

int files_load(struct runtime *rt, struct err *e)
{
	struct loading l;
	int r;
	do {
		l = (struct loading){.rt = rt};
		r = kv_each(rt->kv, "f/", load_one, &l, e);
	} while (r == 0 && l.again && l.added);
	return r == 0 && l.again ? -EUCLEAN : r;
}
