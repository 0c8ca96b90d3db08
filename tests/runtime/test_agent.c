/* SPDX-License-Identifier: MIT */
/* test_agent.c - agents: create, change, rename, give away, delete; and that all of it is there again after a restart. */
#include "tests/support/engine.h"

#define SPEC "tier: None\ncommand: [cat]\n"

static void reopen(struct engine *t)
{
	engine_close(t);
	engine_open(t, false);
}

static void status_of(struct engine *t, const char *name, struct buf *b)
{
	struct agent *a = engine_agent(t, name);
	assert_non_null(a);
	buf_printf(b, "%s %u %u %o %llu\n", agent_file_name(a), agent_uid(a), agent_gid(a),
		   agent_mode_bits(a), (unsigned long long)agent_mtime_ms(a));
	agent_render_status(t->rt, a, b);
	for (const char *const *k = agent_limit_keys; *k; k++)
		agent_render_limit(t->rt, a, *k, b);
	agent_text(t->rt, a, b, NULL);
}

static void create_makes_a_ready_agent(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	assert_int_equal(engine_put(t, "one.yaml", SPEC, &e), 0);
	struct agent *a = engine_agent(t, "one");
	assert_non_null(a);
	assert_int_equal(agent_state(a), AGENT_READY);
	assert_string_equal(agent_name(a), "one");
	assert_string_equal(agent_file_name(a), "one.yaml");
	assert_int_equal(strlen(agent_id(a)), 36);
	assert_int_equal(agent_text_len(a), strlen(SPEC));
	assert_int_equal(agent_count(t->rt), 1);
	assert_ptr_equal(agent_by_serial(t->rt, agent_serial(a)), a);
}

static void a_refused_text_changes_nothing(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	assert_int_equal(engine_put(t, "x.yaml", "{bad", &e), -EINVAL);
	assert_null(engine_agent(t, "x"));
	assert_int_equal(engine_put(t, "x.yaml", SPEC, &e), 0);
	char id[40];
	snprintf(id, sizeof id, "%s", agent_id(engine_agent(t, "x")));
	assert_int_equal(engine_put(t, "x.yaml", "tier: None\ncommand: [cat]\ncolour: red\n", &e),
			 -EINVAL);
	assert_non_null(strstr(e.msg, "colour"));
	assert_int_equal(e.line, 3);
	struct agent *a = engine_agent(t, "x");
	assert_int_equal(agent_text_len(a), strlen(SPEC));
	assert_string_equal(agent_id(a), id);
}

static void names_and_existing_files_are_refused(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	struct engine_answer ans = {0};
	assert_int_equal(engine_put(t, "no-suffix", SPEC, &e), -EINVAL);
	assert_int_equal(engine_put(t, "a b.yaml", SPEC, &e), -EINVAL);
	assert_int_equal(engine_put(t, ".hidden.yaml", SPEC, &e), -EINVAL);
	assert_int_equal(engine_put(t, "a.txt", SPEC, &e), -EINVAL);
	assert_int_equal(engine_put(t, "x.yaml", SPEC, &e), 0);
	assert_int_equal(engine_put(t, "x.json", "{\"tier\":\"None\",\"command\":[\"cat\"]}", &e),
			 -EEXIST);
	assert_int_equal(agent_put(t->rt, &root_actor, "x.yaml", SPEC, strlen(SPEC), true,
				   ENGINE_DONE(&ans), &e), -EEXIST);
	assert_int_equal(engine_put(t, "y.yaml", "name: z\n" SPEC, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "'z'"));
}

