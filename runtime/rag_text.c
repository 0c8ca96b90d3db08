/* SPDX-License-Identifier: MIT */
/* rag_text.c - what documents are, and their text. L2; any thread. */
#include "runtime/rag_text.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/mem.h"

#define BINARY_LOOK (64u << 10)

static const struct {
	const char *suffix;
	enum rag_type type;
} suffixes[] = {
	{".md", RAG_MARKDOWN}, {".markdown", RAG_MARKDOWN}, {".mdx", RAG_MARKDOWN}, {".html", RAG_HTML},
	{".htm", RAG_HTML},    {".xhtml", RAG_HTML},	    {".jsonl", RAG_JSONL},  {".ndjson", RAG_JSONL},
	{".c", RAG_CODE},      {".h", RAG_CODE},	    {".cc", RAG_CODE},	    {".cpp", RAG_CODE},
	{".hpp", RAG_CODE},    {".rs", RAG_CODE},	    {".go", RAG_CODE},	    {".py", RAG_CODE},
	{".js", RAG_CODE},     {".ts", RAG_CODE},	    {".jsx", RAG_CODE},	    {".tsx", RAG_CODE},
	{".java", RAG_CODE},   {".rb", RAG_CODE},	    {".sh", RAG_CODE},	    {".bash", RAG_CODE},
	{".lua", RAG_CODE},    {".sql", RAG_CODE},	    {".php", RAG_CODE},	    {".swift", RAG_CODE},
	{".kt", RAG_CODE},     {".scala", RAG_CODE},	    {".cs", RAG_CODE},	    {".toml", RAG_CODE},
	{".pdf", RAG_PDF},     {".yaml", RAG_CODE},   {".yml", RAG_CODE},	    {".ini", RAG_CODE},	    {".cmake", RAG_CODE},
};

enum rag_type rag_type_of(const char *file)
{
	const char *dot = strrchr(file, '.');
	for (size_t i = 0; dot && i < ARRAY_LEN(suffixes); i++)
		if (strcasecmp(dot, suffixes[i].suffix) == 0)
			return suffixes[i].type;
	return RAG_PLAIN;
}

const char *rag_type_name(enum rag_type t)
{
	static const char *const names[] = {"plain", "markdown", "code", "html", "jsonl", "pdf"};
	return names[t];
}

bool rag_is_converted(enum rag_type t)
{
	return t == RAG_HTML || t == RAG_JSONL;
}

int rag_check_text(const char *data, size_t len, struct err *e)
{
	static const struct {
		const char *bytes, *what;
	} signatures[] = {
		{"%PDF-", "a PDF file (not named .pdf)"},  {"PK\3\4", "a zip archive or an office document"},
		{"\x1f\x8b", "a gzip file"},	   {"\x89PNG", "a picture"},
		{"\xff\xd8\xff", "a picture"},	   {"GIF8", "a picture"},
		{"\x7f" "ELF", "a program"},	   {"\xff\xfe", "UTF-16 text"},
		{"\xfe\xff", "UTF-16 text"},	   {"\xfd" "7zXZ", "an xz file"},
		{"\x28\xb5\x2f\xfd", "a zstd file"},
	};
	for (size_t i = 0; i < ARRAY_LEN(signatures); i++) {
		size_t n = strlen(signatures[i].bytes);
		if (len >= n && memcmp(data, signatures[i].bytes, n) == 0)
			return err_set(e, ERR_RAG_UNREADABLE, "it is %s; text is read as UTF-8: convert it first (pdftotext, pandoc, "
				       "iconv)", signatures[i].what);
	}
	const char *nul = memchr(data, 0, len < BINARY_LOOK ? len : BINARY_LOOK);
	if (nul)
		return err_set(e, ERR_RAG_UNREADABLE, "it is binary: byte %zu is NUL", (size_t)(nul - data));
	return 0;
}

/* ---- HTML ---- */

struct html {
	const char *p, *end;
	struct buf *out;
};

static bool is_word(const char *p, size_t len, const char *word)
{
	return strlen(word) == len && strncasecmp(p, word, len) == 0;
}

