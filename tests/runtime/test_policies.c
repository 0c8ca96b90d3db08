/* SPDX-License-Identifier: MIT */
/* test_policies.c - the policy files of an engine: what is taken, what is refused, and what a start finds. */
#include "tests/support/engine.h"

#include <errno.h>

#include "lib/journal.h"
#include "runtime/policies.h"
#include "runtime/policy_shadow.h"

#define RULE(name, effect)                                                                                             \
	"version: \"1.0\"\npolicies:\n  - name: " name "\n    effect: " effect "\n    resources: [\"/tmp/**\"]\n"         \
	"    operations: [Read]\n"

static const struct actor user = {.uid = 1000, .gid = 1000};

static int put(struct engine *t, const char *file, const char *text, struct err *e)
{
	struct engine_answer a = {0};
	return engine_reply(t, document_put(t->rt, DOCUMENT_POLICY, &root_actor, file, text, strlen(text), ENGINE_DONE(&a), e), &a);
}

static int delete(struct engine *t, const char *file)
{
	struct engine_answer a = {0};
	struct err e = {0};
	uint32_t serial = document_find(t->rt, DOCUMENT_POLICY, file)->serial;
	return engine_reply(t, document_delete(t->rt, DOCUMENT_POLICY, &root_actor, serial, ENGINE_DONE(&a), &e), &a);
}

static int move(struct engine *t, const char *from, const char *to)
{
	struct engine_answer a = {0};
	struct err e = {0};
	uint32_t serial = document_find(t->rt, DOCUMENT_POLICY, from)->serial;
	return engine_reply(t, document_rename(t->rt, DOCUMENT_POLICY, &root_actor, serial, to, ENGINE_DONE(&a), &e), &a);
}

/* ---- the shadow set ---- */

static int put_shadow(struct engine *t, const char *file, const char *text, struct err *e)
{
	struct engine_answer a = {0};
	return engine_reply(t, document_put(t->rt, DOCUMENT_SHADOW, &root_actor, file, text, strlen(text), ENGINE_DONE(&a), e), &a);
}

static bool shadow_has(struct engine *t, const char *line)
{
	autobuf struct buf text;
	buf_init(&text, 8192);
	assert_int_equal(shadow_render_stats(t->rt, &text), 0);
	return strstr(text.data, line);
}

static bool is_laid(void *arg)
{
	return shadow_has(arg, "rules 3001\n");
}

static void a_large_shadow_set_is_compiled_behind_the_loop(void **state)
{
	struct engine *t = *state;
	struct err e;
	autobuf struct buf text;
	buf_init(&text, 1u << 20);
	buf_adds(&text, "version: \"1.0\"\npolicies:\n");
	for (unsigned i = 0; i < 3000; i++)
		buf_printf(&text, "  - {name: n%u, effect: Deny, resources: [\"/d%u/**\"], operations: [Read]}\n", i, i);
	assert_int_equal(put(t, "a.yaml", RULE("a", "Allow"), &e), 0);
	assert_true(shadow_has(t, "version none\n"));
	assert_int_equal(put_shadow(t, "large.yaml", text.data, &e), 0);
	assert_int_equal(put_shadow(t, "small.yaml", RULE("small", "Deny"), &e), 0); /* while it is compiled */
	assert_int_equal(put_shadow(t, "small.yaml", "version: \"1.0\"\npolicies: []\n", &e), 0);
	assert_true(engine_until(t, is_laid, t, 20000)); /* with the active a.yaml under it */
	assert_int_equal(put_shadow(t, "bad.yaml", RULE("a", "Nothing"), &e), -EINVAL);
	assert_int_equal(put(t, "n.yaml", RULE("n7", "Deny"), &e), 0); /* right in the active set, and no more over it */
	while (shadow_has(t, "compiling"))
		engine_turn(t, 5);
	assert_true(shadow_has(t, "version none\n"));
	assert_true(shadow_has(t, "why "));
	assert_int_equal(delete(t, "n.yaml"), 0);
	assert_true(engine_until(t, is_laid, t, 20000));
	engine_close(t);
	engine_open(t, false);
	assert_true(engine_until(t, is_laid, t, 20000));
}

static void version(struct engine *t, char out[65])
{
	const struct policy_set *s = policies_active(t->rt, NULL);
	assert_non_null(s);
	snprintf(out, 65, "%s", policy_set_version(s));
}