static void max_agents_is_a_refusal(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	engine_set(t, "lifecycle.max_agents", "2");
	assert_int_equal(engine_put(t, "a.yaml", SPEC, &e), 0);
	assert_int_equal(engine_put(t, "b.yaml", SPEC, &e), 0);
	assert_int_equal(engine_put(t, "c.yaml", SPEC, &e), -EDQUOT);
	assert_non_null(strstr(e.msg, "max_agents"));
	assert_int_equal(engine_put(t, "b.yaml", SPEC "priority: High\n", &e), 0);
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void a_reload_changes_what_is_in_force_or_nothing(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	char path[200];
	snprintf(path, sizeof path, "%s/c.toml", t->dir);
	write_file(path, "[lifecycle]\nmax_agents = 1\n");
	assert_int_equal(config_load_file(t->config, path, &e), 0);
	assert_int_equal(engine_put(t, "a.yaml", SPEC, &e), 0);
	assert_int_equal(engine_put(t, "b.yaml", SPEC, &e), -EDQUOT);
	write_file(path, "[lifecycle]\nmax_agents = \"none\"\n");
	assert_true(runtime_reload(t->rt, &e) < 0);
	assert_non_null(strstr(e.msg, "max_agents"));
	assert_int_equal(engine_put(t, "b.yaml", SPEC, &e), -EDQUOT);
	write_file(path, "[lifecycle]\nmax_agents = 2\n");
	assert_int_equal(runtime_reload(t->rt, &e), 0);
	assert_int_equal(engine_put(t, "b.yaml", SPEC, &e), 0);
}

/* What a shell has written so far: more may follow, or nothing that follows can help. */
static void a_refused_tier_can_be_cured_only_where_none_is_named(void **state)
{
	struct engine *t = *state;
	const struct {
		const char *file, *text;
		bool curable;
	} rows[] = {
		{"a.yaml", "command: [cat]\n", true},
		{"a.toml", "command = [\"cat\"]\n", true},
		{"a.yaml", "tier: Tier3\ncommand: [cat]\n", false},
		{"a.yaml", "{command: [cat]}\n", false},
		{"a.json", "{\"command\": [\"cat\"]}", false},
	};
	engine_set(t, "security.default_sandbox_tier", "Tier3");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err e = {0};
		bool more = !rows[i].curable;
		assert_int_equal(agent_check(t->rt, rows[i].file, rows[i].text, strlen(rows[i].text),
					     &more, &e),
				 -EPERM);
		assert_int_equal(e.code, ERR_SEC_TIER);
		assert_int_equal(more, rows[i].curable);
	}
}

static void settings_stand_for_what_a_spec_leaves_out(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	const char *spec = "tier: None\nexecution_mode: ephemeral\ncode: echo hi\n";
	engine_set(t, "native_execution.default_executable", "/usr/bin/python3");
	assert_int_equal(engine_put(t, "x.yaml", spec, &e), 0);
	engine_set(t, "native_execution.default_executable", "pyton3");
	assert_int_equal(engine_put(t, "y.yaml", spec, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "'pyton3' is not known; did you mean 'python3'?"));
}

static void another_uid_may_do_what_the_mode_says(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	struct engine_answer ans = {0};
	const struct actor mine = {.uid = 1234, .gid = 1234}, other = {.uid = 4321, .gid = 4321};
	assert_int_equal(engine_reply(t, agent_put(t->rt, &mine, "m.yaml", SPEC, strlen(SPEC), false,
						   ENGINE_DONE(&ans), &e), &ans), 0);
	struct agent *a = engine_agent(t, "m");
	assert_int_equal(agent_uid(a), 1234);
	ans.there = false;
	assert_int_equal(agent_put(t->rt, &other, "m.yaml", SPEC, strlen(SPEC), false,
				   ENGINE_DONE(&ans), &e), -EACCES);
	assert_int_equal(agent_delete(t->rt, &other, a, ENGINE_DONE(&ans), &e), -EACCES);
	assert_int_equal(agent_ctl(t->rt, &other, a, "start", 5, ENGINE_DONE(&ans), &e), -EACCES);
	assert_int_equal(agent_chown(t->rt, &mine, a, 4321, (gid_t)-1, (mode_t)-1, ENGINE_DONE(&ans),
				     &e), -EACCES);
	assert_int_equal(agent_set_limit(t->rt, &other, a, "memory_mb", "64", ENGINE_DONE(&ans), &e),
			 -EACCES);
	assert_int_equal(engine_reply(t, agent_chown(t->rt, &mine, a, (uid_t)-1, (gid_t)-1, 0666,
						     ENGINE_DONE(&ans), &e), &ans), 0);
	ans.there = false; /* its owner has opened it to all */
	assert_int_equal(engine_reply(t, agent_put(t->rt, &other, "m.yaml", SPEC, strlen(SPEC), false,
						   ENGINE_DONE(&ans), &e), &ans), 0);
	assert_int_equal(agent_uid(engine_agent(t, "m")), 1234);
}

