/* SPDX-License-Identifier: MIT */
/* config_shape.c - what may stand in a setting that is a table of its own, row by row. L2; any thread. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/mem.h"
#include "lib/suggest.h"
#include "runtime/config_i.h"

enum kind { SHAPE_MAP, SHAPE_ONE, SHAPE_LIST, SHAPE_TEXT, SHAPE_WHOLE, SHAPE_REAL, SHAPE_BOOL };

static const char *const kind_names[] = {"a table",      "a table with one member", "a list",
					 "a text",       "a whole number",          "a number",
					 "true or false"};

static const struct shape {
	const char *path;
	enum kind kind;
	double least, most;
	const char *words;
} shapes[] = {
#define SHAPE(path, kind, least, most, words) {path, SHAPE_##kind, least, most, words},
#include "runtime/config_shapes.def"
#undef SHAPE
};

struct place { /* the pattern and the real name of where we are */
	const char *pattern, *name;
	struct err *e;
};

static const struct shape *shape_at(const char *pattern)
{
	for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
		if (strcmp(shapes[i].path, pattern) == 0)
			return &shapes[i];
	return NULL;
}

/* The rest of path behind "parent." when that is one name; NULL otherwise. */
static const char *child_name(const char *path, const char *parent)
{
	size_t n = strlen(parent);
	bool child = strncmp(path, parent, n) == 0 && path[n] == '.' &&
		     !strpbrk(path + n + 1, ".[");
	return child ? path + n + 1 : NULL;
}

static int unknown_member(const struct place *p, const struct value_member *m)
{
	struct suggest s;
	suggest_init(&s, m->key);
	for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
		const char *name = child_name(shapes[i].path, p->pattern);
		if (name)
			suggest_try(&s, name);
	}
	return err_at(p->e, ERR_CONFIG_INVALID, m->line,
		      "line %u: unknown key '%.60s' in '%.100s'%s", m->line, m->key, p->name,
		      suggest_text(&s));
}

static int check(const struct place *p, const struct shape *s, const struct value *v);

static int check_map(const struct place *p, const struct value *v)
{
	for (size_t i = 0; i < v->map.n; i++) {
		const struct value_member *m = &v->map.members[i];
		char pattern[256], name[256];
		snprintf(pattern, sizeof pattern, "%s.%.100s", p->pattern, m->key);
		snprintf(name, sizeof name, "%.150s.%.100s", p->name, m->key);
		const struct shape *s = strpbrk(m->key, ".[*") ? NULL : shape_at(pattern);
		if (!s) { /* a name of the user's own? */
			snprintf(pattern, sizeof pattern, "%s.*", p->pattern);
			s = shape_at(pattern);
		}
		struct place inner = {pattern, name, p->e};
		int r = s ? check(&inner, s, &m->value) : unknown_member(p, m);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_list(const struct place *p, const struct value *v)
{
	char pattern[256];
	snprintf(pattern, sizeof pattern, "%s[]", p->pattern);
	struct place inner = {pattern, p->name, p->e};
	const struct shape *s = shape_at(pattern);
	int r = 0;
	for (size_t i = 0; r == 0 && i < v->list.n; i++)
		r = check(&inner, s, &v->list.items[i]);
	return r;
}

static bool is_kind(enum kind k, const struct value *v)
{
	switch (v->type) {
	case VALUE_MAP: return k == SHAPE_MAP || (k == SHAPE_ONE && v->map.n == 1);
	case VALUE_LIST: return k == SHAPE_LIST;
	case VALUE_STRING: return k == SHAPE_TEXT;
	case VALUE_INT: return k == SHAPE_WHOLE || k == SHAPE_REAL;
	case VALUE_REAL: return k == SHAPE_REAL;
	case VALUE_BOOL: return k == SHAPE_BOOL;
	case VALUE_NULL: break;
	}
	return false;
}

static bool in_words(const char *words, const char *text)
{
	size_t n = strlen(text);
	for (const char *w = words; *w; w += strcspn(w, " "), w += strspn(w, " "))
		if (strcspn(w, " ") == n && strncasecmp(w, text, n) == 0)
			return true;
	return false;
}

static int check_scalar(const struct place *p, const struct shape *s, const struct value *v)
{
	double n = v->type == VALUE_STRING ? (double)v->string.len
		   : v->type == VALUE_INT  ? (double)v->integer
		   : v->type == VALUE_REAL ? v->real
		   : v->type == VALUE_LIST ? (double)v->list.n
					   : 0;
	if (s->words && !in_words(s->words, v->string.data))
		return err_at(p->e, ERR_CONFIG_INVALID, v->line,
			      "line %u: '%.60s' in '%.100s' is not one of: %s", v->line,
			      v->string.data, p->name, s->words);
	if (!s->words && !(n >= s->least && n <= s->most))
		return err_at(p->e, ERR_CONFIG_INVALID, v->line,
			      "line %u: '%.100s' must be from %g to %g%s", v->line, p->name,
			      s->least, s->most,
			      s->kind == SHAPE_TEXT   ? " bytes"
			      : s->kind == SHAPE_LIST ? " items"
						      : "");
	return 0;
}

static int check(const struct place *p, const struct shape *s, const struct value *v)
{
	if (!is_kind(s->kind, v))
		return err_at(p->e, ERR_CONFIG_INVALID, v->line, "line %u: '%.100s' must be %s%s",
			      v->line, p->name, kind_names[s->kind],
			      s->kind == SHAPE_ONE    ? ""
			      : v->type == VALUE_NULL ? ", not empty"
						      : "");
	if (s->kind == SHAPE_MAP || s->kind == SHAPE_ONE)
		return check_map(p, v);
	int r = s->kind == SHAPE_BOOL ? 0 : check_scalar(p, s, v);
	return r == 0 && s->kind == SHAPE_LIST ? check_list(p, v) : r;
}

int config_shape_check(const char *key, const struct value *v, struct err *e)
{
	struct place p = {key, key, e};
	return check(&p, shape_at(key), v);
}

int config_shape_doc(const char *key, struct buf *out)
{
	size_t n = strlen(key);
	for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
		const struct shape *s = &shapes[i];
		if (strncmp(s->path, key, n) != 0 || s->path[n] != '.')
			continue;
		buf_printf(out, "| `%s` | %s |", s->path, kind_names[s->kind]);
		if (s->words)
			buf_printf(out, " %s |\n", s->words);
		else if (s->kind <= SHAPE_ONE || s->kind == SHAPE_BOOL)
			buf_adds(out, " |\n");
		else
			buf_printf(out, " %.10g to %.10g%s |\n", s->least, s->most,
				   s->kind == SHAPE_TEXT   ? " bytes"
				   : s->kind == SHAPE_LIST ? " items"
							   : "");
	}
	return out->fail;
}
