/* SPDX-License-Identifier: MIT */
/* test_config_alloc.c - specs and settings while each allocation in turn fails: a clear error, nothing half done; under
 * the sanitizer also: no memory lost. */
#include "runtime/agent_spec.h"
#include "tests/support/settings.h"

#include "tests/support/fail_alloc.h"

#define DATA SYMBI_SOURCE_DIR "/tests/data/"

static void read_spec(const char *path)
{
	static const struct agent_spec_place place = {.tier = TIER_1, .max_restarts = 3};
	static char text[1 << 16];
	enum value_format f;
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	size_t len = fread(text, 1, sizeof text, file);
	fclose(file);
	assert_int_equal(value_format_of(path, &f), 0);
	for (int n = 1;; n++) {
		struct agent_spec *s = NULL;
		struct err e = {0};
		bool more = true;
		fail_alloc_arm(n);
		int r = agent_spec_read(f, text, len, &place, &s, &more, &e);
		bool fired = fail_alloc_disarm();
		agent_spec_free(s);
		if (!fired) {
			assert_int_equal(r, 0);
			break;
		}
		if (r != 0) { /* a library may do without */
			if (r != -ENOMEM)
				fail_msg("%s, allocation %d: %s", path, n, e.msg);
			assert_int_equal(e.code, ERR_SYS_MEMORY);
			assert_false(more);
		}
	}
}

static void a_spec_needs_all_its_memory(void **state)
{
	(void)state;
	read_spec(DATA "spec/full.yaml");
	read_spec(DATA "spec/full.json");
	read_spec(DATA "spec/full.toml");
}

/* Every source, once; what failed left no trace in the values. */
static int read_all(struct config *c, int step, struct err *e)
{
	char env[] = "SYMBI_RUNS_KEEP=7", unknown[] = "SYMBI_RUNS_KEPP=7", *envp[] = {env, unknown, NULL};
	switch (step) {
	case 0:
		return config_load_file(c, DATA "config/config.toml", e);
	case 1:
		return config_load_file(c, DATA "config/models.yaml", e);
	case 2:
		return config_load_env(c, envp, e);
	case 3:
		return config_set(c, "native_execution.allowed_executables", "a,b,c", "--set", e);
	default:
		return config_reload(c, e);
	}
}

static char *values(const struct config *c)
{
	struct buf b;
	buf_init(&b, 1 << 20);
	assert_int_equal(config_render(c, &b), 0);
	return buf_take(&b, NULL);
}

static void settings_are_all_read_or_none(void **state)
{
	(void)state;
	struct config *c = settings_fresh();
	for (int step = 0; step < 5; step++) {
		autofree char *before = values(c);
		for (int n = 1;; n++) {
			struct err e = {0};
			fail_alloc_arm(n);
			int r = read_all(c, step, &e);
			bool fired = fail_alloc_disarm();
			if (!fired || r == 0) {
				assert_int_equal(r, 0);
				break;
			}
			assert_int_equal(r, -ENOMEM);
			assert_int_equal(e.code, ERR_SYS_MEMORY);
			autofree char *after = values(c);
			assert_string_equal(before, after);
		}
	}
	assert_int_equal(config_u64(c, "runs.keep"), 7);
	assert_string_equal(config_list(c, "native_execution.allowed_executables")[2], "c");
	config_free(c);
}

static void a_configuration_needs_all_its_memory(void **state)
{
	(void)state;
	for (int n = 1;; n++) {
		struct config *c = NULL;
		struct err e = {0};
		fail_alloc_arm(n);
		int r = config_new(&c, &e);
		bool fired = fail_alloc_disarm();
		config_free(c);
		if (!fired) {
			assert_int_equal(r, 0);
			break;
		}
		assert_int_equal(r, -ENOMEM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_spec_needs_all_its_memory),
		cmocka_unit_test(settings_are_all_read_or_none),
		cmocka_unit_test(a_configuration_needs_all_its_memory),
	};
	return cmocka_run_group_tests(tests, settings_setup, settings_teardown);
}
