/* SPDX-License-Identifier: MIT */
/* config.c - settings: one table, every source checked by it. L2; loop thread only. */
#include "runtime/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/parse.h"
#include "lib/value.h"

enum type { TEXT, BOOL, WHOLE, REAL, DURATION, LIST, TREE };

static const struct {
	const char *key;
	enum type type;
	const char *def;
	double min, max;
	const char *env, *help;
} items[] = {
#define ITEM(key, type, def, min, max, env, help) {key, type, def, min, max, env, help},
#include "runtime/config_items.def"
#undef ITEM
};
#define ITEMS ARRAY_LEN(items)

/* Other names of the same setting, as the seeds write them. A key may stand for a whole table. */
static const struct {
	const char *other, *key;
} aliases[] = {
	{"native_execution.enabled", "security.allow_native_execution"},
	{"security.native_execution.enforce_resource_limits",
	 "native_execution.enforce_resource_limits"},
	{"security.native_execution.max_memory_mb", "native_execution.max_memory_mb"},
	{"security.native_execution.max_cpu_cores", "native_execution.max_cpu_cores"},
	{"security.native_execution.max_execution_time_seconds",
	 "native_execution.max_execution_time_seconds"},
	{"security.native_execution.working_directory", "native_execution.working_directory"},
	{"security.native_execution.allowed_executables", "native_execution.allowed_executables"},
	{"api.port", "http_api.port"},
	{"api.host", "http_api.bind_address"},
	{"api.timeout_seconds", "http_api.timeout_seconds"},
	{"api.max_body_size", "http_api.max_body_size"},
	{"database.vector_backend", "vector_db.backend"},
	{"database.vector_data_path", "vector_db.data_path"},
	{"database.vector_dimension", "vector_db.vector_dimension"},
	{"database.qdrant_url", "vector_db.qdrant_url"},
	{"database.qdrant_collection", "vector_db.collection_name"},
};

struct setting {
	char *text;   /* as the user wrote it; lists separated by spaces */
	char *origin; /* "default", "FILE:LINE", "environment NAME" */
	uint64_t whole;
	double real;
	bool boolean;
	char **list; /* LIST: pointers into list_text */
	char *list_text;
};

struct config {
	struct setting s[ITEMS];
};

static void setting_done(struct setting *s)
{
	free(s->text);
	free(s->origin);
	free(s->list);
	free(s->list_text);
}

static int split_list(struct setting *s)
{
	size_t n = 0;
	s->list_text = strdup(s->text);
	s->list = calloc(strlen(s->text) / 2 + 2, sizeof *s->list);
	char *save = NULL;
	for (char *w = s->list_text && s->list ? strtok_r(s->list_text, " ", &save) : NULL; w;
	     w = strtok_r(NULL, " ", &save))
		s->list[n++] = w;
	return s->list_text && s->list ? 0 : -ENOMEM;
}

/* Check text against row i and make it the setting; nothing is changed when it is refused. */
static int set(struct config *c, size_t i, const char *text, const char *origin, struct err *e)
{
	struct setting n = {.text = strdup(text), .origin = strdup(origin)};
	int r = n.text && n.origin ? 0 : -ENOMEM;
	if (r == 0 && items[i].type == BOOL)
		r = parse_bool(text, &n.boolean, e);
	else if (r == 0 && items[i].type == WHOLE)
		r = parse_u64(text, (uint64_t)items[i].min, (uint64_t)items[i].max, &n.whole, e);
	else if (r == 0 && items[i].type == REAL)
		r = parse_double(text, items[i].min, items[i].max, &n.real, e);
	else if (r == 0 && items[i].type == DURATION)
		r = parse_duration_ms(text, (uint64_t)items[i].min, (uint64_t)items[i].max, &n.whole,
				      e);
	else if (r == 0 && items[i].type == LIST)
		r = split_list(&n);
	if (r < 0) {
		setting_done(&n);
		err_wrap(e, "%s: setting '%s'", origin, items[i].key);
		if (e)
			e->code = ERR_CONFIG_INVALID;
		return r;
	}
	setting_done(&c->s[i]);
	c->s[i] = n;
	return 0;
}

int config_new(struct config **ret, struct err *e)
{
	struct config *c = calloc(1, sizeof *c);
	if (!c)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the configuration");
	for (size_t i = 0; i < ITEMS; i++) {
		int r = set(c, i, items[i].def, "default", e);
		if (r < 0) {
			config_free(c);
			return r;
		}
	}
	*ret = c;
	return 0;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < ITEMS; i++)
		setting_done(&c->s[i]);
	free(c);
}

static size_t find(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
		if (strcmp(aliases[i].other, key) == 0)
			key = aliases[i].key;
	for (size_t i = 0; i < ITEMS; i++)
		if (strcmp(items[i].key, key) == 0)
			return i;
	return ITEMS;
}

int config_set(struct config *c, const char *key, const char *text, const char *origin, struct err *e)
{
	size_t i = find(key);
	if (i == ITEMS)
		return err_set(e, ERR_CONFIG_INVALID,
			       "%s: unknown setting '%s'; `symbi config show` lists all", origin, key);
	return set(c, i, text, origin, e);
}

/* ---- files ---- */