static enum policy_effect decide(struct engine *t)
{
	struct policy_decision d;
	struct policy_request q = {.type = POLICY_FILE, .op = POLICY_READ, .resource = "/tmp/a"};
	policy_decide(policies_active(t->rt, NULL), &q, &d);
	return d.effect;
}

static int setup(void **state)
{
	static struct engine t;
	engine_init(&t);
	engine_open(&t, false);
	*state = &t;
	return 0;
}

static int teardown(void **state)
{
	engine_done(*state);
	return 0;
}

static void a_change_decides_at_once(void **state)
{
	struct engine *t = *state;
	assert_int_equal(decide(t), POLICY_DENY);
	assert_int_equal(put(t, "a.yaml", RULE("a", "Allow"), NULL), 0);
	assert_int_equal(decide(t), POLICY_ALLOW);
	assert_int_equal(put(t, "b.yaml", RULE("b", "Deny"), NULL), 0);
	assert_int_equal(decide(t), POLICY_DENY);
	assert_int_equal(delete(t, "b.yaml"), 0);
	assert_int_equal(decide(t), POLICY_ALLOW);
	assert_null(document_find(t->rt, DOCUMENT_POLICY, "b.yaml"));
}

static void a_wrong_text_changes_nothing(void **state)
{
	struct engine *t = *state;
	char before[65], after[65];
	struct err e = {0};
	assert_int_equal(put(t, "a.yaml", RULE("a", "Allow"), NULL), 0);
	version(t, before);
	assert_int_equal(put(t, "a.yaml", RULE("a", "Alow"), &e), -EINVAL);
	assert_int_equal(e.code, ERR_POLICY_INVALID);
	assert_int_equal(e.line, 4);
	assert_non_null(strstr(e.msg, "a.yaml:4: 'Alow' is no effect"));
	assert_int_equal(put(t, "b.yaml", RULE("a", "Deny"), &e), -EINVAL);
	assert_non_null(strstr(e.msg, "b.yaml:3: a rule named 'a' stands at a.yaml:3 already"));
	assert_int_equal(put(t, "b.txt", RULE("b", "Deny"), &e), -EINVAL);
	version(t, after);
	assert_string_equal(before, after);
	assert_null(document_find(t->rt, DOCUMENT_POLICY, "b.yaml"));
}

static void a_start_finds_what_was_stored(void **state)
{
	struct engine *t = *state;
	char before[65], after[65];
	for (int clean = 0; clean < 2; clean++) { /* from the journal alone, then from the store */
		assert_int_equal(put(t, "a.yaml", RULE("a", "Allow"), NULL), 0);
		assert_int_equal(put(t, "b.yaml", RULE("b", "Deny"), NULL), 0);
		assert_int_equal(move(t, "b.yaml", "c.yaml"), 0);
		version(t, before);
		engine_close(t);
		engine_open(t, false);
		version(t, after);
		assert_string_equal(before, after);
		assert_non_null(document_find(t->rt, DOCUMENT_POLICY, "c.yaml"));
		assert_int_equal(delete(t, "c.yaml"), 0);
	}
}

static void a_rename_replaces(void **state)
{
	struct engine *t = *state;
	assert_int_equal(put(t, "a.yaml", RULE("a", "Allow"), NULL), 0);
	assert_int_equal(put(t, "b.yaml", RULE("b", "Deny"), NULL), 0);
	assert_int_equal(move(t, "a.yaml", "b.yaml"), 0);
	assert_int_equal(decide(t), POLICY_ALLOW);
	assert_null(document_find(t->rt, DOCUMENT_POLICY, "a.yaml"));
	assert_null(document_next(t->rt, DOCUMENT_POLICY, document_find(t->rt, DOCUMENT_POLICY, "b.yaml")->serial));
	assert_int_equal(move(t, "b.yaml", "b.json"), -EINVAL); /* YAML is no JSON */
	assert_int_equal(decide(t), POLICY_ALLOW);
}

static void others_may_not_change_it(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	assert_int_equal(put(t, "a.yaml", RULE("a", "Allow"), NULL), 0);
	uint32_t serial = document_find(t->rt, DOCUMENT_POLICY, "a.yaml")->serial;
	struct engine_answer a = {0};
	assert_int_equal(document_put(t->rt, DOCUMENT_POLICY, &user, "a.yaml", "", 0, ENGINE_DONE(&a), &e), -EACCES);
	assert_int_equal(document_delete(t->rt, DOCUMENT_POLICY, &user, serial, ENGINE_DONE(&a), &e), -EACCES);
	assert_int_equal(document_rename(t->rt, DOCUMENT_POLICY, &user, serial, "b.yaml", ENGINE_DONE(&a), &e), -EACCES);
	assert_int_equal(document_chown(t->rt, DOCUMENT_POLICY, &user, serial, 1000, 1000, 0666, ENGINE_DONE(&a), &e), -EACCES);
	assert_int_equal(decide(t), POLICY_ALLOW);
}


