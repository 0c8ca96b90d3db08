/* SPDX-License-Identifier: MIT */
/* fuzz_knowledge.c - what is kept of documents, and what people write about them. The first byte says what the rest is: a model, an
 * index of words (which is then searched), a question, a line of memory, a line of sharing. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/memory.h"
#include "runtime/rag.h"
#include "vectors/embed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
	const uint8_t *data;
	size_t len;
};

static int get(void *arg, void *to, size_t len)
{
	struct bytes *b = arg;
	if (len > b->len)
		return -EUCLEAN;
	if (len)
		memcpy(to, b->data, len);
	b->data += len;
	b->len -= len;
	return 0;
}

static void try_words(const uint8_t *data, size_t size, struct tokens *t)
{
	struct bytes b = {data, size};
	struct lexical *ix;
	struct lexical_scratch s = {0};
	struct lexical_hit hits[10];
	size_t n;
	if (lexical_load(&ix, size, get, &b) < 0)
		return;
	for (size_t i = 0; i < lexical_terms(ix) && i < 4; i++) {
		struct lexical_list l;
		const char *term = lexical_term(ix, i, &l);
		if (lexical_search(ix, term, strlen(term), t, NULL, &s, hits, 10, &n, NULL) < 0)
			abort();
		for (size_t j = 0; j < n; j++)
			if (!lexical_has(ix, hits[j].doc))
				abort();
	}
	lexical_scratch_done(&s);
	lexical_free(ix);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tokens *t;
	struct embed *m;
	float v[EMBED_DIM];
	if (size == 0 || (!t && tokens_new(&t, NULL) < 0))
		return 0;
	const char *text = (const char *)data + 1;
	size_t len = size - 1;
	switch (data[0] % 5) {
	case 0:
		if (embed_load(&m, text, len, NULL) == 0) {
			embed_text(m, "turbine", 7, t, v, NULL);
			embed_free(m);
		}
		break;
	case 1: try_words(data + 1, len, t); break;
	case 2: rag_check(text, len, NULL); break;
	case 3: memory_check(memory_keys[len % 5], text, len, NULL); break;
	case 4: share_check(text, len, NULL); break;
	}
	return 0;
}
