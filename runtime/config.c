/* SPDX-License-Identifier: MIT */
/* config.c - the table of settings, finding them and reading their values. L2; loop thread only. */
#include "runtime/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/suggest.h"
#include "runtime/config_i.h"

const struct config_item config_items[CONFIG_ITEMS] = {
#define ITEM(key, type, def, least, most, env, when, help)                                         \
	{key, type, def, least, most, NULL, env, when, help},
#define WORDS(key, words, def, env, when, help) {key, CHOICE, def, 0, 0, words, env, when, help},
#include "runtime/config_items.def"
#undef ITEM
#undef WORDS
};

const struct config_alias config_aliases[] = {
#define ALIAS(other, key) {other, key},
#include "runtime/config_aliases.def"
#undef ALIAS
	{NULL, NULL},
};

/* ---- names ---- */

size_t config_find(const char *key)
{
	for (const struct config_alias *a = config_aliases; a->other; a++)
		if (strcmp(a->other, key) == 0)
			key = a->key;
	for (size_t i = 0; i < CONFIG_ITEMS; i++)
		if (strcmp(config_items[i].key, key) == 0)
			return i;
	return CONFIG_ITEMS;
}

static bool below(const char *key, const char *section)
{
	size_t n = strlen(section);
	return strncmp(key, section, n) == 0 && key[n] == '.';
}

bool config_is_section(const char *name)
{
	for (const struct config_alias *a = config_aliases; a->other; a++)
		if (below(a->other, name))
			return true;
	for (size_t i = 0; i < CONFIG_ITEMS; i++)
		if (below(config_items[i].key, name))
			return true;
	return false;
}

/* key and the sections that it stands in */
static void try_names(struct suggest *s, const char *key)
{
	char section[SUGGEST_WORD_MAX + 1];
	suggest_try(s, key);
	for (const char *dot = strchr(key, '.'); dot; dot = strchr(dot + 1, '.')) {
		snprintf(section, sizeof section, "%.*s", (int)(dot - key), key);
		suggest_try(s, section);
	}
}

int config_unknown(const char *key, const char *origin, unsigned line, struct err *e)
{
	struct suggest s;
	suggest_init(&s, key);
	for (const struct config_alias *a = config_aliases; a->other; a++)
		try_names(&s, a->other);
	for (size_t i = 0; i < CONFIG_ITEMS; i++)
		try_names(&s, config_items[i].key);
	const char *hint = suggest_text(&s);
	return err_at(e, ERR_CONFIG_INVALID, line, "%s: unknown setting '%.100s'%s", origin, key,
		      *hint ? hint : "; `symbi config show` lists all");
}

static size_t hash(const char *key)
{
	uint32_t h = 2166136261u; /* FNV-1a */
	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * 16777619u;
	return h;
}

static void index_keys(struct config *c)
{
	_Static_assert(CONFIG_ITEMS * 2 < ARRAY_LEN(c->slots), "the index is too full");
	for (size_t i = 0; i < CONFIG_ITEMS; i++) {
		size_t at = hash(config_items[i].key);
		while (c->slots[at % ARRAY_LEN(c->slots)])
			at++;
		c->slots[at % ARRAY_LEN(c->slots)] = (uint16_t)(i + 1);
	}
}

/* ---- life ---- */

int config_new(struct config **ret, struct err *e)
{
	struct config *c = calloc(1, sizeof *c);
	if (!c)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the configuration");
	index_keys(c);
	for (size_t i = 0; i < CONFIG_ITEMS; i++) {
		int r = setting_from_text(i, config_items[i].def, "default", 0, RANK_DEFAULT,
					  &c->s[i], e);
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
	for (size_t i = 0; i < CONFIG_ITEMS; i++) {
		setting_done(&c->s[i]);
		setting_done(&c->pending[i]);
	}
	for (size_t i = 0; i < c->sources_n; i++)
		source_done(&c->sources[i]);
	free(c->sources);
	strings_done(&c->warnings);
	free(c->changes);
	free(c);
}

int strings_add(struct strings *l, char *owned)
{
	char **items = owned ? realloc(l->items, (l->n + 2) * sizeof *items) : NULL;
	if (!items) {
		free(owned);
		return -ENOMEM;
	}
	l->items = items;
	items[l->n++] = owned;
	items[l->n] = NULL;
	return 0;
}

void strings_done(struct strings *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->items[i]);
	free(l->items);
	*l = (struct strings){0};
}

const char *const *config_warnings(const struct config *c)
{
	static const char *const none[] = {NULL};
	return c->warnings.n ? (const char *const *)c->warnings.items : none;
}

const struct config_change *config_changes(const struct config *c, size_t *ret_n)
{
	*ret_n = c->changes_n;
	return c->changes;
}

/* ---- reading ---- */

#define OF(type) (1u << (type))

static const struct setting *get(const struct config *c, const char *key, unsigned types)
{
	for (size_t at = hash(key);; at++) {
		size_t slot = c->slots[at % ARRAY_LEN(c->slots)];
		if (slot && strcmp(config_items[slot - 1].key, key) != 0)
			continue;
		if (slot && (types & OF(config_items[slot - 1].type)))
			return &c->s[slot - 1];
		fprintf(stderr, "config: no setting '%s' of that type\n", key);
		abort(); /* our own mistake */
	}
}

const char *config_str(const struct config *c, const char *key)
{
	return get(c, key, OF(TEXT) | OF(PATH) | OF(ABSOLUTE) | OF(CHOICE) | OF(MODE))->text;
}

const char *config_secret(const struct config *c, const char *key)
{
	return get(c, key, OF(SECRET))->text;
}

uint64_t config_u64(const struct config *c, const char *key)
{
	return get(c, key, OF(WHOLE) | OF(SIZE) | OF(MEGABYTES) | OF(SECONDS) | OF(MODE))->whole;
}

uint64_t config_ms(const struct config *c, const char *key)
{
	return get(c, key, OF(DURATION))->whole;
}

double config_real(const struct config *c, const char *key)
{
	return get(c, key, OF(REAL))->real;
}

bool config_bool(const struct config *c, const char *key)
{
	return get(c, key, OF(BOOL))->boolean;
}

const char *const *config_list(const struct config *c, const char *key)
{
	return (const char *const *)get(c, key, OF(LIST))->list;
}

const struct value *config_tree(const struct config *c, const char *key)
{
	return get(c, key, OF(TREE))->tree;
}
