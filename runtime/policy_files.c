/* SPDX-License-Identifier: MIT */
/* policy_files.c - the policy files: put, rename, give away, delete; their application and their store. L2; loop thread
 * only. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "lib/log.h"
#include "lib/metric.h"
#include "lib/value.h"
#include "runtime/runtime_i.h"

/* ---- the table ---- */

static struct policy_file *by_name(struct runtime *rt, const char *file)
{
	for (size_t i = 0; i < rt->policies.n; i++)
		if (strcmp(rt->policies.files[i]->file, file) == 0)
			return rt->policies.files[i];
	return NULL;
}

static struct policy_file *by_serial(struct runtime *rt, uint32_t serial)
{
	for (size_t i = 0; i < rt->policies.n; i++)
		if (rt->policies.files[i]->serial == serial)
			return rt->policies.files[i];
	return NULL;
}

const struct policy_file *policy_file_find(struct runtime *rt, const char *file)
{
	return by_name(rt, file);
}

const struct policy_file *policy_file_by_serial(struct runtime *rt, uint32_t serial)
{
	return by_serial(rt, serial);
}

const struct policy_file *policy_file_next(struct runtime *rt, uint32_t after)
{
	for (size_t i = 0; i < rt->policies.n; i++)
		if (rt->policies.files[i]->serial > after)
			return rt->policies.files[i];
	return NULL;
}

static struct policy_file *file_add(struct runtime *rt, uint32_t serial, const char *name)
{
	struct policies *p = &rt->policies;
	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 16;
		struct policy_file **files = realloc(p->files, cap * sizeof(struct policy_file *));
		if (!files)
			return NULL;
		p->files = files;
		p->cap = cap;
	}
	struct policy_file *f = calloc(1, sizeof *f);
	if (!f || !(f->file = strdup(name))) {
		free(f);
		return NULL;
	}
	f->serial = serial;
	if (serial > rt->serial_last)
		rt->serial_last = serial;
	size_t at = p->n++;
	for (; at > 0 && p->files[at - 1]->serial > serial; at--)
		p->files[at] = p->files[at - 1];
	p->files[at] = f;
	return f;
}

static void file_free(struct policy_file *f)
{
	free(f->file);
	free(f->text);
	free(f);
}

static void file_key(uint32_t serial, char out[40])
{
	snprintf(out, 40, "p/%08x", serial);
}

static void file_remove(struct runtime *rt, struct policy_file *f)
{
	struct policies *p = &rt->policies;
	char key[40];
	size_t at = 0;
	while (p->files[at] != f)
		at++;
	memmove(&p->files[at], &p->files[at + 1], (--p->n - at) * sizeof(struct policy_file *));
	file_key(f->serial, key);
	store_forget(rt, key);
	file_free(f);
}

void policies_close(struct runtime *rt)
{
	for (size_t i = 0; i < rt->policies.n; i++)
		file_free(rt->policies.files[i]);
	free(rt->policies.files);
	policy_set_free(rt->policies.active);
	policy_set_free(rt->policies.next);
	rt->policies = (struct policies){0};
}

/* ---- the set ---- */

struct change { /* what the set is to be compiled with */
	const char *without, *put; /* names of files; NULL none */
	const char *text;
	size_t len;
};

static int by_source_name(const void *a, const void *b)
{
	const struct policy_source *x = a, *y = b;
	return strcmp(x->name, y->name);
}

