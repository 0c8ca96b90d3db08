/* SPDX-License-Identifier: MIT */
/* config_source.c - where settings come from: files, environment, command line; read into a draft that
 * takes effect as a whole, remembered, and read anew by a reload. L2; loop thread only. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"
#include "runtime/config_i.h"

static int no_memory(struct err *e)
{
	return err_set(e, ERR_SYS_MEMORY, "no memory for the configuration");
}

static void draft_done(struct draft *d)
{
	for (size_t i = 0; i < CONFIG_ITEMS; i++)
		setting_done(&d->s[i]);
	strings_done(&d->warnings);
	free(d);
}

int draft_warn(struct draft *d, char *owned, struct err *e)
{
	return strings_add(&d->warnings, owned) < 0 ? no_memory(e) : 0;
}

char *strings_format(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	return text;
}

int draft_put(struct draft *d, size_t i, struct setting *n, unsigned line, struct err *e)
{
	struct setting *old = &d->s[i];
	if (old->text && strcmp(old->text, n->text) != 0) {
		int r = err_at(e, ERR_CONFIG_INVALID, line,
			       "%s: setting '%s' has another value at %s: leave one of them",
			       n->origin, config_items[i].key, old->origin);
		setting_done(n);
		return r;
	}
	setting_done(old);
	*old = *n;
	return 0;
}

/* ---- files ---- */

static int put_member(struct draft *d, const struct value_member *m, const char *key,
		      const char *path, struct err *e);

static int put_members(struct draft *d, const struct value *v, const char *prefix, const char *path,
		       struct err *e)
{
	for (size_t i = 0; i < v->map.n; i++) {
		const struct value_member *m = &v->map.members[i];
		autofree char *key = strings_format("%s%s%s", prefix, *prefix ? "." : "", m->key);
		int r = key ? put_member(d, m, key, path, e) : no_memory(e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int put_member(struct draft *d, const struct value_member *m, const char *key,
		      const char *path, struct err *e)
{
	struct setting n;
	autofree char *origin = strings_format("%s:%u", path, m->line);
	size_t i = config_find(key);
	if (!origin)
		return no_memory(e);
	if (i == CONFIG_ITEMS && !config_is_section(key))
		return config_unknown(key, origin, m->line, e);
	if (i == CONFIG_ITEMS && m->value.type != VALUE_MAP)
		return err_at(e, ERR_CONFIG_INVALID, m->line,
			      "%s: '%s' is a table of settings, not a %s", origin, key,
			      value_type_name(m->value.type));
	if (i == CONFIG_ITEMS)
		return put_members(d, &m->value, key, path, e);
	int r = setting_from_value(i, &m->value, origin, d->rank, &n, e);
	return r < 0 ? r : draft_put(d, i, &n, m->line, e);
}

static int read_whole(const char *path, const char *shown, struct buf *out, mode_t *mode,
		      struct err *e)
{
	struct stat st;
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, ERR_CONFIG_INVALID, errno, "'%s'", shown);
	*mode = st.st_mode;
	for (;;) {
		if (buf_reserve(out, 65536) < 0)
			return out->fail == -ENOMEM ? no_memory(e)
						    : err_set(e, ERR_TEXT_LIMIT,
							      "'%s' is larger than %u bytes", shown,
							      VALUE_TEXT_MAX);
		ssize_t n = read(fd, out->data + out->len, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, ERR_CONFIG_INVALID, errno, "'%s'", shown);
		if (n == 0)
			return 0;
		out->len += (size_t)n;
		out->data[out->len] = 0;
	}
}

/* A token in a file that everybody reads is no secret. */
static int warn_readable(struct draft *d, const char *path, mode_t mode, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && (mode & 044) && i < CONFIG_ITEMS; i++)
		if (config_items[i].type == SECRET && d->s[i].text && *d->s[i].text)
			r = draft_warn(d,
				       strings_format("%s: secret '%s' stands in a file that "
						      "others may read; chmod "
						      "600 '%s'",
						      d->s[i].origin, config_items[i].key, path),
				       e);
	return r;
}

/* Blanks and comments only, in the formats that have comments. */
static bool says_nothing(const char *text, enum value_format f)
{
	while (f != VALUE_JSON && *(text += strspn(text, " \t\r\n")) == '#')
		text += strcspn(text, "\n");
	return f != VALUE_JSON && !*text;
}

static int read_file(struct draft *d, const char *path, const char *shown, struct err *e)
{
	enum value_format f;
	struct value *v = NULL;
	mode_t mode = 0;
	autobuf struct buf text;
	buf_init(&text, VALUE_TEXT_MAX + 65536);
	if (value_format_of(shown, &f) < 0)
		return err_set(e, ERR_CONFIG_INVALID,
			       "'%s': a configuration ends in .toml, .yaml, .yml or .json", shown);
	int r = read_whole(path, shown, &text, &mode, e);
	if (r < 0)
		return r;
	if (says_nothing(text.data, f) && strlen(text.data) == text.len)
		return 0;
	r = value_parse(f, text.data, text.len, &v, NULL, e);
	if (r < 0)
		return err_wrap(e, "'%s'", shown);
	if (v->type == VALUE_MAP)
		r = put_members(d, v, "", shown, e);
	else
		r = err_at(e, ERR_CONFIG_INVALID, v->line, "'%s' is not a table of settings",
			   shown);
	value_free(v);
	return r < 0 ? r : warn_readable(d, shown, mode, e);
}

/* The one file config.* of a directory, if there is one. */
static int read_place(struct draft *d, const char *dir, struct err *e)
{
	static const char *const suffixes[] = {"toml", "yaml", "yml", "json"};
	char path[4096], found[4096] = "";
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		int n = snprintf(path, sizeof path, "%s/config.%s", dir, suffixes[i]);
		if (n >= (int)sizeof path || access(path, F_OK) < 0)
			continue;
		if (*found)
			return err_set(e, ERR_CONFIG_INVALID,
				       "'%.180s' and '%.180s' both exist: leave "
				       "one of them",
				       found, path);
		memcpy(found, path, sizeof path);
	}
	return *found ? read_file(d, found, found, e) : 0;
}

