/* SPDX-License-Identifier: MIT */
/* test_config.c - settings: the sample files, spellings, refusals, secrets, and the table itself. */
#include <errno.h>

#include "tests/support/cases.h"
#include "tests/support/settings.h"

#define DATA SYMBI_SOURCE_DIR "/tests/data/config/"

/* ---- the sample files ---- */

static void the_sample_files_load_as_they_stand(void **state)
{
	(void)state;
	struct config *c = settings_loaded(DATA "runtime_config.toml");
	settings_load(c, DATA "config.toml");
	settings_load(c, DATA "models.toml");
	assert_int_equal(config_u64(c, "lifecycle.max_agents"), 100);
	assert_int_equal(config_ms(c, "lifecycle.termination_timeout"), 30000);
	assert_int_equal(config_u64(c, "resource.total_memory"), 8ull << 30);
	assert_float_equal(config_real(c, "resource.total_cpu_cores"), 8, 0);
	assert_string_equal(config_str(c, "schemapin.binary_path"), "/usr/local/bin/schemapin-cli");
	assert_true(
		config_bool(c, "security.allow_native_execution")); /* native_execution.enabled */
	assert_string_equal(config_str(c, "native_execution.default_executable"), "python3");
	assert_int_equal(config_u64(c, "http_api.timeout_seconds"), 30); /* api.timeout_seconds */
	const char *const *list = config_list(c, "native_execution.allowed_executables");
	assert_string_equal(list[0], "python3");
	assert_string_equal(list[4], "sh");
	assert_null(list[5]);
	const struct value *provider = config_tree(c, "security.key_provider");
	assert_string_equal(value_get(value_get(provider, "Environment"), "var_name")->string.data,
			    "SYMBIONT_KEY");
	const struct value *profiles = config_tree(c, "slm.sandbox_profiles");
	assert_non_null(value_get(value_get(profiles, "secure"), "resources"));
	assert_null(config_warnings(c)[0]);
	config_free(c);
}

static void the_native_sample_loads_as_it_stands(void **state)
{
	(void)state;
	struct config *c = settings_loaded(DATA "native.toml");
	assert_string_equal(config_str(c, "security.default_sandbox_tier"), "None");
	assert_float_equal(config_real(c, "native_execution.max_cpu_cores"), 4, 0);
	assert_string_equal(config_list(c, "native_execution.allowed_executables")[2], "bash");
	config_free(c);
}

/* Value of every setting, without where it came from. */
static char *values(const struct config *c)
{
	autobuf struct buf json, out;
	struct value *v = NULL;
	struct err e;
	buf_init(&json, 1 << 20);
	buf_init(&out, 1 << 20);
	assert_int_equal(config_render_json(c, &json), 0);
	assert_int_equal(value_parse(VALUE_JSON, json.data, json.len, &v, NULL, &e), 0);
	for (size_t i = 0; i < v->map.n; i++) {
		buf_printf(&out, "%s ", v->map.members[i].key);
		value_dump_json(value_get(&v->map.members[i].value, "value"), &out);
		buf_adds(&out, "\n");
	}
	value_free(v);
	return buf_take(&out, NULL);
}

static void toml_yaml_and_json_say_the_same(void **state)
{
	(void)state;
	static const char *const names[] = {"runtime_config", "config", "models"};
	static const char *const suffixes[] = {"toml", "yaml", "json"};
	for (size_t n = 0; n < ARRAY_LEN(names); n++) {
		char *first = NULL;
		for (size_t s = 0; s < ARRAY_LEN(suffixes); s++) {
			char path[512];
			snprintf(path, sizeof path, DATA "%s.%s", names[n], suffixes[s]);
			struct config *c = settings_loaded(path);
			autofree char *all = values(c);
			if (first)
				assert_string_equal(all, first);
			else
				first = take_ptr(all);
			config_free(c);
		}
		free(first);
	}
}

/* ---- values ---- */

static void run_cases(const char *path, void (*fn)(const struct test_case *tc))
{
	struct test_case tc;
	size_t n = 0;
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	for (; case_next(f, &tc); n++) {
		settings_write(tc.name, tc.text, tc.len);
		fn(&tc);
		unlink(tc.name);
		case_done(&tc);
	}
	fclose(f);
	assert_true(n > 0);
}