/* The set of all files after the change. In the order of their names, so that the same files have the same version. */
static int compile(struct runtime *rt, const struct change *c, struct policy_set **ret, struct err *e)
{
	const struct policies *p = &rt->policies;
	size_t n = 0;
	autofree struct policy_source *src = calloc(p->n + 1, sizeof *src);
	if (!src)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the policies");
	for (size_t i = 0; i < p->n; i++) {
		const struct policy_file *f = p->files[i];
		if ((c->without && strcmp(f->file, c->without) == 0) || (c->put && strcmp(f->file, c->put) == 0))
			continue;
		src[n++] = (struct policy_source){f->file, f->text, f->text_len};
	}
	if (c->put)
		src[n++] = (struct policy_source){c->put, c->text, c->len};
	struct policy_source put = n ? src[n - 1] : (struct policy_source){0};
	qsort(src, n, sizeof *src, by_source_name);
	int r = policy_set_new(ret, src, n, e);
	if (r < 0 && c->put) { /* once more with that text last: what collides with others is then said of it */
		size_t at = 0;
		while (src[at].name != put.name)
			at++;
		memmove(&src[at], &src[at + 1], (n - at - 1) * sizeof *src);
		src[n - 1] = put;
		r = policy_set_new(ret, src, n, e);
	}
	return r;
}

const struct policy_set *policies_active(struct runtime *rt, const struct err **ret_why)
{
	if (ret_why)
		*ret_why = &rt->policies.why;
	return rt->policies.active;
}

/* From here on the next set decides; NULL: none does. */
static void swap(struct runtime *rt)
{
	struct policies *p = &rt->policies;
	policy_set_free(p->active);
	p->active = take_ptr(p->next);
	p->loads++;
	p->loaded_ms = clock_wall_ms();
	metric_set(METRIC_POLICY_RULES, p->active ? (int64_t)policy_set_rules(p->active) : 0);
	if (p->active)
		p->why = (struct err){0};
}

void policies_compile(struct runtime *rt)
{
	struct change none = {0};
	if (compile(rt, &none, &rt->policies.next, &rt->policies.why) < 0)
		log_err(LOG_LEVEL_ERROR, "policies.refused", &rt->policies.why, NULL, NULL);
	swap(rt);
}

/* Compile what a command leads to. Where no set is active because other files are wrong, a change that mends a part
 * of it is taken: the files of a start that did not compile are mended one by one. */
static int prepare(struct runtime *rt, const struct change *c, struct err *e)
{
	struct policies *p = &rt->policies;
	struct err why = {0};
	int r = compile(rt, c, &p->next, &why);
	if (r < 0 && !p->active) {
		struct policy_source one = {c->put, c->text, c->len};
		bool unfinished;
		r = c->put ? policy_source_check(&one, &unfinished, e) : 0;
		p->why = r < 0 ? p->why : why;
	} else if (r < 0 && e) {
		*e = why;
	}
	p->refused += r < 0;
	return r;
}

int policy_file_check(struct runtime *rt, const char *file, const char *text, size_t len, bool *unfinished,
		      struct err *e)
{
	struct policy_source one = {file, text, len};
	struct policy_set *s = NULL;
	bool more = false;
	int r = policy_source_check(&one, &more, e);
	if (r == 0 && rt->policies.active) /* by itself it is right; with the others? */
		r = compile(rt, &(struct change){.put = file, .text = text, .len = len}, &s, e);
	policy_set_free(s);
	if (unfinished)
		*unfinished = more;
	return r;
}

/* ---- commands ---- */

int policy_file_may_begin(struct runtime *rt, const char *file, struct err *e)
{
	if (rt->stopping)
		return err_set(e, ERR_SYS_STOPPING, "the daemon is stopping");
	if (!value_file_name_ok(file))
		return err_set(e, ERR_POLICY_INVALID, "'%s' is not a policy file's name: NAME.yaml, .yml, .json or .toml",
			       file);
	if (rt->policies.n >= POLICY_FILES_MAX && !by_name(rt, file))
		return err_set(e, ERR_RESOURCE_TOO_BIG, "more than %d policy files", POLICY_FILES_MAX);
	return 0;
}

static int may_change(struct runtime *rt, const struct actor *who, const struct policy_file *f, mode_t mode,
		      struct err *e)
{
	return runtime_authorize(rt, who, "policy.change", f->file, f->uid, f->gid, mode, W_OK, e);
}