/* ---- any source ---- */

static int read_source(const struct source *src, struct draft *d, struct err *e)
{
	struct setting n;
	d->rank = src->rank;
	switch (src->rank) {
	case RANK_SYSTEM_FILE:
	case RANK_USER_FILE: return read_place(d, src->path, e);
	case RANK_FILE: return read_file(d, src->path, src->origin, e);
	case RANK_ENVIRONMENT: return draft_env(d, src->env, e);
	case RANK_COMMAND_LINE: break;
	case RANK_DEFAULT: return 0;
	}
	size_t i = config_find(src->key);
	if (i == CONFIG_ITEMS)
		return config_unknown(src->key, src->origin, 0, e);
	int r = setting_from_text(i, src->text, src->origin, 0, src->rank, &n, e);
	return r < 0 ? r : draft_put(d, i, &n, 0, e);
}

/* What a higher source said stays. */
static void take_draft(struct config *c, struct draft *d)
{
	for (size_t i = 0; i < CONFIG_ITEMS; i++) {
		if (!d->s[i].text || d->s[i].rank < c->s[i].rank)
			continue;
		setting_done(&c->s[i]);
		c->s[i] = d->s[i];
		d->s[i] = (struct setting){0};
	}
}

static int read_into(struct config *c, const struct source *src, struct err *e)
{
	struct draft *d = calloc(1, sizeof *d);
	int r = d ? read_source(src, d, e) : no_memory(e);
	for (size_t i = 0; r == 0 && i < d->warnings.n; i++)
		if (strings_add(&c->warnings, take_ptr(d->warnings.items[i])) < 0)
			r = no_memory(e);
	if (r == 0)
		take_draft(c, d);
	if (d)
		draft_done(d);
	return r;
}

/* Read src, which is moved in any case, and remember it for the next reload. */
static int add_source(struct config *c, struct source *src, struct err *e)
{
	struct source *grown = realloc(c->sources, (c->sources_n + 1) * sizeof *grown);
	if (grown)
		c->sources = grown;
	int r = grown ? read_into(c, src, e) : no_memory(e);
	if (r < 0)
		source_done(src);
	else
		c->sources[c->sources_n++] = *src;
	return r;
}

void source_done(struct source *s)
{
	free(s->path);
	free(s->origin);
	free(s->key);
	free(s->text);
	for (char **p = s->env; p && *p; p++)
		free(*p);
	free(s->env);
}

