/* SPDX-License-Identifier: MIT */
/* fuzz_spec.c - agent specs: nothing is half accepted, and every beginning of a valid text is accepted or unfinished.
 * The first byte chooses the format: 0 YAML, 1 JSON, 2 TOML. */
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "runtime/agent_spec.h"

static void check_spec(const struct agent_spec *s)
{
	assert(s->argv && s->argv[0] && *s->argv[0]);
	assert(!s->code_arg || (!*s->argv[s->code_arg] && strlen(s->code) > AGENT_ARG_MAX));
	for (char **p = s->argv; *p; p++)
		assert(strlen(*p) <= AGENT_ARG_MAX);
	for (char **p = s->env; p && *p; p++)
		assert(strchr(*p, '=') > *p && strlen(*p) <= AGENT_ARG_MAX);
	assert((s->mode == MODE_SCHEDULED) == (s->interval_ms > 0));
	assert((s->mode == MODE_EVENT_DRIVEN) == (s->topic != NULL));
	assert(s->limits.memory_mb >= 1 && s->limits.cpu_cores >= 0.01);
	assert(!s->workdir || s->workdir[0] == '/');
}

/* A scalar of YAML may go on in the next line; it is judged when its line ends, so cuts there do not count. */
static bool counts(enum value_format f, const char *text, size_t n)
{
	return f != VALUE_YAML || (n && !isspace((unsigned char)text[n - 1]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct agent_spec_place place = {.tier = TIER_1, .max_restarts = 3};
	struct agent_spec *s = NULL;
	struct err e = {0};
	bool more = false;
	if (size < 1)
		return 0;
	enum value_format f = (enum value_format)(data[0] % 3);
	const char *text = (const char *)data + 1;
	size_t len = size - 1;
	if (agent_spec_read(f, text, len, &place, &s, &more, &e) < 0) {
		assert(!s && e.code != ERR_NONE && e.msg[0]);
		return 0;
	}
	assert(!more);
	check_spec(s);
	agent_spec_free(s);
	size_t step = len / 256 + 1;
	for (size_t n = 0; n < len; n += step) {
		s = NULL;
		if (!counts(f, text, n) || agent_spec_read(f, text, n, &place, &s, &more, &e) == 0) {
			agent_spec_free(s);
			continue;
		}
		if (!more) {
			fprintf(stderr, "refused after %zu of %zu bytes: %s\n%.*s\n", n, len, e.msg, (int)n, text);
			abort();
		}
	}
	return 0;
}
