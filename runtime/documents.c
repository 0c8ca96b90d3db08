/* SPDX-License-Identifier: MIT */
/* documents.c - documents: put, rename, give away, delete; their application and their store. L2; loop thread only. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "lib/value.h"
#include "runtime/runtime_i.h"

static const struct document_type *const types[DOCUMENT_KINDS] = {&document_policy, &document_profile, &document_shadow};

/* ---- the tables ---- */

static struct document *by_name(struct runtime *rt, enum document_kind k, const char *file)
{
	const struct documents *d = &rt->documents[k];
	for (size_t i = 0; i < d->n; i++)
		if (strcmp(d->files[i]->file, file) == 0)
			return d->files[i];
	return NULL;
}

static struct document *by_serial(struct runtime *rt, enum document_kind k, uint32_t serial)
{
	const struct documents *d = &rt->documents[k];
	for (size_t i = 0; i < d->n; i++)
		if (d->files[i]->serial == serial)
			return d->files[i];
	return NULL;
}

const struct document *document_find(struct runtime *rt, enum document_kind k, const char *file)
{
	return by_name(rt, k, file);
}

const struct document *document_by_serial(struct runtime *rt, enum document_kind k, uint32_t serial)
{
	return by_serial(rt, k, serial);
}

const struct document *document_next(struct runtime *rt, enum document_kind k, uint32_t after)
{
	const struct documents *d = &rt->documents[k];
	for (size_t i = 0; i < d->n; i++)
		if (d->files[i]->serial > after)
			return d->files[i];
	return NULL;
}

static struct document *entry_add(struct runtime *rt, enum document_kind k, uint32_t serial, const char *name)
{
	struct documents *d = &rt->documents[k];
	if (d->n == d->cap) {
		size_t cap = d->cap ? 2 * d->cap : 16;
		struct document **files = realloc(d->files, cap * sizeof(struct document *));
		if (!files)
			return NULL;
		d->files = files;
		d->cap = cap;
	}
	struct document *f = calloc(1, sizeof *f);
	if (!f || !(f->file = strdup(name))) {
		free(f);
		return NULL;
	}
	f->serial = serial;
	if (serial > rt->serial_last)
		rt->serial_last = serial;
	size_t at = d->n++;
	for (; at > 0 && d->files[at - 1]->serial > serial; at--)
		d->files[at] = d->files[at - 1];
	d->files[at] = f;
	return f;
}

static void entry_free(struct document *f)
{
	free(f->file);
	free(f->text);
	free(f);
}

static void entry_key(enum document_kind k, uint32_t serial, char out[40])
{
	snprintf(out, 40, "%s%08x", types[k]->key, serial);
}

static void entry_remove(struct runtime *rt, enum document_kind k, struct document *f)
{
	struct documents *d = &rt->documents[k];
	char key[40];
	size_t at = 0;
	while (d->files[at] != f)
		at++;
	memmove(&d->files[at], &d->files[at + 1], (--d->n - at) * sizeof(struct document *));
	entry_key(k, f->serial, key);
	store_forget(rt, key);
	entry_free(f);
}

void documents_close(struct runtime *rt)
{
	for (unsigned k = 0; k < DOCUMENT_KINDS; k++) {
		for (size_t i = 0; i < rt->documents[k].n; i++)
			entry_free(rt->documents[k].files[i]);
		free(rt->documents[k].files);
		rt->documents[k] = (struct documents){0};
	}
}

/* ---- commands ---- */

int document_check(struct runtime *rt, enum document_kind k, const char *file, const char *text, size_t len,
		   bool *unfinished, struct err *e)
{
	return types[k]->check(rt, file, text, len, unfinished, e);
}

int document_may_begin(struct runtime *rt, enum document_kind k, const char *file, struct err *e)
{
	const struct document_type *t = types[k];
	if (rt->stopping)
		return err_set(e, ERR_SYS_STOPPING, "the daemon is stopping");
	if (!value_file_name_ok(file))
		return err_set(e, t->invalid, "'%s' is not a %s's name: NAME.yaml, .yml, .json or .toml", file, t->noun);
	if (rt->documents[k].n >= t->most && !by_name(rt, k, file))
		return err_set(e, ERR_RESOURCE_TOO_BIG, "more than %zu %ss", t->most, t->noun);
	return 0;
}

