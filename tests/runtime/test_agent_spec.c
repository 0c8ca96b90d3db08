/* SPDX-License-Identifier: MIT */
/* test_agent_spec.c - specs: three formats, refusals with line and hint, unfinished texts, caps, the reference. */
#include <errno.h>
#include <time.h>

#include "lib/mem.h"
#include "runtime/agent_spec.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"

#define DATA SYMBI_SOURCE_DIR "/tests/data/spec/"

static const struct agent_spec_place anywhere = {.tier = TIER_1, .max_restarts = 3};

static int parse(enum value_format f, const char *text, size_t len, struct agent_spec **ret,
		 bool *unfinished, struct err *e)
{
	*ret = NULL;
	*e = (struct err){0};
	/* A copy without a byte behind the end, for the sanitizer. */
	char *copy = malloc(len ? len : 1);
	memcpy(copy, text, len);
	int r = agent_spec_read(f, copy, len, &anywhere, ret, unfinished, e);
	free(copy);
	if (r < 0)
		assert_null(*ret);
	return r;
}

static struct agent_spec *spec(const char *yaml)
{
	struct err e;
	struct agent_spec *s;
	if (parse(VALUE_YAML, yaml, strlen(yaml), &s, NULL, &e) < 0)
		fail_msg("%s\n%s", yaml, e.msg);
	return s;
}

static void refused(const char *yaml, const char *want)
{
	struct err e;
	struct agent_spec *s;
	int r = parse(VALUE_YAML, yaml, strlen(yaml), &s, NULL, &e);
	if (r == 0 || !strstr(e.msg, want))
		fail_msg("%.200s\n%s\nnot\n%s", yaml, r == 0 ? "was accepted" : e.msg, want);
}

static void each_case(const char *path, void (*fn)(const struct test_case *tc, enum value_format f))
{
	struct test_case tc;
	size_t n = 0;
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	for (; case_next(file, &tc); n++) {
		enum value_format f;
		assert_int_equal(value_format_of(tc.name, &f), 0);
		fn(&tc, f);
		case_done(&tc);
	}
	fclose(file);
	assert_true(n > 5);
}

static char *read_file(const char *path, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len), *f = fopen(path, "r");
	assert_non_null(f);
	for (int c; (c = getc(f)) != EOF;)
		putc(c, out);
	fclose(f);
	fclose(out);
	return text;
}

/* ---- one agent from three formats ---- */

static void put_list(struct buf *b, const char *name, char **list)
{
	buf_printf(b, "%s", name);
	for (char **p = list; p && *p; p++)
		buf_printf(b, " <%s>", *p);
	buf_adds(b, "\n");
}

static char *described(const struct agent_spec *s)
{
	struct buf b;
	buf_init(&b, 1 << 20);
	buf_printf(&b, "%s %s %s %s %s\n", s->id, s->name, agent_mode_name(s->mode),
		   sandbox_tier_name(s->tier), agent_priority_name(s->priority));
	for (const char *const *k = agent_limit_keys; *k; k++)
		assert_int_equal(agent_limit_get(&s->limits, *k, &b), 0);
	put_list(&b, "capabilities", s->capabilities);
	put_list(&b, "policies", s->policies);
	put_list(&b, "argv", s->argv);
	put_list(&b, "env", s->env);
	buf_printf(&b, "restart %d %u %llu\n", s->restart.policy, s->restart.max_restarts,
		   (unsigned long long)s->restart.window_ms);
	buf_printf(&b, "%s %s %s %llu %d %d %d\n", s->runtime, s->code, s->workdir,
		   (unsigned long long)s->interval_ms, s->tier_given, s->idle_timeout_given,
		   s->allow_degraded);
	if (s->metadata) {
		value_dump_json(value_get(s->metadata, "version"), &b);
		value_dump_json(value_get(s->metadata, "tags"), &b);
	}
	return buf_take(&b, NULL);
}

static void yaml_json_and_toml_give_the_same_agent(void **state)
{
	(void)state;
	static const char *const names[] = {DATA "full.yaml", DATA "full.json", DATA "full.toml"};
	autofree char *first = NULL;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t len;
		enum value_format f;
		struct err e;
		struct agent_spec *s;
		autofree char *text = read_file(names[i], &len);
		value_format_of(names[i], &f);
		if (parse(f, text, len, &s, NULL, &e) < 0)
			fail_msg("%s: %s", names[i], e.msg);
		char *got = described(s);
		if (first)
			assert_string_equal(got, first);
		else
			first = take_ptr(got);
		free(got);
		agent_spec_free(s);
	}
	assert_non_null(strstr(first, "argv <python3> <-c> <import sys\n"));
	assert_non_null(strstr(first, "env <GREETING=h\303\251llo \"you\"> <PORT=8080>\n"));
	assert_non_null(strstr(first, "capabilities <FileSystem> <Network> <Networks> <local_filesystem>\n"));
	assert_non_null(strstr(first, "restart 2 5 120000\n"));
}

