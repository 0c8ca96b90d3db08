/* SPDX-License-Identifier: MIT */
/* audit_seal.c - the file of seal keys: two slots of 64 hex digits and a newline, PLACE bytes apart; zeros where none is. The
 * next key goes into the free slot before anything is signed with this one; what was used is overwritten. L2. */
#include "runtime/audit_seal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/sys.h"

#define PLACE 4096 /* a sector of its own, so that a torn write takes one of them */
#define HEX   (2 * crypto_sign_SEEDBYTES)

struct seal { /* in locked memory */
	int fd;
	unsigned slot; /* of the key */
	bool prepared;
	struct note_public pub;
	unsigned char secret[crypto_sign_SECRETKEYBYTES];
	unsigned char next[crypto_sign_PUBLICKEYBYTES], next_secret[crypto_sign_SECRETKEYBYTES];
	char path[PATH_MAX];
};

/* ---- slots ---- */

static int write_slot(struct seal *s, unsigned slot, const char text[static HEX + 1], struct err *e)
{
	int r = sys_pwrite_all(s->fd, text, HEX + 1, (uint64_t)slot * PLACE);
	if (r == 0 && sys->fdatasync(s->fd) < 0)
		r = -errno;
	return r < 0 ? err_sys(e, ERR_AUDIT_IO, -r, "'%.200s'", s->path) : 0;
}

static int put_key(struct seal *s, unsigned slot, const unsigned char seed[static crypto_sign_SEEDBYTES], struct err *e)
{
	char text[HEX + 1];
	sodium_bin2hex(text, sizeof text, seed, crypto_sign_SEEDBYTES);
	text[HEX] = '\n';
	int r = write_slot(s, slot, text, e);
	sodium_memzero(text, sizeof text);
	return r;
}

static int clear_slot(struct seal *s, unsigned slot, struct err *e)
{
	static const char zeros[HEX + 1];
	return write_slot(s, slot, zeros, e);
}

/* false: there is no key in it. */
static bool get_key(struct seal *s, unsigned slot, unsigned char public[static 32], unsigned char secret[static 64])
{
	char text[HEX + 1];
	unsigned char seed[crypto_sign_SEEDBYTES];
	size_t n = 0;
	bool good = sys_pread_all(s->fd, text, sizeof text, (uint64_t)slot * PLACE) == 0 && text[HEX] == '\n' &&
		    sodium_hex2bin(seed, sizeof seed, text, HEX, NULL, &n, NULL) == 0 && n == sizeof seed;
	if (good)
		crypto_sign_seed_keypair(public, secret, seed);
	sodium_memzero(text, sizeof text);
	sodium_memzero(seed, sizeof seed);
	return good;
}

static void make_key(unsigned char public[static 32], unsigned char secret[static 64])
{
	unsigned char seed[crypto_sign_SEEDBYTES];
	randombytes_buf(seed, sizeof seed);
	crypto_sign_seed_keypair(public, secret, seed);
	sodium_memzero(seed, sizeof seed);
}

/* ---- life ---- */

/* The slot of the wanted key; the other one is of a checkpoint that was not made, or was used. */
static int find_key(struct seal *s, const unsigned char want[32], struct err *e)
{
	for (unsigned slot = 0; slot < 2; slot++)
		if (get_key(s, slot, s->pub.key, s->secret) && memcmp(s->pub.key, want, 32) == 0) {
			s->slot = slot;
			return clear_slot(s, !slot, e);
		}
	return err_set(e, ERR_AUDIT_KEY, "the newest checkpoint was sealed for a key that '%.200s' has not: restore it together with the "
		       "trail, or move the trail and the journal aside to begin anew", s->path);
}

static int begin(struct seal *s, struct err *e)
{
	char dir[PATH_MAX];
	make_key(s->pub.key, s->secret);
	int r = put_key(s, 0, s->secret, e);
	if (r == 0)
		r = clear_slot(s, 1, e);
	snprintf(dir, sizeof dir, "%s", s->path);
	if (r == 0 && (r = sys_sync_dir(dirname(dir))) < 0)
		err_sys(e, ERR_AUDIT_IO, -r, "'%.200s'", s->path);
	return r;
}

int seal_open(struct seal **ret, const char *path, const char *name, const unsigned char want[32], struct err *e)
{
	if (sodium_init() < 0)
		return err_set(e, ERR_SYS_IO, "libsodium does not start: no source of randomness");
	struct seal *s = sodium_malloc(sizeof *s);
	if (!s)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the seal key");
	*s = (struct seal){.fd = sys->open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (want ? 0 : O_CREAT), 0600)};
	snprintf(s->path, sizeof s->path, "%s", path);
	snprintf(s->pub.name, sizeof s->pub.name, "%s", name);
	int r = s->fd < 0 ? err_sys(e, ERR_AUDIT_KEY, errno, "the seal key '%.200s'; restore it together with the trail", path)
			  : note_key_file(s->fd, "the seal key", path, "who read it can write anew what is not sealed yet", e);
	if (r == 0)
		r = want ? find_key(s, want, e) : begin(s, e);
	if (r < 0) {
		seal_close(s);
		return r;
	}
	note_public_id(&s->pub);
	*ret = s;
	return 0;
}

void seal_close(struct seal *s)
{
	if (s && s->fd >= 0)
		close(s->fd);
	sodium_free(s);
}

/* ---- use ---- */

const struct note_public *seal_public(const struct seal *s)
{
	return &s->pub;
}

int seal_prepare(struct seal *s, unsigned char next[32], struct err *e)
{
	if (!s->prepared)
		make_key(s->next, s->next_secret);
	int r = s->prepared ? 0 : put_key(s, !s->slot, s->next_secret, e); /* its first half is the seed */
	s->prepared = r == 0;
	memcpy(next, s->next, 32);
	return r;
}

void seal_sign(const struct seal *s, const void *text, size_t len, unsigned char out[64])
{
	crypto_sign_detached(out, NULL, text, len, s->secret);
}

int seal_advance(struct seal *s, struct err *e)
{
	unsigned used = s->slot;
	memcpy(s->secret, s->next_secret, sizeof s->secret);
	memcpy(s->pub.key, s->next, sizeof s->pub.key);
	note_public_id(&s->pub);
	sodium_memzero(s->next_secret, sizeof s->next_secret);
	s->slot = !used;
	s->prepared = false;
	return clear_slot(s, used, e);
}
