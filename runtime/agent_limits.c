/* SPDX-License-Identifier: MIT */
/* agent_limits.c - an agent's limits by key: print and set, with the same checks everywhere. L2. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/parse.h"
#include "runtime/agent_spec.h"

enum kind { WHOLE, REAL, DURATION };

static const struct {
	const char *key;
	enum kind kind;
	size_t offset;
	double min, max; /* durations in milliseconds; 0 means none */
} rows[] = {
	{"memory_mb", WHOLE, offsetof(struct agent_limits, memory_mb), 1, 1 << 24},
	{"cpu_cores", REAL, offsetof(struct agent_limits, cpu_cores), 0.01, 4096},
	{"disk_io_mbps", WHOLE, offsetof(struct agent_limits, disk_io_mbps), 1, 1000000},
	{"network_io_mbps", WHOLE, offsetof(struct agent_limits, network_io_mbps), 1, 1000000},
	{"execution_timeout", DURATION, offsetof(struct agent_limits, execution_timeout_ms), 0,
	 366.0 * 86400000},
	{"idle_timeout", DURATION, offsetof(struct agent_limits, idle_timeout_ms), 0,
	 366.0 * 86400000},
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
		if (rows[i].kind == REAL)
			return buf_printf(out, "%g\n", *(const double *)field);
		if (rows[i].kind == WHOLE)
			return buf_printf(out, "%llu\n",
					  (unsigned long long)*(const uint64_t *)field);
		format_duration_ms(*(const uint64_t *)field, text);
		return buf_printf(out, "%s\n", text);
	}
	return -ENOENT;
}

int agent_limit_set(struct agent_limits *l, const char *key, const char *text, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		void *field = (char *)l + rows[i].offset;
		if (strcmp(rows[i].key, key) != 0)
			continue;
		int r = rows[i].kind == REAL
				? parse_double(text, rows[i].min, rows[i].max, field, e)
			: rows[i].kind == WHOLE
				? parse_u64(text, (uint64_t)rows[i].min, (uint64_t)rows[i].max,
					    field, e)
				: parse_duration_ms(text, (uint64_t)rows[i].min,
						    (uint64_t)rows[i].max, field, e);
		return r < 0 ? err_wrap(e, "%s", key) : 0;
	}
	return err_set(e, ERR_RESOURCE_LIMIT,
		       "unknown limit '%s'; known: memory_mb, cpu_cores, disk_io_mbps, "
		       "network_io_mbps, execution_timeout, idle_timeout", key);
}