static int may_change(struct runtime *rt, enum document_kind k, const struct actor *who, const struct document *f,
		      mode_t mode, struct err *e)
{
	return runtime_authorize(rt, who, types[k]->action, f->file, f->uid, f->gid, mode, W_OK, e);
}

/* Journal it; what was prepared for nothing goes. */
static int commit(struct runtime *rt, enum document_kind k, const struct actor *who, struct facts *f,
		  struct runtime_done done, struct err *e)
{
	int r = record(rt, who, f, done, e);
	if (r < 0)
		types[k]->abandon(rt);
	return r;
}

/* The record of a put whose text was taken. */
static int put_prepared(struct runtime *rt, enum document_kind k, const struct actor *who, const char *file, const char *text,
			size_t len, struct runtime_done done, struct err *e)
{
	const struct document_type *t = types[k];
	const struct document *old = by_name(rt, k, file);
	autofree char *copy = strndup(text, len);
	if (!copy) {
		t->abandon(rt);
		return err_set(e, ERR_SYS_MEMORY, "no memory for '%s'", file);
	}
	struct facts f = {.type = (enum record_type)t->put,
			  .object = file,
			  .serial = old ? old->serial : rt->serial_last + 1,
			  .uid = old ? old->uid : who->uid,
			  .gid = old ? old->gid : who->gid,
			  .mode = old ? old->mode_bits : 0644,
			  .fresh = !old,
			  .text = copy};
	return commit(rt, k, who, &f, done, e);
}

struct putting { /* a text that is prepared in the background */
	struct runtime *rt;
	enum document_kind k;
	struct actor who;
	char *file, *text;
	size_t len;
	struct runtime_done done;
};

static void put_end(struct putting *p)
{
	free(p->file);
	free(p->text);
	free(p);
}

static void put_then(void *arg, int r, const struct err *why)
{
	struct putting *p = arg;
	struct err e;
	if (r == 0) {
		r = put_prepared(p->rt, p->k, &p->who, p->file, p->text, p->len, p->done, &e);
		why = &e;
	}
	if (r < 0 && why)
		p->done.fn(p->done.arg, why);
	put_end(p); /* r < 0 without a reason: the daemon ends, and nobody is left to tell */
}

/* false: it is to be prepared at once. */
static bool put_later(struct runtime *rt, enum document_kind k, const struct actor *who, const char *file, const char *text,
		      size_t len, struct runtime_done done, struct err *e, int *ret)
{
	struct putting *p = calloc(1, sizeof *p);
	*ret = 0;
	if (p)
		*p = (struct putting){rt, k, *who, strdup(file), strndup(text, len), len, done};
	if (!p || !p->file || !p->text) {
		if (p)
			put_end(p);
		*ret = err_set(e, ERR_SYS_MEMORY, "no memory for '%s'", file);
		return true;
	}
	p->who.groups = NULL; /* the request's; who may was asked */
	if (types[k]->prepare_later(rt, &(struct document_change){.put = p->file, .text = p->text, .len = len}, put_then, p))
		return true;
	put_end(p);
	return false;
}

int document_put(struct runtime *rt, enum document_kind k, const struct actor *who, const char *file, const char *text,
		 size_t len, struct runtime_done done, struct err *e)
{
	const struct document_type *t = types[k];
	const struct document *old = by_name(rt, k, file);
	int r = document_may_begin(rt, k, file, e);
	if (r == 0)
		r = old ? may_change(rt, k, who, old, (mode_t)old->mode_bits, e)
			: runtime_authorize(rt, who, t->action, file, who->uid, who->gid, 0600, W_OK, e);
	if (r == 0 && memchr(text, 0, len))
		r = err_set(e, t->invalid, "%s: a NUL byte is no text", file);
	if (r < 0)
		return r;
	if (t->prepare_later && put_later(rt, k, who, file, text, len, done, e, &r))
		return r;
	r = t->prepare(rt, &(struct document_change){.put = file, .text = text, .len = len}, e);
	return r < 0 ? r : put_prepared(rt, k, who, file, text, len, done, e);
}

static int find(struct runtime *rt, enum document_kind k, uint32_t serial, struct document **ret, struct err *e)
{
	*ret = by_serial(rt, k, serial);
	return *ret ? 0 : err_sys(e, ERR_FS_NOT_FOUND, ESTALE, "the %s is gone", types[k]->noun);
}

