/* SPDX-License-Identifier: MIT */
/* test_secret.c - sealed secrets: what goes in comes out, whatever is changed is refused; keys and where they are found;
 * Symbiont's forms, made here straight from their description. */
#include <argon2.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "runtime/secret.h"

static struct secret_key *key_of(char letter)
{
	struct secret_key *k;
	char raw[32];
	memset(raw, letter, sizeof raw);
	assert_int_equal(secret_key_new(&k, raw, sizeof raw, "the test", NULL), 0);
	return k;
}

static void sealed_by(const struct secret_key *k, const char *name, const void *plain, size_t len, struct buf *out)
{
	buf_init(out, 4u << 20);
	assert_int_equal(secret_seal(k, name, 3, plain, len, out, NULL), 0);
}

static void expect_refused(const struct secret_key *k, const char *name, const void *sealed, size_t len,
			   enum err_code want)
{
	struct secret_text t;
	struct err e = {0};
	int r = secret_open(k, name, sealed, len, &t, NULL, &e);
	assert_true(r < 0);
	assert_null(t.data);
	assert_int_equal(e.code, want);
}

static void what_is_sealed_is_opened(void **state)
{
	(void)state;
	static unsigned char plain[SECRET_MAX];
	const size_t sizes[] = {0, 1, 15, 16, 17, 4096, SECRET_MAX};
	struct secret_key *k = key_of('a');
	randombytes_buf(plain, sizeof plain);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct buf b;
		struct secret_text t;
		struct secret_head h;
		sealed_by(k, "app/api_key", plain, sizes[i], &b);
		assert_int_equal(secret_open(k, "app/api_key", b.data, b.len, &t, &h, NULL), 0);
		assert_int_equal(t.len, sizes[i]);
		assert_memory_equal(t.data, plain, sizes[i]);
		assert_string_equal(h.name, "app/api_key");
		assert_int_equal(h.generation, 3);
		assert_true(sizes[i] < 16 || !memmem(b.data, b.len, plain, 16));
		secret_text_free(&t);
		buf_done(&b);
	}
	struct buf b;
	struct err e = {0};
	buf_init(&b, 4u << 20);
	assert_int_equal(secret_seal(k, "x", 1, plain, SECRET_MAX + 1ul, &b, &e), -EFBIG);
	assert_int_equal(b.len, 0);
	buf_done(&b);
	secret_key_free(k);
}

static void the_same_secret_is_never_sealed_alike(void **state)
{
	(void)state;
	struct secret_key *k = key_of('a');
	struct buf a, b;
	sealed_by(k, "x", "secret", 6, &a);
	sealed_by(k, "x", "secret", 6, &b);
	assert_int_equal(a.len, b.len);
	assert_memory_not_equal(a.data + 20, b.data + 20, 16);		     /* salt */
	assert_memory_not_equal(a.data + a.len - 22, b.data + b.len - 22, 22); /* ciphertext and tag */
	buf_done(&a);
	buf_done(&b);
	secret_key_free(k);
}

static void every_changed_bit_and_every_cut_is_refused(void **state)
{
	(void)state;
	struct secret_key *k = key_of('a');
	struct buf b;
	sealed_by(k, "app/api_key", "s3cret", 6, &b);
	for (size_t bit = 0; bit < 8 * b.len; bit++) {
		struct secret_text t;
		struct err e = {0};
		b.data[bit / 8] = (char)(b.data[bit / 8] ^ 1 << bit % 8);
		assert_true(secret_open(k, NULL, b.data, b.len, &t, NULL, &e) < 0);
		assert_true(e.code == ERR_SECRET_SEAL || e.code == ERR_SECRET_KEY);
		assert_null(t.data);
		b.data[bit / 8] = (char)(b.data[bit / 8] ^ 1 << bit % 8);
	}
	for (size_t len = 0; len < b.len; len++)
		expect_refused(k, NULL, b.data, len, ERR_SECRET_SEAL);
	buf_add(&b, "", 1);
	expect_refused(k, NULL, b.data, b.len, ERR_SECRET_SEAL);
	buf_done(&b);
	secret_key_free(k);
}