static void all_of_it_is_there_after_a_restart(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	struct engine_answer ans = {0};
	char name[32];
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "a%d.yaml", i);
		assert_int_equal(engine_put(t, name, SPEC, &e), 0);
	}
	engine_reply(t, agent_set_limit(t->rt, &root_actor, engine_agent(t, "a1"), "memory_mb", "77",
					ENGINE_DONE(&ans), &e), &ans);
	ans.there = false;
	engine_reply(t, agent_chown(t->rt, &root_actor, engine_agent(t, "a2"), 7, 8, 0640,
				    ENGINE_DONE(&ans), &e), &ans);
	ans.there = false;
	assert_int_equal(engine_reply(t, agent_rename(t->rt, &root_actor, engine_agent(t, "a3"),
						      "b3.yml", false, ENGINE_DONE(&ans), &e), &ans), 0);
	ans.there = false;
	assert_int_equal(engine_reply(t, agent_rename(t->rt, &root_actor, engine_agent(t, "a4"),
						      "a5.yaml", true, ENGINE_DONE(&ans), &e), &ans), 0);
	ans.there = false;
	engine_reply(t, agent_delete(t->rt, &root_actor, engine_agent(t, "a6"), ENGINE_DONE(&ans), &e),
		     &ans);
	assert_int_equal(agent_count(t->rt), 48);
	static const char *const looked_at[] = {"a0", "a1", "a2", "b3", "a5", "a49"};
	struct buf before, after;
	buf_init(&before, 1 << 20);
	buf_init(&after, 1 << 20);
	for (size_t i = 0; i < ARRAY_LEN(looked_at); i++)
		status_of(t, looked_at[i], &before);
	for (int round = 0; round < 3; round++) { /* from the journal, then from the store */
		reopen(t);
		assert_int_equal(agent_count(t->rt), 48);
		assert_null(engine_agent(t, "a3"));
		assert_null(engine_agent(t, "a4"));
		assert_null(engine_agent(t, "a6"));
		buf_clear(&after);
		for (size_t i = 0; i < ARRAY_LEN(looked_at); i++)
			status_of(t, looked_at[i], &after);
		assert_string_equal(before.data, after.data);
	}
	buf_done(&before);
	buf_done(&after);
}

static void a_serial_is_never_used_again(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	struct engine_answer ans = {0};
	engine_put(t, "a.yaml", SPEC, &e);
	uint64_t serial = agent_serial(engine_agent(t, "a"));
	engine_reply(t, agent_delete(t->rt, &root_actor, engine_agent(t, "a"), ENGINE_DONE(&ans), &e),
		     &ans);
	reopen(t);
	reopen(t);
	engine_put(t, "a.yaml", SPEC, &e);
	assert_true(agent_serial(engine_agent(t, "a")) > serial);
}

static void listing_goes_by_serial(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	struct engine_answer ans = {0};
	char name[32];
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "n%d.yaml", i);
		engine_put(t, name, SPEC, &e);
	}
	for (int i = 0; i < 100; i += 3) {
		snprintf(name, sizeof name, "n%d", i);
		ans.there = false;
		engine_reply(t, agent_delete(t->rt, &root_actor, engine_agent(t, name),
					     ENGINE_DONE(&ans), &e), &ans);
	}
	uint64_t last = 0;
	size_t n = 0;
	for (struct agent *a = agent_next(t->rt, 0); a; a = agent_next(t->rt, last), n++) {
		assert_true(agent_serial(a) > last);
		last = agent_serial(a);
	}
	assert_int_equal(n, agent_count(t->rt));
	assert_int_equal(n, 66);
}

static void the_first_events_need_no_file(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	struct buf head;
	char path[512];
	buf_init(&head, 4096);
	engine_put(t, "a.yaml", SPEC, &e);
	struct agent *a = engine_agent(t, "a");
	agent_file_path(t->rt, a, AGENT_EVENTS, path, sizeof path);
	assert_int_equal(access(path, F_OK), -1);
	agent_render_head(t->rt, a, AGENT_EVENTS, &head);
	assert_non_null(strstr(head.data, "\"type\":\"agent.created\""));
	engine_ctl(t, "a", "suspend", &e);
	assert_memory_equal(engine_file(t, "a", AGENT_EVENTS), head.data, head.len);
	assert_non_null(strstr(engine_file(t, "a", AGENT_EVENTS), "agent.suspended"));
	buf_done(&head);
}

