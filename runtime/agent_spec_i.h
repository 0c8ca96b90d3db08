/* SPDX-License-Identifier: MIT */
/* agent_spec_i.h - reading one value of a spec, and judging what is wrong at the end of a text. L2; any thread.
 *
 * A shell writes a text in pieces, and each piece is judged. A failure is `curable` when the value at fault is
 * the last of the text and could still become another: `tier: Ti` may become Tier1, `tier: Teir` never will. */
#pragma once

#define SPEC_IMAGE_MAX 300 /* bytes of an image's name */

#include "runtime/agent_spec.h"

struct spec_reader {
	struct agent_spec *s;
	const struct agent_spec_place *place;
	enum value_format f;
	const char *text;
	size_t len;
	unsigned last_line; /* on which the text ends */
	bool last;	    /* the value being read is the last one of the text */
	bool curable;	    /* of the failure that is returned */
	bool mode_given, restart_given;
	struct err *e;
};

typedef int spec_read_fn(struct spec_reader *r, struct value *v);

struct spec_key {
	const char *key;
	spec_read_fn *read; /* two keys with one reader are two names of one thing */
	const char *below;  /* NULL, or the names of the keys in its map, separated by spaces */
};
extern const struct spec_key spec_keys[]; /* ended by NULL */
struct spec_runtime {
	const char *name, *program, *flag, *suffix;
};
extern const struct spec_runtime spec_runtimes[];
extern const char spec_runtime_words[]; /* their names in the same order */

extern const char *const spec_restart_keys, *const spec_limit_keys, *const spec_duration_keys, *const spec_network_keys;

/* ---- agent_spec_net.c: readers of spec_keys ---- */

spec_read_fn spec_read_driver, spec_read_network;

/* ---- agent_spec_word.c: words and what they may become ---- */

/* The word at the very end of the text when v is that word and more letters may follow; "" otherwise. */
void spec_open_word(const struct spec_reader *r, const struct value *v, char word[static 64]);
/* May more words follow v on the last line? */
bool spec_open_line(const struct spec_reader *r, const struct value *v);
/* Is v nothing yet (`key:`, `key: |`, "" of a longer quote), at the end of the text? */
bool spec_open_empty(const struct spec_reader *r, const struct value *v);
/* Is v a list or map only by a `-`, `:` or `?` at the end of the text, which with more behind it is a letter? */
bool spec_open_indicator(const struct spec_reader *r, const struct value *v);
/* Do the two name the same thing? Case, '-' and '_' do not count. */
bool spec_same_word(const char *a, const char *b);
/* Could word become one of words (separated by spaces)? */
bool spec_begins_word(const char *word, const char *words);
/* Could v, a word at the end of the text, become one of these keys (NULL: any) and v so a map? */
bool spec_begins_key(const struct spec_reader *r, const struct value *v, const char *keys);
bool spec_no_key_follows(const struct spec_reader *r);

/* ---- agent_spec_value.c: one value ---- */

int spec_no_memory(struct spec_reader *r);
/* AGENT_003 with the line in front. Always negative. */
int spec_wrong(struct spec_reader *r, unsigned line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int spec_wrong_type(struct spec_reader *r, const struct value *v, const char *key, const char *want);
int spec_unknown(struct spec_reader *r, const struct value_member *m, const char *in, const char *known);

/* A string of at most `most` bytes; moved out of v into *ret. */
int spec_text(struct spec_reader *r, struct value *v, const char *key, size_t most, char **ret);
/* One of words (separated by spaces); *ret is its place among them. */
int spec_choice(struct spec_reader *r, const struct value *v, const char *key, const char *words, int *ret);
/* A number, size or duration as text, a {secs, nanos} map as duration; what it means is the caller's. */
int spec_number(struct spec_reader *r, const struct value *v, const char *key, char out[static 64]);
/* The failure of parse_* on such a text, with line and key in front. */
int spec_bad_number(struct spec_reader *r, const struct value *v, const char *key);
int spec_duration(struct spec_reader *r, const struct value *v, const char *key, uint64_t least,
		  uint64_t most, uint64_t *ret);
int spec_is_map(struct spec_reader *r, const struct value *v, const char *key, const char *known);

/* Calls fn for each item or member with r->last as it is for that item. */
int spec_each_item(struct spec_reader *r, struct value *v, int (*fn)(struct spec_reader *, struct value *, size_t));
int spec_each_member(struct spec_reader *r, struct value *v,
		     int (*fn)(struct spec_reader *, struct value_member *, size_t));
