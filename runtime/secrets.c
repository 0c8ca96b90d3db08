/* SPDX-License-Identifier: MIT */
/* secrets.c - secrets: who may read them, reading, writing and removing them. L2; loop thread only. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "runtime/runtime_i.h"

/* ---- finding ---- */

static size_t place_of(const struct secrets *p, uint32_t number) /* first with >= number */
{
	return sorted_place(p->all, p->n, s, SECRET_NUMBER(s), number);
}

static struct secret *by_number(struct runtime *rt, uint32_t number)
{
	const struct secrets *p = &rt->secrets;
	size_t i = place_of(p, number);
	return i < p->n && SECRET_NUMBER(p->all[i]) == number ? p->all[i] : NULL;
}

const struct secret *secret_by_number(struct runtime *rt, uint32_t number)
{
	return by_number(rt, number);
}

const struct secret *secret_next(struct runtime *rt, uint32_t folder, uint32_t after)
{
	const struct secrets *p = &rt->secrets;
	for (size_t i = place_of(p, after + 1); i < p->n; i++)
		if (p->all[i]->parent == folder)
			return p->all[i];
	return NULL;
}

const struct secret *secret_child(struct runtime *rt, uint32_t folder, const char *name)
{
	const struct secret *s = NULL;
	for (uint32_t after = 0; (s = secret_next(rt, folder, after)); after = SECRET_NUMBER(s))
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

/* ---- who may ---- */

bool secret_is_granted(struct runtime *rt, const struct agent *a, const struct secret *s)
{
	if (!s->folder)
		return policies_would(rt, a, POLICY_SECRET, POLICY_READ, s->path);
	size_t len = strlen(s->path);
	for (size_t i = 0; i < rt->secrets.n; i++) {
		const struct secret *in = rt->secrets.all[i];
		if (!in->folder && strncmp(in->path, s->path, len) == 0 && in->path[len] == '/' &&
		    policies_would(rt, a, POLICY_SECRET, POLICY_READ, in->path))
			return true;
	}
	return false;
}

/* ---- reading ---- */

static int open_sealed(struct runtime *rt, const struct secret *s, struct secret_text *ret, struct err *e)
{
	struct secret_head head;
	size_t len = s->sealed ? strlen(s->sealed) : 0, got = 0;
	if (!len)
		return secret_text_new(ret, 0, e);
	autofree unsigned char *raw = malloc(len);
	if (!raw)
		return err_set(e, ERR_SYS_MEMORY, "no memory for a secret");
	if (sodium_base642bin(raw, len, s->sealed, len, NULL, &got, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
		return err_set(e, ERR_SECRET_SEAL, "the secret '%s' is damaged", s->path);
	int r = secrets_keys(rt, e);
	if (r == 0)
		r = secret_open(rt->secrets.key, s->path, raw, got, ret, &head, e);
	if (r == -ENOKEY && rt->secrets.next)
		r = secret_open(rt->secrets.next, s->path, raw, got, ret, &head, e);
	if (r == 0 && head.generation != s->generation) {
		secret_text_free(ret);
		r = err_set(e, ERR_SECRET_SEAL, "the secret '%s' is of generation %llu, not %llu: an older value was put back", s->path,
			    (unsigned long long)head.generation, (unsigned long long)s->generation);
	}
	return r;
}

int secret_read(struct runtime *rt, const struct actor *who, const struct secret *s, struct secret_text *ret,
		struct err *e)
{
	struct actor reader = *who;
	reader.req = 0; /* reading is not done by its record */
	struct facts f = {.type = REC_SECRET_READ,
			  .object = s->path,
			  .serial = s->serial,
			  .agent = who->view,
			  .content = s->generation};
	int r = open_sealed(rt, s, ret, e);
	if (r < 0)
		return r;
	r = record(rt, &reader, &f, done_nobody, e);
	if (r < 0) /* what cannot be recorded does not happen */
		secret_text_free(ret);
	return r;
}

int secret_render_json(const struct secret *s, struct buf *out)
{
	buf_adds(out, "{\"name\":");
	buf_json_string(out, s->path, strlen(s->path));
	return buf_printf(out, ",\"generation\":%llu,\"size\":%llu,\"uid\":%u,\"created_ms\":%llu,\"updated_ms\":%llu}\n",
			  (unsigned long long)s->generation, (unsigned long long)s->size, s->uid,
			  (unsigned long long)s->created_ms, (unsigned long long)s->mtime_ms);
}

/* ---- commands ---- */

static int path_below(struct runtime *rt, uint32_t folder, const char *name, char out[SECRET_NAME_MAX + 1], struct err *e)
{
	const struct secret *dir = folder ? by_number(rt, folder) : NULL;
	unsigned depth = 0;
	if (folder && (!dir || !dir->folder))
		return err_sys(e, ERR_FS_NOT_FOUND, ESTALE, "the folder is gone");
	int n = snprintf(out, SECRET_NAME_MAX + 1, "%s%s%s", dir ? dir->path : "", dir ? "/" : "", name);
	for (const char *p = out; *p; p++)
		depth += *p == '/';
	if (n > SECRET_NAME_MAX || depth > SECRETS_DEPTH_MAX)
		return err_set(e, ERR_SECRET_INVALID, "a secret's name has at most %d bytes and stands in at most %d folders",
			       SECRET_NAME_MAX, SECRETS_DEPTH_MAX);
	return secret_name_check(out, e);
}

/* The next serial whose low 24 bits no secret has. */
static uint32_t free_serial(struct runtime *rt)
{
	uint32_t serial = rt->serial_last + 1;
	while (!(serial & 0xffffff) || by_number(rt, serial & 0xffffff))
		serial++;
	return serial;
}

int secret_may_write(struct runtime *rt, struct err *e)
{
	return secrets_keys(rt, e);
}

int secret_make(struct runtime *rt, const struct actor *who, uint32_t folder, const char *name, bool is_folder,
		uint32_t *ret, struct runtime_done done, struct err *e)
{
	char path[SECRET_NAME_MAX + 1];
	if (rt->stopping)
		return err_set(e, ERR_SYS_STOPPING, "the daemon is stopping");
	if (rt->secrets.n >= SECRETS_MAX)
		return err_set(e, ERR_RESOURCE_TOO_BIG, "more than %d secrets and folders", SECRETS_MAX);
	int r = is_folder ? 0 : secret_may_write(rt, e);
	if (r == 0)
		r = path_below(rt, folder, name, path, e);
	if (r == 0 && secret_child(rt, folder, name))
		r = err_set(e, ERR_AGENT_EXISTS, "'%s' exists", path);
	if (r < 0)
		return r;
	struct facts f = {.type = REC_SECRET_PUT,
			  .object = path,
			  .serial = free_serial(rt),
			  .parent = folder,
			  .uid = who->uid,
			  .gid = who->gid,
			  .fresh = true,
			  .process = is_folder};
	*ret = f.serial & 0xffffff;
	return record(rt, who, &f, done, e);
}

static int seal(struct runtime *rt, const struct secret *s, uint64_t generation, const void *value, size_t len, char **ret,
		struct err *e)
{
	const struct secrets *p = &rt->secrets;
	autobuf struct buf sealed;
	buf_init(&sealed, SECRET_MAX + 4096u);
	int r = secrets_keys(rt, e);
	if (r == 0)
		r = secret_seal(p->next ? p->next : p->key, s->path, generation, value, len, &sealed, e);
	if (r < 0)
		return r;
	size_t cap = sodium_base64_ENCODED_LEN(sealed.len, sodium_base64_VARIANT_ORIGINAL);
	*ret = malloc(cap);
	if (!*ret)
		return err_set(e, ERR_SYS_MEMORY, "no memory for a secret");
	sodium_bin2base64(*ret, cap, (const unsigned char *)sealed.data, sealed.len, sodium_base64_VARIANT_ORIGINAL);
	return 0;
}

int secret_write(struct runtime *rt, const struct actor *who, uint32_t number, const void *value, size_t len,
		 struct runtime_done done, struct err *e)
{
	autofree char *text = NULL;
	autofree char *path = NULL;
	const struct secret *s = by_number(rt, number);
	uint64_t generation = rt->secrets.generation_last + 1;
	if (!s || s->folder)
		return err_sys(e, ERR_FS_NOT_FOUND, ESTALE, "the secret is gone");
	int r = seal(rt, s, generation, value, len, &text, e);
	if (r < 0)
		return r;
	path = strdup(s->path);
	struct facts f = {.type = REC_SECRET_PUT,
			  .object = path ? path : "",
			  .serial = s->serial,
			  .parent = s->parent,
			  .uid = s->uid,
			  .gid = s->gid,
			  .content = generation,
			  .size = len,
			  .text = text};
	return record(rt, who, &f, done, e);
}

int secret_delete(struct runtime *rt, const struct actor *who, uint32_t number, struct runtime_done done, struct err *e)
{
	const struct secret *s = by_number(rt, number);
	if (!s)
		return err_sys(e, ERR_FS_NOT_FOUND, ESTALE, "the secret is gone");
	if (s->folder && secret_next(rt, number, 0))
		return err_sys(e, ERR_FS_INVALID, ENOTEMPTY, "'%s'", s->path);
	autofree char *path = strdup(s->path);
	struct facts f = {.type = REC_SECRET_DELETE, .object = path ? path : "", .serial = s->serial};
	return record(rt, who, &f, done, e);
}

/* ---- apply: the same live and in replay ---- */

bool secrets_is_record(unsigned type)
{
	return (type >= REC_SECRET_PUT && type <= REC_SECRET_READ) || type == REC_SECRET_REWRAPPED;
}

static void set_sealed(struct runtime *rt, struct secret *s, const char *text)
{
	char *copy = text ? strdup(text) : NULL;
	if (text && !copy)
		abort(); /* journalled; memory that differs from the journal must not serve */
	free(s->sealed);
	s->sealed = copy;
	s->dirty = rt->secrets.dirty = true;
	store_changed(rt);
}

void secrets_apply(struct runtime *rt, const struct facts *f)
{
	struct secret *s = by_number(rt, f->serial & 0xffffff);
	if (f->type == REC_SECRET_READ)
		return;
	if (f->type == REC_SECRET_DELETE) {
		if (s)
			secrets_drop(rt, s);
		return;
	}
	if (f->type == REC_SECRET_REWRAPPED) {
		if (s && s->generation == f->content)
			set_sealed(rt, s, f->text);
		return;
	}
	if (!s && !(s = secrets_add(rt, f->serial, f->parent, f->object, f->process)))
		abort(); /* journalled; memory that differs from the journal must not serve */
	set_sealed(rt, s, f->text);
	s->uid = f->uid;
	s->gid = f->gid;
	s->generation = f->content;
	s->size = f->size;
	s->mtime_ms = f->time_ms;
	if (f->fresh)
		s->created_ms = f->time_ms;
	if (f->content > rt->secrets.generation_last)
		rt->secrets.generation_last = f->content;
}

bool secrets_redact(const struct journal_record *rec, struct buf *out)
{
	static const char key[] = ",\"text\":\"";
	unsigned char sum[crypto_hash_sha256_BYTES];
	char hex[2 * sizeof sum + 1];
	const char *end = rec->body + rec->body_len;
	const char *at = rec->type == REC_SECRET_PUT || rec->type == REC_SECRET_REWRAPPED ? memmem(rec->body, rec->body_len, key, sizeof key - 1) : NULL;
	const char *text = at ? at + sizeof key - 1 : NULL;
	const char *quote = text ? memchr(text, '"', (size_t)(end - text)) : NULL; /* base64 has none */
	if (!quote)
		return false;
	crypto_hash_sha256(sum, (const unsigned char *)text, (unsigned long long)(quote - text));
	sodium_bin2hex(hex, sizeof hex, sum, sizeof sum);
	buf_clear(out);
	buf_add(out, rec->body, (size_t)(at - rec->body));
	buf_printf(out, ",\"sealed_sha256\":\"%s\"", hex);
	buf_add(out, quote + 1, (size_t)(end - quote - 1));
	return true;
}
