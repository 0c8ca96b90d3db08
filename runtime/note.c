/* SPDX-License-Identifier: MIT */
/* note.c - signed tree heads and their keys. L2; any thread. */
#include "runtime/note.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/parse.h"
#include "lib/sys.h"
#include "runtime/audit_seal.h"

#define DASH	     "\xe2\x80\x94 " /* an em dash and a space: a signature line */
#define ED25519	     1		     /* the kind of key in ids and key texts */
#define PRIVATE	     "PRIVATE+KEY+"
#define SEAL	     "seal "
#define KEY_TEXT_MAX 512

#define B64_LEN(n) (((n) + 2) / 3 * 4)

static void base64(const void *data, size_t len, char *out, size_t cap)
{
	sodium_bin2base64(out, cap, data, len, sodium_base64_VARIANT_ORIGINAL);
}

/* Exactly n bytes, or not. */
static bool unbase64(const char *text, size_t len, void *out, size_t n)
{
	size_t got = 0;
	return sodium_base642bin(out, n, text, len, NULL, &got, NULL, sodium_base64_VARIANT_ORIGINAL) == 0 && got == n;
}

/* ---- keys ---- */

static int start_sodium(struct err *e)
{
	return sodium_init() < 0 ? err_set(e, ERR_SYS_IO, "libsodium does not start: no source of randomness") : 0;
}

/* The first four bytes of SHA-256(name, newline, kind, key). */
void note_public_id(struct note_public *k)
{
	unsigned char sum[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state st;
	const unsigned char between[2] = {'\n', ED25519};
	crypto_hash_sha256_init(&st);
	crypto_hash_sha256_update(&st, (const unsigned char *)k->name, strlen(k->name));
	crypto_hash_sha256_update(&st, between, sizeof between);
	crypto_hash_sha256_update(&st, k->key, sizeof k->key);
	crypto_hash_sha256_final(&st, sum);
	memcpy(k->id, sum, sizeof k->id);
}

static bool name_is_ok(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] <= ' ' || name[i] == '+' || (unsigned char)name[i] > 126)
			return false;
	return len > 0 && len < NOTE_NAME_MAX;
}

/* NAME+ID+BASE64 of the kind and 32 bytes. */
static void key_text(const struct note_public *k, const unsigned char bytes[32], struct buf *out)
{
	unsigned char raw[33] = {ED25519};
	char hex[9], text[B64_LEN(sizeof raw) + 1];
	memcpy(raw + 1, bytes, 32);
	sodium_bin2hex(hex, sizeof hex, k->id, sizeof k->id);
	base64(raw, sizeof raw, text, sizeof text);
	buf_printf(out, "%s+%s+%s\n", k->name, hex, text);
	sodium_memzero(raw, sizeof raw);
	sodium_memzero(text, sizeof text);
}

static bool key_parse(const char *text, size_t len, struct note_public *k, unsigned char id[4], unsigned char bytes[32])
{
	unsigned char raw[33];
	size_t n = 0;
	while (len && strchr(" \t\r\n", text[len - 1]))
		len--;
	const char *end = text + len, *plus = memchr(text, '+', len);
	const char *second = plus ? memchr(plus + 1, '+', (size_t)(end - plus - 1)) : NULL;
	if (!second || !name_is_ok(text, (size_t)(plus - text)) ||
	    sodium_hex2bin(id, 4, plus + 1, (size_t)(second - plus - 1), NULL, &n, NULL) != 0 || n != 4 ||
	    !unbase64(second + 1, (size_t)(end - second - 1), raw, sizeof raw) || raw[0] != ED25519)
		return false;
	memcpy(k->name, text, (size_t)(plus - text));
	k->name[plus - text] = 0;
	memcpy(bytes, raw + 1, 32);
	sodium_memzero(raw, sizeof raw);
	return true;
}

void note_public_text(const struct note_public *k, struct buf *out)
{
	key_text(k, k->key, out);
}

int note_public_parse(const char *text, size_t len, struct note_public *ret, struct err *e)
{
	struct note_public k;
	unsigned char id[4];
	bool good = key_parse(text, len, &k, id, k.key);
	if (good)
		note_public_id(&k);
	if (!good || memcmp(id, k.id, sizeof id) != 0)
		return err_sys(e, ERR_AUDIT_KEY, EINVAL, "no public key: it is one line NAME+ID+BASE64, as audit/key.pub has it");
	*ret = k;
	return 0;
}

int note_public_read(const char *path, struct note_public *ret, struct err *e)
{
	char text[KEY_TEXT_MAX];
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
	if (n < 0)
		return err_sys(e, ERR_AUDIT_KEY, errno, "the key '%.200s'", path);
	int r = note_public_parse(text, (size_t)n, ret, e);
	if (r < 0)
		err_wrap(e, "'%.200s'", path);
	return r;
}

