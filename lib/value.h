/* SPDX-License-Identifier: MIT */
/* value.h - one value type for YAML, JSON and TOML text, with the line of every key. L0.
 *
 * Strict: duplicate keys, YAML anchors/aliases/tags of other types, more than one document,
 * nesting deeper than VALUE_DEPTH_MAX, more than VALUE_NODES_MAX nodes and texts above
 * VALUE_TEXT_MAX bytes are refused, with the line in err.line and in the sentence. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

#define VALUE_DEPTH_MAX 64
#define VALUE_NODES_MAX 100000
#define VALUE_TEXT_MAX  (1u << 20) /* bytes */

enum value_type {
	VALUE_NULL,
	VALUE_BOOL,
	VALUE_INT,
	VALUE_REAL,
	VALUE_STRING,
	VALUE_LIST,
	VALUE_MAP,
};

enum value_format { VALUE_YAML, VALUE_JSON, VALUE_TOML };

struct value_member;
struct value {
	enum value_type type;
	unsigned line; /* 1-based; 0 unknown */
	union {
		bool boolean;
		int64_t integer;
		double real;
		struct {
			char *data; /* NUL behind len; owned */
			size_t len;
		} string;
		struct {
			struct value *items;
			size_t n;
		} list;
		struct {
			struct value_member *members; /* in the order of the text */
			size_t n;
		} map;
	};
};
struct value_member {
	char *key;
	unsigned line;
	struct value value;
};

/* The format that a file name's suffix asks for (.yaml .yml .json .toml). 0 or -EINVAL. */
int value_format_of(const char *name, enum value_format *ret);
/* Is it NAME (name_ok, lib/parse.h) and such a suffix? Any thread. */
bool value_file_name_ok(const char *file);

/* Parse text (need not end in NUL) into a tree the caller frees with value_free.
 * YAML scalars follow the YAML 1.2 core schema (so `no` and `on` are strings).
 * Returns 0; -EINVAL TEXT_001 with the line; -EFBIG TEXT_002; -ENOMEM. *unfinished (may be NULL)
 * is set: true on an -EINVAL that more text behind the end could still cure, else false. */
int value_parse(enum value_format f, const char *text, size_t len, struct value **ret,
		bool *unfinished, struct err *e);
void value_free(struct value *v); /* NULL is fine */

/* The member of a map, NULL when absent or v is not a map. */
const struct value *value_get(const struct value *v, const char *key);
/* The text of that member, NULL when there is none or it is no string. */
const char *value_get_text(const struct value *v, const char *key);

const char *value_type_name(enum value_type t); /* "string", "list", ... */

/* Append v as compact JSON, map members in their order. 0 or -errno of the buffer. */
int value_dump_json(const struct value *v, struct buf *out);