static void check_refused(const struct test_case *tc)
{
	struct err e = {0};
	struct config *c = settings_fresh();
	autofree char *before = values(c);
	int r = config_load_file(c, tc->name, &e);
	autofree char *after = values(c);
	if (r == 0 || !strstr(e.msg, tc->expect))
		fail_msg("'%s'\n%s\nnot\n%s", tc->text, r == 0 ? "was accepted" : e.msg,
			 tc->expect);
	assert_int_equal(r, -e.eno);
	assert_string_equal(before, after);
	config_free(c);
}

static void what_is_wrong_is_refused_by_name_and_line(void **state)
{
	(void)state;
	run_cases(DATA "refused.cases", check_refused);
}

static void check_value(const struct test_case *tc)
{
	char key[100], want[400];
	struct config *c = settings_loaded(tc->name);
	snprintf(key, sizeof key, "%.*s", (int)strcspn(tc->expect, " "), tc->expect);
	snprintf(want, sizeof want, "%s    # ", tc->expect + strlen(key) + 1);
	assert_shown(c, key, want);
	config_free(c);
}

static void values_may_be_spelt_in_several_ways(void **state)
{
	(void)state;
	run_cases(DATA "values.cases", check_value);
}

static void a_list_on_the_command_line_is_json_or_words(void **state)
{
	(void)state;
	static const char key[] = "native_execution.allowed_executables";
	struct config *c = settings_fresh();
	settings_set(c, key, "bash, /opt/my tools/run ,node");
	assert_string_equal(config_list(c, key)[1], "/opt/my tools/run");
	assert_string_equal(config_list(c, key)[2], "node");
	assert_null(config_list(c, key)[3]);
	settings_set(c, key, "[\"a,b\"]");
	assert_string_equal(config_list(c, key)[0], "a,b");
	assert_null(config_list(c, key)[1]);
	struct err e = {0};
	assert_int_equal(config_set(c, key, "bash,,node", "--set", &e), -EINVAL);
	assert_int_equal(config_set(c, key, "", "--set", &e), -EINVAL);
	assert_int_equal(config_set(c, "runs.kep", "1", "--set", &e), -EINVAL);
	assert_non_null(strstr(e.msg, "did you mean 'runs.keep'"));
	assert_string_equal(config_list(c, key)[0], "a,b");
	config_free(c);
}

static void a_list_has_at_most_its_number_of_items(void **state)
{
	(void)state;
	struct err e = {0};
	struct config *c = settings_fresh();
	autobuf struct buf b;
	buf_init(&b, 1 << 16);
	for (int i = 0; i < 256; i++)
		buf_adds(&b, i ? ",x" : "x");
	settings_set(c, "native_execution.allowed_executables", b.data);
	buf_adds(&b, ",x");
	assert_int_equal(config_set(c, "native_execution.allowed_executables", b.data, "--set", &e),
			 -EINVAL);
	assert_non_null(strstr(e.msg, "at most 256 items"));
	config_free(c);
}

static void an_ended_file_is_read_to_its_last_byte(void **state)
{
	(void)state;
	struct err e = {0};
	struct config *c = settings_fresh();
	size_t len = VALUE_TEXT_MAX;
	autofree char *text = malloc(len + 1);
	memset(text, ' ', len + 1);
	memcpy(text, "runs.keep = 7\n#", 15);
	settings_write("big.toml", text, len);
	settings_load(c, "big.toml");
	assert_int_equal(config_u64(c, "runs.keep"), 7);
	settings_write("big.toml", text, len + 1);
	assert_int_equal(config_load_file(c, "big.toml", &e), -EFBIG);
	assert_int_equal(config_load_file(c, "no.toml", &e), -ENOENT);
	assert_int_equal(config_load_file(c, ".", &e), -EINVAL);
	assert_int_equal(config_load_file(c, "big.ini", &e), -EINVAL);
	config_free(c);
}

/* ---- secrets ---- */