static void what_is_not_given_has_the_default(void **state)
{
	(void)state;
	struct agent_spec *s = spec("command: [cat]\n");
	assert_int_equal(s->mode, MODE_EPHEMERAL);
	assert_int_equal(s->tier, TIER_1);
	assert_false(s->tier_given);
	assert_int_equal(s->priority, PRIORITY_NORMAL);
	assert_int_equal(s->limits.memory_mb, 512);
	assert_float_equal(s->limits.cpu_cores, 1.0, 0);
	assert_int_equal(s->limits.disk_io_mbps, 100);
	assert_int_equal(s->limits.network_io_mbps, 100);
	assert_int_equal(s->limits.execution_timeout_ms, 3600000);
	assert_int_equal(s->limits.idle_timeout_ms, 300000);
	assert_int_equal(s->restart.policy, RESTART_NEVER);
	assert_int_equal(s->restart.max_restarts, 3);
	assert_int_equal(s->restart.window_ms, 60000);
	agent_spec_free(s);
	s = spec("execution_mode: persistent\ncommand: [cat]\n");
	assert_int_equal(s->restart.policy, RESTART_ON_FAILURE);
	agent_spec_free(s);
	s = spec("code: echo\n");
	assert_string_equal(s->argv[0], "bash");
	assert_string_equal(s->code_suffix, ".sh");
	agent_spec_free(s);
}

static void the_place_gives_what_the_text_does_not(void **state)
{
	(void)state;
	struct err e;
	struct agent_spec *s = NULL;
	struct agent_spec_place p = {TIER_3, "/usr/bin/python3", "greet", 7};
	static const char ok[] = "name: greet\ncode: x\n", bad[] = "name: great\ncode: x\n";
	bool more = true;
	assert_int_equal(agent_spec_read(VALUE_YAML, ok, strlen(ok), &p, &s, NULL, &e), 0);
	assert_int_equal(s->tier, TIER_3);
	assert_string_equal(s->argv[0], "/usr/bin/python3");
	assert_string_equal(s->argv[1], "-c");
	assert_int_equal(s->restart.max_restarts, 7);
	agent_spec_free(s);
	assert_int_equal(agent_spec_read(VALUE_YAML, bad, strlen(bad), &p, &s, &more, &e), -EINVAL);
	assert_int_equal(e.code, ERR_AGENT_NAME);
	assert_string_equal(e.msg, "line 1: the spec's name 'great' is not its file's, 'greet'");
	assert_false(more);
	for (size_t len = 1; len < sizeof ok; len++) { /* `name: gre` may become `name: greet` */
		int r = agent_spec_read(VALUE_YAML, ok, len, &p, &s, &more, &e);
		assert_true(r == 0 || more);
		if (r == 0)
			agent_spec_free(s);
	}
	p.runtime = "fish";
	assert_int_equal(agent_spec_read(VALUE_YAML, ok, strlen(ok), &p, &s, &more, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "runtime 'fish' is not known"));
}

/* ---- texts in pieces ---- */

/* A shell may cut a text anywhere. */
static void every_beginning(const char *name, const char *text, size_t len, enum value_format f)
{
	for (size_t n = 0; n <= len; n++) {
		struct err e;
		struct agent_spec *s;
		bool more = false;
		int r = parse(f, text, n, &s, &more, &e);
		if (r < 0 && (n == len || !more))
			fail_msg("%s: refused after %zu bytes\n%.*s\n%s", name, n, (int)n, text, e.msg);
		agent_spec_free(s);
	}
}

static void check_valid(const struct test_case *tc, enum value_format f)
{
	every_beginning(tc->name, tc->text, tc->len, f);
}

static void every_beginning_of_a_valid_spec_is_accepted_or_unfinished(void **state)
{
	(void)state;
	static const char *const names[] = {DATA "full.yaml", DATA "full.json", DATA "full.toml"};
	each_case(DATA "valid.cases", check_valid);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t len;
		enum value_format f;
		autofree char *text = read_file(names[i], &len);
		value_format_of(names[i], &f);
		every_beginning(names[i], text, len, f);
	}
}

static void check_refused(const struct test_case *tc, enum value_format f)
{
	struct err e;
	struct agent_spec *s;
	bool more = false;
	int r = parse(f, tc->text, tc->len, &s, &more, &e);
	bool final = strncmp(tc->expect, "final:", 6) == 0;
	const char *want = strchr(tc->expect, ':') + 1;
	want += strspn(want, " ");
	assert_true(final || strncmp(tc->expect, "more:", 5) == 0);
	if (r == 0 || !strstr(e.msg, want) || more == final)
		fail_msg("%s\n%s (%s)\nnot\n%s", tc->text, r == 0 ? "was accepted" : e.msg,
			 more ? "more" : "final", tc->expect);
	assert_int_equal(r, -e.eno);
	assert_true(strncmp(e.msg, "line ", 5) != 0 || e.line > 0);
}

