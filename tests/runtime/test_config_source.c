/* SPDX-License-Identifier: MIT */
/* test_config_source.c - where settings come from, which source wins, and reading them anew. */
#include <errno.h>
#include <malloc.h>

#include "tests/support/settings.h"

/* ---- environment ---- */

static const struct {
	const char *name, *text, *key, *shown;
} variables[] = {
	{"LOG_LEVEL", "debug", "logging.level", "debug"},
	{"MAX_AGENTS", "7", "lifecycle.max_agents", "7"},
	{"RESOURCE_ENFORCEMENT", "false", "resource.enforcement_enabled", "false"},
	{"QDRANT_URL", "http://q:6333", "vector_db.qdrant_url", "http://q:6333"},
	{"SCHEMAPIN_PATH", "/opt/schemapin", "schemapin.binary_path", "/opt/schemapin"},
	{"VECTOR_BACKEND", "qdrant", "vector_db.backend", "qdrant"},
	{"VECTOR_DATA_PATH", "./v", "vector_db.data_path", "./v"},
	{"VECTOR_HOST", "q", "vector_db.host", "q"},
	{"VECTOR_PORT", "6334", "vector_db.port", "6334"},
	{"VECTOR_DIMENSION", "768", "vector_db.vector_dimension", "768"},
	{"ALLOW_NATIVE_EXECUTION", "true", "security.allow_native_execution", "true"},
	{"DEFAULT_SANDBOX_TIER", "None", "security.default_sandbox_tier", "None"},
	{"NATIVE_MAX_MEMORY_MB", "1024", "native_execution.max_memory_mb", "1024"},
	{"NATIVE_MAX_CPU_CORES", "2.5", "native_execution.max_cpu_cores", "2.5"},
	{"NATIVE_WORKING_DIR", "/tmp/x", "native_execution.working_directory", "/tmp/x"},
	{"COMM_BUS_PORT", "8081", "communication.port", "8081"},
	{"COMM_BUS_THREADS", "8", "communication.threads", "8"},
	{"COMM_BUS_BUFFER_SIZE", "2048", "communication.buffer_size", "2048"},
	{"ENCRYPTION_ENABLED", "false", "communication.enable_encryption", "false"},
	{"SIGNATURE_REQUIRED", "false", "communication.signature_required", "false"},
	{"AUDIT_LOGGING", "false", "communication.audit_logging", "false"},
	{"CONN_POOL_SIZE", "10", "communication.conn_pool_size", "10"},
	{"RETRY_MAX_ATTEMPTS", "5", "communication.retry_max_attempts", "5"},
	{"CIRCUIT_BREAKER_THRESHOLD", "20", "communication.circuit_breaker_threshold", "20"},
	{"RUNS_KEEP", "3", "runs.keep", "3"}, /* SECTION_KEY: any setting */
	{"NATIVE_EXECUTION_ALLOWED_EXECUTABLES", "bash,node",
	 "native_execution.allowed_executables", "[\"bash\", \"node\"]"},
};

static void every_variable_works_with_both_prefixes(void **state)
{
	(void)state;
	static const char *const prefixes[] = {"SYMBI_", "SYMBIONT_"};
	for (size_t i = 0; i < ARRAY_LEN(variables) * 2; i++) {
		char variable[200], want[300];
		struct err e = {0};
		struct config *c = settings_fresh();
		size_t v = i / 2;
		snprintf(variable, sizeof variable, "%s%s=%s", prefixes[i % 2], variables[v].name,
			 variables[v].text);
		snprintf(want, sizeof want, "%s    # environment %s%s", variables[v].shown,
			 prefixes[i % 2], variables[v].name);
		if (settings_load_one(c, variable, &e) < 0)
			fail_msg("%s", e.msg);
		assert_shown(c, variables[v].key, want);
		assert_null(config_warnings(c)[0]);
		config_free(c);
	}
}

static void the_token_has_a_name_without_prefix(void **state)
{
	(void)state;
	struct err e = {0};
	struct config *c = settings_fresh();
	assert_int_equal(settings_load_one(c, "API_AUTH_TOKEN=correct-horse", &e), 0);
	assert_string_equal(config_secret(c, "http_api.auth_token"), "correct-horse");
	config_free(c);
}

static void two_variables_of_one_setting_must_agree(void **state)
{
	(void)state;
	struct err e = {0};
	struct config *c = settings_fresh();
	char *same[] = {"SYMBI_MAX_AGENTS=5", "SYMBIONT_MAX_AGENTS=5",
			"SYMBI_LIFECYCLE_MAX_AGENTS=5", NULL};
	char *not_same[] = {"SYMBI_MAX_AGENTS=5", "SYMBIONT_MAX_AGENTS=6", NULL};
	assert_int_equal(config_load_env(c, same, &e), 0);
	assert_int_equal(config_load_env(c, not_same, &e), -EINVAL);
	assert_non_null(
		strstr(e.msg, "environment SYMBIONT_MAX_AGENTS: setting 'lifecycle.max_agents' has "
			      "another value at environment SYMBI_MAX_AGENTS"));
	config_free(c);
}