static void a_secret_is_never_shown(void **state)
{
	(void)state;
	autobuf struct buf b;
	buf_init(&b, 1 << 20);
	settings_put("s.toml", "http_api.auth_token = \"correct-horse\"\n");
	chmod("s.toml", 0644);
	struct config *c = settings_loaded("s.toml");
	assert_string_equal(config_secret(c, "http_api.auth_token"), "correct-horse");
	config_render(c, &b);
	config_render_json(c, &b);
	assert_null(strstr(b.data, "horse"));
	assert_shown(c, "http_api.auth_token", "********");
	assert_shown(c, "vector_db.api_key", "\"\"");
	assert_non_null(strstr(config_warnings(c)[0], "s.toml:1: secret 'http_api.auth_token'"));
	assert_null(strstr(config_warnings(c)[0], "horse"));
	settings_put("s.toml", "http_api.auth_token = \"battery-staple\"\n");
	chmod("s.toml", 0600);
	struct err e = {0};
	size_t n;
	assert_int_equal(config_reload(c, &e), 1);
	assert_string_equal(config_changes(c, &n)->value, "********");
	assert_null(config_warnings(c)[0]);
	config_free(c);
}

/* ---- the table ---- */

static void every_setting_has_names_of_its_own(void **state)
{
	(void)state;
	for (size_t i = 0; i < CONFIG_ITEMS; i++) {
		const struct config_item *it = &config_items[i];
		char variable[200], section[64];
		struct err e = {0};
		struct config *c = settings_fresh();
		snprintf(section, sizeof section, "%.*s", (int)strcspn(it->key, "."), it->key);
		assert_true(config_is_section(section));
		assert_int_equal(config_find(it->key), i);
		/* Its variables set it and nothing else: a default is accepted as it is printed. */
		size_t n = (size_t)snprintf(variable, sizeof variable, "SYMBI_");
		for (const char *p = it->key; *p; p++)
			variable[n++] = *p == '.'                ? '_'
					: *p >= 'a' && *p <= 'z' ? (char)(*p - 32)
								 : *p;
		snprintf(variable + n, sizeof variable - n, "=%s", it->def);
		assert_int_equal(settings_load_one(c, variable, &e), 0);
		for (size_t k = 0; k < CONFIG_ITEMS; k++)
			assert_int_equal(c->s[k].rank,
					 k == i && *it->def ? RANK_ENVIRONMENT : RANK_DEFAULT);
		assert_null(config_warnings(c)[0]);
		assert_true(strlen(it->help) > 5);
		config_free(c);
	}
	for (const struct config_alias *a = config_aliases; a->other; a++)
		assert_true(config_find(a->other) < CONFIG_ITEMS);
}

static void settings_of_one_section_stand_together(void **state)
{
	(void)state;
	for (size_t i = 1; i < CONFIG_ITEMS; i++) {
		size_t n = strcspn(config_items[i].key, ".") + 1;
		if (strncmp(config_items[i - 1].key, config_items[i].key, n) == 0)
			continue;
		for (size_t k = 0; k < i; k++)
			if (strncmp(config_items[k].key, config_items[i].key, n) == 0)
				fail_msg("%s stands apart from %s", config_items[i].key,
					 config_items[k].key);
	}
}

static void the_doc_names_every_setting(void **state)
{
	(void)state;
	autobuf struct buf b;
	buf_init(&b, 1 << 20);
	assert_int_equal(config_doc(&b), 0);
	for (size_t i = 0; i < CONFIG_ITEMS; i++) {
		char row[200];
		snprintf(row, sizeof row, "| `%s` | ", config_items[i].key);
		assert_non_null(strstr(b.data, row));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sample_files_load_as_they_stand),
		cmocka_unit_test(the_native_sample_loads_as_it_stands),
		cmocka_unit_test(toml_yaml_and_json_say_the_same),
		cmocka_unit_test(what_is_wrong_is_refused_by_name_and_line),
		cmocka_unit_test(values_may_be_spelt_in_several_ways),
		cmocka_unit_test(a_list_on_the_command_line_is_json_or_words),
		cmocka_unit_test(a_list_has_at_most_its_number_of_items),
		cmocka_unit_test(an_ended_file_is_read_to_its_last_byte),
		cmocka_unit_test(a_secret_is_never_shown),
		cmocka_unit_test(every_setting_has_names_of_its_own),
		cmocka_unit_test(settings_of_one_section_stand_together),
		cmocka_unit_test(the_doc_names_every_setting),
	};
	return cmocka_run_group_tests(tests, settings_setup, settings_teardown);
}