static bool is_one_of(const char *p, size_t len, const char *const *words)
{
	for (; *words; words++)
		if (is_word(p, len, *words))
			return true;
	return false;
}

/* A break of the text that is none of the document's lines. */
static void soft_break(struct html *h)
{
	char last = h->out->len ? h->out->data[h->out->len - 1] : '\n';
	if (last != '\n' && last != '\r')
		buf_add(h->out, "\r", 1);
}

static void keep_lines(struct html *h, const char *from, const char *to)
{
	for (; from < to; from++)
		if (*from == '\n')
			buf_add(h->out, "\n", 1);
}

/* Leave out everything up to and with `</name>`. */
static void skip_element(struct html *h, const char *name, size_t len)
{
	const char *from = h->p;
	for (; h->p < h->end; h->p++) {
		if (h->p[0] != '<' || (size_t)(h->end - h->p) < len + 2 || h->p[1] != '/' ||
		    strncasecmp(h->p + 2, name, len) != 0)
			continue;
		while (h->p < h->end && *h->p != '>')
			h->p++;
		h->p += h->p < h->end;
		break;
	}
	keep_lines(h, from, h->p);
}

/* Behind the tag that begins at p, with attributes in quotes. */
static const char *tag_end(const char *p, const char *end)
{
	char quote = 0;
	for (; p < end; p++) {
		if (quote)
			quote = *p == quote ? 0 : quote;
		else if (*p == '"' || *p == '\'')
			quote = *p;
		else if (*p == '>')
			return p + 1;
	}
	return end;
}

static void tag(struct html *h)
{
	static const char *const unseen[] = {"script", "style", "noscript", "template", "svg", "head", NULL};
	static const char *const blocks[] = {"p",   "div", "br",  "li",	     "ul",     "ol",	  "tr",	     "table", "section", "article", "pre",
					     "dt",  "dd",  "hr",  "header", "footer", "nav", "main", "blockquote", "figure", NULL};
	const char *from = h->p, *name = h->p + 1;
	bool closes = name < h->end && *name == '/';
	name += closes;
	size_t len = 0;
	while (name + len < h->end && isalnum((unsigned char)name[len]))
		len++;
	if ((size_t)(h->end - from) >= 4 && memcmp(from, "<!--", 4) == 0) {
		const char *close = memmem(from + 4, (size_t)(h->end - from) - 4, "-->", 3);
		h->p = close ? close + 3 : h->end;
		keep_lines(h, from, h->p);
		return;
	}
	if (!len && !closes && (name >= h->end || (*name != '!' && *name != '?'))) { /* a < b */
		buf_add(h->out, "<", 1);
		h->p++;
		return;
	}
	h->p = tag_end(from, h->end);
	keep_lines(h, from, h->p);
	if (!closes && is_one_of(name, len, unseen) && h->p[-1] == '>' && h->p[-2] != '/') {
		skip_element(h, name, len);
	} else if (len == 2 && (name[0] == 'h' || name[0] == 'H') && name[1] >= '1' && name[1] <= '6') {
		soft_break(h);
		if (!closes)
			buf_printf(h->out, "%.*s ", name[1] - '0', "######");
	} else if (is_one_of(name, len, blocks)) {
		soft_break(h);
	}
}

static const struct {
	const char *name, *text;
} entities[] = {
	{"amp", "&"},	   {"lt", "<"},	      {"gt", ">"},	   {"quot", "\""},	 {"apos", "'"},	       {"nbsp", " "},
	{"mdash", "\xe2\x80\x94"}, {"ndash", "\xe2\x80\x93"}, {"hellip", "\xe2\x80\xa6"}, {"lsquo", "\xe2\x80\x98"},
	{"rsquo", "\xe2\x80\x99"}, {"ldquo", "\xe2\x80\x9c"}, {"rdquo", "\xe2\x80\x9d"},  {"copy", "\xc2\xa9"},
	{"auml", "\xc3\xa4"},	   {"ouml", "\xc3\xb6"},      {"uuml", "\xc3\xbc"},	  {"szlig", "\xc3\x9f"},
	{"eacute", "\xc3\xa9"},	   {"egrave", "\xc3\xa8"},    {"agrave", "\xc3\xa0"},	  {"ccedil", "\xc3\xa7"},
};

