/* SPDX-License-Identifier: MIT */
/* config.h - one table of settings: name, type, range, default, help. L2; loop thread.
 *
 * Sources, later ones win: defaults, /etc/symbi/config.{toml,yaml,yml,json} and (not for root) the same in
 * ~/.config/symbi, --config FILE (repeatable, in their order), environment, command line. Which wins follows
 * from the kind of source, not from the order of the calls. The sample files runtime_config.toml and
 * config.toml load as they stand; settings of parts that are not built yet are checked and shown.
 *
 * Every failure is CONFIG_001 (or TEXT_00x for a text that does not parse), names file, line, setting and what
 * is accepted, and changes nothing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/value.h"

struct config;

int config_new(struct config **ret, struct err *e); /* all defaults */
void config_free(struct config *c);                 /* NULL is fine */

/* ---- sources ---- */

/* The files of the default places, those that exist. Two of one place are refused. */
int config_load_default(struct config *c, struct err *e);
/* One file; its suffix (.toml .yaml .yml .json) is its format. */
int config_load_file(struct config *c, const char *path, struct err *e);
/* "NAME=value" strings, NULL-ended, copied. An empty value counts as unset. Two names of one setting with
 * different values are refused; SYMBI_ and SYMBIONT_ names that nobody knows are warnings. */
int config_load_env(struct config *c, char *const *envp, struct err *e);
/* One setting of the command line; origin ("--allow-native") is what config_render shows. A list is a JSON list
 * or words separated by commas, a table is JSON. */
int config_set(struct config *c, const char *key, const char *text, const char *origin,
	       struct err *e);

/* What a user should know and no error was: NULL-ended, never NULL; valid until the next load or reload. */
const char *const *config_warnings(const struct config *c);

/* ---- reload ---- */

struct config_change {
	const char *key;    /* static */
	const char *value;  /* as config_render shows it: secrets masked */
	bool needs_restart; /* until then the old value stays in force */
};

/* Read all sources anew. Returns how many settings changed, or -errno; then nothing is changed. What may only
 * change at a start keeps its value and waits: getters and config_render go on with the old one. */
int config_reload(struct config *c, struct err *e);
/* Of the last config_reload that succeeded; valid until the next one. */
const struct config_change *config_changes(const struct config *c, size_t *ret_n);

/* ---- reading ---- */

/* By full key ("lifecycle.max_agents"). The key must exist and be of the kind (abort otherwise: our mistake).
 * Pointers are valid until the next load or reload: copy what must last. */
const char *config_str(const struct config *c,
		       const char *key); /* texts, paths, words as in the table, modes */
const char *config_secret(const struct config *c, const char *key); /* never to be logged */
uint64_t config_u64(const struct config *c,
		    const char *key); /* numbers; sizes in bytes; MB, seconds, modes */
uint64_t config_ms(const struct config *c, const char *key); /* durations */
double config_real(const struct config *c, const char *key);
bool config_bool(const struct config *c, const char *key);
const char *const *config_list(const struct config *c, const char *key);  /* NULL-ended strings */
const struct value *config_tree(const struct config *c, const char *key); /* a map */

/* ---- showing ---- */

/* "key value    # origin" for each setting. origin: default, FILE:LINE, environment NAME, an option's name. */
int config_render(const struct config *c, struct buf *out);
/* {"key":{"value":…,"type":…,"origin":…,"when":"live|restart|later"},…}, "pending" where a value waits. */
int config_render_json(const struct config *c, struct buf *out);
int config_doc(struct buf *out); /* docs/CONFIG.md */
