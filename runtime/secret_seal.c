/* SPDX-License-Identifier: MIT */
/* secret_seal.c - the sealed form of a secret: make it, look at its head, open it, wrap it anew. L2.
 *
 *   0   8  "symbisec"
 *   8   1  version, 1
 *   9   1  0: master key; 1: passphrase
 *  10   2  length of the name
 *  12   4  passes, 16  4  KiB of Argon2id; 0 with a master key
 *  20  16  salt
 *  36  16  id of the master key; 0 with a passphrase
 *  52   8  generation
 *  60   n  name
 *          the data key, wrapped: nonce 12, key 32, tag 16; all of the above is authenticated with it
 *          the secret: nonce 12, ciphertext, tag 16; name and generation are authenticated with it
 *
 * Numbers are little-endian. */
#include <endian.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "runtime/secret_i.h"

#define MAGIC	 "symbisec"
#define VERSION	 1
#define HEAD	 60 /* and the name; in it: */
#define AT_VERSION 8
#define AT_KDF	 9
#define AT_NAME_LEN 10
#define AT_PASSES 12
#define AT_KIB	 16
#define AT_SALT	 20
#define AT_KEY_ID 36
#define AT_GENERATION 52
#define WRAPPED	 (NONCE_BYTES + KEY_BYTES + TAG_BYTES)
#define PASSES	 3
#define KIB	 65536
#define PASSES_MAX 16
#define KIB_MAX	 (1u << 20)

struct layout { /* where the parts of a sealed form are */
	const unsigned char *head, *wrap, *body;
	size_t head_len, body_len; /* body: with nonce and tag */
};

/* ---- numbers ---- */

static uint32_t get32(const unsigned char *p)
{
	uint32_t n;
	memcpy(&n, p, sizeof n);
	return le32toh(n);
}

static uint64_t get64(const unsigned char *p)
{
	uint64_t n;
	memcpy(&n, p, sizeof n);
	return le64toh(n);
}

static void put32(unsigned char *p, uint32_t n)
{
	n = htole32(n);
	memcpy(p, &n, sizeof n);
}

static void put64(unsigned char *p, uint64_t n)
{
	n = htole64(n);
	memcpy(p, &n, sizeof n);
}

/* ---- names ---- */

int secret_name_check(const char *name, struct err *e)
{
	size_t len = strlen(name);
	bool bad = !len || len > SECRET_NAME_MAX || name[len - 1] == '/';
	for (const char *p = name; !bad && *p;) {
		size_t n = strcspn(p, "/");
		bad = n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.');
		for (size_t i = 0; i < n; i++)
			bad |= (unsigned char)p[i] < ' ' || p[i] == 127;
		p += n + (p[n] == '/');
	}
	return bad ? err_set(e, ERR_SECRET_INVALID, "'%.100s' is no name of a secret: write a relative path like app/api_key, "
			     "without . or .. in it", name)
		   : 0;
}

/* ---- the head ---- */

static int no_form(struct err *e, const char *why)
{
	return err_set(e, ERR_SECRET_SEAL, "no sealed secret: %s", why);
}

static int lay_out(struct layout *l, const void *sealed, size_t len, struct err *e)
{
	const unsigned char *p = sealed;
	if (len < HEAD || memcmp(p, MAGIC, strlen(MAGIC)) != 0)
		return no_form(e, "it does not begin as one");
	if (p[AT_VERSION] != VERSION)
		return err_set(e, ERR_SECRET_SEAL, "a sealed secret of version %u, which this build does not read", p[AT_VERSION]);
	size_t name_len = p[AT_NAME_LEN] | (size_t)p[AT_NAME_LEN + 1] << 8;
	if (p[AT_KDF] > 1 || name_len > SECRET_NAME_MAX || memchr(p + HEAD, 0, name_len < len - HEAD ? name_len : len - HEAD))
		return no_form(e, "its head is damaged");
	if (len < HEAD + name_len + WRAPPED + NONCE_BYTES + TAG_BYTES)
		return no_form(e, "its end is missing");
	*l = (struct layout){.head = p, .head_len = HEAD + name_len};
	l->wrap = p + l->head_len;
	l->body = l->wrap + WRAPPED;
	l->body_len = len - l->head_len - WRAPPED;
	if (l->body_len > SECRET_MAX + NONCE_BYTES + TAG_BYTES)
		return no_form(e, "it is too long");
	return 0;
}

