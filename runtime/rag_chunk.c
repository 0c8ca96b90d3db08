/* SPDX-License-Identifier: MIT */
/* rag_chunk.c - a text in pieces. L2; any thread. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "runtime/rag_text.h"

#define LEVELS 6

struct line {
	const char *text;
	size_t len; /* without what ends it */
};

struct cutting {
	enum rag_type type;
	const char *text; /* all of it */
	int (*fn)(void *arg, const struct rag_chunk *c);
	void *arg;
	size_t start, end; /* of the piece so far; end: behind its last line */
	unsigned line, line_end;
	bool has_body; /* something but headings */
	bool fenced;
	char fence; /* '`' or '~' */
	bool blank; /* the last line was */
	char heading[LEVELS][80];
};

static bool is_blank(const struct line *l)
{
	for (size_t i = 0; i < l->len; i++)
		if (!isspace((unsigned char)l->text[i]))
			return false;
	return true;
}

/* `## Title` gives 2; 0: no heading. */
static unsigned heading_level(const struct line *l)
{
	unsigned n = 0;
	while (n < l->len && l->text[n] == '#')
		n++;
	return n > 0 && n <= LEVELS && n < l->len && l->text[n] == ' ' ? n : 0;
}

static void set_heading(struct cutting *c, unsigned level, const struct line *l)
{
	const char *p = l->text + level, *end = l->text + l->len;
	while (p < end && *p == ' ')
		p++;
	while (end > p && (end[-1] == '#' || isspace((unsigned char)end[-1])))
		end--;
	size_t n = (size_t)(end - p);
	if (n >= sizeof c->heading[0])
		for (n = sizeof c->heading[0] - 1; n && ((unsigned char)p[n] & 0xc0) == 0x80;)
			n--;
	memcpy(c->heading[level - 1], p, n);
	c->heading[level - 1][n] = 0;
	for (unsigned i = level; i < LEVELS; i++)
		c->heading[i][0] = 0;
}

static void heading_path(const struct cutting *c, char out[RAG_HEADING_MAX])
{
	size_t at = 0;
	out[0] = 0;
	for (unsigned i = 0; i < LEVELS; i++) {
		size_t n = strlen(c->heading[i]);
		if (!n || at + n + 4 > RAG_HEADING_MAX)
			continue;
		at += (size_t)snprintf(out + at, RAG_HEADING_MAX - at, "%s%s", at ? " > " : "", c->heading[i]);
	}
}

/* Hand out what there is. */
static int cut(struct cutting *c)
{
	char heading[RAG_HEADING_MAX];
	struct rag_chunk out = {c->start, c->end - c->start, c->line, c->line_end, heading};
	int r = 0;
	for (; out.len && isspace((unsigned char)c->text[out.start]); out.start++, out.len--)
		out.line += c->text[out.start] == '\n';
	for (; out.len && isspace((unsigned char)c->text[out.start + out.len - 1]); out.len--)
		out.line_end -= c->text[out.start + out.len - 1] == '\n' && out.start + out.len < c->end;
	if (out.len) {
		heading_path(c, heading);
		r = c->fn(c->arg, &out);
	}
	c->start = c->end;
	c->has_body = false;
	return r;
}

/* Where a line that is longer than a piece may be is cut: behind a blank, else before a character. */
static size_t cut_within(const char *text, size_t len)
{
	size_t n = RAG_CHUNK_MAX;
	if (len <= n)
		return len;
	for (size_t i = n; i > RAG_CHUNK_TARGET / 2; i--)
		if (isspace((unsigned char)text[i - 1]))
			return i;
	while (n > 1 && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	return n;
}

static int long_line(struct cutting *c, const struct line *l, unsigned number)
{
	int r = c->end > c->start ? cut(c) : 0;
	size_t from = (size_t)(l->text - c->text);
	for (size_t at = 0, n; r >= 0 && at < l->len; at += n) {
		n = cut_within(l->text + at, l->len - at);
		c->start = from + at;
		c->end = from + at + n;
		c->line = c->line_end = number;
		r = cut(c);
	}
	return r;
}

static bool is_fence(struct cutting *c, const struct line *l)
{
	size_t i = 0;
	while (i < l->len && i < 4 && l->text[i] == ' ')
		i++;
	if (i + 3 > l->len || (l->text[i] != '`' && l->text[i] != '~') || l->text[i + 1] != l->text[i] ||
	    l->text[i + 2] != l->text[i])
		return false;
	if (c->fenced)
		return l->text[i] == c->fence;
	c->fence = l->text[i];
	return true;
}

/* Does a piece end before this line? */
static bool ends_before(const struct cutting *c, const struct line *l, unsigned level)
{
	size_t size = c->end - c->start;
	if (!size)
		return false;
	if (size + l->len > RAG_CHUNK_MAX || (c->type == RAG_JSONL))
		return true;
	if (c->fenced)
		return false;
	if (level)
		return c->has_body;
	if (c->type == RAG_CODE)
		return c->blank && size >= RAG_CHUNK_TARGET / 2 && l->len && !isspace((unsigned char)l->text[0]) && l->text[0] != '}';
	return c->blank && size >= RAG_CHUNK_TARGET;
}

static int take_line(struct cutting *c, const struct line *l, unsigned number, size_t behind)
{
	bool marked = c->type == RAG_MARKDOWN || c->type == RAG_HTML || c->type == RAG_PDF;
	unsigned level = marked && !c->fenced ? heading_level(l) : 0;
	bool blank = is_blank(l);
	int r = ends_before(c, l, level) ? cut(c) : 0;
	if (r < 0)
		return r;
	if (l->len > RAG_CHUNK_MAX) {
		r = long_line(c, l, number);
		c->start = c->end = behind;
		return r;
	}
	if (level)
		set_heading(c, level, l);
	if (c->type == RAG_MARKDOWN && is_fence(c, l))
		c->fenced = !c->fenced;
	if (c->start == c->end)
		c->line = number;
	c->has_body |= !level && !blank;
	c->blank = blank;
	c->end = behind;
	c->line_end = number;
	return 0;
}

int rag_chunks(enum rag_type t, const char *text, size_t len, int (*fn)(void *arg, const struct rag_chunk *c), void *arg)
{
	struct cutting c = {.type = t, .text = text, .fn = fn, .arg = arg};
	unsigned number = 1;
	int r = 0;
	for (size_t at = 0; r >= 0 && at < len;) {
		size_t n = at;
		while (n < len && text[n] != '\n' && text[n] != '\r')
			n++;
		struct line l = {text + at, n - at};
		size_t behind = n < len ? n + 1 : n;
		if (n + 1 < len && text[n] == '\r' && text[n + 1] == '\n')
			behind++;
		r = take_line(&c, &l, number, behind);
		number += behind > n && text[behind - 1] == '\n';
		at = behind;
	}
	return r < 0 ? r : cut(&c);
}
