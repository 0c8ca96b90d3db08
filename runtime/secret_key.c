/* SPDX-License-Identifier: MIT */
/* secret_key.c - the master key of secrets: its forms, where it is looked for, how a new one is made. L2. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/keyctl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/sys.h"
#include "runtime/secret_i.h"

#define CREDENTIAL	"symbi.master-key"
#define KEYRING_NAME	"symbi:master"
#define PASSPHRASE_LEAST 8

/* ---- forms ---- */

static int key_alloc(struct secret_key **ret, const void *text, size_t len, const char *from, struct err *e)
{
	if (sodium_init() < 0)
		return err_set(e, ERR_SYS_IO, "libsodium does not start: no source of randomness");
	if (len > KEY_TEXT_MAX)
		return err_set(e, ERR_SECRET_INVALID, "%s: a key or passphrase has at most %d bytes", from, KEY_TEXT_MAX);
	struct secret_key *k = sodium_malloc(sizeof *k);
	if (!k)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the key");
	memset(k, 0, sizeof *k);
	snprintf(k->from, sizeof k->from, "%s", from);
	memcpy(k->text, text, len);
	k->text_len = len;
	*ret = k;
	return 0;
}

static bool decode(struct secret_key *k, const char *text, size_t len)
{
	size_t n = 0;
	if (len == KEY_BYTES) {
		memcpy(k->raw, text, len);
		return true;
	}
	if (sodium_hex2bin(k->raw, KEY_BYTES, text, len, NULL, &n, NULL) == 0 && n == KEY_BYTES)
		return true;
	return sodium_base642bin(k->raw, KEY_BYTES, text, len, NULL, &n, NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
	       n == KEY_BYTES;
}

static size_t trimmed(const char *text, size_t len)
{
	while (len && strchr(" \t\r\n", text[len - 1]))
		len--;
	return len;
}

int secret_key_new(struct secret_key **ret, const void *text, size_t len, const char *from, struct err *e)
{
	struct secret_key *k = NULL;
	size_t n = len == KEY_BYTES ? len : trimmed(text, len);
	int r = key_alloc(&k, text, n, from, e);
	if (r == 0 && !decode(k, (const char *)k->text, n))
		r = err_set(e, ERR_SECRET_INVALID, "%s holds no key: write 32 bytes, or those in base64 (44 signs) or hex (64); "
			    "`symbi secrets keygen` makes one", from);
	if (r == 0)
		r = secret_derive(k->raw, "", 0, "symbi secret key id 1", k->id, sizeof k->id, e);
	if (r < 0)
		secret_key_free(take_ptr(k));
	*ret = k;
	return r;
}

int secret_key_passphrase(struct secret_key **ret, const void *text, size_t len, struct err *e)
{
	len -= len && ((const char *)text)[len - 1] == '\n';
	*ret = NULL;
	if (len < PASSPHRASE_LEAST)
		return err_set(e, ERR_SECRET_INVALID, "a passphrase has at least %d bytes", PASSPHRASE_LEAST);
	int r = key_alloc(ret, text, len, "the passphrase", e);
	if (r == 0)
		(*ret)->passphrase = true;
	return r;
}

void secret_key_free(struct secret_key *k)
{
	sodium_free(k);
}

/* ---- places ---- */

/* Only its owner, who is root or us, may have access to it; group_may: systemd gives credentials to a group. */
static int read_file(struct secret_key **ret, const char *path, bool group_may, struct err *e)
{
	struct stat st;
	struct secret_text t;
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, ERR_SYS_IO, errno, "the key file '%.200s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_SECRET_INVALID, "the key file '%.200s' is no regular file", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_set(e, ERR_SECRET_INVALID, "the key file '%.200s' belongs to uid %u, neither root nor you", path,
			       st.st_uid);
	if (st.st_mode & (group_may ? 037 : 077))
		return err_set(e, ERR_SECRET_INVALID, "the key file '%.200s' is open to others (mode %04o): chmod 600 it, and if "
			       "others may have read it, make a new key", path, st.st_mode & 07777);
	int r = secret_text_read(&t, fd, path, e);
	if (r == 0)
		r = secret_key_new(ret, t.data, t.len, path, e);
	secret_text_free(&t);
	return r;
}

static int read_passphrase(struct secret_key **ret, int fd, struct err *e)
{
	struct secret_text t;
	int r = secret_text_read(&t, fd, "the passphrase's descriptor", e);
	if (r == 0)
		r = secret_key_passphrase(ret, t.data, t.len, e);
	secret_text_free(&t);
	return r;
}

