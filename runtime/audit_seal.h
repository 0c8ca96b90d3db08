/* SPDX-License-Identifier: MIT */
/* audit_seal.h - the keys that seal checkpoints, one each: a checkpoint names the next one's public key and is signed by the
 * one that its predecessor named, which is then destroyed. Who takes all that the machine has finds no key that signed before:
 * what older checkpoints cover cannot be written anew, not even by who has the signing key. docs/AUDIT.md. L2; by one thread
 * at a time, which may wait for the disk. */
#pragma once

#include "runtime/note.h"

struct seal; /* keys in locked memory */

/* The key that the next checkpoint is to be signed with, from the file, which is made where `want`, the key that the newest
 * checkpoint names, is NULL. name is that of its public form. -ENOKEY AUDIT_002 where the file has not the wanted key, is
 * open to others, or of somebody else; -errno AUDIT_003. The caller owns *ret. */
int seal_open(struct seal **ret, const char *path, const char *name, const unsigned char want[32], struct err *e);
void seal_close(struct seal *s); /* wipes; NULL is fine */

const struct note_public *seal_public(const struct seal *s);
/* The next key is made and on the disk; its public half in next. May be repeated, also after a failure further on. */
int seal_prepare(struct seal *s, unsigned char next[32], struct err *e);
void seal_sign(const struct seal *s, const void *text, size_t len, unsigned char out[64]);
/* The checkpoint is on the disk: from here on the next key is the key, and the old one is gone. */
int seal_advance(struct seal *s, struct err *e);
