/* SPDX-License-Identifier: MIT */
/* test_agent_limits.c - limits by key: what is set reads back, bounds, spellings. */
#include <errno.h>
#include <string.h>

#include "lib/mem.h"
#include "runtime/agent_spec.h"
#include "tests/support/check.h"

static const struct agent_limits defaults = {512, 1.0, 100, 100, 3600000, 300000};

static const struct row {
	const char *key, *text, *shown; /* shown NULL: refused */
} rows[] = {
	{"memory_mb", "1", "1"},
	{"memory_mb", "0", NULL},
	{"memory_mb", "16777216", "16777216"},
	{"memory_mb", "16777217", NULL},
	{"memory_mb", "2GB", "2048"},
	{"memory_mb", "512 MiB", "512"},
	{"memory_mb", "2048KB", "2"},
	{"memory_mb", "2047KB", NULL},
	{"memory_mb", "16TB", "16777216"},
	{"memory_mb", "17TB", NULL},
	{"memory_mb", "99999999999999999999", NULL},
	{"memory_mb", "1.5GB", NULL},
	{"memory_mb", "", NULL},
	{"memory_mb", " 5", NULL},
	{"cpu_cores", "0.01", "0.01"},
	{"cpu_cores", "0.009", NULL},
	{"cpu_cores", "1", "1.0"},
	{"cpu_cores", "2.5", "2.5"},
	{"cpu_cores", "0.1", "0.1"},
	{"cpu_cores", "0.30000000000000004", "0.30000000000000004"},
	{"cpu_cores", "4096", "4096.0"},
	{"cpu_cores", "4096.1", NULL},
	{"cpu_cores", "nan", NULL},
	{"cpu_cores", "0x1p3", NULL},
	{"disk_io_mbps", "1", "1"},
	{"disk_io_mbps", "0", NULL},
	{"disk_io_mbps", "1000000", "1000000"},
	{"disk_io_mbps", "1000001", NULL},
	{"disk_io_mbps", "1GB", NULL},
	{"network_io_mbps", "7", "7"},
	{"network_io_mbps", "-7", NULL},
	{"execution_timeout", "0", "0s"},
	{"execution_timeout", "300", "5m"},
	{"execution_timeout", "1h30m", "1h30m"},
	{"execution_timeout", "250ms", "250ms"},
	{"execution_timeout", "366d", "8784h"},
	{"execution_timeout", "367d", NULL},
	{"execution_timeout", "99999999999999999999d", NULL},
	{"idle_timeout", "5 m", NULL},
	{"idle_timeout", "m", NULL},
};

static void shown(const struct agent_limits *l, const char *key, char out[static 64])
{
	autobuf struct buf b;
	buf_init(&b, 64);
	assert_int_equal(agent_limit_get(l, key, &b), 0);
	assert_true(b.len > 1 && b.data[b.len - 1] == '\n');
	snprintf(out, 64, "%.*s", (int)b.len - 1, b.data);
}

static void what_is_set_reads_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct agent_limits l = defaults, again;
		struct err e = {0};
		char text[64];
		int r = agent_limit_set(&l, rows[i].key, rows[i].text, &e);
		if ((r == 0) != (rows[i].shown != NULL))
			fail_msg("%s '%s': %s", rows[i].key, rows[i].text, r == 0 ? "accepted" : e.msg);
		if (r < 0) {
			assert_int_equal(r, -EINVAL);
			assert_memory_equal(&l, &defaults, sizeof l);
			continue;
		}
		shown(&l, rows[i].key, text);
		assert_string_equal(text, rows[i].shown);
		again = defaults;
		assert_int_equal(agent_limit_set(&again, rows[i].key, text, &e), 0);
		assert_memory_equal(&l, &again, sizeof l);
	}
}

static void every_key_can_be_shown_and_set(void **state)
{
	(void)state;
	size_t n = 0;
	for (const char *const *k = agent_limit_keys; *k; k++, n++) {
		struct agent_limits l = defaults;
		struct err e;
		char text[64];
		shown(&l, *k, text);
		assert_int_equal(agent_limit_set(&l, *k, text, &e), 0);
		assert_memory_equal(&l, &defaults, sizeof l);
	}
	assert_int_equal(n, 6);
}

static void an_unknown_key_is_refused_with_the_nearest(void **state)
{
	(void)state;
	struct agent_limits l = defaults;
	struct err e;
	autobuf struct buf b;
	buf_init(&b, 64);
	assert_int_equal(agent_limit_get(&l, "memory", &b), -ENOENT);
	assert_int_equal(b.len, 0);
	assert_int_equal(agent_limit_set(&l, "memory_mp", "5", &e), -EINVAL);
	assert_int_equal(e.code, ERR_RESOURCE_LIMIT);
	assert_non_null(strstr(e.msg, "unknown limit 'memory_mp'; did you mean 'memory_mb'?"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_set_reads_back),
		cmocka_unit_test(every_key_can_be_shown_and_set),
		cmocka_unit_test(an_unknown_key_is_refused_with_the_nearest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