static void a_secret_in_anothers_place_is_refused(void **state)
{
	(void)state;
	struct secret_key *k = key_of('a'), *other = key_of('b');
	struct buf a, b;
	sealed_by(k, "app/one", "first!", 6, &a);
	sealed_by(k, "app/two", "second", 6, &b);
	expect_refused(k, "app/two", a.data, a.len, ERR_SECRET_SEAL);
	expect_refused(other, "app/one", a.data, a.len, ERR_SECRET_KEY);
	memcpy(a.data + a.len - 34, b.data + b.len - 34, 34); /* the body of the other under this head */
	expect_refused(k, NULL, a.data, a.len, ERR_SECRET_SEAL);
	buf_done(&a);
	buf_done(&b);
	secret_key_free(k);
	secret_key_free(other);
}

static void a_new_key_opens_what_was_wrapped_anew(void **state)
{
	(void)state;
	struct secret_key *k = key_of('a'), *next = key_of('b');
	struct secret_text t;
	struct secret_head h;
	struct buf a, b;
	sealed_by(k, "app/one", "first!", 6, &a);
	buf_init(&b, 1u << 20);
	assert_int_equal(secret_rewrap(k, next, a.data, a.len, &b, NULL), 0);
	expect_refused(k, NULL, b.data, b.len, ERR_SECRET_KEY);
	assert_int_equal(secret_open(next, "app/one", b.data, b.len, &t, &h, NULL), 0);
	assert_memory_equal(t.data, "first!", 6);
	assert_int_equal(h.generation, 3);
	secret_text_free(&t);
	a.data[a.len - 1] ^= 1; /* what is damaged is not wrapped anew */
	buf_clear(&b);
	assert_true(secret_rewrap(k, next, a.data, a.len, &b, NULL) < 0);
	assert_int_equal(b.len, 0);
	buf_done(&a);
	buf_done(&b);
	secret_key_free(k);
	secret_key_free(next);
}

static void a_passphrase_opens_within_bounds(void **state)
{
	(void)state;
	struct secret_key *k, *wrong, *raw = key_of('a');
	struct err e = {0};
	struct secret_text t;
	struct buf b;
	assert_int_equal(secret_key_passphrase(&k, "correct horse\n", 14, NULL), 0);
	assert_int_equal(secret_key_passphrase(&wrong, "correct house", 13, NULL), 0);
	sealed_by(k, "x", "secret", 6, &b);
	secret_key_free(k);
	assert_int_equal(secret_key_passphrase(&k, "correct horse", 13, NULL), 0); /* the newline does not count */
	assert_int_equal(secret_open(k, "x", b.data, b.len, &t, NULL, NULL), 0);
	assert_memory_equal(t.data, "secret", 6);
	secret_text_free(&t);
	expect_refused(wrong, NULL, b.data, b.len, ERR_SECRET_KEY);
	expect_refused(raw, NULL, b.data, b.len, ERR_SECRET_KEY);
	b.data[15] = 1; /* 16 million passes: refused before they are made */
	expect_refused(k, NULL, b.data, b.len, ERR_SECRET_SEAL);
	b.data[15] = 0;
	b.data[19] = 1; /* 16 GiB */
	expect_refused(k, NULL, b.data, b.len, ERR_SECRET_SEAL);
	secret_key_free(k);
	assert_int_equal(secret_key_passphrase(&k, "short", 5, &e), -EINVAL);
	assert_null(k);
	buf_done(&b);
	secret_key_free(wrong);
	secret_key_free(raw);
}

