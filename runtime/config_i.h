/* SPDX-License-Identifier: MIT */
/* config_i.h - the table of settings and one setting's value, shared by the files of the configuration. L2. */
#pragma once

#include "runtime/config.h"

enum config_type {
	TEXT,
	PATH,
	ABSOLUTE,
	CHOICE,
	SECRET, /* text */
	BOOL,   /* boolean */
	WHOLE,
	SIZE,
	MEGABYTES,
	DURATION,
	SECONDS,
	MODE, /* whole */
	REAL, /* real */
	LIST, /* list */
	TREE, /* tree */
};
enum config_when { LIVE, RESTART, LATER };

struct config_item {
	const char *key;
	enum config_type type;
	const char *def;
	double least, most;
	const char *words; /* CHOICE: separated by spaces */
	const char *env;   /* separated by spaces */
	enum config_when when;
	const char *help;
};
enum {
	CONFIG_ITEMS = 0
#define ITEM(...)  +1
#define WORDS(...) +1
#include "runtime/config_items.def"
#undef ITEM
#undef WORDS
};
extern const struct config_item config_items[CONFIG_ITEMS];

struct config_alias {
	const char *other, *key;
};
extern const struct config_alias config_aliases[]; /* ended by NULL */

/* Row of a key or of another name of it; CONFIG_ITEMS when there is none. */
size_t config_find(const char *key);
/* Is there a setting below "section."? */
bool config_is_section(const char *name);
/* CONFIG_001 for a name that is no setting, with the nearest one. line 0: not in a file. */
int config_unknown(const char *key, const char *origin, unsigned line, struct err *e);

/* Who said it; the higher wins. */
enum config_rank {
	RANK_DEFAULT,
	RANK_SYSTEM_FILE,
	RANK_USER_FILE,
	RANK_FILE,
	RANK_ENVIRONMENT,
	RANK_COMMAND_LINE,
};

struct setting {
	char *text;   /* in one spelling for each value; NULL: not set */
	char *origin; /* "default", "FILE:LINE", "environment NAME" */
	enum config_rank rank;
	uint64_t whole;
	double real;
	bool boolean;
	char **list; /* NULL-ended */
	struct value *tree;
};
void setting_done(struct setting *s);
/* Check text or a file's value against row i. *ret is written on success only. */
int setting_from_text(size_t i, const char *text, const char *origin, unsigned line,
		      enum config_rank rank, struct setting *ret, struct err *e);
int setting_from_value(size_t i, const struct value *v, const char *origin, enum config_rank rank,
		       struct setting *ret, struct err *e);
/* The value as it may be shown: secrets masked. Borrowed. */
const char *setting_shown(size_t i, const struct setting *s);

/* Check what stands in a TREE setting. */
int config_shape_check(const char *key, const struct value *v, struct err *e);
/* The places of a TREE setting for docs/CONFIG.md. */
int config_shape_doc(const char *key, struct buf *out);

struct strings { /* NULL-ended list that grows */
	char **items;
	size_t n;
};
int strings_add(struct strings *l, char *owned); /* takes owned, also on failure; NULL is -ENOMEM */
void strings_done(struct strings *l);
char *strings_format(const char *fmt, ...)
	__attribute__((format(printf, 1, 2))); /* owned; NULL: no memory */

struct source { /* where settings were read from, to read them anew */
	enum config_rank rank;
	char *path;       /* RANK_FILE: absolute; the places: their directory */
	char *origin;     /* RANK_FILE: as the user wrote it; RANK_COMMAND_LINE: the option */
	char *key, *text; /* RANK_COMMAND_LINE */
	char **env;       /* RANK_ENVIRONMENT: the variables that concern us */
};
void source_done(struct source *s);
/* One of the default places: the file config.* of dir, if there is one. */
int config_load_place(struct config *c, enum config_rank rank, const char *dir, struct err *e);

struct draft { /* what one source says */
	struct setting s[CONFIG_ITEMS];
	struct strings warnings;
	enum config_rank rank;
};
/* n is moved. Two names of one setting in one source must agree: CONFIG_001 otherwise. */
int draft_put(struct draft *d, size_t i, struct setting *n, unsigned line, struct err *e);
int draft_warn(struct draft *d, char *owned, struct err *e); /* takes owned; NULL: no memory */

/* Might the variable "NAME=value" be one of ours, known or misspelt? */
bool draft_env_concerns(const char *variable);
int draft_env(struct draft *d, char *const *envp, struct err *e);

struct config {
	struct setting s[CONFIG_ITEMS];
	struct setting pending[CONFIG_ITEMS]; /* waits for a restart */
	uint16_t slots[512];                  /* hash of the key: row + 1 */
	struct source *sources;
	size_t sources_n;
	struct strings warnings;
	struct config_change *changes;
	size_t changes_n;
};
