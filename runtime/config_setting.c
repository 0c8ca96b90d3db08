/* SPDX-License-Identifier: MIT */
/* config_setting.c - one setting's value: checked against its row, kept in one spelling. L2; loop thread. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/mem.h"
#include "lib/parse.h"
#include "lib/suggest.h"
#include "runtime/config_i.h"

#define LIST_TEXT_MAX 4096 /* bytes of one item */

void setting_done(struct setting *s)
{
	free(s->text);
	free(s->origin);
	for (char **p = s->list; p && *p; p++)
		free(*p);
	free(s->list);
	value_free(s->tree);
	*s = (struct setting){0};
}

const char *setting_shown(size_t i, const struct setting *s)
{
	return config_items[i].type == SECRET && *s->text ? "********" : s->text;
}

static int no_memory(struct err *e)
{
	return err_set(e, ERR_SYS_MEMORY, "no memory for the configuration");
}

static int make_text(struct setting *s, const char *text, struct err *e)
{
	s->text = strdup(text);
	return s->text ? 0 : no_memory(e);
}

/* ---- scalars ---- */

static int check_text(const struct config_item *it, const char *text, struct setting *s,
		      struct err *e)
{
	size_t len = strlen(text);
	/* A secret may be empty (none), but not short. */
	bool too_short = it->type == SECRET ? len && len < it->least : len < it->least;
	if (too_short || len > it->most)
		return err_set(e, ERR_TEXT_VALUE,
			       "a text of %.0f to %.0f bytes is asked for, not of "
			       "%zu",
			       it->least, it->most, len);
	if (it->type == ABSOLUTE && len && text[0] != '/')
		return err_set(e, ERR_TEXT_VALUE, "'%.200s' must be an absolute path", text);
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return err_set(e, ERR_TEXT_VALUE, "control characters are not accepted");
	return make_text(s, text, e);
}

