/* SPDX-License-Identifier: MIT */
/* fuzz_parse.c - the strict parsers of numbers, sizes, durations and names: what they take is in range, and a
 * duration that is written down reads back as itself. */
#include <assert.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *s = strndup((const char *)data, size);
	struct err e;
	uint64_t u, again;
	int64_t i;
	double d;
	bool b;
	char text[32];
	if (parse_u64(s, 3, 1000, &u, &e) == 0)
		assert(u >= 3 && u <= 1000);
	if (parse_i64(s, -5, INT64_MAX, &i, &e) == 0)
		assert(i >= -5);
	if (parse_double(s, 0, 1e6, &d, &e) == 0)
		assert(d >= 0 && d <= 1e6);
	if (parse_size(s, 0, UINT64_MAX, &u, &e) < 0)
		assert(e.code != ERR_NONE && e.msg[0]);
	if (parse_duration_ms(s, 0, UINT64_MAX, &u, &e) == 0) {
		format_duration_ms(u, text);
		assert(parse_duration_ms(text, 0, UINT64_MAX, &again, &e) == 0 && again == u);
	}
	if (parse_bool(s, &b, &e) == 0)
		assert(strlen(s) <= 5);
	if (name_ok(s, strlen(s)))
		assert(!strchr(s, '/') && s[0] != '.' && strlen(s) <= NAME_LEN_MAX);
	return 0;
}
