/* SPDX-License-Identifier: MIT */
/* config_render.c - settings as text, as JSON, and as docs/CONFIG.md. L2; loop thread only. */
#include <string.h>

#include "lib/mem.h"
#include "runtime/config_i.h"

static const char *const type_names[] = {
	[TEXT] = "text",          [PATH] = "path",       [ABSOLUTE] = "absolute path",
	[CHOICE] = "word",        [SECRET] = "secret",   [BOOL] = "true or false",
	[WHOLE] = "whole number", [SIZE] = "size",       [MEGABYTES] = "MB",
	[DURATION] = "duration",  [SECONDS] = "seconds", [MODE] = "file mode",
	[REAL] = "number",        [LIST] = "list",       [TREE] = "table",
};
static const char *const when_names[] = {[LIVE] = "live", [RESTART] = "restart", [LATER] = "later"};

int config_render(const struct config *c, struct buf *out)
{
	for (size_t i = 0; i < CONFIG_ITEMS; i++) {
		const struct setting *s = &c->s[i], *p = &c->pending[i];
		const char *value = setting_shown(i, s);
		buf_printf(out, "%-52s %s    # %s", config_items[i].key, *value ? value : "\"\"",
			   s->origin);
		if (p->text)
			buf_printf(out, "; after a restart: %s, %s", setting_shown(i, p),
				   p->origin);
		else if (config_items[i].when == LATER && s->rank != RANK_DEFAULT)
			buf_adds(out, "; not used by this build");
		buf_adds(out, "\n");
	}
	return out->fail;
}

static void render_value(size_t i, const struct setting *s, struct buf *out)
{
	enum config_type t = config_items[i].type;
	const char *shown = setting_shown(i, s);
	if (t <= SECRET || t == DURATION || t == MODE)
		buf_json_string(out, shown, strlen(shown));
	else
		buf_adds(out, shown);
}

int config_render_json(const struct config *c, struct buf *out)
{
	for (size_t i = 0; i < CONFIG_ITEMS; i++) {
		const struct config_item *it = &config_items[i];
		buf_printf(out, "%s\"%s\":{\"value\":", i ? ",\n " : "{", it->key);
		render_value(i, &c->s[i], out);
		buf_printf(out,
			   ",\"type\":\"%s\",\"when\":\"%s\",\"origin\":", type_names[it->type],
			   when_names[it->when]);
		buf_json_string(out, c->s[i].origin, strlen(c->s[i].origin));
		if (c->pending[i].text) {
			buf_adds(out, ",\"pending\":");
			render_value(i, &c->pending[i], out);
		}
		buf_adds(out, "}");
	}
	return buf_adds(out, "}\n");
}

/* ---- docs/CONFIG.md ---- */

static const char head[] =
	"# Settings\n"
	"\n"
	"Printed by `symbid --print-config` from `runtime/config_items.def`; do not edit.\n"
	"\n"
	"`symbi config show` and `/symbi/config` show every setting, its value and where the value "
	"came from;\n"
	"`symbi config check FILE` checks a file.\n"
	"\n"
	"## Where settings come from\n"
	"\n"
	"Later sources win:\n"
	"\n"
	"1. the default;\n"
	"2. `/etc/symbi/config.toml` (or `.yaml`, `.yml`, `.json`; two of them are refused);\n"
	"3. for an ordinary user the same in `$XDG_CONFIG_HOME/symbi` or `~/.config/symbi`;\n"
	"4. `--config FILE`, repeatable, in their order;\n"
	"5. the environment: the variable in the table with the prefix `SYMBI_` or `SYMBIONT_`, or "
	"for any setting\n"
	"   `SYMBI_SECTION_KEY` (`SYMBI_RUNS_KEEP=10`). An empty variable counts as unset. Two "
	"names of one setting\n"
	"   with different values are refused; an unknown name with one of the prefixes is a "
	"warning in the log;\n"
	"6. the command line.\n"
	"\n"
	"An unknown key, a word that is not in the list, a value out of range: each is refused "
	"with file, line and\n"
	"the nearest known name, and nothing of the file takes effect.\n"
	"\n"
	"`SIGHUP` and `echo reload > /symbi/ctl` read all sources anew. Either everything in them "
	"is valid and takes\n"
	"effect, or nothing changes and the error says what is wrong. *when* in the tables: "
	"**live**: a reload applies\n"
	"it; **restart**: the old value stays in force until the daemon starts again; **later**: "
	"checked and shown,\n"
	"but no part of this build uses it.\n"
	"\n"
	"## Values\n"
	"\n"
	"- *duration*: `\"60s\"`, `\"5m\"`, `\"1h30m\"`, `\"250ms\"`; a bare number is seconds. "
	"*seconds*: the same in whole\n"
	"  seconds.\n"
	"- *size*: bytes, or `\"8GB\"`, `\"512 MiB\"` (1 KB = 1024 bytes). *MB*: a bare number is "
	"megabytes, or `\"2GB\"`.\n"
	"- *file mode*: octal in quotes, `\"0600\"`.\n"
	"- *list*: a list of texts; in the environment and on the command line a JSON list, or "
	"words separated by\n"
	"  commas.\n"
	"- *word*: one of those listed, in any case.\n"
	"- *secret*: never shown, and a warning when its file may be read by others.\n";

