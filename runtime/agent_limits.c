/* SPDX-License-Identifier: MIT */
/* agent_limits.c - an agent's limits by key: print and set, with the same checks everywhere. L2; any thread. */
#include <errno.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/parse.h"
#include "lib/suggest.h"
#include "runtime/agent_spec.h"

enum kind { WHOLE, MEGABYTES, REAL, DURATION };

static const struct {
	const char *key;
	enum kind kind;
	size_t offset;
	double least, most; /* durations in milliseconds; 0 means none */
} rows[] = {
	{"memory_mb", MEGABYTES, offsetof(struct agent_limits, memory_mb), 1, 1 << 24},
	{"cpu_cores", REAL, offsetof(struct agent_limits, cpu_cores), 0.01, 4096},
	{"disk_io_mbps", WHOLE, offsetof(struct agent_limits, disk_io_mbps), 1, 1000000},
	{"network_io_mbps", WHOLE, offsetof(struct agent_limits, network_io_mbps), 1, 1000000},
	{"execution_timeout", DURATION, offsetof(struct agent_limits, execution_timeout_ms), 0,
	 366.0 * 86400000},
	{"idle_timeout", DURATION, offsetof(struct agent_limits, idle_timeout_ms), 0, 366.0 * 86400000},
};

const char *const agent_limit_keys[] = {"memory_mb",	   "cpu_cores",		"disk_io_mbps",
					"network_io_mbps", "execution_timeout", "idle_timeout",
					NULL};

int agent_limit_get(const struct agent_limits *l, const char *key, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const void *field = (const char *)l + rows[i].offset;
		char text[32];
		if (strcmp(rows[i].key, key) != 0)
			continue;
		if (rows[i].kind == WHOLE || rows[i].kind == MEGABYTES)
			return buf_printf(out, "%llu\n", (unsigned long long)*(const uint64_t *)field);
		if (rows[i].kind == REAL)
			format_double(*(const double *)field, text);
		else
			format_duration_ms(*(const uint64_t *)field, text);
		return buf_printf(out, "%s\n", text);
	}
	return -ENOENT;
}

/* A bare number is megabytes; "2GB" has its unit. */
static int parse_megabytes(const char *text, uint64_t least, uint64_t most, uint64_t *ret, struct err *e)
{
	uint64_t mb = 0, bytes = 0;
	int r = text[strspn(text, "0123456789")] ? parse_size(text, 0, UINT64_MAX, &bytes, NULL)
						 : parse_u64(text, 0, UINT64_MAX, &mb, NULL);
	mb += bytes >> 20;
	if (r < 0 || (bytes & 0xfffff) || mb < least || mb > most)
		return err_set(e, ERR_TEXT_VALUE, "'%.60s' is not a size in MB, like 512 or 2GB, from %llu to %llu",
			       text, (unsigned long long)least, (unsigned long long)most);
	*ret = mb;
	return 0;
}

int agent_limit_set(struct agent_limits *l, const char *key, const char *text, struct err *e)
{
	struct suggest near;
	suggest_init(&near, key);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		void *field = (char *)l + rows[i].offset;
		uint64_t least = (uint64_t)rows[i].least, most = (uint64_t)rows[i].most;
		suggest_try(&near, rows[i].key);
		if (strcmp(rows[i].key, key) != 0)
			continue;
		switch (rows[i].kind) {
		case WHOLE:
			return parse_u64(text, least, most, field, e);
		case MEGABYTES:
			return parse_megabytes(text, least, most, field, e);
		case REAL:
			return parse_double(text, rows[i].least, rows[i].most, field, e);
		case DURATION:
			return parse_duration_ms(text, least, most, field, e);
		}
	}
	return err_set(e, ERR_RESOURCE_LIMIT,
		       "unknown limit '%.60s'%s; known: memory_mb, cpu_cores, disk_io_mbps, network_io_mbps, "
		       "execution_timeout, idle_timeout", key, suggest_text(&near));
}