static void put_code_point(struct buf *out, uint32_t c)
{
	char s[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	if (c < 9 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
		buf_add(out, "\xef\xbf\xbd", 3);
		return;
	}
	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		s[i] = (char)(0x80 | (c & 0x3f));
	s[0] = (char)(n == 1 ? c : (n == 2 ? 0xc0u : n == 3 ? 0xe0u : 0xf0u) | c);
	buf_add(out, s, n);
}

/* What is more than any code point is 0. false: it is none. */
static bool number_of(const char *p, const char *end, unsigned base, uint32_t *ret)
{
	uint32_t c = 0;
	if (p >= end)
		return false;
	for (; p < end; p++) {
		unsigned d = isdigit((unsigned char)*p) ? (unsigned)(*p - '0') : base == 16 && isxdigit((unsigned char)*p) ? (unsigned)((*p | 32) - 'a' + 10) : 99;
		if (d >= base)
			return false;
		c = c > 0x10ffff ? c : c * base + d;
	}
	*ret = c > 0x10ffff ? 0 : c;
	return true;
}

static void entity(struct html *h)
{
	const char *semi = memchr(h->p, ';', h->end - h->p < 12 ? (size_t)(h->end - h->p) : 12);
	size_t len = semi ? (size_t)(semi - h->p) - 1 : 0;
	bool hex = len > 2 && (h->p[2] == 'x' || h->p[2] == 'X');
	uint32_t c;
	if (len > 1 && h->p[1] == '#' && number_of(h->p + (hex ? 3 : 2), semi, hex ? 16 : 10, &c)) {
		put_code_point(h->out, c == '\n' ? ' ' : c);
		h->p = semi + 1;
		return;
	}
	for (size_t i = 0; semi && i < ARRAY_LEN(entities); i++)
		if (strlen(entities[i].name) == len && memcmp(entities[i].name, h->p + 1, len) == 0) {
			buf_adds(h->out, entities[i].text);
			h->p = semi + 1;
			return;
		}
	buf_add(h->out, h->p++, 1);
}

static int convert_html(const char *data, size_t len, struct buf *out)
{
	struct html h = {data, data + len, out};
	while (h.p < h.end && !out->fail) {
		const char *from = h.p;
		while (h.p < h.end && *h.p != '<' && *h.p != '&')
			h.p++;
		buf_add(out, from, (size_t)(h.p - from));
		if (h.p < h.end && *h.p == '<')
			tag(&h);
		else if (h.p < h.end)
			entity(&h);
	}
	return out->fail;
}

/* ---- JSONL ---- */

/* A string within one line: its own line breaks are none of the document's. */
static void put_string(struct buf *out, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = s[i] == '\n' ? '\r' : s[i] ? s[i] : ' ';
		buf_add(out, &c, 1);
	}
	buf_add(out, "\r", 1);
}

static void put_strings(struct buf *out, const json_t *v)
{
	const char *key;
	json_t *child;
	size_t i;
	if (json_is_string(v))
		put_string(out, json_string_value(v), json_string_length(v));
	json_array_foreach(v, i, child)
		put_strings(out, child);
	json_object_foreach((json_t *)v, key, child)
		put_strings(out, child);
}

static int convert_jsonl(const char *data, size_t len, struct buf *out)
{
	for (size_t at = 0; at < len && !out->fail;) {
		const char *nl = memchr(data + at, '\n', len - at);
		size_t n = nl ? (size_t)(nl - data) - at : len - at;
		json_t *v = json_loadb(data + at, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		if (v)
			put_strings(out, v);
		else
			buf_add(out, data + at, n);
		json_decref(v);
		if (nl)
			buf_add(out, "\n", 1);
		at += n + (nl != NULL);
	}
	return out->fail;
}

int rag_convert(enum rag_type t, const char *data, size_t len, struct buf *out)
{
	return t == RAG_HTML ? convert_html(data, len, out) : convert_jsonl(data, len, out);
}