static void unknown_variables_of_ours_are_warnings(void **state)
{
	(void)state;
	struct err e = {0};
	struct config *c = settings_fresh();
	char *env[] = {"PATH=/bin",
		       "SYMBI_MAX_AGENT=5",
		       "SYMBIONT_KEY=k",
		       "SYMBI_MAX_AGENTS=",
		       "SYMBI_ZZZZZZZ=1",
		       "SYMBIOSIS=1",
		       NULL};
	assert_int_equal(config_load_env(c, env, &e), 0);
	const char *const *w = config_warnings(c);
	assert_string_equal(w[0], "environment: 'SYMBI_MAX_AGENT' is no setting; did you mean "
				  "'SYMBI_MAX_AGENTS'?");
	assert_string_equal(w[1], "environment: 'SYMBI_ZZZZZZZ' is no setting");
	assert_null(w[2]);
	assert_int_equal(config_u64(c, "lifecycle.max_agents"), 1000000); /* empty is unset */
	assert_int_equal(settings_load_one(c, "SYMBI_MAX_AGENTS=many", &e), -EINVAL);
	assert_non_null(
		strstr(e.msg, "environment SYMBI_MAX_AGENTS: setting 'lifecycle.max_agents'"));
	config_free(c);
}

/* ---- sources ---- */

static void the_kind_of_source_decides_not_the_order_of_calls(void **state)
{
	(void)state;
	struct err e = {0};
	struct config *c = settings_fresh();
	mkdir("etc", 0700);
	mkdir("home", 0700);
	settings_put("etc/config.toml",
		     "runs.keep = 1\n[lifecycle]\nmax_agents = 1\ntermination_timeout = 1\n");
	settings_put("home/config.yaml", "runs.keep: 2\nlifecycle: {max_agents: 2}\n");
	settings_put("a.toml", "runs.keep = 3\n");
	settings_put("b.json", "{\"runs\": {\"keep\": 4}}\n");
	settings_set(c, "logging.level", "error");
	assert_int_equal(settings_load_one(c, "SYMBI_LOG_LEVEL=warn", &e), 0);
	settings_load(c, "a.toml");
	settings_load(c, "b.json");
	assert_int_equal(config_load_place(c, RANK_USER_FILE, "home", &e), 0);
	assert_int_equal(config_load_place(c, RANK_SYSTEM_FILE, "etc", &e), 0);
	assert_string_equal(config_str(c, "logging.level"), "error");
	assert_shown(c, "runs.keep", "4    # b.json:1");
	assert_shown(c, "lifecycle.max_agents", "2    # home/config.yaml:2");
	assert_shown(c, "lifecycle.termination_timeout", "1s    # etc/config.toml:4");
	config_free(c);
}

static void two_files_in_one_place_are_refused(void **state)
{
	(void)state;
	struct err e = {0};
	struct config *c = settings_fresh();
	mkdir("place", 0700);
	assert_int_equal(config_load_place(c, RANK_SYSTEM_FILE, "place", &e), 0); /* none is fine */
	settings_put("place/config.toml", "");
	settings_put("place/config.yml", "");
	assert_int_equal(config_load_place(c, RANK_SYSTEM_FILE, "place", &e), -EINVAL);
	assert_non_null(strstr(e.msg, "'place/config.toml' and 'place/config.yml' both exist"));
	config_free(c);
}

/* ---- reload ---- */

static void a_reload_tells_what_changed_and_keeps_what_needs_a_restart(void **state)
{
	(void)state;
	struct err e = {0};
	size_t n = 9;
	settings_put("r.toml", "runs.keep = 5\njournal.segment_mb = 8\n");
	struct config *c = settings_loaded("r.toml");
	settings_set(c, "logging.level", "error");
	assert_int_equal(config_reload(c, &e), 0);
	assert_null((config_changes(c, &n), n) ? c : NULL);
	settings_put("r.toml", "runs.keep = 6\njournal.segment_mb = 9\nlogging.level = 'debug'\n");
	assert_int_equal(config_reload(c, &e), 2);
	const struct config_change *changes = config_changes(c, &n);
	assert_int_equal(n, 2);
	assert_string_equal(changes[0].key, "runs.keep");
	assert_string_equal(changes[0].value, "6");
	assert_false(changes[0].needs_restart);
	assert_string_equal(changes[1].key, "journal.segment_mb");
	assert_string_equal(changes[1].value, "9");
	assert_true(changes[1].needs_restart);
	assert_int_equal(config_u64(c, "runs.keep"), 6);
	assert_int_equal(config_u64(c, "journal.segment_mb"), 8);
	assert_string_equal(config_str(c, "logging.level"), "error"); /* the command line's */
	assert_shown(c, "journal.segment_mb", "8    # r.toml:2; after a restart: 9, r.toml:2");
	assert_int_equal(config_reload(c, &e), 0); /* it waits, it does not change again */
	assert_shown(c, "journal.segment_mb", "8    # r.toml:2; after a restart: 9, r.toml:2");
	settings_put("r.toml", "runs.keep = 6\njournal.segment_mb = 8\n");
	assert_int_equal(config_reload(c, &e), 1);
	assert_false(config_changes(c, &n)->needs_restart);
	assert_shown(c, "journal.segment_mb", "8    # r.toml:2");
	config_free(c);
}

