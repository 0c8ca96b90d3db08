/* SPDX-License-Identifier: MIT */
/* test_rag_text.c - documents as text, and text in pieces: every byte that is not a blank is in exactly one piece, in order,
 * under its true line; what HTML and JSONL become keeps the lines of the document. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/rag_text.h"
#include "tests/support/check.h"

struct pieces {
	const char *text;
	size_t len, at; /* at: behind the last piece */
	unsigned n;
	struct rag_chunk c[64];
	char heading[64][RAG_HEADING_MAX];
};

static unsigned line_of(const char *text, size_t at)
{
	unsigned line = 1;
	for (size_t i = 0; i < at; i++)
		line += text[i] == '\n';
	return line;
}

static int take(void *arg, const struct rag_chunk *c)
{
	struct pieces *p = arg;
	assert_true(c->start >= p->at && c->len > 0 && c->start + c->len <= p->len);
	for (size_t i = p->at; i < c->start; i++)
		assert_true(isspace((unsigned char)p->text[i]));
	assert_true(!isspace((unsigned char)p->text[c->start]) && !isspace((unsigned char)p->text[c->start + c->len - 1]));
	assert_true(c->len <= RAG_CHUNK_MAX);
	assert_int_equal(c->line, line_of(p->text, c->start));
	assert_int_equal(c->line_end, line_of(p->text, c->start + c->len - 1));
	p->at = c->start + c->len;
	if (p->n < 64) {
		p->c[p->n] = *c;
		snprintf(p->heading[p->n], RAG_HEADING_MAX, "%s", c->heading);
	}
	p->n++;
	return 0;
}

static void cut(struct pieces *p, enum rag_type t, const char *text, size_t len)
{
	*p = (struct pieces){.text = text, .len = len};
	assert_int_equal(rag_chunks(t, text, len, take, p), 0);
	for (size_t i = p->at; i < len; i++)
		assert_true(isspace((unsigned char)text[i]));
}

static void headings_make_paths(void **state)
{
	(void)state;
	struct pieces p;
	const char *text = "# Guide\n\nIntro.\n\n## Install ##\n\nRun apt.\n\n### Debian\nTwelve.\n## Use\nIt.\n";
	cut(&p, RAG_MARKDOWN, text, strlen(text));
	assert_int_equal(p.n, 4);
	assert_string_equal(p.heading[0], "Guide");
	assert_string_equal(p.heading[1], "Guide > Install");
	assert_string_equal(p.heading[2], "Guide > Install > Debian");
	assert_string_equal(p.heading[3], "Guide > Use");
	assert_int_equal(p.c[2].line, 9);
	assert_int_equal(p.c[2].line_end, 10);
}

/* Put text at `at`; its length. */
static size_t put(char *at, const char *text)
{
	size_t len = strlen(text);
	memcpy(at, text, len + 1);
	return len;
}

static void a_fenced_block_is_whole(void **state)
{
	(void)state;
	struct pieces p;
	char text[4000], *at = text;
	at += put(at, "# A\n\n```\n");
	for (int i = 0; i < 90; i++)
		at += put(at, i % 4 ? "# comment\n" : "\n");
	at += put(at, "```\n\n# B\ntext\n");
	cut(&p, RAG_MARKDOWN, text, (size_t)(at - text));
	assert_int_equal(p.n, 2); /* what looks like headings in it is code */
	assert_string_equal(p.heading[1], "B");
}

static void long_lines_and_long_paragraphs(void **state)
{
	(void)state;
	struct pieces p;
	size_t len = 100000;
	char *text = malloc(len);
	memset(text, 'x', len); /* no blank anywhere */
	cut(&p, RAG_PLAIN, text, len);
	assert_int_equal(p.n, (len + RAG_CHUNK_MAX - 1) / RAG_CHUNK_MAX);
	for (size_t i = 0; i + 2 < len; i += 3) /* a character of three bytes is never cut */
		memcpy(text + i, "\xe2\x82\xac", 3);
	text[len - 1] = 'x';
	cut(&p, RAG_PLAIN, text, len);
	for (unsigned i = 0; i < p.n && i < 64; i++)
		assert_true(((unsigned char)text[p.c[i].start] & 0xc0) != 0x80);
	for (size_t i = 0; i < len; i++)
		text[i] = i % 80 == 79 ? '\n' : 'w';
	cut(&p, RAG_PLAIN, text, len);
	assert_true(p.n > len / RAG_CHUNK_MAX);
	free(text);
}

