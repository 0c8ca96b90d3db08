/* SPDX-License-Identifier: MIT */
/* agent_spec_value.c - reading one value of a spec: type, range, words; each failure with its line. L2; any thread. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/parse.h"
#include "lib/suggest.h"
#include "runtime/agent_spec_i.h"

const char *const spec_duration_keys = "secs nanos";

int spec_no_memory(struct spec_reader *r)
{
	r->curable = false;
	return err_set(r->e, ERR_SYS_MEMORY, "no memory for the spec");
}

int spec_wrong(struct spec_reader *r, unsigned line, const char *fmt, ...)
{
	char text[sizeof r->e->msg];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return err_at(r->e, ERR_AGENT_SPEC, line, "line %u: %s", line, text);
}

int spec_wrong_type(struct spec_reader *r, const struct value *v, const char *key, const char *want)
{
	r->curable = spec_open_empty(r, v) || spec_open_indicator(r, v);
	return spec_wrong(r, v->line, "'%s' must be %s, not %s%s", key, want,
			  v->type == VALUE_NULL ? "" : "a ",
			  v->type == VALUE_NULL ? "empty" : value_type_name(v->type));
}

static void suggest_words(struct suggest *s, const char *words)
{
	char word[SUGGEST_WORD_MAX];
	for (const char *w = words; *w; w += strcspn(w, " "), w += strspn(w, " ")) {
		snprintf(word, sizeof word, "%.*s", (int)strcspn(w, " "), w);
		suggest_try(s, word);
	}
}

int spec_unknown(struct spec_reader *r, const struct value_member *m, const char *in, const char *known)
{
	struct suggest s;
	suggest_init(&s, m->key);
	suggest_words(&s, known);
	return spec_wrong(r, m->line, "unknown key '%s%s%.100s'%s; known: %s", in, *in ? "." : "", m->key,
			  suggest_text(&s), known);
}

int spec_text(struct spec_reader *r, struct value *v, const char *key, size_t most, char **ret)
{
	if (v->type != VALUE_STRING) {
		int n = spec_wrong_type(r, v, key, "a string");
		r->curable |= spec_open_line(r, v); /* `12` may become `12 abc` */
		return n;
	}
	if (v->string.len > most)
		return spec_wrong(r, v->line, "'%s' has more than %zu bytes", key, most);
	*ret = v->string.data;
	v->type = VALUE_NULL; /* moved */
	return 0;
}

int spec_choice(struct spec_reader *r, const struct value *v, const char *key, const char *words, int *ret)
{
	char open[64];
	struct suggest s;
	spec_open_word(r, v, open);
	if (v->type != VALUE_STRING) {
		int n = spec_wrong_type(r, v, key, "a word");
		r->curable |= open[0] && spec_begins_word(open, words);
		return n;
	}
	int i = 0;
	for (const char *w = words; *w; w += strcspn(w, " "), w += strspn(w, " "), i++) {
		char word[64];
		snprintf(word, sizeof word, "%.*s", (int)strcspn(w, " "), w);
		if (spec_same_word(v->string.data, word)) {
			*ret = i;
			return 0;
		}
	}
	r->curable = spec_open_empty(r, v) || (open[0] && spec_begins_word(open, words));
	suggest_init(&s, v->string.data);
	suggest_words(&s, words);
	return spec_wrong(r, v->line, "'%.60s' is no %s%s; one of: %s", v->string.data, key,
			  suggest_text(&s), words);
}

/* {secs: 5, nanos: 0}, as Rust writes a duration. */
static int rust_duration(struct spec_reader *r, const struct value *v, const char *key, char out[static 64])
{
	const struct value *secs = value_get(v, "secs"), *nanos = value_get(v, "nanos");
	for (size_t i = 0; i < v->map.n; i++)
		if (strcmp(v->map.members[i].key, "secs") != 0 && strcmp(v->map.members[i].key, "nanos") != 0)
			return spec_unknown(r, &v->map.members[i], key, spec_duration_keys);
	bool ok = (!secs || (secs->type == VALUE_INT && secs->integer >= 0)) &&
		  (!nanos || (nanos->type == VALUE_INT && nanos->integer >= 0 && nanos->integer < 1000000000));
	if (!ok || !v->map.n) {
		r->curable = r->last && r->f == VALUE_YAML && !spec_no_key_follows(r);
		return spec_wrong(r, v->line, "'%s' must have whole numbers as secs and nanos", key);
	}
	snprintf(out, 64, "%llds%lldms", secs ? (long long)secs->integer : 0,
		 nanos ? (long long)nanos->integer / 1000000 : 0);
	return 0;
}

int spec_number(struct spec_reader *r, const struct value *v, const char *key, char out[static 64])
{
	if (v->type == VALUE_MAP && (value_get(v, "secs") || value_get(v, "nanos")))
		return rust_duration(r, v, key, out);
	if (v->type == VALUE_STRING && v->string.len < 64)
		snprintf(out, 64, "%s", v->string.data);
	else if (v->type == VALUE_INT)
		snprintf(out, 64, "%lld", (long long)v->integer);
	else if (v->type == VALUE_REAL)
		format_double(v->real, out);
	else
		return spec_wrong_type(r, v, key, "a number");
	return 0;
}

int spec_bad_number(struct spec_reader *r, const struct value *v, const char *key)
{
	char word[64];
	spec_open_word(r, v, word);
	size_t n = strspn(word, "0123456789+-.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
	bool begun = (isdigit((unsigned char)word[0]) || word[0] == '.') && !word[n];
	r->curable = begun || spec_open_empty(r, v) || spec_begins_key(r, v, spec_duration_keys);
	if (r->e) {
		char text[sizeof r->e->msg];
		memcpy(text, r->e->msg, sizeof text);
		return spec_wrong(r, v->line, "'%s': %s", key, text);
	}
	return -EINVAL;
}

int spec_duration(struct spec_reader *r, const struct value *v, const char *key, uint64_t least,
		  uint64_t most, uint64_t *ret)
{
	char text[64];
	int n = spec_number(r, v, key, text);
	if (n < 0)
		return n;
	return parse_duration_ms(text, least, most, ret, r->e) < 0 ? spec_bad_number(r, v, key) : 0;
}

int spec_is_map(struct spec_reader *r, const struct value *v, const char *key, const char *known)
{
	if (v->type == VALUE_MAP)
		return 0;
	int n = spec_wrong_type(r, v, key, "a map");
	r->curable |= spec_begins_key(r, v, known);
	return n;
}

int spec_each_item(struct spec_reader *r, struct value *v,
		   int (*fn)(struct spec_reader *, struct value *, size_t))
{
	bool last = r->last;
	int n = 0;
	for (size_t i = 0; n == 0 && i < v->list.n; i++) {
		r->last = last && i + 1 == v->list.n;
		n = fn(r, &v->list.items[i], i);
	}
	r->last = last;
	return n;
}

int spec_each_member(struct spec_reader *r, struct value *v,
		     int (*fn)(struct spec_reader *, struct value_member *, size_t))
{
	bool last = r->last;
	int n = 0;
	for (size_t i = 0; n == 0 && i < v->map.n; i++) {
		r->last = last && i + 1 == v->map.n;
		n = fn(r, &v->map.members[i], i);
	}
	r->last = last;
	return n;
}