static int head_of(const struct layout *l, struct secret_head *ret, struct err *e)
{
	*ret = (struct secret_head){.passphrase = l->head[AT_KDF] == 1, .passes = get32(l->head + AT_PASSES),
				    .kib = get32(l->head + AT_KIB), .generation = get64(l->head + AT_GENERATION)};
	memcpy(ret->name, l->head + HEAD, l->head_len - HEAD);
	memcpy(ret->key_id, l->head + AT_KEY_ID, SECRET_ID_BYTES);
	/* What a forged file may make us spend before it is refused. */
	if (ret->passphrase && (ret->passes < 1 || ret->passes > PASSES_MAX || ret->kib < 8 || ret->kib > KIB_MAX))
		return err_set(e, ERR_SECRET_SEAL, "its Argon2id costs (%u passes, %u KiB) are not within 1 to %d and 8 to %u",
			       ret->passes, ret->kib, PASSES_MAX, KIB_MAX);
	return secret_name_check(ret->name, NULL) < 0 ? no_form(e, "its name is none") : 0;
}

int secret_head_read(struct secret_head *ret, const void *sealed, size_t len, struct err *e)
{
	struct layout l = {0};
	int r = lay_out(&l, sealed, len, e);
	return r < 0 ? r : head_of(&l, ret, e);
}

/* ---- keys ---- */

/* The key that wraps data keys under this head. */
static int wrapping_key(const struct secret_key *k, const struct secret_head *h, const unsigned char *salt,
			unsigned char out[static KEY_BYTES], struct err *e)
{
	unsigned char from[KEY_BYTES];
	if (k->passphrase != h->passphrase)
		return err_set(e, ERR_SECRET_KEY, "it is sealed with a %s, and this is a %s (%s)",
			       h->passphrase ? "passphrase" : "master key", k->passphrase ? "passphrase" : "master key",
			       k->from);
	if (!k->passphrase && memcmp(k->id, h->key_id, sizeof k->id) != 0) {
		char want[9], have[9];
		sodium_bin2hex(want, sizeof want, h->key_id, 4);
		sodium_bin2hex(have, sizeof have, k->id, 4);
		return err_set(e, ERR_SECRET_KEY, "it is sealed with the master key %s, and that of %s is %s", want, k->from,
			       have);
	}
	memcpy(from, k->raw, sizeof from);
	int r = k->passphrase ? secret_stretch(k, salt, SALT_BYTES, h->passes, h->kib, from, e) : 0;
	if (r == 0)
		r = secret_derive(from, salt, SALT_BYTES, "symbi secret wrap 1", out, KEY_BYTES, e);
	sodium_memzero(from, sizeof from);
	return r;
}

/* Name and generation go with the secret itself, whatever key wraps it: neither can be swapped. */
static struct gcm body_of(const unsigned char *key, const unsigned char *nonce, const unsigned char *head, size_t head_len)
{
	return (struct gcm){.key = key, .nonce = nonce, .aad = head + AT_GENERATION, .aad_len = 8, .more = head + HEAD,
			    .more_len = head_len - HEAD};
}

/* Its length. */
static size_t make_head(const struct secret_key *k, const char *name, uint64_t generation, unsigned char *out)
{
	size_t len = strlen(name);
	memset(out, 0, HEAD);
	memcpy(out, MAGIC, strlen(MAGIC));
	out[AT_VERSION] = VERSION;
	out[AT_KDF] = k->passphrase;
	out[AT_NAME_LEN] = (unsigned char)len;
	out[AT_NAME_LEN + 1] = (unsigned char)(len >> 8);
	put32(out + AT_PASSES, k->passphrase ? PASSES : 0);
	put32(out + AT_KIB, k->passphrase ? KIB : 0);
	randombytes_buf(out + AT_SALT, SALT_BYTES);
	if (!k->passphrase)
		memcpy(out + AT_KEY_ID, k->id, SECRET_ID_BYTES);
	put64(out + AT_GENERATION, generation);
	memcpy(out + HEAD, name, len);
	return HEAD + len;
}

/* Append a head and the wrapped data key. */
static int add_wrapped(const struct secret_key *k, const char *name, uint64_t generation, const unsigned char *data_key,
		       struct buf *out, struct err *e)
{
	unsigned char head[HEAD + SECRET_NAME_MAX], wrap[WRAPPED], key[KEY_BYTES];
	struct secret_head h = {.passphrase = k->passphrase, .passes = PASSES, .kib = KIB};
	size_t n = make_head(k, name, generation, head);
	memcpy(h.key_id, k->id, sizeof h.key_id);
	randombytes_buf(wrap, NONCE_BYTES);
	int r = wrapping_key(k, &h, head + AT_SALT, key, e);
	struct gcm g = {.key = key, .nonce = wrap, .aad = head, .aad_len = n, .more = "", .more_len = 0};
	if (r == 0)
		r = gcm_seal(&g, data_key, KEY_BYTES, wrap + NONCE_BYTES, e);
	sodium_memzero(key, sizeof key);
	if (r == 0 && (buf_add(out, head, n) < 0 || buf_add(out, wrap, sizeof wrap) < 0))
		r = err_set(e, ERR_SYS_MEMORY, "no memory for the sealed secret");
	return r;
}

