/* SPDX-License-Identifier: MIT */
/* test_secrets.c - the store of secrets in an engine: what is kept and how, what is refused when it was put back or swapped, whom
 * a rule gives one. */
#include "tests/support/engine.h"

#include <errno.h>

#include "runtime/documents.h"
#include "runtime/secrets.h"

static int setup(void **state)
{
	struct engine *t = calloc(1, sizeof *t);
	char key[160];
	struct err e;
	unsetenv("SYMBIONT_MASTER_KEY");
	unsetenv("SYMBIONT_MASTER_KEY_FILE");
	unsetenv("CREDENTIALS_DIRECTORY");
	engine_init(t);
	engine_open(t, false);
	snprintf(key, sizeof key, "%s/master.key", t->dir);
	assert_int_equal(secret_key_make(key, &e), 0);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	engine_done(*state);
	free(*state);
	return 0;
}

static uint32_t make(struct engine *t, uint32_t folder, const char *name, bool is_folder)
{
	struct engine_answer done = {0};
	struct err e = {0};
	uint32_t number = 0;
	int r = secret_make(t->rt, &root_actor, folder, name, is_folder, &number, ENGINE_DONE(&done), &e);
	if (engine_reply(t, r, &done) < 0)
		fail_msg("%s", e.msg);
	return number;
}

static void put(struct engine *t, uint32_t number, const char *value)
{
	struct engine_answer done = {0};
	struct err e = {0};
	int r = secret_write(t->rt, &root_actor, number, value, strlen(value), ENGINE_DONE(&done), &e);
	if (engine_reply(t, r, &done) < 0)
		fail_msg("%s", e.msg);
}

static int get(struct engine *t, uint32_t number, char out[256], struct err *e)
{
	struct secret_text text = {0};
	*e = (struct err){0};
	int r = secret_read(t->rt, &root_actor, secret_by_number(t->rt, number), &text, e);
	if (r == 0)
		snprintf(out, 256, "%.*s", (int)text.len, (const char *)text.data);
	secret_text_free(&text);
	return r;
}