/* Journal it; a set that was compiled for nothing goes. */
static int commit(struct runtime *rt, const struct actor *who, struct facts *f, struct runtime_done done, struct err *e)
{
	int r = record(rt, who, f, done, e);
	if (r < 0)
		policy_set_free(take_ptr(rt->policies.next));
	return r;
}

int policy_file_put(struct runtime *rt, const struct actor *who, const char *file, const char *text, size_t len,
		    struct runtime_done done, struct err *e)
{
	const struct policy_file *old = by_name(rt, file);
	int r = policy_file_may_begin(rt, file, e);
	if (r == 0)
		r = old ? may_change(rt, who, old, (mode_t)old->mode_bits, e)
			: runtime_authorize(rt, who, "policy.change", file, who->uid, who->gid, 0600, W_OK, e);
	if (r == 0 && memchr(text, 0, len))
		r = err_set(e, ERR_POLICY_INVALID, "%s: a NUL byte is no text", file);
	if (r == 0)
		r = prepare(rt, &(struct change){.put = file, .text = text, .len = len}, e);
	if (r < 0)
		return r;
	autofree char *copy = strndup(text, len);
	if (!copy) {
		policy_set_free(take_ptr(rt->policies.next));
		return err_set(e, ERR_SYS_MEMORY, "no memory for '%s'", file);
	}
	struct facts f = {.type = REC_POLICY_PUT,
			  .object = file,
			  .serial = old ? old->serial : rt->serial_last + 1,
			  .uid = old ? old->uid : who->uid,
			  .gid = old ? old->gid : who->gid,
			  .mode = old ? old->mode_bits : 0644,
			  .fresh = !old,
			  .text = copy};
	return commit(rt, who, &f, done, e);
}

static int find(struct runtime *rt, uint32_t serial, struct policy_file **ret, struct err *e)
{
	*ret = by_serial(rt, serial);
	return *ret ? 0 : err_sys(e, ERR_FS_NOT_FOUND, ESTALE, "the policy file is gone");
}

int policy_file_delete(struct runtime *rt, const struct actor *who, uint32_t serial, struct runtime_done done,
		       struct err *e)
{
	struct policy_file *old;
	int r = find(rt, serial, &old, e);
	if (r == 0)
		r = may_change(rt, who, old, old->mode_bits & 0700, e);
	if (r == 0)
		r = prepare(rt, &(struct change){.without = old->file}, e);
	if (r < 0)
		return r;
	autofree char *name = strdup(old->file); /* applying frees the file's */
	struct facts f = {.type = REC_POLICY_DELETE, .object = name ? name : "", .serial = serial};
	return commit(rt, who, &f, done, e);
}

int policy_file_rename(struct runtime *rt, const struct actor *who, uint32_t serial, const char *new_file,
		       struct runtime_done done, struct err *e)
{
	struct policy_file *old;
	const struct policy_file *there = by_name(rt, new_file);
	int r = find(rt, serial, &old, e);
	if (r == 0)
		r = policy_file_may_begin(rt, new_file, e);
	if (r == 0)
		r = may_change(rt, who, old, old->mode_bits & 0700, e);
	if (r == 0 && there && there != old)
		r = may_change(rt, who, there, there->mode_bits & 0700, e);
	if (r == 0)
		r = prepare(rt, &(struct change){old->file, new_file, old->text, old->text_len}, e);
	if (r < 0)
		return r;
	autofree char *name = strdup(old->file);
	struct facts f = {.type = REC_POLICY_RENAME, .object = name ? name : "", .serial = serial, .file = new_file};
	return commit(rt, who, &f, done, e);
}

