/* SPDX-License-Identifier: MIT */
/* test_value.c - YAML, JSON and TOML into one value: what is the same, where things stand, what is refused. */
#include <errno.h>
#include <stdio.h>

#include "lib/mem.h"
#include "lib/value.h"
#include "tests/support/check.h"

static const char *const names[] = {"YAML", "JSON", "TOML"};

static struct value *must_parse(enum value_format f, const char *text)
{
	struct value *v = NULL;
	struct err e = {0};
	bool unfinished = true;
	if (value_parse(f, text, strlen(text), &v, &unfinished, &e) < 0)
		fail_msg("%s '%s': %s", names[f], text, e.msg);
	assert_false(unfinished);
	assert_int_equal(e.code, ERR_NONE);
	return v;
}

static void expect_json(enum value_format f, const char *text, const char *json)
{
	autobuf struct buf b;
	buf_init(&b, 1 << 20);
	struct value *v = must_parse(f, text);
	assert_int_equal(value_dump_json(v, &b), 0);
	if (strcmp(b.data, json) != 0)
		fail_msg("%s '%s'\n gives %s\n not   %s", names[f], text, b.data, json);
	value_free(v);
}

static void three_formats_give_one_value(void **state)
{
	(void)state;
	static const struct {
		const char *yaml, *json, *toml, *dump;
	} rows[] = {
		{"a: 1\n", "{\"a\": 1}", "a = 1\n", "{\"a\":1}"},
		{"name: greet\nlimits:\n  memory_mb: 512\n  cpu_cores: 1.5\n",
		 "{\"name\":\"greet\",\"limits\":{\"memory_mb\":512,\"cpu_cores\":1.5}}",
		 "name = \"greet\"\n[limits]\nmemory_mb = 512\ncpu_cores = 1.5\n",
		 "{\"name\":\"greet\",\"limits\":{\"memory_mb\":512,\"cpu_cores\":1.5}}"},
		{"z: [1, two, true]\na: []\nm: {}\n", "{\"z\":[1,\"two\",true],\"a\":[],\"m\":{}}",
		 "z = [1, 'two', true]\na = []\nm = {}\n", /* the order of the text, not of keys */
		 "{\"z\":[1,\"two\",true],\"a\":[],\"m\":{}}"},
		{"s: \"\\u00e9\\n\"\n", "{\"s\":\"\\u00e9\\n\"}", "s = \"\\u00e9\\n\"\n",
		 "{\"s\":\"\xc3\xa9\\n\"}"},
		{"i: -9223372036854775808\n", "{\"i\":-9223372036854775808}",
		 "i = -9223372036854775808\n", "{\"i\":-9223372036854775808}"},
		{"r: [1.0, 1e300, -0.1]\n", "{\"r\":[1.0,1e300,-0.1]}", "r = [1.0, 1e300, -0.1]\n",
		 "{\"r\":[1.0,1e+300,-0.1]}"},
		{"t:\n- x: 1\n- x: 2\n", "{\"t\":[{\"x\":1},{\"x\":2}]}",
		 "[[t]]\nx = 1\n[[t]]\nx = 2\n", "{\"t\":[{\"x\":1},{\"x\":2}]}"},
		{"text: |\n  one\n  two\n", "{\"text\":\"one\\ntwo\\n\"}",
		 "text = '''\none\ntwo\n'''\n", "{\"text\":\"one\\ntwo\\n\"}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		expect_json(VALUE_YAML, rows[i].yaml, rows[i].dump);
		expect_json(VALUE_JSON, rows[i].json, rows[i].dump);
		expect_json(VALUE_TOML, rows[i].toml, rows[i].dump);
		expect_json(VALUE_JSON, rows[i].dump, rows[i].dump);
	}
}

static void plain_words_follow_the_core_schema(void **state)
{
	(void)state;
	static const struct {
		const char *word, *json;
	} rows[] = {
		{"", "null"},
		{"~", "null"},
		{"null", "null"},
		{"nULL", "\"nULL\""},
		{"true", "true"},
		{"False", "false"},
		{"tRUE", "\"tRUE\""},
		{"yes", "\"yes\""},
		{"no", "\"no\""},
		{"on", "\"on\""},
		{"0", "0"},
		{"-7", "-7"},
		{"+7", "7"},
		{"0600", "\"0600\""},
		{"0x1f", "\"0x1f\""},
		{"1.5", "1.5"},
		{"1e3", "1000.0"},
		{"1.2.3", "\"1.2.3\""},
		{"3.", "3.0"},
		{".inf", "\".inf\""},
		{"-", "\"-\""},
		{"1_000", "\"1_000\""},
		{"12h", "\"12h\""},
		{"2026-01-01", "\"2026-01-01\""},
		{"9223372036854775808", "\"9223372036854775808\""},
		{"'true'", "\"true\""},
		{"\"1\"", "\"1\""},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[64], json[64];
		snprintf(text, sizeof text,
			 rows[i].word[0] == '-' && !rows[i].word[1] ? "[k, '%s']\n" : "[k, %s]\n",
			 rows[i].word[0] ? rows[i].word : "~");
		snprintf(json, sizeof json, "[\"k\",%s]", rows[i].json);
		expect_json(VALUE_YAML, text, json);
	}
	expect_json(VALUE_YAML, "k:\n", "{\"k\":null}");
}

static void toml_dates_become_their_text(void **state)
{
	(void)state;
	expect_json(VALUE_TOML, "d = 2026-01-02\nt = 03:04:05\nb = 2026-01-02T03:04:05Z\n",
		    "{\"d\":\"2026-01-02\",\"t\":\"03:04:05\",\"b\":\"2026-01-02T03:04:05Z\"}");
	expect_json(VALUE_TOML, "", "{}");
	expect_json(VALUE_TOML, "\"\u014d\" = '\u014d\"' # \u014d\na = \"\"\"\\\"\"\u014d\"\"\"\"\n",
		    "{\"\u014d\":\"\u014d\\\"\",\"a\":\"\\\"\\\"\u014d\\\"\"}");
	expect_json(VALUE_TOML, "b.a = 1\na.b = 2\n", "{\"b\":{\"a\":1},\"a\":{\"b\":2}}");
}

static unsigned line_of(const struct value *v, const char *key)
{
	for (size_t i = 0; i < v->map.n; i++)
		if (strcmp(v->map.members[i].key, key) == 0)
			return v->map.members[i].line;
	return 0;
}

static void every_key_and_value_has_its_line(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"# first\n\na: 1\nb:\n  c: x\n  d:\n  - 5\n  - 6\n",
		"{\n\n\"a\": 1,\n\"b\": {\n\"c\": \"x\",\n\"d\":\n[5,\n6]}}",
		"# first\n\na = 1\n[b]\nc = 'x'\nd = [\n5,\n6]\n"};
	for (int f = 0; f < 3; f++) {
		struct value *v = must_parse((enum value_format)f, texts[f]);
		assert_int_equal(line_of(v, "a"), 3);
		assert_int_equal(line_of(v, "b"), 4);
		const struct value *b = value_get(v, "b"), *d = value_get(b, "d");
		assert_int_equal(line_of(b, "c"), 5);
		assert_int_equal(line_of(b, "d"), 6);
		assert_int_equal(value_get(v, "a")->line, 3);
		assert_int_equal(value_get(b, "c")->line, 5);
		assert_int_equal(d->list.n, 2);
		assert_int_equal(d->list.items[0].line, 7);
		assert_int_equal(d->list.items[1].line, 8);
		value_free(v);
	}
}