static void names_are_relative_paths(void **state)
{
	(void)state;
	static const char *const good[] = {"a", "app/api_key", "..a/b..", "\xc3\xa9"};
	static const char *const bad[] = {"", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "a\nb", "a\x7f"};
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(secret_name_check(good[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(secret_name_check(bad[i], NULL), -EINVAL);
	char name[SECRET_NAME_MAX + 2];
	memset(name, 'a', sizeof name);
	name[sizeof name - 1] = 0;
	assert_int_equal(secret_name_check(name, NULL), -EINVAL);
	name[SECRET_NAME_MAX] = 0;
	assert_int_equal(secret_name_check(name, NULL), 0);
}

static void a_key_is_written_in_three_ways(void **state)
{
	(void)state;
	static const char *const same[] = {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=\n",
					   "6161616161616161616161616161616161616161616161616161616161616161 \n"};
	static const char *const bad[] = {"", "aaaa", "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYQ==",
					  "616161616161616161616161616161616161616161616161616161616161616"};
	struct secret_key *k = key_of('a'), *other;
	struct buf b;
	sealed_by(k, "x", "secret", 6, &b);
	secret_key_free(k);
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		struct secret_text t;
		assert_int_equal(secret_key_new(&other, same[i], strlen(same[i]), "the test", NULL), 0);
		assert_int_equal(secret_open(other, NULL, b.data, b.len, &t, NULL, NULL), 0);
		secret_text_free(&t);
		secret_key_free(other);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = {0};
		assert_int_equal(secret_key_new(&other, bad[i], strlen(bad[i]), "the test", &e), -EINVAL);
		assert_int_equal(e.code, ERR_SECRET_INVALID);
		assert_null(other);
	}
	buf_done(&b);
}

/* ---- where keys are found ---- */

static void put_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, mode) == 0);
	close(fd);
}

static enum err_code found(const struct secret_key_places *at)
{
	struct secret_key *k;
	struct err e = {0};
	int r = secret_key_find(&k, at, &e);
	assert_true((r == 0) == (k != NULL));
	secret_key_free(k);
	return r < 0 ? e.code : ERR_NONE;
}

static void a_key_that_is_there_and_does_not_serve_is_refused(void **state)
{
	(void)state;
	char dir[] = "/tmp/symbi-secret.XXXXXX", path[64], link_path[64];
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/key", dir);
	snprintf(link_path, sizeof link_path, "%s/link", dir);
	unsetenv("CREDENTIALS_DIRECTORY");
	unsetenv("SYMBIONT_MASTER_KEY");
	unsetenv("SYMBIONT_MASTER_KEY_FILE");
	struct secret_key_places none = {.passphrase_fd = -1, .in_use = path}, asked = {.file = path, .passphrase_fd = -1};
	assert_int_equal(found(&none), ERR_SECRET_KEY);
	setenv("SYMBIONT_MASTER_KEY", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1);
	assert_int_equal(found(&none), ERR_NONE);
	put_file(path, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0640); /* found first, and others may read it */
	assert_int_equal(found(&none), ERR_SECRET_INVALID);
	put_file(path, "no key", 0600);
	assert_int_equal(found(&none), ERR_SECRET_INVALID);
	assert_int_equal(found(&asked), ERR_SECRET_INVALID);
	assert_int_equal(symlink("key", link_path), 0);
	put_file(path, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0600);
	assert_int_equal(found(&asked), ERR_NONE);
	asked.file = link_path;
	assert_int_equal(found(&asked), ERR_SYS_IO);
	setenv("SYMBIONT_MASTER_KEY_FILE", "/nowhere/key", 1);
	assert_int_equal(found(&none), ERR_SYS_IO);
	unsetenv("SYMBIONT_MASTER_KEY_FILE");
	struct err e = {0};
	assert_int_equal(secret_key_make(path, &e), -EEXIST); /* never over one that is there */
	assert_int_equal(found(&none), ERR_NONE);
	unlink(path);
	assert_int_equal(secret_key_make(path, &e), 0);
	assert_int_equal(found(&none), ERR_NONE);
	struct stat st;
	assert_true(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
	unlink(path);
	unlink(link_path);
	rmdir(dir);
	unsetenv("SYMBIONT_MASTER_KEY");
}

/* ---- Symbiont's forms ---- */

static size_t gcm(const unsigned char *key, const unsigned char *nonce, const char *plain, unsigned char *out)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n, m;
	EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce);
	EVP_EncryptUpdate(c, out, &n, (const unsigned char *)plain, (int)strlen(plain));
	EVP_EncryptFinal_ex(c, out + n, &m);
	EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, out + n);
	EVP_CIPHER_CTX_free(c);
	return (size_t)n + 16;
}

static const char key_text[] = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=";

