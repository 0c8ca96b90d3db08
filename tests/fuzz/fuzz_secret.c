/* SPDX-License-Identifier: MIT */
/* fuzz_secret.c - sealed secrets, ours and Symbiont's, as somebody else may have written them. The first byte says
 * which; ours are also made from the input and opened again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct secret_key *key(void)
{
	static struct secret_key *k;
	if (!k && secret_key_new(&k, "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk", 32, "the fuzzer", NULL) < 0)
		abort();
	return k;
}

static void round_trip(const uint8_t *data, size_t size)
{
	struct buf b;
	struct secret_text t;
	buf_init(&b, SECRET_MAX + 4096);
	if (secret_seal(key(), "fuzz/name", 1, data, size, &b, NULL) < 0 ||
	    secret_open(key(), "fuzz/name", b.data, b.len, &t, NULL, NULL) < 0 || t.len != size ||
	    (size && memcmp(t.data, data, size) != 0))
		abort();
	secret_text_free(&t);
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct secret_text t;
	struct secret_head h;
	if (size == 0)
		return 0;
	if (data[0] % 3 == 0)
		round_trip(data + 1, size - 1);
	else if (data[0] % 3 == 1 && secret_open_legacy(key(), data + 1, size - 1, &t, NULL) == 0)
		secret_text_free(&t);
	else if (secret_head_read(&h, data + 1, size - 1, NULL) == 0 && !h.passphrase &&
		 secret_open(key(), NULL, data + 1, size - 1, &t, NULL, NULL) == 0)
		secret_text_free(&t);
	return 0;
}