static void assert_value(struct engine *t, uint32_t number, const char *want)
{
	char value[256];
	struct err e;
	if (get(t, number, value, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(value, want);
}

static void a_value_comes_back_also_from_the_journal_alone(void **state)
{
	struct engine *t = *state;
	uint32_t app = make(t, 0, "app", true), db = make(t, app, "db", false), top = make(t, 0, "token", false);
	assert_string_equal(secret_by_number(t->rt, db)->path, "app/db");
	assert_value(t, db, ""); /* none was written yet */
	put(t, db, "one");
	put(t, top, "two");
	put(t, db, "three");
	assert_int_equal(secret_by_number(t->rt, db)->generation, 3);
	for (int round = 0; round < 2; round++) {
		engine_close(t);
		if (round) {
			char store[200];
			snprintf(store, sizeof store, "%s/store", t->dir);
			nftw(store, engine_remove, 16, FTW_DEPTH | FTW_PHYS);
		}
		engine_open(t, false);
		assert_value(t, db, "three");
		assert_value(t, top, "two");
		assert_true(secret_by_number(t->rt, app)->folder);
		assert_ptr_equal(secret_child(t->rt, app, "db"), secret_by_number(t->rt, db));
	}
	put(t, top, "four");
	assert_int_equal(secret_by_number(t->rt, top)->generation, 4);
}

static void what_was_put_back_or_swapped_is_refused(void **state)
{
	struct engine *t = *state;
	char value[256];
	struct err e;
	uint32_t a = make(t, 0, "a", false), b = make(t, 0, "b", false);
	put(t, a, "old");
	struct secret *sa = (struct secret *)secret_by_number(t->rt, a), *sb;
	autofree char *older = strdup(sa->sealed);
	put(t, a, "new");
	put(t, b, "other");
	sa = (struct secret *)secret_by_number(t->rt, a);
	sb = (struct secret *)secret_by_number(t->rt, b);
	char *now = sa->sealed;
	sa->sealed = older;
	assert_int_equal(get(t, a, value, &e), -EBADMSG);
	assert_int_equal(e.code, ERR_SECRET_SEAL);
	assert_non_null(strstr(e.msg, "older value"));
	sa->sealed = sb->sealed;
	assert_int_equal(get(t, a, value, &e), -EBADMSG);
	sa->sealed = now;
	now[strlen(now) / 2] ^= 1;
	assert_true(get(t, a, value, &e) < 0);
	now[strlen(now) / 2] ^= 1;
	assert_value(t, a, "new");
}

static void names_that_are_none_and_folders_with_something_in_them_are_refused(void **state)
{
	struct engine *t = *state;
	struct engine_answer done = {0};
	struct err e;
	uint32_t number, folder = make(t, 0, "f", true);
	make(t, folder, "x", false);
	assert_int_equal(secret_make(t->rt, &root_actor, folder, "x", false, &number, ENGINE_DONE(&done), &e), -EEXIST);
	assert_int_equal(secret_make(t->rt, &root_actor, folder, "..", false, &number, ENGINE_DONE(&done), &e), -EINVAL);
	assert_int_equal(secret_make(t->rt, &root_actor, folder, "a\nb", false, &number, ENGINE_DONE(&done), &e), -EINVAL);
	assert_int_equal(secret_delete(t->rt, &root_actor, folder, ENGINE_DONE(&done), &e), -ENOTEMPTY);
	uint32_t in = folder;
	for (int i = 0; i < SECRETS_DEPTH_MAX - 1; i++)
		in = make(t, in, "d", true);
	assert_int_equal(secret_make(t->rt, &root_actor, in, "d", true, &number, ENGINE_DONE(&done), &e), 0);
	assert_int_equal(secret_make(t->rt, &root_actor, number, "d", true, &number, ENGINE_DONE(&done), &e), -EINVAL);
}

static void without_a_key_nothing_is_made(void **state)
{
	struct engine *t = *state;
	struct engine_answer done = {0};
	struct err e;
	uint32_t number;
	char key[160];
	snprintf(key, sizeof key, "%s/master.key", t->dir);
	unlink(key);
	assert_int_equal(secret_make(t->rt, &root_actor, 0, "x", false, &number, ENGINE_DONE(&done), &e), -ENOKEY);
	assert_null(secret_next(t->rt, 0, 0));
}

static void an_agent_is_given_what_a_rule_names_and_a_folder_with_that_in_it(void **state)
{
	struct engine *t = *state;
	struct engine_answer done = {0};
	struct err e = {0};
	static const char rule[] = "version: \"1.0\"\npolicies:\n  - {name: a, effect: Allow, operations: [Read], resources: [\"app/**\"],\n"
				   "     conditions: [{resource_type: Secret}, {agent: greet}]}\n";
	uint32_t app = make(t, 0, "app", true), in = make(t, app, "in", false), out = make(t, 0, "out", false),
		 empty = make(t, 0, "empty", true);
	assert_int_equal(engine_put(t, "greet.yaml", "tier: None\nruntime: sh\ncode: cat\n", &e), 0);
	assert_int_equal(engine_put(t, "other.yaml", "tier: None\nruntime: sh\ncode: cat\n", &e), 0);
	const struct agent *greet = engine_agent(t, "greet"), *other = engine_agent(t, "other");
	assert_false(secret_is_granted(t->rt, greet, secret_by_number(t->rt, in)));
	int r = document_put(t->rt, DOCUMENT_POLICY, &root_actor, "s.yaml", rule, strlen(rule), ENGINE_DONE(&done), &e);
	if (engine_reply(t, r, &done) < 0)
		fail_msg("%s", e.msg);
	assert_true(secret_is_granted(t->rt, greet, secret_by_number(t->rt, in)));
	assert_true(secret_is_granted(t->rt, greet, secret_by_number(t->rt, app)));
	assert_false(secret_is_granted(t->rt, greet, secret_by_number(t->rt, out)));
	assert_false(secret_is_granted(t->rt, greet, secret_by_number(t->rt, empty)));
	assert_false(secret_is_granted(t->rt, other, secret_by_number(t->rt, in)));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_value_comes_back_also_from_the_journal_alone),
		T(what_was_put_back_or_swapped_is_refused),
		T(names_that_are_none_and_folders_with_something_in_them_are_refused),
		T(without_a_key_nothing_is_made),
		T(an_agent_is_given_what_a_rule_names_and_a_folder_with_that_in_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