/* 1: taken, 0: there is none, -errno. */
static int read_keyring(struct secret_key **ret, struct err *e)
{
	struct secret_text t;
	long id = syscall(SYS_request_key, "user", KEYRING_NAME, NULL, 0);
	if (id < 0) /* no such key, or no keyrings here */
		return 0;
	int r = secret_text_new(&t, KEY_TEXT_MAX, e);
	if (r < 0)
		return r;
	long n = syscall(SYS_keyctl, KEYCTL_READ, id, t.data, t.len);
	r = n < 0		  ? err_sys(e, ERR_SYS_IO, errno, "the kernel's key " KEYRING_NAME)
	    : (size_t)n > t.len ? err_set(e, ERR_SECRET_INVALID, "the kernel's key " KEYRING_NAME " is too long")
				: secret_key_new(ret, t.data, (size_t)n, "the kernel's key " KEYRING_NAME, e);
	secret_text_free(&t);
	return r < 0 ? r : 1;
}

int secret_key_find(struct secret_key **ret, const struct secret_key_places *at, struct err *e)
{
	char credential[PATH_MAX] = "";
	const char *dir = getenv("CREDENTIALS_DIRECTORY"), *file = getenv("SYMBIONT_MASTER_KEY_FILE"),
		   *text = getenv("SYMBIONT_MASTER_KEY");
	*ret = NULL;
	if (at->file)
		return read_file(ret, at->file, false, e);
	if (at->passphrase_fd >= 0)
		return read_passphrase(ret, at->passphrase_fd, e);
	if (dir && *dir)
		snprintf(credential, sizeof credential, "%s/" CREDENTIAL, dir);
	if (*credential && access(credential, F_OK) == 0)
		return read_file(ret, credential, true, e);
	if (file && *file)
		return read_file(ret, file, false, e);
	if (at->in_use && (access(at->in_use, F_OK) == 0 || errno != ENOENT))
		return read_file(ret, at->in_use, false, e);
	int r = read_keyring(ret, e);
	if (r != 0)
		return r < 0 ? r : 0;
	if (text && *text)
		return secret_key_new(ret, text, strlen(text), "SYMBIONT_MASTER_KEY", e);
	return err_set(e, ERR_SECRET_KEY, "there is no master key: make one with `symbi secrets keygen`, or set "
		       "SYMBIONT_MASTER_KEY_FILE");
}

int secret_file_write(const char *path, const void *text, size_t len, bool replace, struct err *e)
{
	char tmp[PATH_MAX], dir[PATH_MAX];
	if (snprintf(tmp, sizeof tmp, "%s.XXXXXX", path) >= (int)sizeof tmp)
		return err_sys(e, ERR_SYS_IO, ENAMETOOLONG, "'%.200s'", path);
	autoclose int fd = mkostemp(tmp, O_CLOEXEC); /* 0600 */
	if (fd < 0)
		return err_sys(e, ERR_SYS_IO, errno, "beside '%.200s'", path);
	int r = sys_pwrite_all(fd, text, len, 0);
	if (r == 0 && (fsync(fd) < 0 || renameat2(AT_FDCWD, tmp, AT_FDCWD, path, replace ? 0 : RENAME_NOREPLACE) < 0))
		r = -errno;
	if (r < 0)
		unlink(tmp);
	snprintf(dir, sizeof dir, "%s", path);
	if (r == 0)
		r = sys_sync_dir(dirname(dir));
	if (r == -EEXIST && !replace)
		return err_sys(e, ERR_SYS_IO, EEXIST, "'%.200s' is there already, and secrets may need it: give another --out, or move "
			       "it away", path);
	return r < 0 ? err_sys(e, ERR_SYS_IO, -r, "'%.200s'", path) : 0;
}

int secret_key_make(const char *path, struct err *e)
{
	unsigned char raw[KEY_BYTES];
	char text[sodium_base64_ENCODED_LEN(KEY_BYTES, sodium_base64_VARIANT_ORIGINAL) + 1];
	if (sodium_init() < 0)
		return err_set(e, ERR_SYS_IO, "libsodium does not start: no source of randomness");
	randombytes_buf(raw, sizeof raw);
	sodium_bin2base64(text, sizeof text, raw, sizeof raw, sodium_base64_VARIANT_ORIGINAL);
	size_t len = strlen(text);
	text[len++] = '\n';
	int r = secret_file_write(path, text, len, false, e);
	sodium_memzero(raw, sizeof raw);
	sodium_memzero(text, sizeof text);
	return r;
}

int secret_key_copy(const struct secret_key *k, const char *path, struct err *e)
{
	if (k->passphrase)
		return err_set(e, ERR_SECRET_INVALID, "a passphrase is not kept in a file; the store needs a key");
	return secret_file_write(path, k->text, k->text_len, false, e);
}