static int write_key(const char *path, const struct buf *text)
{
	char dir[PATH_MAX];
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	int r = sys_pwrite_all(fd, text->data, text->len, 0);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	snprintf(dir, sizeof dir, "%s", path);
	if (r == 0)
		r = sys_sync_dir(dirname(dir));
	if (r < 0)
		unlink(path);
	return r;
}

int note_key_make(const char *path, const char *name, struct err *e)
{
	struct note_public k = {0};
	unsigned char seed[crypto_sign_SEEDBYTES], secret[crypto_sign_SECRETKEYBYTES];
	if (start_sodium(e) < 0)
		return -EIO;
	if (!name_is_ok(name, strlen(name)))
		return err_set(e, ERR_AUDIT_KEY, "'%.100s' is no name for a key: no space and no '+'", name);
	snprintf(k.name, sizeof k.name, "%s", name);
	randombytes_buf(seed, sizeof seed);
	crypto_sign_seed_keypair(k.key, secret, seed);
	note_public_id(&k);
	struct buf text;
	buf_init(&text, KEY_TEXT_MAX);
	buf_adds(&text, PRIVATE);
	key_text(&k, seed, &text);
	int r = text.fail ? text.fail : write_key(path, &text);
	sodium_memzero(text.data, text.cap);
	buf_done(&text);
	sodium_memzero(seed, sizeof seed);
	sodium_memzero(secret, sizeof secret);
	return r < 0 ? err_sys(e, ERR_AUDIT_KEY, -r, "the signing key '%.200s'", path) : 0;
}

int note_key_file(int fd, const char *what, const char *path, const char *danger, struct err *e)
{
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, ERR_AUDIT_KEY, errno, "%s '%.200s'", what, path);
	if (!S_ISREG(st.st_mode))
		return err_sys(e, ERR_AUDIT_KEY, EINVAL, "%s '%.200s' is no regular file", what, path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_sys(e, ERR_AUDIT_KEY, EPERM, "%s '%.200s' belongs to uid %u", what, path, st.st_uid);
	if (st.st_mode & 077)
		return err_sys(e, ERR_AUDIT_KEY, EPERM, "%s '%.200s' is open to others (mode %04o): chmod 600 it; %s", what, path,
			       st.st_mode & 07777, danger);
	return 0;
}

int note_key_read(const char *path, struct note_key **ret, struct err *e)
{
	char text[KEY_TEXT_MAX];
	unsigned char seed[crypto_sign_SEEDBYTES], id[4];
	int r = start_sodium(e);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	if (r == 0)
		r = note_key_file(fd, "the signing key", path, "if others may have read it, begin a new trail", e);
	if (r < 0)
		return r;
	struct note_key *k = sodium_malloc(sizeof *k);
	if (!k)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the signing key");
	ssize_t n = read(fd, text, sizeof text);
	size_t skip = sizeof PRIVATE - 1;
	bool good = n > (ssize_t)skip && memcmp(text, PRIVATE, skip) == 0 &&
		    key_parse(text + skip, (size_t)n - skip, &k->pub, id, seed);
	if (good) {
		crypto_sign_seed_keypair(k->pub.key, k->secret, seed);
		note_public_id(&k->pub);
		good = memcmp(id, k->pub.id, sizeof id) == 0;
	}
	sodium_memzero(text, sizeof text);
	sodium_memzero(seed, sizeof seed);
	if (!good) {
		note_key_free(k);
		return err_sys(e, ERR_AUDIT_KEY, EINVAL, "'%.200s' holds no signing key; restore it from a copy", path);
	}
	*ret = k;
	return 0;
}

void note_key_free(struct note_key *k)
{
	sodium_free(k);
}

/* ---- checkpoints ---- */

static int add_signature(const struct note_public *k, const unsigned char sig[static crypto_sign_BYTES], struct buf *out)
{
	unsigned char raw[4 + crypto_sign_BYTES];
	char text[B64_LEN(sizeof raw) + 1];
	memcpy(raw, k->id, 4);
	memcpy(raw + 4, sig, crypto_sign_BYTES);
	base64(raw, sizeof raw, text, sizeof text);
	return buf_printf(out, DASH "%s %s\n", k->name, text);
}

int checkpoint_sign(const struct checkpoint *c, const struct note_key *k, const struct seal *seal, struct buf *out)
{
	unsigned char sig[crypto_sign_BYTES], by_seal[crypto_sign_BYTES];
	char bytes[B64_LEN(32) + 1];
	size_t begin = out->len;
	base64(c->root, sizeof c->root, bytes, sizeof bytes);
	buf_printf(out, "%s\n%llu\n%s\n", k->pub.name, (unsigned long long)c->size, bytes);
	base64(c->next, sizeof c->next, bytes, sizeof bytes);
	if (c->sealed)
		buf_printf(out, SEAL "%s\n", bytes);
	if (out->fail)
		return out->fail;
	crypto_sign_detached(sig, NULL, (const unsigned char *)out->data + begin, out->len - begin, k->secret);
	if (c->sealed)
		seal_sign(seal, out->data + begin, out->len - begin, by_seal);
	buf_adds(out, "\n");
	add_signature(&k->pub, sig, out);
	return c->sealed ? add_signature(seal_public(seal), by_seal, out) : out->fail;
}