static size_t section_len(const char *key)
{
	return (size_t)(strchr(key, '.') - key);
}

static void doc_type(const struct config_item *it, struct buf *out)
{
	double unit = it->type == DURATION ? 1000 : 1;
	buf_printf(out, "%s", type_names[it->type]);
	if (it->type == CHOICE) {
		for (const char *w = it->words; *w; w += strcspn(w, " "), w += strspn(w, " "))
			buf_printf(out, "%s`%.*s`", w == it->words ? ": " : ", ",
				   (int)strcspn(w, " "), w);
	} else if (it->type == DURATION || it->type == SECONDS) {
		buf_printf(out, ", %.10g s to %.10g s", it->least / unit, it->most / unit);
	} else if (it->type == WHOLE || it->type == REAL || it->type == SIZE ||
		   it->type == MEGABYTES) {
		buf_printf(out, ", %.10g to %.10g", it->least, it->most);
	} else if (it->type == LIST) {
		buf_printf(out, ", %.0f to %.0f items", it->least, it->most);
	}
}

static void doc_env(const struct config_item *it, struct buf *out)
{
	for (const char *p = it->env; *p; p += strcspn(p, " "), p += strspn(p, " ")) {
		int n = (int)strcspn(p, " ");
		buf_adds(out, p == it->env ? "" : " ");
		if (*p == '=')
			buf_printf(out, "`%.*s`", n - 1, p + 1);
		else
			buf_printf(out, "`SYMBI_%.*s`", n, p);
	}
}

static void doc_item(const struct config_item *it, struct buf *out)
{
	buf_printf(out, "| `%s` | ", it->key);
	doc_type(it, out);
	buf_printf(out, " | %s%s%s | ", *it->def ? "`" : "", it->def, *it->def ? "`" : "");
	doc_env(it, out);
	buf_printf(out, " | %s | %s |\n", when_names[it->when], it->help);
}

int config_doc(struct buf *out)
{
	buf_adds(out, head);
	for (size_t i = 0; i < CONFIG_ITEMS; i++) {
		const char *key = config_items[i].key;
		size_t n = section_len(key);
		if (i == 0 || strncmp(config_items[i - 1].key, key, n + 1) != 0)
			buf_printf(out,
				   "\n## [%.*s]\n\n| setting | type | default | environment | when "
				   "| what "
				   "it does |\n|-|-|-|-|-|-|\n",
				   (int)n, key);
		doc_item(&config_items[i], out);
	}
	buf_adds(out, "\n## Tables\n\nWhat the settings of type *table* may hold; `*` stands for "
		      "any name, `[]` for "
		      "an item of a list.\n\n| place | type | accepted |\n|-|-|-|\n");
	for (size_t i = 0; i < CONFIG_ITEMS; i++)
		if (config_items[i].type == TREE)
			config_shape_doc(config_items[i].key, out);
	buf_adds(out, "\n## Other names\n\nThe sample files `runtime_config.toml` and "
		      "`config.toml` name some settings "
		      "differently; both names stand.\n\n| name | setting |\n|-|-|\n");
	for (const struct config_alias *a = config_aliases; a->other; a++)
		buf_printf(out, "| `%s` | `%s` |\n", a->other, a->key);
	return out->fail;
}
