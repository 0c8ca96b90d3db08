/* SPDX-License-Identifier: MIT */
/* value_i.h - what the three parsers share. L0. */
#pragma once

#ifdef __cplusplus
#include <cerrno>
#endif

#ifdef __cplusplus
extern "C" {
#endif
#include "lib/value.h"

struct value_build {
	bool *unfinished;
	unsigned nodes;
};

int value_parse_yaml(struct value_build *b, const char *text, size_t len, struct value *ret,
		     struct err *e);
int value_parse_json(struct value_build *b, const char *text, size_t len, struct value *ret,
		     struct err *e);
int value_parse_toml(struct value_build *b, const char *text, size_t len, struct value *ret,
		     struct err *e);

/* Count one more value at this depth against the caps. */
int value_count(struct value_build *b, unsigned depth, unsigned line, struct err *e);
/* Make v, which has its line, a copy of the string. -EINVAL when it holds a NUL, -ENOMEM. */
int value_set_string(struct value *v, const char *s, size_t len, struct err *e);
/* -EINVAL when it is not finite. */
int value_set_real(struct value *v, double real, struct err *e);
/* A new null item or member. Pointers to earlier siblings are no longer valid. The caller sees to it that keys
 * differ. -EINVAL when a key holds a NUL, -ENOMEM. */
int value_list_add(struct value *list, struct value **ret, struct err *e);
int value_map_add(struct value *map, const char *key, size_t len, unsigned line,
		  struct value **ret, struct err *e);
#ifdef __cplusplus
}
#endif
