/* SPDX-License-Identifier: MIT */
/* test_vectors_crypto.c - the ciphers and signatures that secrets and the audit trail stand on, by the vectors of others:
 * tests/data/vectors. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/note.h"
#include "runtime/secret_i.h"
#include "tests/support/check.h"

#define BYTES_MAX 4096

struct bytes {
	unsigned char data[BYTES_MAX];
	size_t len;
};

static void read_hex(const char *word, struct bytes *out)
{
	out->len = 0;
	if (!word || strcmp(word, "-") == 0)
		return;
	assert_int_equal(sodium_hex2bin(out->data, sizeof out->data, word, strlen(word), NULL, &out->len, NULL), 0);
}

/* Each line's words to fn; how many lines. */
static unsigned each(const char *name, void (*fn)(char **word, bool valid))
{
	char path[512], *line = NULL, *words[8];
	size_t cap = 0;
	unsigned lines = 0;
	snprintf(path, sizeof path, "%s/tests/data/vectors/%s", SYMBI_SOURCE_DIR, name);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	while (getline(&line, &cap, f) > 0) {
		size_t n = 0;
		char *save = NULL;
		for (char *w = strtok_r(line, " \n", &save); w && n < 8; w = strtok_r(NULL, " \n", &save))
			words[n++] = w;
		if (!n || words[0][0] == '#')
			continue;
		fn(words, strcmp(words[n - 1], "valid") == 0);
		lines++;
	}
	free(line);
	fclose(f);
	return lines;
}

/* ID KEY NONCE AAD TEXT CIPHERTEXT TAG RESULT */
static void gcm_vector(char **w, bool valid)
{
	static struct bytes key, nonce, aad, text, sealed, tag, out;
	read_hex(w[1], &key);
	read_hex(w[2], &nonce);
	read_hex(w[3], &aad);
	read_hex(w[4], &text);
	read_hex(w[5], &sealed);
	read_hex(w[6], &tag);
	assert_int_equal(key.len, KEY_BYTES);
	assert_int_equal(nonce.len, NONCE_BYTES);
	memcpy(sealed.data + sealed.len, tag.data, TAG_BYTES);
	size_t half = aad.len / 2; /* it is given in two parts */
	struct gcm g = {.key = key.data, .nonce = nonce.data, .aad = aad.data, .aad_len = half, .more = aad.data + half,
			.more_len = aad.len - half};
	int r = gcm_open(&g, sealed.data, sealed.len, out.data);
	if ((r == 0) != valid)
		fail_msg("%s: %s", w[0], valid ? "does not open" : "opens");
	if (!valid)
		return;
	assert_memory_equal(out.data, text.data, text.len);
	assert_int_equal(gcm_seal(&g, text.data, text.len, out.data, NULL), 0);
	if (memcmp(out.data, sealed.data, sealed.len + TAG_BYTES) != 0)
		fail_msg("%s: is sealed otherwise", w[0]);
}

/* ID PUBLIC_KEY MESSAGE SIGNATURE RESULT */
static void ed25519_vector(char **w, bool valid)
{
	static struct bytes key, text, sig;
	read_hex(w[1], &key);
	read_hex(w[2], &text);
	read_hex(w[3], &sig);
	bool good = sig.len == crypto_sign_BYTES && crypto_sign_verify_detached(sig.data, text.data, text.len, key.data) == 0;
	if (good != valid)
		fail_msg("%s: %s", w[0], valid ? "is refused" : "is taken");
}

static void aes_256_gcm_opens_and_seals_as_others_do(void **state)
{
	(void)state;
	assert_true(each("aes_256_gcm.txt", gcm_vector) >= 70);
}

static void ed25519_takes_and_refuses_what_others_do(void **state)
{
	(void)state;
	assert_true(sodium_init() >= 0);
	assert_true(each("ed25519.txt", ed25519_vector) >= 150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aes_256_gcm_opens_and_seals_as_others_do),
		cmocka_unit_test(ed25519_takes_and_refuses_what_others_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