static void expect_legacy(const struct secret_key *k, const void *sealed, size_t len, enum err_code want)
{
	struct secret_text t;
	struct err e = {0};
	int r = secret_open_legacy(k, sealed, len, &t, &e);
	assert_int_equal(r < 0 ? e.code : ERR_NONE, want);
	if (r == 0)
		assert_true(t.len == 6 && memcmp(t.data, "secret", 6) == 0);
	secret_text_free(&t);
}

static void what_symbionts_command_sealed_is_opened(void **state)
{
	(void)state;
	struct secret_key *k, *other = key_of('b');
	unsigned char raw[32], blob[64];
	memset(raw, 'a', sizeof raw);
	randombytes_buf(blob, 12);
	blob[0] = 1; /* no JSON */
	size_t len = 12 + gcm(raw, blob, "secret", blob + 12);
	assert_int_equal(secret_key_new(&k, key_text, strlen(key_text), "the test", NULL), 0);
	expect_legacy(k, blob, len, ERR_NONE);
	expect_legacy(other, blob, len, ERR_SECRET_SEAL);
	expect_legacy(k, blob, len - 1, ERR_SECRET_SEAL);
	expect_legacy(k, blob, 27, ERR_SECRET_SEAL);
	secret_key_free(k);
	secret_key_free(other);
}

static void store_form(const char *label, uint32_t t, uint32_t kib, char out[static 1024])
{
	unsigned char salt[32], key[32], nonce[12], body[64];
	char s64[64], n64[32], b64[128];
	randombytes_buf(salt, sizeof salt);
	randombytes_buf(nonce, sizeof nonce);
	assert_int_equal(argon2id_hash_raw(t, kib, 1, key_text, strlen(key_text), salt, sizeof salt, key, sizeof key), 0);
	size_t len = gcm(key, nonce, "secret", body);
	sodium_bin2base64(s64, sizeof s64, salt, sizeof salt, sodium_base64_VARIANT_ORIGINAL);
	sodium_bin2base64(n64, sizeof n64, nonce, sizeof nonce, sodium_base64_VARIANT_ORIGINAL);
	sodium_bin2base64(b64, sizeof b64, body, len, sodium_base64_VARIANT_ORIGINAL);
	snprintf(out, 1024,
		 "{\"ciphertext\":\"%s\",\"nonce\":\"%s\",\"salt\":\"%s\",\"algorithm\":\"AES-256-GCM\",\"kdf\":\"%s\"}", b64, n64,
		 s64, label);
}

static void what_symbionts_store_sealed_is_opened_by_its_label_alone(void **state)
{
	(void)state;
	char json[1024];
	struct secret_key *k;
	assert_int_equal(secret_key_new(&k, key_text, strlen(key_text), "the test", NULL), 0);
	store_form("Argon2id-m65536-t3-p1", 3, 65536, json);
	expect_legacy(k, json, strlen(json), ERR_NONE);
	store_form("Argon2", 2, 19456, json);
	expect_legacy(k, json, strlen(json), ERR_NONE);
	store_form("Argon3", 2, 19456, json);
	expect_legacy(k, json, strlen(json), ERR_SECRET_SEAL);
	store_form("Argon2id-m65536-t3-p1", 2, 19456, json); /* never tried with the weaker costs */
	expect_legacy(k, json, strlen(json), ERR_SECRET_SEAL);
	expect_legacy(k, "{}", 2, ERR_SECRET_SEAL);
	secret_key_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sealed_is_opened),
		cmocka_unit_test(the_same_secret_is_never_sealed_alike),
		cmocka_unit_test(every_changed_bit_and_every_cut_is_refused),
		cmocka_unit_test(a_secret_in_anothers_place_is_refused),
		cmocka_unit_test(a_new_key_opens_what_was_wrapped_anew),
		cmocka_unit_test(a_passphrase_opens_within_bounds),
		cmocka_unit_test(names_are_relative_paths),
		cmocka_unit_test(a_key_is_written_in_three_ways),
		cmocka_unit_test(a_key_that_is_there_and_does_not_serve_is_refused),
		cmocka_unit_test(what_symbionts_command_sealed_is_opened),
		cmocka_unit_test(what_symbionts_store_sealed_is_opened_by_its_label_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