static int value_text(const struct value *v, struct buf *out)
{
	switch (v->type) {
	case VALUE_STRING:
		return buf_adds(out, v->string.data);
	case VALUE_LIST:
		for (size_t i = 0; i < v->list.n; i++) {
			buf_adds(out, i ? " " : "");
			value_text(&v->list.items[i], out);
		}
		return out->fail;
	case VALUE_NULL:
	case VALUE_BOOL:
	case VALUE_INT:
	case VALUE_REAL:
	case VALUE_MAP:
		return value_dump_json(v, out);
	}
	return out->fail;
}

static int load(struct config *c, const struct value *v, const char *prefix, const char *path,
		struct err *e)
{
	for (size_t k = 0; k < v->map.n; k++) {
		const struct value_member *m = &v->map.members[k];
		char key[256], origin[512];
		snprintf(key, sizeof key, "%s%s%s", prefix, *prefix ? "." : "", m->key);
		snprintf(origin, sizeof origin, "%s:%u", path, m->line);
		size_t i = find(key);
		int r;
		if (i == ITEMS && m->value.type == VALUE_MAP) {
			r = load(c, &m->value, key, path, e);
		} else if (i < ITEMS && m->value.type == VALUE_MAP && items[i].type != TREE) {
			r = err_at(e, ERR_CONFIG_INVALID, m->line, "%s: '%s' is not a table", origin,
				   key);
		} else {
			autobuf struct buf text;
			buf_init(&text, VALUE_TEXT_MAX);
			value_text(&m->value, &text);
			r = config_set(c, key, text.data, origin, e);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int config_load_file(struct config *c, const char *path, struct err *e)
{
	enum value_format f;
	struct value *v = NULL;
	autofree char *text = malloc(VALUE_TEXT_MAX + 1);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (value_format_of(path, &f) < 0)
		return err_set(e, ERR_CONFIG_INVALID, "'%s': a configuration ends in .toml, .yaml or "
			       ".json", path);
	ssize_t n = fd >= 0 && text ? read(fd, text, VALUE_TEXT_MAX + 1) : -1;
	if (n < 0)
		return err_sys(e, ERR_CONFIG_INVALID, errno, "'%s'", path);
	int r = value_parse(f, text, (size_t)n, &v, NULL, e);
	if (r < 0)
		return err_wrap(e, "'%s'", path);
	/* All or nothing: the settings are tried on a copy first. */
	struct config *trial = NULL;
	r = config_new(&trial, e);
	if (r == 0 && v->type != VALUE_MAP)
		r = err_set(e, ERR_CONFIG_INVALID, "'%s' is not a map of settings", path);
	if (r == 0)
		r = load(trial, v, "", path, e);
	if (r == 0)
		r = load(c, v, "", path, e);
	config_free(trial);
	value_free(v);
	return r;
}

int config_load_env(struct config *c, char *const *envp, struct err *e)
{
	for (; *envp; envp++)
		for (size_t i = 0; i < ITEMS; i++) {
			size_t n = items[i].env ? strlen(items[i].env) : 0;
			char origin[128];
			if (!n || strncmp(*envp, items[i].env, n) != 0 || (*envp)[n] != '=')
				continue;
			snprintf(origin, sizeof origin, "environment %s", items[i].env);
			int r = set(c, i, *envp + n + 1, origin, e);
			if (r < 0)
				return r;
		}
	return 0;
}

/* ---- reading ---- */

static const struct setting *get(const struct config *c, const char *key, enum type a, enum type b)
{
	size_t i = find(key);
	if (i == ITEMS || (items[i].type != a && items[i].type != b))
		abort(); /* a key that the table does not have: our own mistake */
	return &c->s[i];
}

const char *config_str(const struct config *c, const char *key)
{
	return get(c, key, TEXT, TREE)->text;
}

uint64_t config_u64(const struct config *c, const char *key)
{
	return get(c, key, WHOLE, WHOLE)->whole;
}

uint64_t config_ms(const struct config *c, const char *key)
{
	return get(c, key, DURATION, DURATION)->whole;
}

double config_real(const struct config *c, const char *key)
{
	return get(c, key, REAL, REAL)->real;
}

bool config_bool(const struct config *c, const char *key)
{
	return get(c, key, BOOL, BOOL)->boolean;
}

const char *const *config_list(const struct config *c, const char *key)
{
	return (const char *const *)get(c, key, LIST, LIST)->list;
}

int config_render(const struct config *c, struct buf *out)
{
	for (size_t i = 0; i < ITEMS; i++)
		buf_printf(out, "%-52s %s    # %s\n", items[i].key,
			   *c->s[i].text ? c->s[i].text : "\"\"", c->s[i].origin);
	return out->fail;
}

int config_doc(struct buf *out)
{
	static const char *const types[] = {"text", "true or false", "whole number", "number",
					    "duration", "list", "table"};
	buf_adds(out, "# Settings\n\nPrinted by `symbid --print-config` from "
		      "`runtime/config_items.def`.\n\n"
		      "| setting | type | default | environment | what it does |\n|-|-|-|-|-|\n");
	for (size_t i = 0; i < ITEMS; i++)
		buf_printf(out, "| `%s` | %s | `%s` | %s | %s |\n", items[i].key,
			   types[items[i].type], items[i].def, items[i].env ? items[i].env : "",
			   items[i].help);
	return out->fail;
}