int document_delete(struct runtime *rt, enum document_kind k, const struct actor *who, uint32_t serial,
		    struct runtime_done done, struct err *e)
{
	struct document *old;
	int r = find(rt, k, serial, &old, e);
	if (r == 0)
		r = may_change(rt, k, who, old, old->mode_bits & 0700, e);
	if (r == 0)
		r = types[k]->prepare(rt, &(struct document_change){.without = old->file}, e);
	if (r < 0)
		return r;
	autofree char *name = strdup(old->file); /* applying frees the file's */
	struct facts f = {.type = (enum record_type)(types[k]->put + 1), .object = name ? name : "", .serial = serial};
	return commit(rt, k, who, &f, done, e);
}

int document_rename(struct runtime *rt, enum document_kind k, const struct actor *who, uint32_t serial,
		    const char *new_file, struct runtime_done done, struct err *e)
{
	struct document *old;
	const struct document *there = by_name(rt, k, new_file);
	int r = find(rt, k, serial, &old, e);
	if (r == 0)
		r = document_may_begin(rt, k, new_file, e);
	if (r == 0)
		r = may_change(rt, k, who, old, old->mode_bits & 0700, e);
	if (r == 0 && there && there != old)
		r = may_change(rt, k, who, there, there->mode_bits & 0700, e);
	if (r == 0)
		r = types[k]->prepare(rt, &(struct document_change){old->file, new_file, old->text, old->text_len}, e);
	if (r < 0)
		return r;
	autofree char *name = strdup(old->file);
	struct facts f = {.type = (enum record_type)(types[k]->put + 2),
			  .object = name ? name : "",
			  .serial = serial,
			  .file = new_file};
	return commit(rt, k, who, &f, done, e);
}

int document_chown(struct runtime *rt, enum document_kind k, const struct actor *who, uint32_t serial, uid_t uid, gid_t gid,
		   mode_t mode, struct runtime_done done, struct err *e)
{
	struct document *old;
	int r = find(rt, k, serial, &old, e);
	if (r == 0)
		r = may_change(rt, k, who, old, old->mode_bits & 0700, e);
	if (r < 0)
		return r;
	uid = uid == (uid_t)-1 ? old->uid : uid;
	gid = gid == (gid_t)-1 ? old->gid : gid;
	mode = mode == (mode_t)-1 ? (mode_t)old->mode_bits : mode & 0777;
	if (who->uid != 0 && (uid != old->uid || (gid != old->gid && gid != who->gid)))
		return err_set(e, ERR_FS_MODE, "only root may give a %s away", types[k]->noun);
	if (uid == old->uid && gid == old->gid && mode == old->mode_bits) {
		done.fn(done.arg, NULL);
		return 0;
	}
	struct facts f = {.type = (enum record_type)(types[k]->put + 3),
			  .object = old->file,
			  .serial = serial,
			  .uid = uid,
			  .gid = gid,
			  .mode = mode};
	return record(rt, who, &f, done, e);
}

/* ---- apply: the same live and in replay ---- */

enum document_kind documents_of_record(unsigned type)
{
	unsigned k = 0;
	while (k < DOCUMENT_KINDS && (type < types[k]->put || type > types[k]->put + 3))
		k++;
	return (enum document_kind)k;
}

static void apply_put(struct runtime *rt, enum document_kind k, const struct facts *f)
{
	struct document *p = by_serial(rt, k, f->serial);
	char *text = strdup(f->text ? f->text : "");
	if (!text || (!p && !(p = entry_add(rt, k, f->serial, f->object))))
		abort(); /* journalled; memory that differs from the journal must not serve */
	free(p->text);
	p->text = text;
	p->text_len = strlen(text);
	p->uid = f->uid;
	p->gid = f->gid;
	p->mode_bits = f->mode;
	p->mtime_ms = f->time_ms;
	if (f->fresh)
		p->created_ms = f->time_ms;
	p->dirty = true;
}

static void apply_rename(struct runtime *rt, enum document_kind k, struct document *p, const char *file)
{
	struct document *there = by_name(rt, k, file);
	char *name = strdup(file);
	if (!name)
		abort(); /* see apply_put */
	if (there && there != p)
		entry_remove(rt, k, there);
	free(p->file);
	p->file = name;
	p->dirty = true;
}

