/* SPDX-License-Identifier: MIT */
/* secret_i.h - what the files of secrets share. L2. */
#pragma once

#include "runtime/secret.h"

#define KEY_BYTES   32
#define SALT_BYTES  16
#define NONCE_BYTES 12
#define TAG_BYTES   16
#define KEY_TEXT_MAX 1024

struct secret_key { /* in locked memory */
	bool passphrase;
	unsigned char raw[KEY_BYTES], id[SECRET_ID_BYTES];
	char from[128];
	size_t text_len;
	unsigned char text[KEY_TEXT_MAX]; /* as it was given: the passphrase, and Symbiont's store uses it as one */
};

struct gcm { /* one call of AES-256-GCM */
	const unsigned char *key, *nonce;
	const void *aad, *more; /* authenticated, one behind the other */
	size_t aad_len, more_len;
};
/* out: len bytes and the tag. -EIO SYS_002 when OpenSSL fails. */
int gcm_seal(const struct gcm *g, const void *in, size_t len, unsigned char *out, struct err *e);
/* in: len bytes and the tag. 0, or -EBADMSG without a sentence: it does not fit. */
int gcm_open(const struct gcm *g, const unsigned char *in, size_t len, unsigned char *out);

/* HKDF-SHA-256 of 32 bytes. -EIO SYS_002. */
int secret_derive(const unsigned char key[static KEY_BYTES], const void *salt, size_t salt_len, const char *info,
		  void *out, size_t out_len, struct err *e);
/* Argon2id, one lane. -ENOMEM SYS_001, -EIO SYS_002. */
int secret_stretch(const struct secret_key *k, const void *salt, size_t salt_len, uint32_t passes, uint32_t kib,
		   unsigned char out[static KEY_BYTES], struct err *e);