static int check_choice(const char *words, const char *text, struct setting *s, struct err *e)
{
	char known[64];
	struct suggest near;
	char list[300];
	snprintf(list, sizeof list, "%s", words);
	suggest_init(&near, text);
	char *save = NULL;
	for (char *w = strtok_r(list, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		if (strcasecmp(w, text) == 0)
			return make_text(s, w, e);
		suggest_try(&near, w);
	}
	snprintf(known, sizeof known, "%.60s", text);
	return err_set(e, ERR_TEXT_VALUE, "'%s' is not one of: %s%s", known, words,
		       suggest_text(&near));
}

static int check_megabytes(const struct config_item *it, const char *text, uint64_t *ret,
			   struct err *e)
{
	uint64_t bytes = 0;
	int r = 0;
	if (text[strspn(text, "0123456789")] == 0)
		r = parse_u64(text, 0, UINT64_MAX >> 20, ret, NULL);
	else if ((r = parse_size(text, 0, UINT64_MAX, &bytes, NULL)) == 0)
		*ret = bytes >> 20;
	if (r < 0 || bytes & 0xfffff || *ret < it->least || *ret > it->most)
		return err_set(e, ERR_TEXT_VALUE,
			       "'%.60s' is not a size in MB, like 2048 or 2GB, from "
			       "%.0f to %.0f",
			       text, it->least, it->most);
	return 0;
}

static int check_seconds(const struct config_item *it, const char *text, uint64_t *ret,
			 struct err *e)
{
	uint64_t ms = 0;
	if (parse_duration_ms(text, 0, UINT64_MAX, &ms, NULL) < 0 || ms % 1000 ||
	    ms / 1000 < it->least || ms / 1000 > it->most)
		return err_set(e, ERR_TEXT_VALUE,
			       "'%.60s' is not a time in whole seconds, like 300 or "
			       "5m, from %.0f to %.0f seconds",
			       text, it->least, it->most);
	*ret = ms / 1000;
	return 0;
}

static int check_mode(const struct config_item *it, const char *text, uint64_t *ret, struct err *e)
{
	uint64_t mode = 0;
	size_t len = strlen(text);
	bool octal = text[0] == '0' && len <= 5 && strspn(text, "01234567") == len;
	for (size_t i = 0; octal && i < len; i++)
		mode = mode * 8 + (uint64_t)(text[i] - '0');
	if (!octal || mode > it->most)
		return err_set(e, ERR_TEXT_VALUE, "'%.60s' is not a file mode like \"0600\"", text);
	*ret = mode;
	return 0;
}

static int check_number(const struct config_item *it, const char *text, struct setting *s,
			struct err *e)
{
	uint64_t least = (uint64_t)it->least, most = (uint64_t)it->most;
	char out[40];
	int r = 0;
	switch (it->type) {
	case REAL: r = parse_double(text, it->least, it->most, &s->real, e); break;
	case BOOL: r = parse_bool(text, &s->boolean, e); break;
	case WHOLE: r = parse_u64(text, least, most, &s->whole, e); break;
	case SIZE: r = parse_size(text, least, most, &s->whole, e); break;
	case MEGABYTES: r = check_megabytes(it, text, &s->whole, e); break;
	case DURATION: r = parse_duration_ms(text, least, most, &s->whole, e); break;
	case SECONDS: r = check_seconds(it, text, &s->whole, e); break;
	case MODE: r = check_mode(it, text, &s->whole, e); break;
	case TEXT:
	case PATH:
	case ABSOLUTE:
	case CHOICE:
	case SECRET:
	case LIST:
	case TREE: abort();
	}
	if (r < 0)
		return r;
	if (it->type == REAL)
		format_double(s->real, out);
	else if (it->type == BOOL)
		snprintf(out, sizeof out, "%s", s->boolean ? "true" : "false");
	else if (it->type == DURATION)
		format_duration_ms(s->whole, out);
	else
		snprintf(out, sizeof out, it->type == MODE ? "%04llo" : "%llu",
			 (unsigned long long)s->whole);
	return make_text(s, out, e);
}

/* ---- lists and trees ---- */

static int list_add(const struct config_item *it, struct strings *l, const char *text, size_t len,
		    struct err *e)
{
	if (l->n >= it->most)
		return err_set(e, ERR_TEXT_VALUE, "a list has at most %.0f items", it->most);
	if (len == 0 || len > LIST_TEXT_MAX)
		return err_set(e, ERR_TEXT_VALUE, "an item of a list has 1 to %d bytes",
			       LIST_TEXT_MAX);
	return strings_add(l, strndup(text, len)) < 0 ? no_memory(e) : 0;
}

static int list_done(const struct config_item *it, struct strings *l, struct setting *s,
		     struct err *e)
{
	autobuf struct buf out;
	buf_init(&out, VALUE_TEXT_MAX);
	if (l->n < it->least)
		return err_set(e, ERR_TEXT_VALUE, "a list of at least %.0f items is asked for",
			       it->least);
	buf_adds(&out, "[");
	for (size_t i = 0; i < l->n; i++) {
		buf_adds(&out, i ? ", " : "");
		buf_json_string(&out, l->items[i], strlen(l->items[i]));
	}
	buf_adds(&out, "]");
	s->list = l->n ? l->items : calloc(1, sizeof *s->list);
	if (l->n)
		*l = (struct strings){0};
	s->text = buf_take(&out, NULL);
	return s->list && s->text ? 0 : no_memory(e);
}

static int list_from_value(const struct config_item *it, const struct value *v, struct setting *s,
			   struct err *e)
{
	struct strings l = {0};
	int r = 0;
	if (v->type != VALUE_LIST)
		return err_set(e, ERR_TEXT_VALUE,
			       "a list of texts like [\"python3\", \"node\"] is asked "
			       "for, not a %s",
			       value_type_name(v->type));
	for (size_t i = 0; r == 0 && i < v->list.n; i++) {
		const struct value *item = &v->list.items[i];
		r = item->type == VALUE_STRING
			    ? list_add(it, &l, item->string.data, item->string.len, e)
			    : err_set(e, ERR_TEXT_VALUE, "item %zu must be a text, not a %s", i + 1,
				      value_type_name(item->type));
	}
	if (r == 0)
		r = list_done(it, &l, s, e);
	strings_done(&l);
	return r;
}

static int list_from_words(const struct config_item *it, const char *text, struct setting *s,
			   struct err *e)
{
	struct strings l = {0};
	int r = 0;
	for (const char *p = text; r == 0 && *text; p++) {
		const char *end = strchrnul(p, ',');
		size_t lead = strspn(p, " ");
		size_t len = lead < (size_t)(end - p) ? (size_t)(end - p) - lead : 0;
		while (len && p[lead + len - 1] == ' ')
			len--;
		r = list_add(it, &l, p + lead, len, e);
		if (!*end)
			break;
		p = end;
	}
	if (r == 0)
		r = list_done(it, &l, s, e);
	strings_done(&l);
	return r;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct value_member *)a)->key, ((const struct value_member *)b)->key);
}

static void sort_keys(struct value *v)
{
	for (size_t i = 0; v->type == VALUE_LIST && i < v->list.n; i++)
		sort_keys(&v->list.items[i]);
	if (v->type != VALUE_MAP || v->map.n == 0)
		return;
	qsort(v->map.members, v->map.n, sizeof *v->map.members, by_key);
	for (size_t i = 0; i < v->map.n; i++)
		sort_keys(&v->map.members[i].value);
}

static int dump(const struct value *v, struct buf *out, struct err *e)
{
	int r = value_dump_json(v, out);
	return r == 0 ? 0 : r == -EFBIG ? err_set(e, ERR_TEXT_LIMIT, "the table is too large") : no_memory(e);
}