static void ctl_refuses_unknown_words_by_name(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	engine_put(t, "a.yaml", SPEC, &e);
	assert_int_equal(engine_ctl(t, "a", "nonsense", &e), -EINVAL);
	assert_non_null(strstr(e.msg, "'nonsense'"));
	assert_non_null(strstr(e.msg, "terminate"));
	assert_int_equal(engine_ctl(t, "a", "kill NOSUCH", &e), -EINVAL);
	assert_int_equal(engine_ctl(t, "a", "stop now", &e), -EINVAL);
	assert_int_equal(engine_ctl(t, "a", "resume", &e), -EBUSY);
	assert_int_equal(engine_ctl(t, "a", "message hello", &e), -EPIPE);
}

static void suspend_and_terminate_follow_the_table(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	engine_put(t, "a.yaml", SPEC, &e);
	assert_int_equal(engine_ctl(t, "a", "suspend", &e), 0);
	assert_int_equal(agent_state(engine_agent(t, "a")), AGENT_SUSPENDED);
	assert_int_equal(engine_ctl(t, "a", "suspend", &e), -EBUSY);
	assert_int_equal(engine_ctl(t, "a", "resume", &e), 0);
	assert_int_equal(agent_state(engine_agent(t, "a")), AGENT_READY);
	assert_int_equal(engine_ctl(t, "a", "terminate", &e), 0);
	assert_int_equal(agent_state(engine_agent(t, "a")), AGENT_TERMINATED);
	assert_int_equal(engine_ctl(t, "a", "terminate", &e), -EBUSY);
	struct run *r;
	assert_int_equal(run_submit(t->rt, &root_actor, engine_agent(t, "a"), "", 0, &r, &e), -EBUSY);
	assert_int_equal(engine_ctl(t, "a", "start", &e), 0);
	assert_int_equal(agent_state(engine_agent(t, "a")), AGENT_READY);
}

static void errors_are_each_users_own(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	struct buf b;
	const struct actor other = {.uid = 99};
	buf_init(&b, 1 << 20);
	err_set(&e, ERR_AGENT_SPEC, "quote \" and line\nbreak");
	for (int i = 0; i < 5000; i++)
		errors_record(t->rt, &root_actor, "agents/x.yaml", "write", NULL, &e);
	errors_render(t->rt, &other, &b);
	assert_int_equal(b.len, 0);
	errors_render(t->rt, &root_actor, &b);
	assert_true(b.len > 1000 && b.len <= 256 << 10);
	assert_int_equal(b.data[0], '{'); /* whole lines only */
	assert_int_equal(b.data[b.len - 1], '\n');
	assert_non_null(strstr(b.data, "quote \\\" and line\\nbreak"));
	buf_done(&b);
}

/* A process that ends without a word leaves the journal alone, from which the agent is made again. */
static void the_tier_that_was_left_out_stays_what_it_was(void **state)
{
	struct engine *t = *state;
	engine_close(t);
	pid_t child = fork();
	if (child == 0) {
		struct err e;
		engine_set(t, "security.default_sandbox_tier", "None");
		engine_open(t, false);
		_exit(engine_put(t, "left.yaml", "command: [cat]\n", &e) == 0 ? 0 : 1);
	}
	int status;
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	engine_set(t, "security.default_sandbox_tier", "Tier3");
	engine_open(t, false);
	autobuf struct buf b;
	buf_init(&b, 4096);
	status_of(t, "left", &b);
	assert_non_null(strstr(b.data, "tier None\n"));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, engine_setup, engine_teardown)
	const struct CMUnitTest tests[] = {
		T(create_makes_a_ready_agent),
		T(a_refused_text_changes_nothing),
		T(names_and_existing_files_are_refused),
		T(max_agents_is_a_refusal),
		T(a_reload_changes_what_is_in_force_or_nothing),
		T(a_refused_tier_can_be_cured_only_where_none_is_named),
		T(settings_stand_for_what_a_spec_leaves_out),
		T(another_uid_may_do_what_the_mode_says),
		T(all_of_it_is_there_after_a_restart),
		T(a_serial_is_never_used_again),
		T(listing_goes_by_serial),
		T(the_first_events_need_no_file),
		T(ctl_refuses_unknown_words_by_name),
		T(suspend_and_terminate_follow_the_table),
		T(errors_are_each_users_own),
		T(the_tier_that_was_left_out_stays_what_it_was),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
