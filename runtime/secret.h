/* SPDX-License-Identifier: MIT */
/* secret.h - secrets at rest: the sealed form, the master key and where it comes from, texts in locked memory. The store
 * and `symbi secrets` read and write the same form. docs/SECRETS.md describes it byte by byte. L2; any thread, an
 * object one at a time.
 *
 * Each secret has a fresh data key, wrapped by a key that is derived from the master key and a salt of its own; so
 * no nonce can meet the same key twice. AES-256-GCM and HKDF-SHA-256 (NIST SP 800-38D, RFC 5869) by OpenSSL, Argon2id
 * (RFC 9106) by libargon2. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

#define SECRET_MAX	(1u << 20) /* bytes of one secret */
#define SECRET_NAME_MAX 1024
#define SECRET_ID_BYTES 16

/* ---- texts that must not leave traces: locked where the limit on locked memory allows, wiped when freed ---- */

struct secret_text {
	unsigned char *data; /* NULL: none */
	size_t len;
};
int secret_text_new(struct secret_text *ret, size_t len, struct err *e); /* -ENOMEM SYS_001 */
void secret_text_free(struct secret_text *t);				 /* zeroes *t; an empty one is fine */
/* All of fd, named `what` in errors. -EFBIG RESOURCE_003, -errno SYS_002. */
int secret_text_read(struct secret_text *ret, int fd, const char *what, struct err *e);

/* No core dumps and no ptrace by the same user from here on. For a process that handles secrets, at its start. */
void secret_harden_process(void);

/* ---- the master key (secret_key.c) ---- */

struct secret_key; /* 32 bytes, or a passphrase */

/* From 32 bytes, or those in base64 or hex, white space at the end ignored; from is where it came from, for
 * messages. The caller owns *ret. -EINVAL SECRET_003. */
int secret_key_new(struct secret_key **ret, const void *text, size_t len, const char *from, struct err *e);
/* From a passphrase of at least 8 bytes; a newline at the end does not count. -EINVAL SECRET_003. */
int secret_key_passphrase(struct secret_key **ret, const void *text, size_t len, struct err *e);
void secret_key_free(struct secret_key *k); /* wipes; NULL is fine */

struct secret_key_places {
	const char *file;   /* asked for, or NULL */
	int passphrase_fd;  /* asked for, or -1 */
	const char *in_use; /* the default file: it is taken when it exists; or NULL */
};
/* The first that there is of: file; passphrase_fd; the systemd credential symbi.master-key;
 * $SYMBIONT_MASTER_KEY_FILE; in_use; the user's kernel keyring, key "symbi:master"; $SYMBIONT_MASTER_KEY. One that is there
 * and does not serve (a file that others may read, no key in it) is refused, never passed over.
 * -ENOKEY SECRET_001 when there is none; -EINVAL SECRET_003, -errno SYS_002. */
int secret_key_find(struct secret_key **ret, const struct secret_key_places *at, struct err *e);
/* A file of mode 0600 with that text, whole or as it was before, on the disk when this returns. Not replace: -EEXIST SYS_002 when
 * there is one. -errno SYS_002. */
int secret_file_write(const char *path, const void *text, size_t len, bool replace, struct err *e);
/* A new random key in a new file, mode 0600, durable. -EEXIST SYS_002: there is a file; it is left as it is. */
int secret_key_make(const char *path, struct err *e);
/* The same key in another new file. Errors as secret_key_make; -EINVAL SECRET_003 for a passphrase. */
int secret_key_copy(const struct secret_key *k, const char *path, struct err *e);

/* ---- the sealed form (secret_seal.c) ---- */

struct secret_head { /* what it says of itself; not proven before it was opened */
	char name[SECRET_NAME_MAX + 1];
	uint64_t generation; /* 1, 2 ... */
	bool passphrase;
	uint32_t passes, kib; /* of Argon2id */
	unsigned char key_id[SECRET_ID_BYTES]; /* zero with a passphrase */
};

/* A relative path of names without control characters, "." or "..". -EINVAL SECRET_003. */
int secret_name_check(const char *name, struct err *e);
/* Appends the sealed form of plain to out. -EINVAL SECRET_003 for a name that is none, -EFBIG, -ENOMEM, -EIO. */
int secret_seal(const struct secret_key *k, const char *name, uint64_t generation, const void *plain, size_t len,
		struct buf *out, struct err *e);
/* -EBADMSG SECRET_002 for what is no sealed form, or of a later version, or with costs beyond bounds. */
int secret_head_read(struct secret_head *ret, const void *sealed, size_t len, struct err *e);
/* name NULL: whatever it is called; else it must be sealed under that name. head may be NULL. Caller owns *ret.
 * -ENOKEY SECRET_001 for another key; -EBADMSG SECRET_002 when anything in it was changed. */
int secret_open(const struct secret_key *k, const char *name, const void *sealed, size_t len, struct secret_text *ret,
		struct secret_head *head, struct err *e);
/* The same secret under another key: name, generation and ciphertext stay. Errors as secret_open. */
int secret_rewrap(const struct secret_key *old, const struct secret_key *new_key, const void *sealed, size_t len,
		  struct buf *out, struct err *e);
/* One of the two forms of Symbiont: JSON of its store (the key's text is the passphrase, Argon2id labelled
 * "Argon2id-m65536-t3-p1" or "Argon2"), or nonce, ciphertext and tag of its command line. Errors as secret_open. */
int secret_open_legacy(const struct secret_key *k, const void *sealed, size_t len, struct secret_text *ret,
		       struct err *e);