size_t checkpoint_len(const char *text, size_t len)
{
	const char *end = text + len, *at = memmem(text, len, "\n\n", 2);
	if (!at)
		return 0;
	at += 2;
	const char *first = at;
	while ((size_t)(end - at) > sizeof DASH - 1 && memcmp(at, DASH, sizeof DASH - 1) == 0) {
		const char *nl = memchr(at, '\n', (size_t)(end - at));
		if (!nl)
			return 0;
		at = nl + 1;
	}
	return at > first ? (size_t)(at - text) : 0;
}

/* Does one of the signature lines in [at, end) hold k's signature of the text? Lines of other keys are passed over. */
static bool is_signed(const char *text, size_t text_len, const char *at, const char *end, const struct note_public *k)
{
	size_t name_len = strlen(k->name);
	for (const char *nl; (nl = memchr(at, '\n', (size_t)(end - at))); at = nl + 1) {
		unsigned char sig[4 + crypto_sign_BYTES];
		const char *name = at + sizeof DASH - 1;
		const char *space = memchr(name, ' ', (size_t)(nl - name));
		if (!space || (size_t)(space - name) != name_len || memcmp(name, k->name, name_len) != 0 ||
		    !unbase64(space + 1, (size_t)(nl - space - 1), sig, sizeof sig) || memcmp(sig, k->id, 4) != 0)
			continue;
		if (crypto_sign_verify_detached(sig + 4, (const unsigned char *)text, text_len, k->key) == 0)
			return true;
	}
	return false;
}

/* The line behind the third, where it is of ours. */
static bool read_seal(const char *line, size_t len, struct checkpoint *ret)
{
	const char *nl = memchr(line, '\n', len);
	ret->sealed = nl && len > sizeof SEAL - 1 && memcmp(line, SEAL, sizeof SEAL - 1) == 0;
	return !ret->sealed || unbase64(line + sizeof SEAL - 1, (size_t)(nl - line) - (sizeof SEAL - 1), ret->next, sizeof ret->next);
}

/* Three lines, and perhaps that of the seal; more may follow, which say nothing to us. */
static bool read_text(const char *text, size_t len, struct checkpoint *ret)
{
	char number[24];
	const char *end = text + len, *a = memchr(text, '\n', len);
	const char *b = a ? memchr(a + 1, '\n', (size_t)(end - a - 1)) : NULL;
	const char *c = b ? memchr(b + 1, '\n', (size_t)(end - b - 1)) : NULL;
	if (!c || (size_t)(a - text) >= sizeof ret->origin || (size_t)(b - a) > sizeof number)
		return false;
	memcpy(ret->origin, text, (size_t)(a - text));
	ret->origin[a - text] = 0;
	memcpy(number, a + 1, (size_t)(b - a - 1));
	number[b - a - 1] = 0;
	return parse_u64(number, 0, UINT64_MAX >> 1, &ret->size, NULL) == 0 && (number[0] != '0' || !number[1]) &&
	       unbase64(b + 1, (size_t)(c - b - 1), ret->root, sizeof ret->root) && read_seal(c + 1, (size_t)(end - c - 1), ret);
}

bool checkpoint_has(const char *text, size_t len, const struct note_public *k)
{
	size_t whole = checkpoint_len(text, len);
	const char *empty = whole ? memmem(text, whole, "\n\n", 2) : NULL;
	return empty && is_signed(text, (size_t)(empty - text) + 1, empty + 2, text + whole, k);
}

int checkpoint_read(const char *text, size_t len, const struct note_public *k, struct checkpoint *ret, struct err *e)
{
	struct checkpoint c;
	size_t whole = checkpoint_len(text, len);
	if (!whole)
		return err_set(e, ERR_AUDIT_ALTERED, "no checkpoint: it is a text, an empty line and signature lines");
	size_t text_len = (size_t)((char *)memmem(text, whole, "\n\n", 2) - text) + 1;
	if (!checkpoint_has(text, len, k))
		return err_set(e, ERR_AUDIT_ALTERED, "a checkpoint is not signed by the key '%s'", k->name);
	if (!read_text(text, text_len, &c) || strcmp(c.origin, k->name) != 0)
		return err_set(e, ERR_AUDIT_ALTERED, "a signed text of '%s' is no checkpoint of its", k->name);
	*ret = c;
	return 0;
}