int config_load_place(struct config *c, enum config_rank rank, const char *dir, struct err *e)
{
	struct source src = {.rank = rank, .path = strdup(dir)};
	return src.path ? add_source(c, &src, e) : no_memory(e);
}

int config_load_default(struct config *c, struct err *e)
{
	char dir[4000] = "";
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	int r = config_load_place(c, RANK_SYSTEM_FILE, "/etc/symbi", e);
	/* root's daemon must not depend on whose home sudo left in the environment */
	if (r < 0 || geteuid() == 0)
		return r;
	if (config && config[0] == '/')
		snprintf(dir, sizeof dir, "%s/symbi", config);
	else if (home && home[0] == '/')
		snprintf(dir, sizeof dir, "%s/.config/symbi", home);
	return *dir ? config_load_place(c, RANK_USER_FILE, dir, e) : 0;
}

int config_load_file(struct config *c, const char *path, struct err *e)
{
	struct source src = {.rank = RANK_FILE, .origin = strdup(path)};
	autofree char *cwd = path[0] == '/' ? NULL : getcwd(NULL, 0);
	/* The daemon may change its directory before it reads the file again. */
	src.path = cwd ? strings_format("%s/%s", cwd, path) : strdup(path);
	if (src.path && src.origin)
		return add_source(c, &src, e);
	source_done(&src);
	return no_memory(e);
}

int config_load_env(struct config *c, char *const *envp, struct err *e)
{
	struct source src = {.rank = RANK_ENVIRONMENT};
	struct strings kept = {0};
	int r = strings_add(&kept, strdup("")); /* so that the list is never NULL */
	for (; r == 0 && *envp; envp++)
		if (draft_env_concerns(*envp))
			r = strings_add(&kept, strdup(*envp));
	src.env = kept.items;
	if (r == 0)
		return add_source(c, &src, e);
	source_done(&src);
	return no_memory(e);
}

int config_set(struct config *c, const char *key, const char *text, const char *origin,
	       struct err *e)
{
	struct source src = {.rank = RANK_COMMAND_LINE,
			     .origin = strdup(origin),
			     .key = strdup(key),
			     .text = strdup(text)};
	if (src.origin && src.key && src.text)
		return add_source(c, &src, e);
	source_done(&src);
	return no_memory(e);
}

/* ---- reload ---- */

static struct setting *wanted(struct config *c, size_t i)
{
	return c->pending[i].text ? &c->pending[i] : &c->s[i];
}

/* Fresh is what the sources say now: note what changed; fresh keeps what waits for a restart aside. */
static size_t compare(struct config *c, struct config *fresh, struct config_change *changes)
{
	size_t n = 0;
	for (size_t i = 0; i < CONFIG_ITEMS; i++) {
		bool same = strcmp(wanted(c, i)->text, fresh->s[i].text) == 0;
		bool waits = config_items[i].when == RESTART &&
			     strcmp(c->s[i].text, fresh->s[i].text) != 0;
		if (!same)
			changes[n++] = (struct config_change){
				config_items[i].key, setting_shown(i, &fresh->s[i]), waits};
		if (!waits)
			continue;
		fresh->pending[i] = fresh->s[i];
		fresh->s[i] = c->s[i];
		c->s[i] = (struct setting){0};
	}
	return n;
}

int config_reload(struct config *c, struct err *e)
{
	struct config *fresh = NULL;
	int r = config_new(&fresh, e);
	for (size_t i = 0; r == 0 && i < c->sources_n; i++)
		r = read_into(fresh, &c->sources[i], e);
	struct config_change *changes = r == 0 ? calloc(CONFIG_ITEMS, sizeof *changes) : NULL;
	if (r == 0 && !changes)
		r = no_memory(e);
	if (r < 0) {
		config_free(fresh);
		return r;
	}
	size_t n = compare(c, fresh, changes);
	fresh->sources = c->sources;
	fresh->sources_n = c->sources_n;
	fresh->changes = changes;
	fresh->changes_n = n;
	c->sources = NULL;
	c->sources_n = 0;
	struct config old = *c;
	*c = *fresh;
	*fresh = old;
	config_free(fresh);
	return (int)n;
}
