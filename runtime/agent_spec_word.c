/* SPDX-License-Identifier: MIT */
/* agent_spec_word.c - words of a spec, and what the end of an unfinished text may still become. L2; any thread. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "runtime/agent_spec_i.h"

static bool ends_line(const struct spec_reader *r)
{
	return r->len && r->text[r->len - 1] == '\n';
}

/* Only what nothing follows can grow: the last value in YAML, one on the last line in TOML (whose tables are not
 * in the order of the text); JSON that parses is closed. */
static bool reaches_end(const struct spec_reader *r, const struct value *v)
{
	if (r->f == VALUE_YAML)
		return r->last;
	return r->f == VALUE_TOML && v->line == r->last_line && !ends_line(r);
}

static const char *last_line(const struct spec_reader *r)
{
	const char *nl = r->len ? memrchr(r->text, '\n', r->len) : NULL;
	return nl ? nl + 1 : r->text;
}

/* Where a comment begins in the last line, or NULL. */
static const char *comment(const struct spec_reader *r)
{
	const char *line = last_line(r), *end = r->text + r->len;
	for (const char *p = line; p < end; p++)
		if (*p == '#' && (p == line || p[-1] == ' ' || p[-1] == '\t'))
			return p;
	return NULL;
}

void spec_open_word(const struct spec_reader *r, const struct value *v, char word[static 64])
{
	const char *end = r->text + r->len, *p = end;
	word[0] = 0;
	if (!reaches_end(r, v) || ends_line(r) || comment(r))
		return;
	while (p > r->text && !strchr(r->f == VALUE_TOML ? " \t\n=" : " \t\n", p[-1]))
		p--;
	size_t n = (size_t)(end - p);
	if (n == 0 || n > 63 || memchr(p, 0, n))
		return;
	snprintf(word, 64, "%.*s", (int)n, p);
	if (strpbrk(word, "\"'[]{},") || (v->type == VALUE_STRING && strcmp(v->string.data, word) != 0) ||
	    v->type == VALUE_LIST || v->type == VALUE_MAP)
		word[0] = 0;
}

bool spec_open_line(const struct spec_reader *r, const struct value *v)
{
	const char *p = r->text + r->len;
	if (!reaches_end(r, v) || ends_line(r) || comment(r))
		return false;
	while (p > r->text && (p[-1] == ' ' || p[-1] == '\t'))
		p--;
	if (v->type != VALUE_STRING)
		return p > r->text && !strchr("\"'[]{},", p[-1]);
	/* A plain word is at the end as it is; a quoted one is not. */
	size_t n = v->string.len;
	return (size_t)(p - r->text) >= n && memcmp(p - n, v->string.data, n) == 0;
}

bool spec_open_empty(const struct spec_reader *r, const struct value *v)
{
	char word[64];
	const char *p = r->text + r->len;
	bool empty = v->type == VALUE_NULL || (v->type == VALUE_STRING && v->string.len == 0);
	if (!empty || (r->f == VALUE_YAML ? !r->last : !reaches_end(r, v)))
		return false;
	spec_open_word(r, v, word);
	if (word[0] || r->f == VALUE_TOML || comment(r))
		return true; /* null, ~, "" */
	while (p > r->text && isspace((unsigned char)p[-1]))
		p--;
	/* What is empty by quotes or by the word null is so for good once its line has ended. */
	bool given = p > r->text && strchr("\"'~lL", p[-1]);
	return !given || !ends_line(r);
}

bool spec_open_indicator(const struct spec_reader *r, const struct value *v)
{
	char end = r->len ? r->text[r->len - 1] : 0;
	if (r->f != VALUE_YAML || !r->last)
		return false;
	if (v->type == VALUE_LIST)
		return end == '-' && v->list.n == 1 && v->list.items[0].type == VALUE_NULL;
	return v->type == VALUE_MAP && (end == ':' || end == '?') && v->map.n == 1 &&
	       v->map.members[0].value.type == VALUE_NULL;
}

/* ---- words ---- */

static char plain(char c)
{
	return (char)tolower((unsigned char)c);
}

static const char *skip(const char *s)
{
	return s + strspn(s, "-_");
}

/* Is word a beginning of known, or all of it? */
static bool begins(const char *word, const char *known, size_t known_len, bool whole)
{
	const char *end = known + known_len;
	for (word = skip(word); *word; word = skip(word + 1)) {
		while (known < end && strchr("-_", *known))
			known++;
		if (known == end || plain(*word) != plain(*known))
			return false;
		known++;
	}
	while (known < end && strchr("-_", *known))
		known++;
	return !whole || known == end;
}

bool spec_same_word(const char *a, const char *b)
{
	return begins(a, b, strlen(b), true);
}

bool spec_begins_word(const char *word, const char *words)
{
	for (const char *w = words; *w; w += strcspn(w, " "), w += strspn(w, " "))
		if (begins(word, w, strcspn(w, " "), false))
			return true;
	return false;
}

bool spec_begins_key(const struct spec_reader *r, const struct value *v, const char *keys)
{
	const char *p = r->text + r->len;
	if (!keys && r->f == VALUE_YAML && spec_open_line(r, v))
		return true; /* `7` may become `7b: x` */
	if (r->f != VALUE_YAML || !r->last || ends_line(r) || v->type != VALUE_STRING)
		return false;
	while (p > r->text && (p[-1] == ' ' || p[-1] == '\t'))
		p--;
	bool quoted = p > r->text && strchr("\"'", p[-1]);
	size_t n = v->string.len;
	p -= quoted;
	if ((size_t)(p - r->text) < n || memcmp(p - n, v->string.data, n) != 0)
		return false;
	if (!keys)
		return true;
	for (const char *w = keys; *w; w += strcspn(w, " "), w += strspn(w, " "))
		if (strcspn(w, " ") >= n && strncmp(w, v->string.data, n) == 0)
			return true;
	return false;
}

/* Behind the bracket that closes `{...}` there is nothing, in JSON and in YAML. */
bool spec_no_key_follows(const struct spec_reader *r)
{
	const char *p = r->text, *end = r->text + r->len;
	if (r->f != VALUE_YAML)
		return r->f == VALUE_JSON;
	while (p < end) {
		if (isspace((unsigned char)*p))
			p++;
		else if (*p == '#' || *p == '%')
			p = memchr(p, '\n', (size_t)(end - p)) ?: end;
		else if (end - p >= 3 && memcmp(p, "---", 3) == 0)
			p += 3;
		else
			return *p == '{';
	}
	return false;
}