void documents_apply(struct runtime *rt, enum document_kind k, const struct facts *f)
{
	struct document *p = by_serial(rt, k, f->serial);
	unsigned act = f->type - types[k]->put;
	if (act == 0) {
		apply_put(rt, k, f);
	} else if (!p) {
		return; /* the store is ahead of the replay: it was deleted since */
	} else if (act == 1) {
		entry_remove(rt, k, p);
	} else if (act == 2) {
		apply_rename(rt, k, p, f->file);
	} else {
		p->uid = f->uid;
		p->gid = f->gid;
		p->mode_bits = f->mode;
		p->dirty = true;
	}
	rt->documents[k].dirty = true;
	store_changed(rt);
	if (!rt->replaying && act != 3)
		types[k]->changed(rt);
}

/* ---- the store ---- */

struct saved_file {
	uint32_t uid, gid, mode_bits;
	uint64_t created_ms, mtime_ms;
	const char *file, *text;
};

#define S(member, kind) {#member, kind, offsetof(struct saved_file, member)}
/* A field's place is on disk for ever: append only. */
static const struct field saved_fields[] = {
	S(uid, FIELD_U32),	  S(gid, FIELD_U32),	  S(mode_bits, FIELD_U32), S(created_ms, FIELD_U64),
	S(mtime_ms, FIELD_U64), S(file, FIELD_STR), S(text, FIELD_STR),
};

static int save(struct kv *kv, enum document_kind k, const struct document *f, struct err *e)
{
	char key[40];
	autobuf struct buf b;
	buf_init(&b, 4u << 20);
	struct saved_file s = {f->uid, f->gid, f->mode_bits, f->created_ms, f->mtime_ms, f->file, f->text};
	int r = fields_pack(saved_fields, ARRAY_LEN(saved_fields), &s, &b);
	entry_key(k, f->serial, key);
	return r < 0 ? r : kv_put(kv, key, b.data, b.len, e);
}

bool documents_dirty(const struct runtime *rt)
{
	bool dirty = false;
	for (unsigned k = 0; k < DOCUMENT_KINDS; k++)
		dirty |= rt->documents[k].dirty;
	return dirty;
}

static int save_kind(struct runtime *rt, enum document_kind k, struct err *e)
{
	struct documents *d = &rt->documents[k];
	int r = 0;
	for (size_t i = 0; r == 0 && d->dirty && i < d->n; i++) {
		struct document *f = d->files[i];
		if (f->dirty && (r = save(rt->kv, k, f, e)) == 0)
			f->dirty = false;
	}
	if (r == 0)
		d->dirty = false;
	return r;
}

int documents_save(struct runtime *rt, struct err *e)
{
	int r = 0;
	for (unsigned k = 0; r == 0 && k < DOCUMENT_KINDS; k++)
		r = save_kind(rt, (enum document_kind)k, e);
	return r;
}

struct loading {
	struct runtime *rt;
	enum document_kind k;
};

static int load_file(void *arg, const char *key, const void *data, size_t len)
{
	const struct loading *l = arg;
	struct saved_file s = {0};
	unsigned serial;
	if (sscanf(key + strlen(types[l->k]->key), "%8x", &serial) != 1 ||
	    fields_unpack(saved_fields, ARRAY_LEN(saved_fields), data, len, &s) < 0 || !s.file || !s.text)
		return -EUCLEAN;
	struct document *f = entry_add(l->rt, l->k, serial, s.file);
	if (!f || !(f->text = strdup(s.text)))
		return -ENOMEM;
	f->text_len = strlen(f->text);
	f->uid = s.uid;
	f->gid = s.gid;
	f->mode_bits = s.mode_bits;
	f->created_ms = s.created_ms;
	f->mtime_ms = s.mtime_ms;
	return 0;
}

int documents_load(struct runtime *rt, struct err *e)
{
	int r = 0;
	for (unsigned k = 0; r == 0 && k < DOCUMENT_KINDS; k++) {
		struct loading l = {rt, (enum document_kind)k};
		r = kv_each(rt->kv, types[k]->key, load_file, &l, e);
	}
	return r;
}
