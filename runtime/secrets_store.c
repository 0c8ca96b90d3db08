/* SPDX-License-Identifier: MIT */
/* secrets_store.c - the table of secrets and what the store keeps of it, sealed. L2; loop thread only. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/runtime_i.h"

struct saved_secret {
	uint32_t parent, folder, uid, gid;
	uint64_t generation, size, created_ms, mtime_ms;
	const char *path, *sealed;
};

#define S(member, kind) {#member, kind, offsetof(struct saved_secret, member)}
/* A field's place is on disk for ever: append only. */
static const struct field saved[] = {
	S(parent, FIELD_U32),	  S(folder, FIELD_U32), S(uid, FIELD_U32),	   S(gid, FIELD_U32),
	S(generation, FIELD_U64), S(size, FIELD_U64),	S(created_ms, FIELD_U64), S(mtime_ms, FIELD_U64),
	S(path, FIELD_STR),	  S(sealed, FIELD_STR),
};

static void key_of(uint32_t serial, char out[40])
{
	snprintf(out, 40, "x/%08x", serial);
}

/* ---- the table ---- */

struct secret *secrets_add(struct runtime *rt, uint32_t serial, uint32_t parent, const char *path, bool folder)
{
	struct secrets *p = &rt->secrets;
	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 16;
		struct secret **all = realloc(p->all, cap * sizeof(struct secret *));
		if (!all)
			return NULL;
		p->all = all;
		p->cap = cap;
	}
	struct secret *s = calloc(1, sizeof *s);
	if (!s || !(s->path = strdup(path))) {
		free(s);
		return NULL;
	}
	const char *slash = strrchr(s->path, '/');
	s->name = slash ? slash + 1 : s->path;
	s->serial = serial;
	s->parent = parent;
	s->folder = folder;
	size_t i = p->n++;
	for (; i > 0 && SECRET_NUMBER(p->all[i - 1]) > SECRET_NUMBER(s); i--)
		p->all[i] = p->all[i - 1];
	p->all[i] = s;
	if (serial > rt->serial_last)
		rt->serial_last = serial;
	return s;
}

static void dispose(struct secret *s)
{
	free(s->path);
	free(s->sealed);
	free(s);
}

void secrets_drop(struct runtime *rt, struct secret *s)
{
	struct secrets *p = &rt->secrets;
	char key[40];
	size_t i = 0;
	while (p->all[i] != s)
		i++;
	memmove(&p->all[i], &p->all[i + 1], (--p->n - i) * sizeof(struct secret *));
	key_of(s->serial, key);
	store_forget(rt, key);
	p->dirty = true;
	dispose(s);
}

void secrets_close(struct runtime *rt)
{
	for (size_t i = 0; i < rt->secrets.n; i++)
		dispose(rt->secrets.all[i]);
	free(rt->secrets.all);
	secret_key_free(rt->secrets.key);
	secret_key_free(rt->secrets.next);
	rt->secrets = (struct secrets){0};
}

/* ---- the store ---- */

static int save(struct kv *kv, const struct secret *s, struct err *e)
{
	char key[40];
	autobuf struct buf b;
	buf_init(&b, 4u << 20);
	struct saved_secret v = {.parent = s->parent,
				 .folder = s->folder,
				 .uid = s->uid,
				 .gid = s->gid,
				 .generation = s->generation,
				 .size = s->size,
				 .created_ms = s->created_ms,
				 .mtime_ms = s->mtime_ms,
				 .path = s->path,
				 .sealed = s->sealed};
	int r = fields_pack(saved, ARRAY_LEN(saved), &v, &b);
	key_of(s->serial, key);
	return r < 0 ? r : kv_put(kv, key, b.data, b.len, e);
}

/* Generations are never given out again, also when the newest secret is deleted. */
int secrets_save(struct runtime *rt, struct err *e)
{
	struct secrets *p = &rt->secrets;
	int r = p->dirty ? kv_put(rt->kv, "m/secrets", &p->generation_last, sizeof p->generation_last, e) : 0;
	for (size_t i = 0; r == 0 && p->dirty && i < p->n; i++)
		if (p->all[i]->dirty && (r = save(rt->kv, p->all[i], e)) == 0)
			p->all[i]->dirty = false;
	if (r == 0)
		p->dirty = false;
	return r;
}

static int load(void *arg, const char *key, const void *data, size_t len)
{
	struct runtime *rt = arg;
	struct saved_secret v = {0};
	unsigned serial;
	if (sscanf(key, "x/%8x", &serial) != 1 || fields_unpack(saved, ARRAY_LEN(saved), data, len, &v) < 0 || !v.path)
		return -EUCLEAN;
	struct secret *s = secrets_add(rt, serial, v.parent, v.path, v.folder);
	if (!s || (v.sealed && !(s->sealed = strdup(v.sealed))))
		return -ENOMEM;
	s->uid = v.uid;
	s->gid = v.gid;
	s->generation = v.generation;
	s->size = v.size;
	s->created_ms = v.created_ms;
	s->mtime_ms = v.mtime_ms;
	return 0;
}

static int load_generation(void *arg, const void *data, size_t len)
{
	struct runtime *rt = arg;
	if (len != sizeof rt->secrets.generation_last)
		return -EUCLEAN;
	memcpy(&rt->secrets.generation_last, data, len);
	return 0;
}

int secrets_load(struct runtime *rt, struct err *e)
{
	if (kv_get(rt->kv, "m/secrets", load_generation, rt, NULL) == -EUCLEAN)
		return -EUCLEAN;
	return kv_each(rt->kv, "x/", load, rt, e);
}
