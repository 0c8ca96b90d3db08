/* SPDX-License-Identifier: MIT */
/* value_yaml.c - YAML by libyaml's events, YAML 1.2 core schema. Anchors, aliases and tags are refused:
 * a few bytes of them can ask for gigabytes. L0. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "lib/map.h"
#include "lib/parse.h"
#include "lib/value_i.h"

struct reader {
	struct value_build *b;
	yaml_parser_t p;
	const char *text;
	size_t len;
	struct err *e;
};

/* Is what is wrong at the very end of the text, so that more text may cure it? */
static bool at_end(const struct reader *r)
{
	static const char hex[] = "0123456789abcdefABCDEF";
	size_t chars = 0, digits = 0, back = 0;
	if (r->p.error == YAML_READER_ERROR) /* a character that is cut */
		return r->p.problem_offset + 3 >= r->len &&
		       strstr(r->p.problem, "incomplete") != NULL;
	while (digits < r->len && digits < 7 && strchr(hex, r->text[r->len - 1 - digits]))
		digits++;
	if (digits + 1 < r->len && strchr("xuU", r->text[r->len - 1 - digits]))
		back = digits + 1;
	if (back < r->len && r->text[r->len - 1 - back] == '\\' &&
	    r->p.error == YAML_SCANNER_ERROR) /* an escape that is cut */
		return true;
	bool marked = r->len >= 3 && memcmp(r->text, "\xef\xbb\xbf", 3) == 0; /* of which libyaml does not count */
	for (size_t i = marked ? 3 : 0; i < r->len; i++)
		chars += (r->text[i] & 0xc0) != 0x80;
	/* "-", "?", ":", "--", "---" and "..." may yet become words or a document's start. */
	size_t start = 0;
	while (start < 3 && start < r->len && strchr("-?:.", r->text[r->len - 1 - start]))
		start++;
	return r->p.problem_mark.index + start >= chars;
}

static int syntax(struct reader *r)
{
	unsigned line = (unsigned)(r->p.problem_mark.line ? r->p.problem_mark.line
							  : r->p.context_mark.line) + 1;
	if (r->p.error == YAML_MEMORY_ERROR)
		return err_set(r->e, ERR_SYS_MEMORY, "no memory for the text");
	*r->b->unfinished = at_end(r);
	return err_at(r->e, ERR_TEXT_SYNTAX, line, "line %u: %s%s%s", line,
		      r->p.context ? r->p.context : "", r->p.context ? ", " : "",
		      r->p.problem ? r->p.problem : "cannot be read");
}

static int next(struct reader *r, yaml_event_t *ev)
{
	return yaml_parser_parse(&r->p, ev) ? 0 : syntax(r);
}

/* A leading zero ("0600", "007") means octal to some and nothing to others: such words stay text. */
static bool is_int(const char *s)
{
	s += *s == '-' || *s == '+';
	if (s[0] == '0' && s[1])
		return false;
	return *s && s[strspn(s, "0123456789")] == 0;
}

static int plain_scalar(struct reader *r, struct value *v, const char *s, size_t len)
{
	double real;
	int64_t integer;
	if (len == 0 || !strcmp(s, "~") || !strcmp(s, "null") || !strcmp(s, "Null") ||
	    !strcmp(s, "NULL"))
		return 0;
	if (!strcmp(s, "true") || !strcmp(s, "True") || !strcmp(s, "TRUE") ||
	    !strcmp(s, "false") || !strcmp(s, "False") || !strcmp(s, "FALSE")) {
		v->type = VALUE_BOOL;
		v->boolean = s[0] == 't' || s[0] == 'T';
		return 0;
	}
	if (is_int(s) && parse_i64(s + (*s == '+'), INT64_MIN, INT64_MAX, &integer, NULL) == 0) {
		v->type = VALUE_INT;
		v->integer = integer;
		return 0;
	}
	if (strpbrk(s, "0123456789") && s[strspn(s, "0123456789+-.eE")] == 0 &&
	    (strchr(s, '.') || strpbrk(s, "eE")) &&
	    parse_double(s, -1e308, 1e308, &real, NULL) == 0) {
		v->type = VALUE_REAL;
		v->real = real;
		return 0;
	}
	return value_set_string(v, s, len, r->e);
}

static int node(struct reader *r, yaml_event_t *ev, struct value *v, unsigned depth);

static int forbidden(struct reader *r, unsigned line, const char *what)
{
	return err_at(r->e, ERR_TEXT_SYNTAX, line, "line %u: %s are not accepted", line, what);
}

static int sequence(struct reader *r, struct value *v, unsigned depth)
{
	v->type = VALUE_LIST;
	for (;;) {
		yaml_event_t ev;
		int n = next(r, &ev);
		if (n < 0)
			return n;
		if (ev.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&ev);
			return 0;
		}
		struct value *item;
		n = value_list_add(v, &item, r->e);
		if (n == 0)
			n = node(r, &ev, item, depth + 1);
		yaml_event_delete(&ev);
		if (n < 0)
			return n;
	}
}

