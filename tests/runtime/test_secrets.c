/* SPDX-License-Identifier: MIT */
/* test_secrets.c - the store of secrets in an engine: what is kept and how, what is refused when it was put back or swapped, whom
 * a rule gives one. */
#include "tests/support/engine.h"

#include <errno.h>

#include "runtime/documents.h"
#include "runtime/secrets.h"

static void to_nobody(void *arg, const struct err *e)
{
	(void)arg, (void)e;
}
static const struct runtime_done done_none = {to_nobody, NULL};

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
	number = make(t, in, "d", true);
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

/* ---- rotation ---- */

static void key_file(struct engine *t, const char *name, char out[200])
{
	snprintf(out, 200, "%s/%s", t->dir, name);
}

static bool is_settled(void *arg)
{
	char next[200];
	key_file(arg, "master.key.next", next);
	return access(next, F_OK) < 0;
}

static void begin_rotation(struct engine *t, struct engine_answer *done)
{
	char next[200];
	struct err e = {0};
	key_file(t, "master.key.next", next);
	if (secret_key_make(next, &e) < 0 || secrets_rotate(t->rt, &root_actor, ENGINE_DONE(done), &e) < 0)
		fail_msg("%s", e.msg);
}

#define MANY 150

static void make_many(struct engine *t, uint32_t numbers[MANY])
{
	char name[32], value[32];
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "s%u", i);
		snprintf(value, sizeof value, "value %u", i);
		numbers[i] = make(t, 0, name, false);
		put(t, numbers[i], value);
	}
}

static void assert_many(struct engine *t, const uint32_t numbers[MANY])
{
	char value[32];
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(value, sizeof value, "value %u", i);
		assert_value(t, numbers[i], value);
	}
}

static void a_rotation_puts_every_value_under_the_new_key(void **state)
{
	struct engine *t = *state;
	struct engine_answer done = {0};
	struct secret_key *old = NULL, *new_key = NULL;
	struct err e = {0};
	char path[200], value[256];
	uint32_t numbers[MANY], empty = make(t, 0, "empty", false);
	key_file(t, "master.key", path);
	struct secret_key_places at = {.file = path, .passphrase_fd = -1};
	assert_int_equal(secret_key_find(&old, &at, &e), 0);
	make_many(t, numbers);
	struct secret *s = (struct secret *)secret_by_number(t->rt, numbers[0]);
	autofree char *older = strdup(s->sealed);
	uint64_t generation = s->generation;
	begin_rotation(t, &done);
	assert_int_equal(secrets_rotate(t->rt, &root_actor, done_none, &e), -EBUSY);
	put(t, numbers[MANY - 1], "value 149"); /* meanwhile */
	assert_int_equal(engine_reply(t, 0, &done), 0);
	assert_true(is_settled(t));
	assert_int_equal(secret_key_find(&new_key, &at, &e), 0);
	assert_many(t, numbers);
	assert_value(t, empty, "");
	s = (struct secret *)secret_by_number(t->rt, numbers[0]);
	assert_int_equal(s->generation, generation); /* the value is the same one */
	char *now = s->sealed;
	s->sealed = older;
	assert_int_equal(get(t, numbers[0], value, &e), -ENOKEY); /* what was put back is under a key that is gone */
	s->sealed = now;
	for (int round = 0; round < 2; round++) {
		engine_close(t);
		if (round) {
			char store[200];
			key_file(t, "store", store);
			nftw(store, engine_remove, 16, FTW_DEPTH | FTW_PHYS);
		}
		engine_open(t, false);
		assert_many(t, numbers);
	}
	secret_key_free(old);
	secret_key_free(new_key);
}

static void a_rotation_that_was_cut_off_goes_on_with_the_next_start(void **state)
{
	struct engine *t = *state;
	uint32_t numbers[MANY];
	make_many(t, numbers);
	for (unsigned turns = 0; turns < 6; turns++) {
		struct engine_answer done = {0};
		begin_rotation(t, &done);
		for (unsigned i = 0; i < turns; i++)
			uv_run(&t->loop.uv, UV_RUN_NOWAIT);
		engine_close(t);
		engine_open(t, turns & 1);
		assert_many(t, numbers); /* under either key */
		assert_true(engine_until(t, is_settled, t, 10000));
		assert_many(t, numbers);
	}
}

static void a_rotation_that_meets_damage_keeps_both_keys(void **state)
{
	struct engine *t = *state;
	struct engine_answer done = {0};
	struct err e;
	uint32_t a = make(t, 0, "a", false), b = make(t, 0, "b", false);
	put(t, a, "one");
	put(t, b, "two");
	char *sealed = ((struct secret *)secret_by_number(t->rt, a))->sealed;
	sealed[strlen(sealed) - 8] ^= 1;
	begin_rotation(t, &done);
	assert_int_equal(engine_reply(t, 0, &done), -EBADMSG);
	assert_non_null(strstr(done.e.msg, "'a'"));
	assert_false(is_settled(t));
	assert_value(t, b, "two");
	sealed[strlen(sealed) - 8] ^= 1;
	assert_value(t, a, "one");
	done = (struct engine_answer){0};
	if (secrets_rotate(t->rt, &root_actor, ENGINE_DONE(&done), &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(engine_reply(t, 0, &done), 0);
	assert_true(is_settled(t));
	assert_value(t, a, "one");
	assert_value(t, b, "two");
}

static void a_rotation_without_a_new_key_is_refused(void **state)
{
	struct engine *t = *state;
	struct err e;
	assert_int_equal(secrets_rotate(t->rt, &root_actor, done_none, &e), -EINVAL);
	assert_int_equal(e.code, ERR_SECRET_INVALID);
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
		T(a_rotation_puts_every_value_under_the_new_key),
		T(a_rotation_that_was_cut_off_goes_on_with_the_next_start),
		T(a_rotation_that_meets_damage_keeps_both_keys),
		T(a_rotation_without_a_new_key_is_refused),
		T(an_agent_is_given_what_a_rule_names_and_a_folder_with_that_in_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