/* The copy that is kept is the text read once more, in one order of keys. */
static int tree_from_value(const struct config_item *it, const struct value *v, struct setting *s,
			   struct err *e)
{
	autobuf struct buf json, sorted;
	buf_init(&json, 2 * VALUE_TEXT_MAX);
	buf_init(&sorted, 2 * VALUE_TEXT_MAX);
	int r = config_shape_check(it->key, v, e);
	if (r == 0)
		r = dump(v, &json, e);
	if (r == 0)
		r = value_parse(VALUE_JSON, json.data, json.len, &s->tree, NULL, e);
	if (r < 0)
		return r;
	sort_keys(s->tree);
	r = dump(s->tree, &sorted, e);
	if (r == 0)
		s->text = buf_take(&sorted, NULL);
	return r == 0 && !s->text ? no_memory(e) : r;
}

/* ---- any ---- */

/* Put origin and key in front of what is wrong, drop the half-made value, or hand it over. */
static int finish(size_t i, struct setting *n, const char *origin, unsigned line,
		  enum config_rank rank, int r, struct setting *ret, struct err *e)
{
	n->rank = rank;
	n->origin = strdup(origin);
	if (r == 0 && !n->origin)
		r = no_memory(e);
	if (r < 0) {
		setting_done(n);
		if (e && e->code != ERR_SYS_MEMORY) {
			err_wrap(e, "%s: setting '%s'", origin, config_items[i].key);
			e->code = ERR_CONFIG_INVALID;
			e->eno = EINVAL;
			e->line = e->line ? e->line : line;
		}
		return r;
	}
	*ret = *n;
	return 0;
}

static int from_json_text(size_t i, const char *text, struct setting *n, struct err *e)
{
	const struct config_item *it = &config_items[i];
	struct value *v = NULL;
	int r = value_parse(VALUE_JSON, text, strlen(text), &v, NULL, e);
	if (r == 0)
		r = it->type == LIST ? list_from_value(it, v, n, e) : tree_from_value(it, v, n, e);
	value_free(v);
	return r;
}

int setting_from_text(size_t i, const char *text, const char *origin, unsigned line,
		      enum config_rank rank, struct setting *ret, struct err *e)
{
	const struct config_item *it = &config_items[i];
	struct setting n = {0};
	int r;
	if (it->type == TREE || (it->type == LIST && text[0] == '['))
		r = from_json_text(i, text, &n, e);
	else if (it->type == LIST)
		r = list_from_words(it, text, &n, e);
	else if (it->type == CHOICE)
		r = check_choice(it->words, text, &n, e);
	else if (it->type <= SECRET)
		r = check_text(it, text, &n, e);
	else
		r = check_number(it, text, &n, e);
	return finish(i, &n, origin, line, rank, r, ret, e);
}

static bool takes(enum config_type t, enum value_type v)
{
	if (v == VALUE_STRING)
		return true; /* "60s", "8GB", quoted numbers; what they hold is checked next */
	if (t == BOOL)
		return v == VALUE_BOOL;
	if (t == REAL)
		return v == VALUE_REAL || v == VALUE_INT;
	return v == VALUE_INT &&
	       (t == WHOLE || t == SIZE || t == MEGABYTES || t == DURATION || t == SECONDS);
}

int setting_from_value(size_t i, const struct value *v, const char *origin, enum config_rank rank,
		       struct setting *ret, struct err *e)
{
	const struct config_item *it = &config_items[i];
	struct setting n = {0};
	char number[40];
	const char *text = number;
	int r = 0;
	if (it->type == LIST)
		return finish(i, &n, origin, v->line, rank, list_from_value(it, v, &n, e), ret, e);
	if (it->type == TREE)
		return finish(i, &n, origin, v->line, rank, tree_from_value(it, v, &n, e), ret, e);
	if (!takes(it->type, v->type))
		r = err_set(
			e, ERR_TEXT_VALUE, "a %s is not accepted here%s", value_type_name(v->type),
			it->type == MODE ? "; write the mode in quotes, \"0600\""
			: it->type <= SECRET && v->type != VALUE_MAP ? "; write the text in quotes"
								     : "");
	else if (v->type == VALUE_STRING)
		text = v->string.data;
	else if (v->type == VALUE_INT)
		snprintf(number, sizeof number, "%lld", (long long)v->integer);
	else if (v->type == VALUE_REAL)
		format_double(v->real, number);
	else
		snprintf(number, sizeof number, "%s", v->boolean ? "true" : "false");
	if (r < 0)
		return finish(i, &n, origin, v->line, rank, r, ret, e);
	return setting_from_text(i, text, origin, v->line, rank, ret, e);
}