static void what_is_wrong_is_refused_by_name_and_line(void **state)
{
	(void)state;
	each_case(DATA "refused.cases", check_refused);
}

/* ---- caps ---- */

/* head, then item n times with its number, then tail */
static char *repeated(const char *head, const char *item, size_t n, const char *tail)
{
	struct buf b;
	buf_init(&b, VALUE_TEXT_MAX);
	buf_adds(&b, head);
	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%s%zu%s", item, i, i + 1 < n ? ", " : "");
	buf_adds(&b, tail);
	return buf_take(&b, NULL);
}

static void lists_have_caps(void **state)
{
	(void)state;
	static const struct {
		const char *head, *item, *tail, *want;
		size_t most;
	} rows[] = {
		{"command: [", "a", "]\n", "'command' has more than 1024 items", AGENT_ARGS_MAX},
		{"command: [x]\ncapabilities: [", "cap", "]\n", "'capabilities' has more than 64 items",
		 AGENT_WORDS_MAX},
		{"command: [x]\npolicies: [", "p", "]\n", "'policies' has more than 64 items", AGENT_WORDS_MAX},
		{"command: [x]\nenv: {A: b, ", "\"V", "}\n", "'env' has more than 256 variables",
		 AGENT_ENV_MAX},
	};
	for (size_t i = 0; i < 3; i++) {
		autofree char *at = repeated(rows[i].head, rows[i].item, rows[i].most, rows[i].tail);
		autofree char *over = repeated(rows[i].head, rows[i].item, rows[i].most + 1, rows[i].tail);
		agent_spec_free(spec(at));
		refused(over, rows[i].want);
	}
	struct buf b;
	buf_init(&b, VALUE_TEXT_MAX);
	buf_adds(&b, "command: [env]\nenv:\n");
	for (int i = 0; i < AGENT_ENV_MAX; i++)
		buf_printf(&b, "  V%d: x\n", i);
	agent_spec_free(spec(b.data));
	buf_adds(&b, "  W: x\n");
	refused(b.data, rows[3].want);
	buf_done(&b);
}

static char *filled(const char *head, size_t n, const char *tail)
{
	struct buf b;
	buf_init(&b, VALUE_TEXT_MAX);
	buf_adds(&b, head);
	buf_reserve(&b, n);
	memset(b.data + b.len, 'x', n);
	b.len += n;
	b.data[b.len] = 0;
	buf_adds(&b, tail);
	return buf_take(&b, NULL);
}

static void texts_have_caps(void **state)
{
	(void)state;
	static const struct {
		const char *head, *tail, *want;
		size_t most;
	} rows[] = {
		{"command: [a, ", "]\n", "'command' has more than 131071 bytes", AGENT_ARG_MAX},
		{"command: [a]\nenv: {A: ", "}\n", "variable 'A' has more than 131071 bytes", AGENT_ARG_MAX - 2},
		{"command: [a]\ncapabilities: [", "]\n", "'capabilities' has more than 100 bytes",
		 AGENT_WORD_LEN_MAX},
		{"command: [a]\nname: ", "\n", "'name' has more than 100 bytes", 100},
		{"command: [a]\nworkdir: /", "\n", "'workdir' has more than 4000 bytes", AGENT_PATH_MAX - 1},
		{"command: [a]\nexecution_mode: event_driven\ntopic: ", "\n", "'topic' has more than 100 bytes",
		 AGENT_TOPIC_MAX},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		autofree char *at = filled(rows[i].head, rows[i].most, rows[i].tail);
		autofree char *over = filled(rows[i].head, rows[i].most + 1, rows[i].tail);
		agent_spec_free(spec(at));
		refused(over, rows[i].want);
	}
}

static void code_too_long_for_an_argument_is_for_a_file(void **state)
{
	(void)state;
	autofree char *at = filled("runtime: node\ncode: ", AGENT_ARG_MAX, "\n");
	autofree char *over = filled("runtime: node\ncode: ", AGENT_ARG_MAX + 1, "\n");
	struct agent_spec *s = spec(at);
	assert_int_equal(s->code_arg, 0);
	assert_string_equal(s->argv[1], "-e");
	assert_int_equal(strlen(s->argv[2]), AGENT_ARG_MAX);
	agent_spec_free(s);
	s = spec(over);
	assert_int_equal(s->code_arg, 1);
	assert_string_equal(s->argv[0], "node");
	assert_string_equal(s->argv[1], "");
	assert_null(s->argv[2]);
	assert_string_equal(s->code_suffix, ".js");
	assert_int_equal(strlen(s->code), AGENT_ARG_MAX + 1);
	agent_spec_free(s);
}

