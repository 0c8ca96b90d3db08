/* SPDX-License-Identifier: MIT */
/* secret_crypt.c - the ciphers and derivations of secrets, by OpenSSL and libargon2, and memory that leaves no traces. L2. */
#include <argon2.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <sodium.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runtime/secret_i.h"

/* ---- memory ---- */

int secret_text_new(struct secret_text *ret, size_t len, struct err *e)
{
	*ret = (struct secret_text){0};
	if (sodium_init() < 0)
		return err_set(e, ERR_SYS_IO, "libsodium does not start: no source of randomness");
	ret->data = sodium_malloc(len + 1); /* locks it, as far as RLIMIT_MEMLOCK goes */
	if (!ret->data)
		return err_set(e, ERR_SYS_MEMORY, "no memory for a secret of %zu bytes", len);
	ret->data[len] = 0;
	ret->len = len;
	return 0;
}

void secret_text_free(struct secret_text *t)
{
	sodium_free(t->data);
	*t = (struct secret_text){0};
}

int secret_text_read(struct secret_text *ret, int fd, const char *what, struct err *e)
{
	struct secret_text all;
	size_t len = 0;
	ssize_t n = 1;
	int r = secret_text_new(&all, SECRET_MAX + 1, e);
	*ret = (struct secret_text){0};
	while (r == 0 && n != 0 && len < all.len) {
		n = read(fd, all.data + len, all.len - len);
		if (n < 0 && errno != EINTR)
			r = err_sys(e, ERR_SYS_IO, errno, "'%.200s'", what);
		len += n > 0 ? (size_t)n : 0;
	}
	if (r == 0 && len > SECRET_MAX)
		r = err_set(e, ERR_RESOURCE_TOO_BIG, "'%.200s' has more than %u bytes", what, SECRET_MAX);
	if (r == 0 && (r = secret_text_new(ret, len, e)) == 0 && len)
		memcpy(ret->data, all.data, len);
	secret_text_free(&all);
	return r;
}

void secret_harden_process(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* ---- ciphers ---- */

int gcm_seal(const struct gcm *g, const void *in, size_t len, unsigned char *out, struct err *e)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n = 0;
	bool ok = c && EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, g->key, g->nonce) == 1 &&
		  EVP_EncryptUpdate(c, NULL, &n, g->aad, (int)g->aad_len) == 1 &&
		  EVP_EncryptUpdate(c, NULL, &n, g->more, (int)g->more_len) == 1 &&
		  EVP_EncryptUpdate(c, out, &n, in, (int)len) == 1 && (size_t)n == len &&
		  EVP_EncryptFinal_ex(c, out + n, &n) == 1 &&
		  EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, out + len) == 1;
	EVP_CIPHER_CTX_free(c);
	return ok ? 0 : err_set(e, ERR_SYS_IO, "OpenSSL cannot encrypt with AES-256-GCM");
}

int gcm_open(const struct gcm *g, const unsigned char *in, size_t len, unsigned char *out)
{
	unsigned char tag[TAG_BYTES];
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n = 0;
	memcpy(tag, in + len, TAG_BYTES);
	bool ok = c && EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, g->key, g->nonce) == 1 &&
		  EVP_DecryptUpdate(c, NULL, &n, g->aad, (int)g->aad_len) == 1 &&
		  EVP_DecryptUpdate(c, NULL, &n, g->more, (int)g->more_len) == 1 &&
		  EVP_DecryptUpdate(c, out, &n, in, (int)len) == 1 && (size_t)n == len &&
		  EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) == 1 &&
		  EVP_DecryptFinal_ex(c, out + n, &n) == 1;
	EVP_CIPHER_CTX_free(c);
	if (!ok)
		sodium_memzero(out, len);
	return ok ? 0 : -EBADMSG;
}

/* ---- derivations ---- */

int secret_derive(const unsigned char key[static KEY_BYTES], const void *salt, size_t salt_len, const char *info,
		  void *out, size_t out_len, struct err *e)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *c = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	char digest[] = "SHA256";
	const OSSL_PARAM p[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)key, KEY_BYTES),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt, salt_len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info, strlen(info)),
		OSSL_PARAM_construct_end(),
	};
	bool ok = c && EVP_KDF_derive(c, out, out_len, p) == 1;
	EVP_KDF_CTX_free(c);
	EVP_KDF_free(kdf);
	return ok ? 0 : err_set(e, ERR_SYS_IO, "OpenSSL cannot derive a key with HKDF");
}

int secret_stretch(const struct secret_key *k, const void *salt, size_t salt_len, uint32_t passes, uint32_t kib,
		   unsigned char out[static KEY_BYTES], struct err *e)
{
	int r = argon2id_hash_raw(passes, kib, 1, k->text, k->text_len, salt, salt_len, out, KEY_BYTES);
	if (r == ARGON2_MEMORY_ALLOCATION_ERROR)
		return err_set(e, ERR_SYS_MEMORY, "no %u KiB of memory to try the passphrase", kib);
	return r == ARGON2_OK ? 0 : err_set(e, ERR_SYS_IO, "Argon2id: %s", argon2_error_message(r));
}