int secret_seal(const struct secret_key *k, const char *name, uint64_t generation, const void *plain, size_t len,
		struct buf *out, struct err *e)
{
	unsigned char data_key[KEY_BYTES];
	size_t begin = out->len;
	int r = secret_name_check(name, e);
	if (r == 0 && len > SECRET_MAX)
		r = err_set(e, ERR_RESOURCE_TOO_BIG, "a secret has at most %u bytes", SECRET_MAX);
	if (r < 0)
		return r;
	randombytes_buf(data_key, sizeof data_key);
	r = add_wrapped(k, name, generation, data_key, out, e);
	if (r == 0 && buf_reserve(out, NONCE_BYTES + len + TAG_BYTES) < 0)
		r = err_set(e, ERR_SYS_MEMORY, "no memory for the sealed secret");
	if (r == 0) {
		const unsigned char *head = (const unsigned char *)out->data + begin;
		unsigned char *body = (unsigned char *)out->data + out->len;
		randombytes_buf(body, NONCE_BYTES);
		struct gcm g = body_of(data_key, body, head, HEAD + strlen(name));
		r = gcm_seal(&g, plain, len, body + NONCE_BYTES, e);
		if (r == 0) {
			out->len += NONCE_BYTES + len + TAG_BYTES;
			out->data[out->len] = 0;
		}
	}
	sodium_memzero(data_key, sizeof data_key);
	return r;
}

/* ---- open ---- */

static int unwrap(const struct secret_key *k, const struct layout *l, struct secret_head *h,
		  unsigned char data_key[static KEY_BYTES], struct err *e)
{
	unsigned char key[KEY_BYTES];
	int r = head_of(l, h, e);
	if (r == 0)
		r = wrapping_key(k, h, l->head + AT_SALT, key, e);
	struct gcm g = {.key = key, .nonce = l->wrap, .aad = l->head, .aad_len = l->head_len, .more = "", .more_len = 0};
	if (r == 0 && gcm_open(&g, l->wrap + NONCE_BYTES, KEY_BYTES, data_key) < 0)
		r = h->passphrase ? err_set(e, ERR_SECRET_KEY, "another passphrase, or the head of '%.100s' was altered", h->name)
				  : err_set(e, ERR_SECRET_SEAL, "the head of '%.100s' was altered", h->name);
	sodium_memzero(key, sizeof key);
	return r;
}

/* Caller wipes data_key, also when it fails. */
static int open_with_key(const struct secret_key *k, const char *name, const struct layout *l, struct secret_text *ret,
			 struct secret_head *h, unsigned char data_key[static KEY_BYTES], struct err *e)
{
	*ret = (struct secret_text){0};
	int r = unwrap(k, l, h, data_key, e);
	if (r == 0 && name && strcmp(name, h->name) != 0)
		r = err_set(e, ERR_SECRET_SEAL, "this is the secret '%.100s', not '%.100s': files were moved or swapped",
			    h->name, name);
	if (r == 0)
		r = secret_text_new(ret, l->body_len - NONCE_BYTES - TAG_BYTES, e);
	if (r < 0)
		return r;
	struct gcm g = body_of(data_key, l->body, l->head, l->head_len);
	if (gcm_open(&g, l->body + NONCE_BYTES, ret->len, ret->data) == 0)
		return 0;
	secret_text_free(ret);
	return err_set(e, ERR_SECRET_SEAL, "the secret '%.100s' was altered", h->name);
}

int secret_open(const struct secret_key *k, const char *name, const void *sealed, size_t len, struct secret_text *ret,
		struct secret_head *head, struct err *e)
{
	struct layout l = {0};
	struct secret_head h;
	unsigned char data_key[KEY_BYTES];
	*ret = (struct secret_text){0};
	int r = lay_out(&l, sealed, len, e);
	if (r == 0)
		r = open_with_key(k, name, &l, ret, &h, data_key, e);
	if (r == 0 && head)
		*head = h;
	sodium_memzero(data_key, sizeof data_key);
	return r;
}

int secret_rewrap(const struct secret_key *old, const struct secret_key *new_key, const void *sealed, size_t len,
		  struct buf *out, struct err *e)
{
	struct layout l = {0};
	struct secret_head h;
	struct secret_text whole = {0};
	unsigned char data_key[KEY_BYTES];
	int r = lay_out(&l, sealed, len, e);
	if (r == 0) /* all of it: nothing damaged is made to look new */
		r = open_with_key(old, NULL, &l, &whole, &h, data_key, e);
	secret_text_free(&whole);
	if (r == 0)
		r = add_wrapped(new_key, h.name, h.generation, data_key, out, e);
	if (r == 0 && buf_add(out, l.body, l.body_len) < 0)
		r = err_set(e, ERR_SYS_MEMORY, "no memory for the sealed secret");
	sodium_memzero(data_key, sizeof data_key);
	return r;
}