static void a_text_has_a_cap(void **state)
{
	(void)state;
	struct err e;
	struct agent_spec *s;
	bool more = true;
	autofree char *over = filled("code: ", VALUE_TEXT_MAX - 6, "");
	assert_int_equal(parse(VALUE_YAML, over, strlen(over), &s, NULL, &e), 0);
	agent_spec_free(s);
	free(over);
	over = malloc(VALUE_TEXT_MAX + 1);
	memset(over, 'x', VALUE_TEXT_MAX + 1);
	assert_int_equal(parse(VALUE_YAML, over, VALUE_TEXT_MAX + 1, &s, &more, &e), -EFBIG);
	assert_false(more);
}

/* ---- the reference ---- */

static void the_reference_names_every_key(void **state)
{
	(void)state;
	size_t len, n = 0;
	char key[64], want[80];
	autofree char *doc = read_file(SYMBI_SOURCE_DIR "/docs/SPEC.md", &len);
	for (; agent_spec_key(n, key); n++) {
		snprintf(want, sizeof want, "`%s`", key);
		if (!strstr(doc, want))
			fail_msg("docs/SPEC.md does not name %s", want);
	}
	assert_true(n > 20);
}

/* Every fenced example of the reference that is a spec is one. */
static void the_examples_of_the_reference_are_specs(void **state)
{
	(void)state;
	static const char *const fences[] = {"```yaml\n", "```json\n", "```toml\n"};
	static const enum value_format formats[] = {VALUE_YAML, VALUE_JSON, VALUE_TOML};
	size_t len, n = 0;
	autofree char *doc = read_file(SYMBI_SOURCE_DIR "/docs/SPEC.md", &len);
	for (size_t i = 0; i < ARRAY_LEN(fences); i++)
		for (char *p = doc; (p = strstr(p, fences[i])); n++) {
			struct err e;
			struct agent_spec *s;
			p += strlen(fences[i]);
			const char *end = strstr(p, "```");
			assert_non_null(end);
			if (parse(formats[i], p, (size_t)(end - p), &s, NULL, &e) < 0)
				fail_msg("%.*s\n%s", (int)(end - p), p, e.msg);
			agent_spec_free(s);
		}
	assert_true(n >= 3);
}

/* ---- how long it takes, for whoever reads the output ---- */

static double microseconds(const struct timespec *a, const struct timespec *b)
{
	return (double)(b->tv_sec - a->tv_sec) * 1e6 + (double)(b->tv_nsec - a->tv_nsec) / 1e3;
}

static void reading_takes(void **state)
{
	(void)state;
	static const struct {
		const char *what, *text;
		enum value_format f;
	} rows[] = {
		{"yaml", "tier: None\nruntime: python3\ncode: |\n  import sys\n  print(sys.stdin.read())\n", VALUE_YAML},
		{"json", "{\"tier\":\"None\",\"runtime\":\"python3\",\"code\":\"import sys\\nprint()\\n\"}", VALUE_JSON},
		{"toml", "tier = 'None'\nruntime = 'python3'\ncode = '''\nimport sys\nprint()\n'''\n", VALUE_TOML},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct timespec a, b;
		const int times = 2000;
		clock_gettime(CLOCK_MONOTONIC, &a);
		for (int n = 0; n < times; n++) {
			struct agent_spec *s = NULL;
			assert_int_equal(agent_spec_read(rows[i].f, rows[i].text, strlen(rows[i].text), &anywhere,
							 &s, NULL, NULL), 0);
			agent_spec_free(s);
		}
		clock_gettime(CLOCK_MONOTONIC, &b);
		print_message("a small spec in %s: %.1f us\n", rows[i].what, microseconds(&a, &b) / times);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(yaml_json_and_toml_give_the_same_agent),
		cmocka_unit_test(what_is_not_given_has_the_default),
		cmocka_unit_test(the_place_gives_what_the_text_does_not),
		cmocka_unit_test(every_beginning_of_a_valid_spec_is_accepted_or_unfinished),
		cmocka_unit_test(what_is_wrong_is_refused_by_name_and_line),
		cmocka_unit_test(lists_have_caps),
		cmocka_unit_test(texts_have_caps),
		cmocka_unit_test(code_too_long_for_an_argument_is_for_a_file),
		cmocka_unit_test(a_text_has_a_cap),
		cmocka_unit_test(the_reference_names_every_key),
		cmocka_unit_test(the_examples_of_the_reference_are_specs),
		cmocka_unit_test(reading_takes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