static int nothing(void *arg, const struct journal_record *rec)
{
	(void)arg, (void)rec;
	return 0;
}

/* What a later version may have stored: a text that this one does not take. */
static void store_unknown(struct engine *t)
{
	static const char body[] = "{\"v\":1,\"serial\":77,\"uid\":0,\"gid\":0,\"mode\":420,\"fresh\":true,"
				   "\"text\":\"version: 9\\n\"}";
	char dir[160];
	struct journal *j;
	struct err e = {0};
	engine_close(t);
	snprintf(dir, sizeof dir, "%s/journal", t->dir);
	assert_int_equal(loop_init(&t->loop, &e), 0);
	struct journal_opts o = {.dir = dir, .segment_bytes = 3u << 20};
	assert_int_equal(journal_open(&j, &o, &t->loop, 0, nothing, NULL, &e), 0);
	struct journal_record rec = {.type = 13, .object = "later.yaml", .body = body, .body_len = sizeof body - 1};
	assert_int_equal(journal_append(j, &rec, JOURNAL_FAST, NULL, &e), 0);
	journal_close(j);
	loop_done(&t->loop);
	engine_open(t, false);
}

static void a_start_with_an_unknown_text_has_no_set(void **state)
{
	struct engine *t = *state;
	const struct err *why = NULL;
	struct err e = {0};
	autobuf struct buf health;
	buf_init(&health, 4096);
	assert_int_equal(put(t, "a.yaml", RULE("a", "Allow"), NULL), 0);
	store_unknown(t);
	assert_null(policies_active(t->rt, &why));
	assert_non_null(strstr(why->msg, "later.yaml:1: this version is not known"));
	runtime_render_health(t->rt, &health);
	assert_non_null(strstr(health.data, "later.yaml:1"));
	assert_int_equal(runtime_authorize(t->rt, &user, "agent.run", "a", 1000, 1000, 0600, W_OK, &e), -EACCES);
	assert_non_null(strstr(e.msg, "do not load"));
	assert_int_equal(put(t, "a.yaml", RULE("a", "Nope"), &e), -EINVAL);
	assert_int_equal(put(t, "a.yaml", RULE("a", "Deny"), NULL), 0); /* one is mended, the other still wrong */
	assert_null(policies_active(t->rt, NULL));
	assert_int_equal(delete(t, "later.yaml"), 0);
	assert_non_null(policies_active(t->rt, NULL));
	assert_int_equal(decide(t), POLICY_DENY);
}

