/* SPDX-License-Identifier: MIT */
/* value.c - the tree of values: building, freeing, printing. L0. */
#include "lib/value_i.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/parse.h"

static const struct {
	const char *suffix;
	enum value_format format;
} suffixes[] = {
	{".yaml", VALUE_YAML}, {".yml", VALUE_YAML}, {".json", VALUE_JSON}, {".toml", VALUE_TOML}};

int value_format_of(const char *name, enum value_format *ret)
{
	const char *dot = strrchr(name, '.');
	for (size_t i = 0; dot && i < 4; i++)
		if (strcmp(dot, suffixes[i].suffix) == 0) {
			*ret = suffixes[i].format;
			return 0;
		}
	return -EINVAL;
}

bool value_file_name_ok(const char *file)
{
	enum value_format f;
	return value_format_of(file, &f) == 0 && name_ok(file, (size_t)(strrchr(file, '.') - file));
}

int value_parse(enum value_format f, const char *text, size_t len, struct value **ret,
		bool *unfinished, struct err *e)
{
	bool more = false;
	struct value_build b = {.unfinished = &more};
	struct value *v = calloc(1, sizeof *v);
	if (unfinished)
		*unfinished = false;
	if (!v)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the text");
	int r;
	if (len > VALUE_TEXT_MAX)
		r = err_set(e, ERR_TEXT_LIMIT, "text is longer than %u bytes", VALUE_TEXT_MAX);
	else if (memchr(text, 0, len))
		r = err_set(e, ERR_TEXT_SYNTAX, "text holds a NUL byte");
	else if (f == VALUE_YAML)
		r = value_parse_yaml(&b, text, len, v, e);
	else if (f == VALUE_JSON)
		r = value_parse_json(&b, text, len, v, e);
	else
		r = value_parse_toml(&b, text, len, v, e);
	if (unfinished)
		*unfinished = more;
	if (r < 0) {
		value_free(v);
		return r;
	}
	*ret = v;
	return 0;
}

static void clear(struct value *v)
{
	switch (v->type) {
	case VALUE_STRING:
		free(v->string.data);
		break;
	case VALUE_LIST:
		for (size_t i = 0; i < v->list.n; i++)
			clear(&v->list.items[i]);
		free(v->list.items);
		break;
	case VALUE_MAP:
		for (size_t i = 0; i < v->map.n; i++) {
			free(v->map.members[i].key);
			clear(&v->map.members[i].value);
		}
		free(v->map.members);
		break;
	case VALUE_NULL:
	case VALUE_BOOL:
	case VALUE_INT:
	case VALUE_REAL:
		break;
	}
}

void value_free(struct value *v)
{
	if (!v)
		return;
	clear(v);
	free(v);
}

const struct value *value_get(const struct value *v, const char *key)
{
	if (!v || v->type != VALUE_MAP)
		return NULL;
	for (size_t i = 0; i < v->map.n; i++)
		if (strcmp(v->map.members[i].key, key) == 0)
			return &v->map.members[i].value;
	return NULL;
}

const char *value_get_text(const struct value *v, const char *key)
{
	const struct value *m = value_get(v, key);
	return m && m->type == VALUE_STRING ? m->string.data : NULL;
}

const char *value_type_name(enum value_type t)
{
	static const char *const names[] = {"null", "true or false", "whole number", "number",
					    "string", "list", "map"};
	return names[t];
}

/* ---- building, for the parsers ---- */

int value_count(struct value_build *b, unsigned depth, unsigned line, struct err *e)
{
	if (depth > VALUE_DEPTH_MAX)
		return err_at(e, ERR_TEXT_LIMIT, line, "line %u: nested deeper than %d levels",
			      line, VALUE_DEPTH_MAX);
	if (++b->nodes > VALUE_NODES_MAX)
		return err_at(e, ERR_TEXT_LIMIT, line, "line %u: more than %d values", line,
			      VALUE_NODES_MAX);
	return 0;
}

int value_set_string(struct value *v, const char *s, size_t len, struct err *e)
{
	if (memchr(s, 0, len))
		return err_at(e, ERR_TEXT_VALUE, v->line, "line %u: a string holds a NUL character",
			      v->line);
	v->string.data = malloc(len + 1);
	if (!v->string.data)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the text");
	v->type = VALUE_STRING;
	v->string.len = len;
	memcpy(v->string.data, s, len);
	v->string.data[len] = 0;
	return 0;
}

int value_set_real(struct value *v, double real, struct err *e)
{
	if (!isfinite(real))
		return err_at(e, ERR_TEXT_VALUE, v->line, "line %u: inf and nan are not accepted",
			      v->line);
	v->type = VALUE_REAL;
	v->real = real;
	return 0;
}

static void *grown(void *p, size_t n, size_t size)
{
	return (n & (n - 1)) == 0 ? realloc(p, (n ? n * 2 : 1) * size) : p;
}

int value_list_add(struct value *list, struct value **ret, struct err *e)
{
	struct value *p = grown(list->list.items, list->list.n, sizeof *p);
	if (!p)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the text");
	list->list.items = p;
	*ret = &p[list->list.n++];
	**ret = (struct value){0};
	return 0;
}

int value_map_add(struct value *map, const char *key, size_t len, unsigned line,
		  struct value **ret, struct err *e)
{
	if (memchr(key, 0, len))
		return err_at(e, ERR_TEXT_VALUE, line, "line %u: a key holds a NUL character", line);
	struct value_member *p = grown(map->map.members, map->map.n, sizeof *p);
	char *copy = strndup(key, len);
	if (p)
		map->map.members = p;
	if (!p || !copy) {
		free(copy);
		return err_set(e, ERR_SYS_MEMORY, "no memory for the text");
	}
	p = &p[map->map.n++];
	*p = (struct value_member){.key = copy, .line = line};
	*ret = &p->value;
	return 0;
}

/* ---- printing ---- */

int value_dump_json(const struct value *v, struct buf *out)
{
	char number[32];
	switch (v->type) {
	case VALUE_NULL:
		return buf_adds(out, "null");
	case VALUE_BOOL:
		return buf_adds(out, v->boolean ? "true" : "false");
	case VALUE_INT:
		return buf_printf(out, "%lld", (long long)v->integer);
	case VALUE_REAL:
		format_double(v->real, number);
		return buf_adds(out, number);
	case VALUE_STRING:
		return buf_json_string(out, v->string.data, v->string.len);
	case VALUE_LIST:
		buf_adds(out, "[");
		for (size_t i = 0; i < v->list.n; i++) {
			buf_adds(out, i ? "," : "");
			value_dump_json(&v->list.items[i], out);
		}
		return buf_adds(out, "]");
	case VALUE_MAP:
		buf_adds(out, "{");
		for (size_t i = 0; i < v->map.n; i++) {
			const struct value_member *m = &v->map.members[i];
			buf_adds(out, i ? "," : "");
			buf_json_string(out, m->key, strlen(m->key));
			buf_adds(out, ":");
			value_dump_json(&m->value, out);
		}
		buf_adds(out, "}");
		return out->fail;
	}
	return out->fail;
}
