/* SPDX-License-Identifier: MIT */
/* fields.c - a struct's fields to JSON (the journal, the event feed) and to bytes (the store), both by
 * one table. L2; any thread. */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "runtime/runtime_i.h"

static uint64_t number_of(const struct field *f, const void *base)
{
	const char *at = (const char *)base + f->at;
	uint32_t small;
	uint64_t big;
	switch (f->kind) {
	case FIELD_U32:
	case FIELD_BOOL:
	case FIELD_STATE:
		memcpy(&small, at, sizeof small);
		return small;
	case FIELD_U64:
	case FIELD_I64:
		memcpy(&big, at, sizeof big);
		return big;
	case FIELD_STR:
		break;
	}
	return 0;
}

static void number_set(const struct field *f, void *base, uint64_t n)
{
	char *at = (char *)base + f->at;
	uint32_t small = (uint32_t)n;
	if (f->kind == FIELD_U64 || f->kind == FIELD_I64)
		memcpy(at, &n, sizeof n);
	else if (f->kind != FIELD_STR)
		memcpy(at, &small, sizeof small);
}

static const char *string_of(const struct field *f, const void *base)
{
	return *(const char *const *)(const void *)((const char *)base + f->at);
}

static void string_set(const struct field *f, void *base, const char *s)
{
	*(const char **)(void *)((char *)base + f->at) = s;
}

int fields_json(const struct field *const *list, const void *from, struct buf *out)
{
	for (; *list; list++) {
		const struct field *f = *list;
		const char *s = f->kind == FIELD_STR ? string_of(f, from) : NULL;
		uint64_t n = number_of(f, from);
		if (f->kind == FIELD_STR && !s)
			continue;
		buf_printf(out, ",\"%s\":", f->key);
		switch (f->kind) {
		case FIELD_U32:
		case FIELD_U64:
			buf_printf(out, "%llu", (unsigned long long)n);
			break;
		case FIELD_I64:
			buf_printf(out, "%lld", (long long)(int64_t)n);
			break;
		case FIELD_BOOL:
			buf_adds(out, n ? "true" : "false");
			break;
		case FIELD_STATE:
			buf_printf(out, "\"%s\"", agent_state_name((enum agent_state)n));
			break;
		case FIELD_STR:
			buf_json_string(out, s, strlen(s));
			break;
		}
	}
	return out->fail;
}

void fields_from_json(const struct field *const *list, const struct json_t *obj, void *to)
{
	for (; *list; list++) {
		const struct field *f = *list;
		const json_t *v = json_object_get(obj, f->key);
		uint32_t state;
		if (!v)
			continue;
		if (f->kind == FIELD_STR)
			string_set(f, to, json_string_value(v));
		else if (f->kind == FIELD_BOOL)
			number_set(f, to, json_is_true(v));
		else if (f->kind != FIELD_STATE)
			number_set(f, to, (uint64_t)json_integer_value(v));
		else if (json_is_string(v) && agent_state_parse(json_string_value(v), &state) == 0)
			number_set(f, to, state);
	}
}

int fields_pack(const struct field *table, size_t n, const void *from, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		const char *s = table[i].kind == FIELD_STR ? string_of(&table[i], from) : NULL;
		uint64_t num = number_of(&table[i], from);
		uint32_t len = s ? (uint32_t)strlen(s) + 1 : sizeof num;
		unsigned char head[5] = {(unsigned char)(i + 1)};
		if (table[i].kind == FIELD_STR ? !s : !num)
			continue; /* zero is what an absent field is read as */
		memcpy(head + 1, &len, sizeof len);
		buf_add(out, head, sizeof head);
		buf_add(out, s ? (const void *)s : &num, len);
	}
	return out->fail;
}

int fields_unpack(const struct field *table, size_t n, const void *data, size_t len, void *to)
{
	const char *at = data, *end = at + len;
	while (at < end) {
		uint32_t size;
		uint64_t num;
		if (end - at < 5)
			return -EUCLEAN;
		unsigned tag = (unsigned char)*at;
		memcpy(&size, at + 1, sizeof size);
		at += 5;
		if (!tag || size > (size_t)(end - at))
			return -EUCLEAN;
		if (tag <= n && table[tag - 1].kind == FIELD_STR) {
			if (!size || at[size - 1])
				return -EUCLEAN;
			string_set(&table[tag - 1], to, at);
		} else if (tag <= n) { /* a later version's field is passed over */
			if (size != sizeof num)
				return -EUCLEAN;
			memcpy(&num, at, sizeof num);
			number_set(&table[tag - 1], to, num);
		}
		at += size;
	}
	return 0;
}
