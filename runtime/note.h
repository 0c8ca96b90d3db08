/* SPDX-License-Identifier: MIT */
/* note.h - signed tree heads as the C2SP has them (tlog-checkpoint, signed-note with Ed25519) and their keys, in the forms
 * of Go's sumdb/note. L2; any thread.
 *
 *	HOST/symbi                    origin, the name of the log and of its key
 *	1234                          leaves
 *	BASE64                        head of their Merkle tree
 *	seal BASE64                   public key that signs the next one (audit_seal.h), where it is sealed
 *
 *	— HOST/symbi BASE64           first 4 bytes of the key's id, then its signature of the text above the empty line
 *	— HOST/symbi/seal BASE64      the same by the seal key of this one */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

#define NOTE_NAME_MAX 128  /* bytes with the NUL */
#define NOTE_TEXT_MAX 4096 /* bytes of a note */

struct note_public {
	char name[NOTE_NAME_MAX];
	unsigned char id[4];
	unsigned char key[32];
};

/* Fills in the id from name and key. */
void note_public_id(struct note_public *k);
/* NAME+ID+BASE64, as one line. */
void note_public_text(const struct note_public *k, struct buf *out);
/* -EINVAL AUDIT_002 for what is none. */
int note_public_parse(const char *text, size_t len, struct note_public *ret, struct err *e);
int note_public_read(const char *path, struct note_public *ret, struct err *e);

/* The signing key, in locked memory. */
struct note_key {
	struct note_public pub;
	unsigned char secret[64];
};
/* Make a key of that name in a file of mode 0600 that is not there yet, and sync it. */
int note_key_make(const char *path, const char *name, struct err *e);
/* The caller owns *ret: note_key_free. -ENOENT AUDIT_002 where there is no file; refused where it is open to others, or
 * belongs to neither root nor us. */
int note_key_read(const char *path, struct note_key **ret, struct err *e);
/* May what is in this opened file (-1: with errno, why it is not) be believed to be secret? A regular file of root's or ours
 * that nobody else may open. `what` is "the signing key", `danger` what may be done about it. -errno AUDIT_002. */
int note_key_file(int fd, const char *what, const char *path, const char *danger, struct err *e);
void note_key_free(struct note_key *k); /* NULL is fine; wipes it */

struct checkpoint {
	char origin[NOTE_NAME_MAX];
	uint64_t size;
	unsigned char root[32];
	bool sealed;
	unsigned char next[32]; /* sealed: by whom the next one is */
};
struct seal;
/* Append the note of c, signed by k, and by seal where c is sealed; its origin is k's name. */
int checkpoint_sign(const struct checkpoint *c, const struct note_key *k, const struct seal *seal, struct buf *out);
/* Length of the note that text begins with, with its last newline; 0: it begins with none. An empty line may follow. */
size_t checkpoint_len(const char *text, size_t len);
/* Has the note k's signature? Nothing else of it is looked at. */
bool checkpoint_has(const char *text, size_t len, const struct note_public *k);
/* Is that a checkpoint with k's signature? -EBADMSG AUDIT_001. */
int checkpoint_read(const char *text, size_t len, const struct note_public *k, struct checkpoint *ret, struct err *e);
