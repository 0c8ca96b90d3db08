/* SPDX-License-Identifier: MIT */
/* secret_legacy.c - reads the two encrypted forms of Symbiont, to import from them. L2. */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/value.h"
#include "runtime/secret_i.h"

/* A label that is not here is refused: weaker costs are never guessed. */
static const struct kdf {
	const char *label;
	uint32_t passes, kib;
} kdfs[] = {{"Argon2id-m65536-t3-p1", 3, 65536}, {"Argon2", 2, 19456}};

static int damaged(struct err *e, const char *what)
{
	return err_set(e, ERR_SECRET_SEAL, "no encrypted file of Symbiont: %s", what);
}

static int open_with(const unsigned char *key, const unsigned char *nonce, const unsigned char *in, size_t len,
		     struct secret_text *ret, struct err *e)
{
	struct gcm g = {.key = key, .nonce = nonce, .aad = "", .more = ""};
	int r = secret_text_new(ret, len - TAG_BYTES, e);
	if (r == 0 && gcm_open(&g, in, len - TAG_BYTES, ret->data) < 0) {
		secret_text_free(ret);
		r = err_set(e, ERR_SECRET_SEAL, "it was sealed with another key, or altered");
	}
	return r;
}

/* The bytes of a base64 member; *ret_len of them, the caller frees. NULL: damaged. */
static unsigned char *bytes_at(const struct value *v, const char *key, size_t *ret_len)
{
	const char *text = value_get_text(v, key);
	if (!text)
		return NULL;
	size_t text_len = strlen(text), max = text_len / 4 * 3 + 3;
	unsigned char *out = malloc(max);
	if (out && sodium_base642bin(out, max, text, text_len, NULL, ret_len, NULL,
				     sodium_base64_VARIANT_ORIGINAL) < 0) {
		free(out);
		out = NULL;
	}
	return out;
}

static int open_store(const struct secret_key *k, const struct value *v, struct secret_text *ret, struct err *e)
{
	unsigned char key[KEY_BYTES];
	size_t salt_len = 0, nonce_len = 0, len = 0, i = 0;
	autofree unsigned char *salt = bytes_at(v, "salt", &salt_len), *nonce = bytes_at(v, "nonce", &nonce_len),
			       *body = bytes_at(v, "ciphertext", &len);
	const char *label = value_get_text(v, "kdf"), *algorithm = value_get_text(v, "algorithm");
	while (i < ARRAY_LEN(kdfs) && strcmp(kdfs[i].label, label ? label : "") != 0)
		i++;
	if (i == ARRAY_LEN(kdfs))
		return err_set(e, ERR_SECRET_SEAL, "its kdf '%.60s' is none of Symbiont's", label ? label : "");
	if (!algorithm || strcmp(algorithm, "AES-256-GCM") != 0)
		return err_set(e, ERR_SECRET_SEAL, "its algorithm '%.60s' is not AES-256-GCM", algorithm ? algorithm : "");
	if (!salt || !nonce || !body || salt_len < 8 || nonce_len != NONCE_BYTES || len < TAG_BYTES ||
	    len > SECRET_MAX + TAG_BYTES)
		return damaged(e, "salt, nonce or ciphertext is missing or damaged");
	int r = secret_stretch(k, salt, salt_len, kdfs[i].passes, kdfs[i].kib, key, e);
	if (r == 0)
		r = open_with(key, nonce, body, len, ret, e);
	sodium_memzero(key, sizeof key);
	return r;
}

int secret_open_legacy(const struct secret_key *k, const void *sealed, size_t len, struct secret_text *ret,
		       struct err *e)
{
	struct value *v = NULL;
	*ret = (struct secret_text){0};
	if (len && *(const char *)sealed == '{' && value_parse(VALUE_JSON, sealed, len, &v, NULL, NULL) == 0) {
		int r = v->type == VALUE_MAP ? open_store(k, v, ret, e) : damaged(e, "its JSON is no object");
		value_free(v);
		return r;
	}
	if (len < NONCE_BYTES + TAG_BYTES || len > SECRET_MAX + NONCE_BYTES + TAG_BYTES)
		return damaged(e, "it is too short or too long");
	if (k->passphrase)
		return err_set(e, ERR_SECRET_KEY, "Symbiont's command line seals with a key of 32 bytes, not a passphrase");
	return open_with(k->raw, sealed, (const unsigned char *)sealed + NONCE_BYTES, len - NONCE_BYTES, ret, e);
}
