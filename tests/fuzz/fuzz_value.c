/* SPDX-License-Identifier: MIT */
/* fuzz_value.c - texts of the three formats: the first byte picks one. What is accepted is printed as JSON and
 * must come back the same; what is refused has a code and a sentence. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/value.h"

static void dump(const struct value *v, struct buf *out)
{
	buf_clear(out);
	if (value_dump_json(v, out) < 0)
		abort();
}

static void must_come_back(const struct value *v)
{
	autobuf struct buf first, second;
	struct value *again = NULL;
	struct err e = {0};
	buf_init(&first, 64u << 20);
	buf_init(&second, 64u << 20);
	dump(v, &first);
	if (first.len > VALUE_TEXT_MAX)
		return;
	if (value_parse(VALUE_JSON, first.data, first.len, &again, NULL, &e) < 0) {
		fprintf(stderr, "%s\n%s\n", e.msg, first.data);
		abort();
	}
	dump(again, &second);
	if (strcmp(first.data, second.data) != 0)
		abort();
	value_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	enum value_format f = (enum value_format)(data[0] % 3);
	struct value *v = NULL;
	struct err e = {0};
	bool unfinished = false;
	int r = value_parse(f, (const char *)data + 1, size - 1, &v, &unfinished, &e);
	if (r < 0) {
		if (v || e.code == ERR_NONE || !e.msg[0])
			abort();
		return 0;
	}
	if (unfinished)
		abort();
	must_come_back(v);
	value_free(v);
	return 0;
}