int policy_file_chown(struct runtime *rt, const struct actor *who, uint32_t serial, uid_t uid, gid_t gid, mode_t mode,
		      struct runtime_done done, struct err *e)
{
	struct policy_file *old;
	int r = find(rt, serial, &old, e);
	if (r == 0)
		r = may_change(rt, who, old, old->mode_bits & 0700, e);
	if (r < 0)
		return r;
	uid = uid == (uid_t)-1 ? old->uid : uid;
	gid = gid == (gid_t)-1 ? old->gid : gid;
	mode = mode == (mode_t)-1 ? (mode_t)old->mode_bits : mode & 0777;
	if (who->uid != 0 && (uid != old->uid || (gid != old->gid && gid != who->gid)))
		return err_set(e, ERR_FS_MODE, "only root may give a policy file away");
	if (uid == old->uid && gid == old->gid && mode == old->mode_bits) {
		done.fn(done.arg, NULL);
		return 0;
	}
	struct facts f = {.type = REC_POLICY_CHOWN, .object = old->file, .serial = serial, .uid = uid, .gid = gid,
			  .mode = mode};
	return record(rt, who, &f, done, e);
}

/* ---- apply: the same live and in replay ---- */

static void apply_put(struct runtime *rt, const struct facts *f)
{
	struct policy_file *p = by_serial(rt, f->serial);
	char *text = strdup(f->text ? f->text : "");
	if (!text || (!p && !(p = file_add(rt, f->serial, f->object))))
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

static void apply_rename(struct runtime *rt, struct policy_file *p, const char *file)
{
	struct policy_file *there = by_name(rt, file);
	char *name = strdup(file);
	if (!name)
		abort(); /* see apply_put */
	if (there && there != p)
		file_remove(rt, there);
	free(p->file);
	p->file = name;
	p->dirty = true;
}

void policies_apply(struct runtime *rt, const struct facts *f)
{
	struct policy_file *p = by_serial(rt, f->serial);
	if (f->type == REC_POLICY_PUT) {
		apply_put(rt, f);
	} else if (!p) {
		return; /* the store is ahead of the replay: it was deleted since */
	} else if (f->type == REC_POLICY_DELETE) {
		file_remove(rt, p);
	} else if (f->type == REC_POLICY_RENAME) {
		apply_rename(rt, p, f->file);
	} else {
		p->uid = f->uid;
		p->gid = f->gid;
		p->mode_bits = f->mode;
		p->dirty = true;
	}
	rt->policies.dirty = true;
	store_changed(rt);
	if (!rt->replaying && f->type != REC_POLICY_CHOWN)
		swap(rt);
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

static int save(struct kv *kv, const struct policy_file *f, struct err *e)
{
	char key[40];
	autobuf struct buf b;
	buf_init(&b, 4u << 20);
	struct saved_file s = {f->uid, f->gid, f->mode_bits, f->created_ms, f->mtime_ms, f->file, f->text};
	int r = fields_pack(saved_fields, ARRAY_LEN(saved_fields), &s, &b);
	file_key(f->serial, key);
	return r < 0 ? r : kv_put(kv, key, b.data, b.len, e);
}

int policies_save(struct runtime *rt, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && rt->policies.dirty && i < rt->policies.n; i++) {
		struct policy_file *f = rt->policies.files[i];
		if (f->dirty && (r = save(rt->kv, f, e)) == 0)
			f->dirty = false;
	}
	if (r == 0)
		rt->policies.dirty = false;
	return r;
}

static int load_file(void *arg, const char *key, const void *data, size_t len)
{
	struct runtime *rt = arg;
	struct saved_file s = {0};
	unsigned serial;
	if (sscanf(key, "p/%8x", &serial) != 1 ||
	    fields_unpack(saved_fields, ARRAY_LEN(saved_fields), data, len, &s) < 0 || !s.file || !s.text)
		return -EUCLEAN;
	struct policy_file *f = file_add(rt, serial, s.file);
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

int policies_load(struct runtime *rt, struct err *e)
{
	return kv_each(rt->kv, "p/", load_file, rt, e);
}