static void a_reload_of_anything_wrong_changes_nothing(void **state)
{
	(void)state;
	struct err e = {0};
	settings_put("a.toml", "runs.keep = 5\n");
	settings_put("b.toml", "logging.level = 'warn'\n");
	struct config *c = settings_loaded("a.toml");
	settings_load(c, "b.toml");
	settings_put("a.toml", "runs.keep = 6\n");
	settings_put("b.toml", "logging.level = 'wran'\n");
	assert_int_equal(config_reload(c, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "b.toml:1: setting 'logging.level': 'wran' is not one of"));
	assert_int_equal(config_u64(c, "runs.keep"), 5);
	unlink("b.toml");
	assert_int_equal(config_reload(c, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "'b.toml'"));
	assert_int_equal(config_u64(c, "runs.keep"), 5);
	settings_put("b.toml", "");
	assert_int_equal(config_reload(c, &e), 2);
	assert_int_equal(config_u64(c, "runs.keep"), 6);
	assert_string_equal(config_str(c, "logging.level"), "info");
	config_free(c);
}

static void a_reload_finds_a_new_file_in_a_default_place(void **state)
{
	(void)state;
	struct err e = {0};
	struct config *c = settings_fresh();
	mkdir("later", 0700);
	assert_int_equal(config_load_place(c, RANK_SYSTEM_FILE, "later", &e), 0);
	assert_int_equal(settings_load_one(c, "SYMBI_LOG_LEVEL=warn", &e), 0);
	settings_put("later/config.json",
		     "{\"runs\": {\"keep\": 4}, \"logging\": {\"level\": \"error\"}}");
	assert_int_equal(config_reload(c, &e), 1);
	assert_int_equal(config_u64(c, "runs.keep"), 4);
	assert_string_equal(config_str(c, "logging.level"), "warn");
	config_free(c);
}

static void a_relative_file_is_found_after_a_change_of_directory(void **state)
{
	(void)state;
	struct err e = {0};
	settings_put("w.toml", "runs.keep = 5\n");
	struct config *c = settings_loaded("w.toml");
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(config_reload(c, &e), 0);
	assert_shown(c, "runs.keep", "5    # w.toml:1");
	config_free(c);
	assert_int_equal(chdir(settings_dir), 0);
}

static void a_thousand_reloads_keep_no_memory(void **state)
{
	(void)state;
	struct err e = {0};
	size_t start = 0;
	settings_put("m.toml", "runs.keep = 5\nhttp_api.auth_token = 'correct-horse'\n");
	settings_put(
		"n.toml",
		"security.key_provider = { File = { path = '/k' } }\njournal.segment_mb = 9\n");
	struct config *c = settings_loaded("m.toml");
	settings_load(c, "n.toml");
	char *env[] = {"SYMBI_MAX_AGENTS=9", "SYMBI_NO_SUCH=1", NULL};
	assert_int_equal(config_load_env(c, env, &e), 0);
	for (int i = 0; i < 1000; i++) {
		settings_put("m.toml", i % 2 ? "runs.keep = 5\n" : "runs.keep = 6\n");
		settings_put("n.toml",
			     i % 3 ? "journal.segment_mb = 9\n" : "journal.segment_mb = x\n");
		int r = config_reload(c, &e);
		assert_int_equal(r < 0, i % 3 == 0);
		if (i == 99)
			start = mallinfo2().uordblks;
	}
	size_t more = mallinfo2().uordblks - start;
	assert_true((ptrdiff_t)more < 4096);
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_variable_works_with_both_prefixes),
		cmocka_unit_test(the_token_has_a_name_without_prefix),
		cmocka_unit_test(two_variables_of_one_setting_must_agree),
		cmocka_unit_test(unknown_variables_of_ours_are_warnings),
		cmocka_unit_test(the_kind_of_source_decides_not_the_order_of_calls),
		cmocka_unit_test(two_files_in_one_place_are_refused),
		cmocka_unit_test(a_reload_tells_what_changed_and_keeps_what_needs_a_restart),
		cmocka_unit_test(a_reload_of_anything_wrong_changes_nothing),
		cmocka_unit_test(a_reload_finds_a_new_file_in_a_default_place),
		cmocka_unit_test(a_relative_file_is_found_after_a_change_of_directory),
		cmocka_unit_test(a_thousand_reloads_keep_no_memory),
	};
	return cmocka_run_group_tests(tests, settings_setup, settings_teardown);
}
