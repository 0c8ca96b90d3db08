/* SPDX-License-Identifier: MIT */
/* fuzz_rag.c - documents as text, in pieces, in terms. The first byte says what kind of document it is. Lines are kept, and
 * pieces cover all that is no blank, in order. */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rag_text.h"
#include "vectors/tokens.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	const char *text;
	size_t at, len;
};

static int take(void *arg, const struct rag_chunk *c)
{
	struct seen *s = arg;
	if (c->start < s->at || c->len == 0 || c->len > RAG_CHUNK_MAX || c->start + c->len > s->len || c->line > c->line_end)
		abort();
	for (size_t i = s->at; i < c->start; i++)
		if (!isspace((unsigned char)s->text[i]))
			abort();
	s->at = c->start + c->len;
	return 0;
}

static int term(void *arg, const char *text, size_t len)
{
	(void)arg;
	if (len == 0 || len > TOKEN_MAX + 8 || strlen(text) != len)
		abort();
	return 0;
}

static size_t lines(const char *text, size_t len)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tokens *t;
	autobuf struct buf b;
	buf_init(&b, 4u << 20);
	if (size == 0 || (!t && tokens_new(&t, NULL) < 0))
		return 0;
	enum rag_type type = (enum rag_type)(data[0] % 5);
	struct seen s = {(const char *)data + 1, 0, size - 1};
	rag_check_text(s.text, s.len, NULL);
	if (rag_is_converted(type)) {
		if (rag_convert(type, s.text, s.len, &b) < 0)
			return 0;
		if (lines(b.data, b.len) != lines(s.text, s.len))
			abort();
		s.text = b.data;
		s.len = b.len;
	}
	rag_chunks(type, s.text, s.len, take, &s);
	for (size_t i = s.at; i < s.len; i++)
		if (!isspace((unsigned char)s.text[i]))
			abort();
	tokens_each(t, s.text, s.len, term, NULL);
	return 0;
}