static void random_texts_lose_nothing(void **state)
{
	(void)state;
	static const char *const bits[] = {"# H\n", "## Two\n", "\n", "word ", "a sentence. ", "\r\n", "```\n", "- item\n", "    code\n",
					   "{\n", "}\n", "\r", "int f(void)\n", "\t", "\xc3\xbc", "~~~\n"};
	unsigned seed = 3;
	char *text = malloc(20000);
	for (unsigned round = 0; round < 600; round++) {
		size_t len = 0, most = (size_t)rand_r(&seed) % 19000;
		while (len < most) {
			const char *bit = bits[(unsigned)rand_r(&seed) % (sizeof bits / sizeof *bits)];
			for (unsigned n = 1 + (unsigned)rand_r(&seed) % (round % 40 + 1); n && len + strlen(bit) < most + 10; n--) {
				memcpy(text + len, bit, strlen(bit));
				len += strlen(bit);
			}
		}
		struct pieces p;
		cut(&p, (enum rag_type)(round % 5), text, len);
	}
	free(text);
}

static void html_is_text(void **state)
{
	(void)state;
	static const struct {
		const char *html, *text;
	} rows[] = {
		{"<p>One &amp; two</p>", "One & two\r"},
		{"<h2 class=\"a>b\">Title</h2>x", "## Title\rx"},
		{"a<br>b", "a\rb"},
		{"x<script>if (a < b) {\n}</script>y", "x\ny"},
		{"<!-- gone\n -->z", "\nz"},
		{"1 < 2 &lt; 3 &#65;&#x42; &bogus; &", "1 < 2 < 3 AB &bogus; &"},
		{"<style>p{}</style><b>bold</b>", "bold"},
		{"<script>never ends", ""},
		{"<p", ""},
		{"&#0;&#xD800;&#99999999;", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"<script src=a />b", "b"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		autobuf struct buf b;
		buf_init(&b, 1000);
		assert_int_equal(rag_convert(RAG_HTML, rows[i].html, strlen(rows[i].html), &b), 0);
		assert_string_equal(b.data, rows[i].text);
	}
}

static void jsonl_is_its_strings(void **state)
{
	(void)state;
	const char *text = "{\"a\":\"one\",\"n\":3,\"b\":[\"two\",{\"c\":\"th\\nree\"}]}\nnot json\n\n\"x\"\n";
	autobuf struct buf b;
	buf_init(&b, 1000);
	assert_int_equal(rag_convert(RAG_JSONL, text, strlen(text), &b), 0);
	assert_string_equal(b.data, "one\rtwo\rth\rree\r\nnot json\n\nx\r\n");
}

/* Whatever the bytes are, lines are kept and nothing is read behind the end. */
static void any_bytes_keep_their_lines(void **state)
{
	(void)state;
	static const char signs[] = "<>&;/\"'=!-\n\nahps1234 script#x";
	unsigned seed = 5;
	for (unsigned round = 0; round < 20000; round++) {
		size_t len = (size_t)rand_r(&seed) % 120, lines = 0, want = 0;
		char *text = malloc(len ? len : 1);
		for (size_t i = 0; i < len; i++)
			text[i] = rand_r(&seed) % 40 ? signs[(unsigned)rand_r(&seed) % (sizeof signs - 1)] : (char)rand_r(&seed);
		autobuf struct buf b;
		buf_init(&b, 4000);
		assert_int_equal(rag_convert(round % 2 ? RAG_HTML : RAG_JSONL, text, len, &b), 0);
		for (size_t i = 0; i < len; i++)
			want += text[i] == '\n';
		for (size_t i = 0; i < b.len; i++)
			lines += b.data[i] == '\n';
		assert_int_equal(lines, want);
		free(text);
	}
}

static void what_is_no_text_is_told(void **state)
{
	(void)state;
	struct err e;
	assert_int_equal(rag_check_text("plain", 5, &e), 0);
	assert_int_equal(rag_check_text("", 0, &e), 0);
	assert_int_equal(rag_check_text("a\0b", 3, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "byte 1 is NUL"));
	assert_int_equal(rag_check_text("%PDF-1.7", 8, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "pdftotext"));
	assert_int_equal(rag_type_of("a.MD"), RAG_MARKDOWN);
	assert_int_equal(rag_type_of("x/y.c"), RAG_CODE);
	assert_int_equal(rag_type_of("none"), RAG_PLAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headings_make_paths),	       cmocka_unit_test(a_fenced_block_is_whole),
		cmocka_unit_test(long_lines_and_long_paragraphs), cmocka_unit_test(random_texts_lose_nothing),
		cmocka_unit_test(html_is_text),		       cmocka_unit_test(jsonl_is_its_strings),
		cmocka_unit_test(any_bytes_keep_their_lines),  cmocka_unit_test(what_is_no_text_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
