/* SPDX-License-Identifier: MIT */
/* test_launch.c - what a spec's program is started with: its code, its interpreter, its variables, and what the
 * settings stand in for. */
#include "sandbox/spec.h"
#include "tests/support/engine.h"

static int setup(void **state)
{
	struct engine *t = malloc(sizeof *t);
	engine_init(t);
	engine_spawner(t);
	engine_set(t, "native_execution.allowed_executables", "sh,bash,cat,yes");
	engine_open(t, false);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	engine_done(*state);
	free(*state);
	return 0;
}

static void put(struct engine *t, const char *file, const char *text)
{
	struct err e = {0};
	if (engine_put(t, file, text, &e) != 0)
		fail_msg("%s: %s", file, e.msg);
}

static void code_runs_by_its_runtime_or_the_settings(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	char out[64];
	put(t, "c.yaml", "tier: None\ncode: 'echo ${BASH_VERSION:+bash} $0'\n");
	assert_int_equal(engine_run(t, "c", "", out, sizeof out, &e), 0);
	assert_string_equal(out, "bash bash\n");
	engine_set(t, "native_execution.default_executable", "/bin/sh");
	put(t, "d.yaml", "tier: None\ncode: 'echo ${BASH_VERSION:+bash} $0'\n");
	assert_int_equal(engine_run(t, "d", "", out, sizeof out, &e), 0);
	assert_string_equal(out, "/bin/sh\n");
}

static void code_longer_than_an_argument_runs_from_a_file(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	char out[64];
	struct buf b;
	for (int i = 0; i < 2; i++) { /* the second put replaces the first's file */
		buf_init(&b, 1 << 20);
		buf_printf(&b, "tier: None\nruntime: sh\nenv: {WHAT: run}\ncode: |\n");
		for (int k = 0; k < 4000; k++)
			buf_printf(&b, "  : a line of a program that is longer than an argument\n");
		buf_printf(&b, "  cat; echo $WHAT %d; exec rm -f -- \"$0\"\n", i);
		put(t, "long.yaml", b.data);
		buf_done(&b);
		for (int k = 0; k < 2; k++) {
			char want[32];
			snprintf(want, sizeof want, "in\nrun %d\n", i);
			if (engine_run(t, "long", "in\n", out, sizeof out, &e) < 0)
				fail_msg("%s", e.msg);
			assert_string_equal(out, want);
		}
	}
}