/* The member that a key event opens; seen has the keys before it. */
static int member_of(struct reader *r, struct value *v, const yaml_event_t *key, struct map *seen,
		     struct value **ret)
{
	unsigned line = (unsigned)key->start_mark.line + 1;
	const char *text = (char *)key->data.scalar.value;
	size_t len = key->data.scalar.length;
	if (key->type != YAML_SCALAR_EVENT)
		return err_at(r->e, ERR_TEXT_SYNTAX, line, "line %u: a key must be a word", line);
	if (key->data.scalar.anchor || key->data.scalar.tag)
		return forbidden(r, line, "anchors and tags");
	if (map_get(seen, text, len))
		return err_at(r->e, ERR_TEXT_SYNTAX, line, "line %u: key '%.100s' stands twice",
			      line, text);
	int n = value_map_add(v, text, len, line, ret, r->e);
	if (n < 0)
		return n;
	if (map_put(seen, v->map.members[v->map.n - 1].key, r) < 0)
		return err_set(r->e, ERR_SYS_MEMORY, "no memory for the text");
	return 0;
}

static int members(struct reader *r, struct value *v, unsigned depth, struct map *seen)
{
	for (;;) {
		yaml_event_t key, ev;
		struct value *member = NULL;
		int n = next(r, &key);
		if (n < 0)
			return n;
		bool end = key.type == YAML_MAPPING_END_EVENT;
		if (!end)
			n = member_of(r, v, &key, seen, &member);
		yaml_event_delete(&key);
		if (n < 0 || end)
			return n;
		if ((n = next(r, &ev)) < 0)
			return n;
		n = node(r, &ev, member, depth + 1);
		yaml_event_delete(&ev);
		if (n < 0)
			return n;
	}
}

static int mapping(struct reader *r, struct value *v, unsigned depth)
{
	struct map seen = {0};
	v->type = VALUE_MAP;
	int n = members(r, v, depth, &seen);
	map_done(&seen);
	return n;
}

static int node(struct reader *r, yaml_event_t *ev, struct value *v, unsigned depth)
{
	v->line = (unsigned)ev->start_mark.line + 1;
	int n = value_count(r->b, depth, v->line, r->e);
	if (n < 0)
		return n;
	switch (ev->type) {
	case YAML_SCALAR_EVENT: {
		const char *s = (char *)ev->data.scalar.value;
		size_t len = ev->data.scalar.length;
		if (ev->data.scalar.anchor || ev->data.scalar.tag)
			return forbidden(r, v->line, "anchors and tags");
		return ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE
			       ? plain_scalar(r, v, s, len)
			       : value_set_string(v, s, len, r->e);
	}
	case YAML_SEQUENCE_START_EVENT:
		if (ev->data.sequence_start.anchor || ev->data.sequence_start.tag)
			return forbidden(r, v->line, "anchors and tags");
		return sequence(r, v, depth);
	case YAML_MAPPING_START_EVENT:
		if (ev->data.mapping_start.anchor || ev->data.mapping_start.tag)
			return forbidden(r, v->line, "anchors and tags");
		return mapping(r, v, depth);
	case YAML_ALIAS_EVENT:
		return forbidden(r, v->line, "aliases");
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		break;
	}
	return forbidden(r, v->line, "empty texts");
}

static int document(struct reader *r, struct value *v)
{
	yaml_event_t ev;
	int n;
	do { /* to the first node */
		if ((n = next(r, &ev)) < 0)
			return n;
		if (ev.type == YAML_STREAM_END_EVENT) {
			*r->b->unfinished = true;
			yaml_event_delete(&ev);
			return err_at(r->e, ERR_TEXT_VALUE, 1, "the text is empty");
		}
		bool skip = ev.type == YAML_STREAM_START_EVENT || ev.type == YAML_DOCUMENT_START_EVENT;
		if (!skip)
			break;
		yaml_event_delete(&ev);
	} while (true);
	n = node(r, &ev, v, 0);
	yaml_event_delete(&ev);
	while (n == 0) { /* to the end of the stream */
		if ((n = next(r, &ev)) < 0)
			return n;
		yaml_event_type_t type = ev.type;
		unsigned line = (unsigned)ev.start_mark.line + 1;
		yaml_event_delete(&ev);
		if (type == YAML_STREAM_END_EVENT)
			return 0;
		if (type == YAML_DOCUMENT_START_EVENT)
			return forbidden(r, line, "several documents in one text");
	}
	return n;
}

int value_parse_yaml(struct value_build *b, const char *text, size_t len, struct value *ret,
		     struct err *e)
{
	struct reader r = {.b = b, .text = text, .len = len, .e = e};
	struct err own;
	if (!e)
		r.e = &own;
	if (!yaml_parser_initialize(&r.p))
		return err_set(e, ERR_SYS_MEMORY, "no memory for the text");
	yaml_parser_set_input_string(&r.p, (const unsigned char *)text, len);
	int n = document(&r, ret);
	yaml_parser_delete(&r.p);
	return n;
}
