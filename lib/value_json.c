/* SPDX-License-Identifier: MIT */
/* value_json.c - JSON by jansson; the lines of keys and values come from walking the checked text once
 * more beside the tree. L0. */
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/value_i.h"

struct walk { /* over text that jansson accepted */
	struct value_build *b;
	const char *p, *end;
	unsigned line;
	struct err *e;
};

static void space(struct walk *w)
{
	for (; w->p < w->end && (strchr(" \t\r\n,:", *w->p)); w->p++)
		w->line += *w->p == '\n';
}

static void string(struct walk *w)
{
	for (w->p++; w->p < w->end && *w->p != '"'; w->p++)
		w->p += *w->p == '\\';
	w->p++;
}

static int node(struct walk *w, json_t *j, struct value *v, unsigned depth);

static int array(struct walk *w, json_t *j, struct value *v, unsigned depth)
{
	v->type = VALUE_LIST;
	w->p++;
	for (size_t i = 0; i < json_array_size(j); i++) {
		struct value *item;
		int r = value_list_add(v, &item, w->e);
		if (r == 0)
			r = node(w, json_array_get(j, i), item, depth + 1);
		if (r < 0)
			return r;
	}
	space(w);
	w->p++;
	return 0;
}

static int object(struct walk *w, json_t *j, struct value *v, unsigned depth)
{
	const char *key;
	json_t *item;
	v->type = VALUE_MAP;
	w->p++;
	json_object_foreach(j, key, item) { /* in the order of the text since jansson 2.8 */
		space(w);
		unsigned line = w->line;
		string(w);
		struct value *member;
		int r = value_map_add(v, key, strlen(key), line, &member, w->e);
		if (r == 0)
			r = node(w, item, member, depth + 1);
		if (r < 0)
			return r;
	}
	space(w);
	w->p++;
	return 0;
}

static int node(struct walk *w, json_t *j, struct value *v, unsigned depth)
{
	space(w);
	v->line = w->line;
	int r = value_count(w->b, depth, v->line, w->e);
	if (r < 0)
		return r;
	if (json_is_array(j))
		return array(w, j, v, depth);
	if (json_is_object(j))
		return object(w, j, v, depth);
	if (json_is_string(j)) {
		string(w);
		return value_set_string(v, json_string_value(j), json_string_length(j), w->e);
	}
	while (w->p < w->end && !strchr(",]} \t\r\n", *w->p))
		w->p++;
	if (json_is_boolean(j)) {
		v->type = VALUE_BOOL;
		v->boolean = json_is_true(j);
	} else if (json_is_integer(j)) {
		v->type = VALUE_INT;
		v->integer = json_integer_value(j);
	} else if (json_is_real(j)) {
		return value_set_real(v, json_real_value(j), w->e);
	}
	return 0;
}

static bool starts_word(const char *s, size_t n, const char *word)
{
	return n < strlen(word) && strncmp(s, word, n) == 0;
}

static bool cut_inside_char(const char *text, size_t len)
{
	size_t back = 1;
	while (back < 4 && back < len && (text[len - back] & 0xc0) == 0x80)
		back++;
	unsigned char lead = (unsigned char)text[len - back];
	return lead >= 0xc2 && lead < 0xf5 && back < (lead < 0xe0 ? 2u : lead < 0xf0 ? 3u : 4u);
}

/* Is the text cut inside an escape, a word or a number? jansson calls that an invalid token. */
static bool cut_inside_token(const char *text, size_t len)
{
	size_t hex = 0, n = 0;
	while (hex < len && hex < 4 && strchr("0123456789abcdefABCDEF", text[len - 1 - hex]))
		hex++;
	for (size_t digits = 0; digits <= hex && digits < 4 && digits + 1 < len; digits++)
		if (text[len - 1 - digits] == 'u' && text[len - 2 - digits] == '\\')
			return true;
	if (text[len - 1] == '\\')
		return true;
	while (n < len && !strchr(" \t\r\n,:[]{}\"", text[len - 1 - n]))
		n++;
	const char *token = text + len - n; /* no NUL behind it */
	bool number = n && strchr("+-.eE", token[n - 1]);
	for (size_t i = 0; i < n; i++)
		number &= strchr("0123456789+-.eE", token[i]) != NULL;
	return number || (n && (starts_word(token, n, "true") || starts_word(token, n, "false") ||
				starts_word(token, n, "null")));
}

/* jansson calls a text wrong, or goes on without a letter, when it has no memory for a part of it. */
static _Thread_local bool out_of_memory;

static void *watched_malloc(size_t n)
{
	void *p = malloc(n);
	out_of_memory |= !p;
	return p;
}

static void watch_memory(void)
{
	json_set_alloc_funcs(watched_malloc, free);
}

int value_parse_json(struct value_build *b, const char *text, size_t len, struct value *ret,
		     struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	json_error_t why = {0};
	pthread_once(&once, watch_memory);
	out_of_memory = false;
	json_t *j = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
	if (out_of_memory) { /* it may have dropped a letter and gone on */
		json_decref(j);
		return err_set(e, ERR_SYS_MEMORY, "no memory for the text");
	}
	if (!j) {
		unsigned line = why.line > 0 ? (unsigned)why.line : 1;
		enum json_error_code kind = json_error_code(&why);
		bool at_end = why.position >= 0 && (size_t)why.position >= len;
		*b->unfinished = len == 0 || kind == json_error_premature_end_of_input ||
				 (kind == json_error_invalid_utf8 && why.position >= 0 &&
				  (size_t)why.position + 4 > len && cut_inside_char(text, len)) ||
				 (kind == json_error_invalid_syntax && at_end &&
				  cut_inside_token(text, len));
		return err_at(e, ERR_TEXT_SYNTAX, line, "line %u: %s", line, why.text);
	}
	struct walk w = {b, text, text + len, 1, e};
	int r = node(&w, j, ret, 0);
	json_decref(j);
	return r;
}