static void the_specs_variables_come_before_the_daemons(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	char out[256];
	put(t, "v.yaml", "tier: None\nenv: {PATH: /usr/bin, HOME: /nowhere, OWN: 1}\n"
			 "command: [sh, -c, 'echo $PATH $HOME $OWN $LANG $SYMBI_AGENT; tr \"\\0\" "
			 "\"\\n\" </proc/$$/environ | cut -d= -f1 | sort | uniq -d']\n");
	if (engine_run(t, "v", "", out, sizeof out, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(out, "/usr/bin /nowhere 1 C.UTF-8 v\n");
}

static bool has_failed_for_good(void *arg)
{
	struct engine *t = arg;
	return agent_state(engine_agent(t, "r")) == AGENT_FAILED &&
	       strstr(engine_file(t, "r", AGENT_LOG), "not restarted");
}

static void in_a_sandbox_it_is_nobody_else_and_sees_nobody_else(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	char out[4096], want[64];
	if (sandbox_tier_available(TIER_1, false, &e) < 0) {
		printf("skipped: %s\n", e.msg);
		skip();
	}
	engine_set(t, "native_execution.allowed_executables", "true"); /* is for tier None alone */
	put(t, "b.yaml", "tier: Tier1\ncommand: [sh, -c, 'cat; echo kept > file; id -u; id -un; ls /home /root "
			 "2>/dev/null; echo again >>/dev/stdout; ls -d file; echo $HOME | cut -c1-5']\n");
	for (int i = 0; i < 2; i++) {
		if (engine_run(t, "b", "in\n", out, sizeof out, &e) < 0)
			fail_msg("%s", e.msg);
		snprintf(want, sizeof want, "in\n%u\nagent\nagain\nfile\n/tmp/\n",
			 geteuid() == 0 ? 0x70000000u + (unsigned)agent_serial(engine_agent(t, "b")) : geteuid());
		assert_string_equal(out, want);
	}
	autobuf struct buf b;
	buf_init(&b, 1 << 20);
	buf_printf(&b, "tier: Tier1\nruntime: sh\ncode: |\n");
	for (int k = 0; k < 4000; k++)
		buf_printf(&b, "  : a line of a program that is longer than an argument\n");
	buf_printf(&b, "  cat; exit 3\n");
	put(t, "l.yaml", b.data);
	assert_int_equal(engine_run(t, "l", "in\n", out, sizeof out, &e), -EIO);
	assert_string_equal(out, "in\n");
	put(t, "w.yaml", "tier: Tier1\nworkdir: /etc\ncommand: [cat]\n");
	assert_true(engine_run(t, "w", "", out, sizeof out, &e) < 0);
	assert_non_null(strstr(e.msg, "working directory"));
}

static void restarts_that_a_spec_leaves_out_are_the_settings(void **state)
{
	struct engine *t = *state;
	engine_set(t, "lifecycle.max_restart_attempts", "1");
	put(t, "r.yaml", "tier: None\nexecution_mode: persistent\ncommand: [sh, -c, 'echo up; exit 1']\n");
	assert_true(engine_until(t, has_failed_for_good, t, 15000));
	assert_string_equal(engine_file(t, "r", AGENT_STDOUT), "up\nup\n");
}

static void output_at_its_limit_is_the_reason_also_of_who_ignores_the_signal(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	static char out[2 << 20];
	engine_set(t, "native_execution.max_output_mb", "1");
	put(t, "o.yaml", "tier: None\ncommand: [bash, -c, 'trap \"\" XFSZ; yes 2>/dev/null || exit 1']\n");
	put(t, "p.yaml", "tier: None\ncommand: [bash, -c, 'trap \"\" XFSZ; yes 2>/dev/null; exit 0']\n");
	assert_int_equal(engine_run(t, "o", "", out, sizeof out, &e), -EFBIG);
	assert_non_null(strstr(e.msg, "max_output_mb"));
	assert_int_equal(strlen(out), 1 << 20);
	assert_int_equal(engine_run(t, "p", "", out, sizeof out, &e), 0); /* it did what it wanted */
	put(t, "q.yaml", "tier: None\ncommand: [sh, -c, 'exit 1']\n");
	assert_int_equal(engine_run(t, "q", "", out, sizeof out, &e), -EIO);
}

static bool caps_are_known(void *arg)
{
	struct engine *t = arg;
	autobuf struct buf b;
	buf_init(&b, 1 << 16);
	runtime_render_status(t->rt, &b);
	return strstr(b.data, "\ncgroups ") && !strstr(b.data, "has not answered");
}

static void what_is_enforced_is_what_the_spawner_found(void **state)
{
	struct engine *t = *state;
	struct sandbox_caps caps;
	autobuf struct buf b;
	char want[32];
	sandbox_caps_probe(&caps);
	assert_true(engine_until(t, caps_are_known, t, 15000));
	buf_init(&b, 1 << 16);
	runtime_render_status(t->rt, &b);
	snprintf(want, sizeof want, "\ncgroups %s\n",
		 caps.cgroup_version == 2 ? "v2" : caps.cgroup_version ? "v1" : "none");
	assert_non_null(strstr(b.data, want));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(code_runs_by_its_runtime_or_the_settings),
		T(code_longer_than_an_argument_runs_from_a_file),
		T(the_specs_variables_come_before_the_daemons),
		T(output_at_its_limit_is_the_reason_also_of_who_ignores_the_signal),
		T(what_is_enforced_is_what_the_spawner_found),
		T(in_a_sandbox_it_is_nobody_else_and_sees_nobody_else),
		T(restarts_that_a_spec_leaves_out_are_the_settings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