/* ---- refused ---- */

static void expect_refusal(enum value_format f, const char *text, size_t len, enum err_code code,
			   unsigned line, const char *says)
{
	struct value *v = NULL;
	struct err e = {0};
	int r = value_parse(f, text, len, &v, NULL, &e);
	if (r != -err_code_errno(code) || e.code != code || e.line != line || !strstr(e.msg, says))
		fail_msg("%s '%.40s': %d %s line %u: %s", names[f], text, r, err_code_name(e.code),
			 e.line, e.msg);
	assert_null(v);
	assert_int_equal(value_parse(f, text, len, &v, NULL, NULL), r);
}

static void wrong_texts_are_refused_at_their_line(void **state)
{
	(void)state;
	static const struct {
		enum value_format f;
		const char *text;
		enum err_code code;
		unsigned line;
		const char *says;
	} rows[] = {
		{VALUE_YAML, "a: 1\nb: [1, 2\nc: }\n", ERR_TEXT_SYNTAX, 3, "line 3"},
		{VALUE_YAML, "a: 1\nb: 2\na: 3\n", ERR_TEXT_SYNTAX, 3, "'a' stands twice"},
		{VALUE_YAML, "x:\n  a: 1\n  a: 1\n", ERR_TEXT_SYNTAX, 3, "'a' stands twice"},
		{VALUE_YAML, "a: &x 1\n", ERR_TEXT_SYNTAX, 1, "anchors"},
		{VALUE_YAML, "a: 1\n&x b: 1\n", ERR_TEXT_SYNTAX, 2, "anchors"},
		{VALUE_YAML, "a: &x [1]\nb: *x\n", ERR_TEXT_SYNTAX, 1, "anchors"},
		{VALUE_YAML, "a: {}\nb: *x\n", ERR_TEXT_SYNTAX, 2, "aliases"},
		{VALUE_YAML, "a: !!int 1\n", ERR_TEXT_SYNTAX, 1, "tags"},
		{VALUE_YAML, "a: !x {}\n", ERR_TEXT_SYNTAX, 1, "tags"},
		{VALUE_YAML, "a: 1\n---\nb: 1\n", ERR_TEXT_SYNTAX, 2, "several documents"},
		{VALUE_YAML, "? [a]\n: 1\n", ERR_TEXT_SYNTAX, 1, "must be a word"},
		{VALUE_YAML, "# nothing\n", ERR_TEXT_VALUE, 1, "empty"},
		{VALUE_YAML, "a:\n\t- 1\n", ERR_TEXT_SYNTAX, 2, "line 2"},
		{VALUE_YAML, "a: 1\nb: \"x\\0y\"\n", ERR_TEXT_VALUE, 2, "NUL"},
		{VALUE_YAML, "a: 1\n\"b\\0\": 1\n", ERR_TEXT_VALUE, 2, "NUL"},
		{VALUE_YAML, "a: \"\\xZZ\"\n", ERR_TEXT_SYNTAX, 1, "line 1"},
		{VALUE_JSON, "{\"a\": 1,\n\"b\": }", ERR_TEXT_SYNTAX, 2, "line 2"},
		{VALUE_JSON, "{\"a\": 1,\n\"a\": 2}", ERR_TEXT_SYNTAX, 2, "duplicate"},
		{VALUE_JSON, "{\"a\": 1}\nx", ERR_TEXT_SYNTAX, 2, "line 2"},
		{VALUE_JSON, "{\"a\": \"\\u0000\"}", ERR_TEXT_SYNTAX, 1, "\\u0000"},
		{VALUE_JSON, "{\"a\": NaN}", ERR_TEXT_SYNTAX, 1, "line 1"},
		{VALUE_JSON, "{\"a\": 1e999}", ERR_TEXT_SYNTAX, 1, "overflow"},
		{VALUE_JSON, "{\"a\": 9223372036854775808}", ERR_TEXT_SYNTAX, 1, "big"},
		{VALUE_JSON, "{a: 1}", ERR_TEXT_SYNTAX, 1, "line 1"},
		{VALUE_TOML, "a = 1\nb = \n", ERR_TEXT_SYNTAX, 2, "line 2"},
		{VALUE_TOML, "a = 1\na = 2\n", ERR_TEXT_SYNTAX, 2, "line 2"},
		{VALUE_TOML, "a = 1\nc\u014d = 2\n", ERR_TEXT_SYNTAX, 2, "beyond ASCII"},
		{VALUE_TOML, "[t]\nx = 1\n[t]\n", ERR_TEXT_SYNTAX, 3, "line 3"},
		{VALUE_TOML, "a = 1\nb = \"x\\u0000y\"\n", ERR_TEXT_VALUE, 2, "NUL"},
		{VALUE_TOML, "a = 1\n\"b\\u0000\" = 1\n", ERR_TEXT_VALUE, 2, "NUL"},
		{VALUE_TOML, "a = inf\n", ERR_TEXT_VALUE, 1, "inf and nan"},
		{VALUE_TOML, "a = [1,\n nan]\n", ERR_TEXT_VALUE, 2, "inf and nan"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		expect_refusal(rows[i].f, rows[i].text, strlen(rows[i].text), rows[i].code,
			       rows[i].line, rows[i].says);
	for (int f = 0; f < 3; f++) {
		expect_refusal((enum value_format)f, "a\0b", 3, ERR_TEXT_SYNTAX, 0, "NUL");
		expect_refusal((enum value_format)f, "\"\xff\xff\"  ", 6, ERR_TEXT_SYNTAX, 1, "");
	}
}

static void a_bomb_of_anchors_is_refused_before_it_grows(void **state)
{
	(void)state;
	static const char bomb[] = "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\n"
				   "c: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c]\n";
	expect_refusal(VALUE_YAML, bomb, strlen(bomb), ERR_TEXT_SYNTAX, 1, "anchors");
}

static void nested(struct buf *b, enum value_format f, unsigned levels)
{
	buf_clear(b);
	buf_adds(b, f == VALUE_TOML ? "a = " : "");
	for (unsigned i = 0; i < levels; i++)
		buf_adds(b, "[");
	for (unsigned i = 0; i < levels; i++)
		buf_adds(b, "]");
}

static void depth_is_capped(void **state)
{
	(void)state;
	autobuf struct buf b;
	buf_init(&b, 4 << 20);
	for (int f = 0; f < 3; f++) {
		unsigned root = f == VALUE_TOML; /* the table around it is a level */
		nested(&b, (enum value_format)f, VALUE_DEPTH_MAX + 1 - root);
		value_free(must_parse((enum value_format)f, b.data));
		nested(&b, (enum value_format)f, VALUE_DEPTH_MAX + 2 - root);
		expect_refusal((enum value_format)f, b.data, b.len, ERR_TEXT_LIMIT, 1,
			       "line 1: nested deeper than 64");
		nested(&b, (enum value_format)f, 400000); /* no parser falls over it either */
		struct value *v = NULL;
		assert_true(value_parse((enum value_format)f, b.data, b.len, &v, NULL, NULL) < 0);
	}
}

static void the_number_of_values_is_capped(void **state)
{
	(void)state;
	autobuf struct buf b;
	buf_init(&b, 1 << 20);
	for (int f = 0; f < 3; f++) {
		unsigned n = VALUE_NODES_MAX - 1 - (f == VALUE_TOML);
		buf_clear(&b);
		buf_adds(&b, f == VALUE_TOML ? "a = [0" : "[0");
		while (--n)
			buf_adds(&b, ",0");
		buf_adds(&b, "]");
		value_free(must_parse((enum value_format)f, b.data));
		b.data[b.len - 1] = ',';
		buf_adds(&b, "0]");
		expect_refusal((enum value_format)f, b.data, b.len, ERR_TEXT_LIMIT, 1, "more than");
	}
}

static void the_length_of_a_text_is_capped(void **state)
{
	(void)state;
	char *text = malloc(VALUE_TEXT_MAX + 2u);
	memset(text, ' ', VALUE_TEXT_MAX + 1u);
	static const char *const small[] = {"a: 1\n#", "{\"a\":1}", "a = 1\n#"};
	for (int f = 0; f < 3; f++) {
		memcpy(text, small[f], strlen(small[f]));
		text[VALUE_TEXT_MAX] = 0;
		value_free(must_parse((enum value_format)f, text));
		text[VALUE_TEXT_MAX] = ' ';
		expect_refusal((enum value_format)f, text, VALUE_TEXT_MAX + 1u, ERR_TEXT_LIMIT, 0,
			       "longer than");
	}
	free(text);
}

/* As many keys as fit; were each compared with each, this would be five billion comparisons. */
static void many_keys_are_no_burden(void **state)
{
	(void)state;
	autobuf struct buf b;
	buf_init(&b, VALUE_TEXT_MAX);
	for (int f = 0; f < 3; f++) {
		buf_clear(&b);
		buf_adds(&b, f == VALUE_JSON ? "{" : "");
		for (unsigned i = 10000; i < 90000; i++)
			if (f == VALUE_JSON)
				buf_printf(&b, "\"k%u\":1,", i);
			else if (f == VALUE_YAML)
				buf_printf(&b, "k%u: 1\n", i);
			else
				buf_printf(&b, "k%u = 1\n", i);
		buf_adds(&b, f == VALUE_JSON ? "\"l\":1}" : "");
		assert_int_equal(b.fail, 0);
		value_free(must_parse((enum value_format)f, b.data));
	}
}

/* ---- unfinished ---- */

static void every_beginning_of_a_good_text_is_good_or_unfinished(void **state)
{
	(void)state;
	static const struct {
		enum value_format f;
		const char *text;
	} rows[] = {
		{VALUE_YAML,
		 "# c\nname: greet\nruntime: python3\ncode: |\n  import sys\n  print(1)\n"},
		{VALUE_YAML,
		 "a: \"x\\u00e9\\\"\\x41 y\"\nb: 'it''s'\nc: [1, {d: 2.5e3, e: ~}, -7]\n"},
		{VALUE_YAML, "list:\n- one\n- two: 2\n  three: >-\n    folded\n    text\n- "
			     "\xc3\xa9\xe2\x82\xac\n"},
		{VALUE_YAML, "{\"a\": [1, true, null], \"b\": {\"c\": \"\xf0\x9f\x98\x80\"}}\n"},
		{VALUE_YAML, "? a\n: 1\n? \"b\"\n: 2\n...\n"},
		{VALUE_YAML, "\xef\xbb\xbf" "a:\n- b\n- {c: d}\n"},
		{VALUE_YAML, "%YAML 1.1\n---\na: 1\n"},
		{VALUE_JSON,
		 "{\"a\": [1, -2.5e+3, true, false, null], \"b\": {\"c\": \"x\\u00e9\\n\\\"\"}}\n"},
		{VALUE_JSON,
		 "[\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\", \"\\ud83d\\ude00\", 0, {}, []]"},
		{VALUE_JSON, "  \"just text\"  "},
		{VALUE_TOML,
		 "# c\na = 1\nb = \"x\\u00e9\\n\"\n[t.u]\nc = [1, 2,\n 3]\nd = 'lit'\n"},
		{VALUE_TOML,
		 "s = '''\nmany\nlines'''\nm = \"\"\"\nx\\\n  y\"\"\"\ni = {a = 1, b = {c = 2}}\n"},
		{VALUE_TOML, "s = '''\n\xef\xbb\xbf x\n\xe2\x82\xac\n'''\n"}, /* cut in the first letter of a line */
		{VALUE_TOML, "[[p]]\nn = \"\xc3\xa9\xe2\x82\xac\"\nd = 2026-01-02T03:04:05Z\nr = "
			     "-1.5e3\n[[p]]\nb = true\n"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t whole = strlen(rows[i].text);
		for (size_t len = 0; len <= whole; len++) {
			struct value *v = NULL;
			struct err e = {0};
			bool unfinished = false;
			int r = value_parse(rows[i].f, rows[i].text, len, &v, &unfinished, &e);
			if (r < 0 && !unfinished)
				fail_msg("%s cut to '%.*s': %s", names[rows[i].f], (int)len,
					 rows[i].text, e.msg);
			if (r < 0 && len == whole)
				fail_msg("%s '%s': %s", names[rows[i].f], rows[i].text, e.msg);
			value_free(v);
		}
	}
}

static void what_no_more_text_can_cure_is_not_unfinished(void **state)
{
	(void)state;
	static const struct {
		enum value_format f;
		const char *text;
	} rows[] = {
		{VALUE_YAML, "a: }\nb: 1\nc: 2\n"},
		{VALUE_YAML, "a: 1\na: 2\nb: 3\n"},
		{VALUE_YAML, "a: *x\nb: 1\n"},
		{VALUE_YAML, "a:\n\t- 1\nb: 1\n"},
		{VALUE_JSON, "{\"a\": }, \"b\": 1}"},
		{VALUE_JSON, "{\"a\": 1} x "},
		{VALUE_JSON, "{'a': 1}"},
		{VALUE_TOML, "a = \nb = 1\n"},
		{VALUE_TOML, "a = 1\na = 2\nb = 3\n"},
		{VALUE_JSON, "{\"a\": truth}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct value *v = NULL;
		bool unfinished = true;
		assert_true(value_parse(rows[i].f, rows[i].text, strlen(rows[i].text), &v,
					&unfinished, NULL) < 0);
		if (unfinished)
			fail_msg("%s '%s' is called unfinished", names[rows[i].f], rows[i].text);
	}
}

/* ---- the rest ---- */

static void the_suffix_names_the_format(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int format;
	} rows[] = {{"a.yaml", VALUE_YAML},
		    {"a.yml", VALUE_YAML},
		    {"a.b.json", VALUE_JSON},
		    {"a.toml", VALUE_TOML},
		    {"a", -1},
		    {"a.YAML", -1},
		    {"yaml", -1},
		    {"a.yaml~", -1},
		    {".json", VALUE_JSON}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		enum value_format f = (enum value_format)99;
		int r = value_format_of(rows[i].name, &f);
		assert_int_equal(r, rows[i].format < 0 ? -EINVAL : 0);
		if (r == 0)
			assert_int_equal(f, rows[i].format);
	}
}

static void members_are_found_by_key(void **state)
{
	(void)state;
	struct value *v = must_parse(VALUE_JSON, "{\"a\":{\"b\":[1]},\"\":2}");
	assert_int_equal(value_get(value_get(v, "a"), "b")->type, VALUE_LIST);
	assert_int_equal(value_get(v, "")->integer, 2);
	assert_null(value_get(v, "b"));
	assert_null(value_get(NULL, "b"));
	assert_null(value_get(value_get(v, ""), "b"));
	assert_string_equal(value_type_name(VALUE_LIST), "list");
	assert_string_equal(value_type_name(v->type), "map");
	value_free(v);
	value_free(NULL);
}

static void reals_read_back_as_they_were(void **state)
{
	(void)state;
	static const double reals[] = {
		0.0,           -0.0, 0.1,  1.0 / 3, 1e21, 5e-324, 1.7976931348623157e308,
		123456789.125, 1e15, 1e16, -1.5};
	for (size_t i = 0; i < ARRAY_LEN(reals); i++) {
		autobuf struct buf b;
		buf_init(&b, 100);
		struct value out = {.type = VALUE_REAL, .real = reals[i]};
		assert_int_equal(value_dump_json(&out, &b), 0);
		struct value *v = must_parse(VALUE_JSON, b.data);
		assert_int_equal(v->type, VALUE_REAL);
		assert_memory_equal(&v->real, &reals[i], sizeof reals[i]);
		value_free(v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_formats_give_one_value),
		cmocka_unit_test(plain_words_follow_the_core_schema),
		cmocka_unit_test(toml_dates_become_their_text),
		cmocka_unit_test(every_key_and_value_has_its_line),
		cmocka_unit_test(wrong_texts_are_refused_at_their_line),
		cmocka_unit_test(a_bomb_of_anchors_is_refused_before_it_grows),
		cmocka_unit_test(depth_is_capped),
		cmocka_unit_test(the_number_of_values_is_capped),
		cmocka_unit_test(the_length_of_a_text_is_capped),
		cmocka_unit_test(many_keys_are_no_burden),
		cmocka_unit_test(every_beginning_of_a_good_text_is_good_or_unfinished),
		cmocka_unit_test(what_no_more_text_can_cure_is_not_unfinished),
		cmocka_unit_test(the_suffix_names_the_format),
		cmocka_unit_test(members_are_found_by_key),
		cmocka_unit_test(reals_read_back_as_they_were),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