static void more_text_may_cure_it(void **state)
{
	struct engine *t = *state;
	static const struct {
		const char *text;
		bool unfinished;
	} cases[] = {
		{"version: \"1.0\"\n", true},
		{"version: \"1.0\"\npolicies:\n", true},
		{"version: \"1.0\"\npolicies:\n  - name: a\n", true},
		{"version: \"1.0\"\npolicies:\n  - name: a\n    operations:\n", true},
		{"version: \"1.0\"\npolicies:\n  - name: a\n    effect: Al", true},
		{"version: \"1.0\"\npolicies:\n  - name: a\n    effect: Alow\n", false},
		{"polices: []\n", false},
		{"echo me no more\n", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool unfinished = !cases[i].unfinished;
		struct err e = {0};
		assert_int_equal(document_check(t->rt, DOCUMENT_POLICY, "a.yaml", cases[i].text, strlen(cases[i].text), &unfinished, &e),
				 -EINVAL);
		if (unfinished != cases[i].unfinished)
			fail_msg("%s", cases[i].text);
	}
}

/* ---- who is asked ---- */

#define ABOUT(name, effect, type, resource, op)                                                                        \
	"version: \"1.0\"\npolicies:\n  - name: " name "\n    effect: " effect                                            \
	"\n    conditions:\n      - resource_type: " type "\n    resources: [\"" resource "\"]\n    operations: [" op "]\n"

static int may(struct engine *t, const struct actor *who, const char *action, struct err *e)
{
	return runtime_authorize(t->rt, who, action, "a", 1000, 1000, 0600, W_OK, e);
}

static void without_rules_owner_and_mode_decide(void **state)
{
	struct engine *t = *state;
	const struct actor other = {.uid = 1001, .gid = 1001};
	struct err e = {0};
	assert_int_equal(may(t, &user, "agent.delete", NULL), 0);
	assert_int_equal(may(t, &root_actor, "agent.delete", NULL), 0);
	assert_int_equal(may(t, &other, "agent.delete", &e), -EACCES);
	assert_int_equal(e.code, ERR_FS_MODE);
}

static void a_rule_takes_from_a_person(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	assert_int_equal(put(t, "a.yaml", ABOUT("keep", "Deny", "Agent", "a", "Delete"), NULL), 0);
	assert_int_equal(may(t, &user, "agent.delete", &e), -EACCES);
	assert_int_equal(e.code, ERR_POLICY_DENIED);
	assert_non_null(strstr(e.msg, "rule 'keep' (a.yaml:3) denies it"));
	assert_int_equal(may(t, &user, "agent.control", NULL), 0);
	assert_int_equal(may(t, &root_actor, "agent.delete", NULL), 0);
	assert_int_equal(put(t, "a.yaml", ABOUT("keep", "Escalate", "Agent", "a", "Delete"), NULL), 0);
	assert_int_equal(may(t, &user, "agent.delete", &e), -EACCES);
	assert_non_null(strstr(e.msg, "waits for approval"));
	assert_int_equal(delete(t, "a.yaml"), 0);
	assert_int_equal(may(t, &user, "agent.delete", NULL), 0);
}

static void an_agent_has_what_a_rule_gives(void **state)
{
	struct engine *t = *state;
	const struct actor inside = {.uid = 1000, .gid = 1000, .view = 1};
	struct err e = {0};
	assert_int_equal(may(t, &inside, "agent.run", &e), -EACCES);
	assert_int_equal(e.code, ERR_POLICY_DENIED);
	assert_int_equal(put(t, "a.yaml", ABOUT("run", "Allow", "Agent", "a", "Execute"), NULL), 0);
	assert_int_equal(may(t, &inside, "agent.run", NULL), 0);
	assert_int_equal(may(t, &inside, "agent.delete", NULL), -EACCES);
}

static void check(struct engine *t, const struct policy_words *w, bool json, const char *want)
{
	struct err e = {0};
	autobuf struct buf out;
	buf_init(&out, 4096);
	assert_int_equal(policies_check(t->rt, w, json, &out, &e), 0);
	if (!strstr(out.data, want))
		fail_msg("want: %s\nseen: %s", want, out.data);
}

static void a_check_says_which_rule(void **state)
{
	struct engine *t = *state;
	struct policy_words w = {.op = "Read", .resource = "/tmp//a"};
	struct err e = {0};
	autobuf struct buf out;
	buf_init(&out, 4096);
	check(t, &w, false, "effect Deny\nrule no_match\n");
	assert_int_equal(put(t, "a.yaml", RULE("tmp", "Allow"), NULL), 0);
	check(t, &w, false, "effect Allow\nrule tmp\nat a.yaml:3\n");
	check(t, &w, true, "{\"effect\":\"Allow\",\"rule\":\"tmp\",\"file\":\"a.yaml\",\"line\":3,");
	w.resource = "/tmp/../etc";
	assert_int_equal(policies_check(t->rt, &w, false, &out, &e), -EINVAL);
	assert_int_equal(e.code, ERR_POLICY_RESOURCE);
	w.op = "Reed";
	assert_int_equal(policies_check(t->rt, &w, false, &out, &e), -EINVAL);
	assert_int_equal(e.code, ERR_POLICY_REQUEST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_change_decides_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_wrong_text_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_start_finds_what_was_stored, setup, teardown),
		cmocka_unit_test_setup_teardown(a_rename_replaces, setup, teardown),
		cmocka_unit_test_setup_teardown(a_large_shadow_set_is_compiled_behind_the_loop, setup, teardown),
		cmocka_unit_test_setup_teardown(others_may_not_change_it, setup, teardown),
		cmocka_unit_test_setup_teardown(a_start_with_an_unknown_text_has_no_set, setup, teardown),
		cmocka_unit_test_setup_teardown(more_text_may_cure_it, setup, teardown),
		cmocka_unit_test_setup_teardown(without_rules_owner_and_mode_decide, setup, teardown),
		cmocka_unit_test_setup_teardown(a_rule_takes_from_a_person, setup, teardown),
		cmocka_unit_test_setup_teardown(an_agent_has_what_a_rule_gives, setup, teardown),
		cmocka_unit_test_setup_teardown(a_check_says_which_rule, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
