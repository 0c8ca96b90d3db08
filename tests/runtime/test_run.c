/* SPDX-License-Identifier: MIT */
/* test_run.c - runs of real programs through the real spawner: outcomes, queueing, limits, restarts, ends. */
#include <stdatomic.h>

#include "lib/sys.h"
#include "tests/support/engine.h"

static int setup(void **state)
{
	struct engine *t = malloc(sizeof *t);
	engine_init(t);
	engine_spawner(t);
	engine_set(t, "lifecycle.termination_timeout", "300ms");
	engine_set(t, "lifecycle.state_check_interval", "100ms");
	engine_set(t, "native_execution.allowed_executables",
		   "sh,bash,cat,sleep,true,false");
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

static void a_run_answers_with_its_output(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	char out[256];
	put(t, "cat.yaml", "tier: None\ncommand: [cat]\n");
	assert_int_equal(engine_run(t, "cat", "a question\n", out, sizeof out, &e), 0);
	assert_string_equal(out, "a question\n");
	engine_expect_state(t, "cat", AGENT_READY);
	assert_int_equal(engine_run(t, "cat", "", out, sizeof out, &e), 0);
	assert_string_equal(out, "");
}

static void a_failure_is_the_runs_outcome(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	char out[256];
	put(t, "f.yaml", "tier: None\ncommand: [sh, -c, 'echo part; exit 3']\n");
	assert_int_equal(engine_run(t, "f", "", out, sizeof out, &e), -EIO);
	assert_int_equal(e.code, ERR_AGENT_FAILED);
	assert_non_null(strstr(e.msg, "exit code 3"));
	assert_string_equal(out, "part\n");
	engine_expect_state(t, "f", AGENT_READY); /* a failed task is no failed agent */
	put(t, "s.yaml", "tier: None\ncommand: [sh, -c, 'kill -SEGV $$']\n");
	assert_int_equal(engine_run(t, "s", "", out, sizeof out, &e), -EIO);
	assert_non_null(strstr(e.msg, "SIGSEGV"));
	put(t, "n.yaml", "tier: None\ncommand: [no-such-program]\n");
	assert_true(engine_run(t, "n", "", out, sizeof out, &e) < 0);
	assert_non_null(strstr(e.msg, "no-such-program"));
	engine_expect_state(t, "n", AGENT_READY);
	put(t, "d.yaml", "tier: None\ncommand: [perl, -e, '1']\n");
	assert_int_equal(engine_run(t, "d", "", out, sizeof out, &e), -EACCES);
	assert_int_equal(e.code, ERR_SEC_VIOLATION);
}

static void execution_timeout_ends_a_run_that_ignores_sigterm(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	char out[64];
	put(t, "t.yaml", "tier: None\ncommand: [bash, -c, 'trap \"\" TERM; while :; do sleep 1; done']\n"
			 "resource_limits: {execution_timeout: 200ms}\n");
	assert_int_equal(engine_run(t, "t", "", out, sizeof out, &e), -ETIMEDOUT);
	assert_int_equal(e.code, ERR_SCHED_TIMEOUT);
	assert_non_null(strstr(e.msg, "execution_timeout of 200ms"));
}

static void idle_timeout_ends_a_run_that_does_nothing(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	char out[64];
	put(t, "i.yaml", "tier: None\ncommand: [sleep, '1000']\nresource_limits: {idle_timeout: 400ms}\n");
	assert_int_equal(engine_run(t, "i", "", out, sizeof out, &e), -ETIMEDOUT);
	assert_int_equal(e.code, ERR_SCHED_IDLE);
	/* One that writes now and then is not idle. */
	put(t, "w.yaml", "tier: None\nresource_limits: {idle_timeout: 600ms}\n"
			 "command: [bash, -c, 'for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.2; done']\n");
	assert_int_equal(engine_run(t, "w", "", out, sizeof out, &e), 0);
}

/* Somebody sets the clock of the machine back while programs run. */
static atomic_uint_fast64_t set_back_ms;

static uint64_t wall_ms(void)
{
	return sys_kernel.wall_ms() - atomic_load(&set_back_ms);
}

static void a_clock_that_is_set_back_ends_nothing(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	put(t, "b.yaml", "tier: None\ncommand: [bash, -c, 'sleep 1; echo done']\nresource_limits: {execution_timeout: 1m, idle_timeout: 1m}\n");
	struct run *r = NULL;
	assert_int_equal(run_submit(t->rt, &root_actor, engine_agent(t, "b"), "", 0, &r, &e), 0);
	assert_true(engine_until(t, engine_is_run_started, r, 10000));
	atomic_store(&set_back_ms, 3600000);
	assert_true(engine_until(t, engine_is_run_done, r, 10000));
	atomic_store(&set_back_ms, 0);
	if (run_outcome(r, &e) != 0)
		fail_msg("%s", e.msg);
	run_unref(r);
}

struct two {
	struct run *a, *b;
};

static bool both_done(void *arg)
{
	struct two *w = arg;
	return run_state(w->a) == RUN_DONE && run_state(w->b) == RUN_DONE;
}

static void max_concurrent_tasks_makes_runs_wait_and_says_so(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	struct buf b;
	struct two w;
	buf_init(&b, 4096);
	engine_set(t, "scheduler.max_concurrent_tasks", "1");
	put(t, "one.yaml", "tier: None\ncommand: [sleep, '0.3']\n");
	put(t, "two.yaml", "tier: None\ncommand: [cat]\n");
	assert_int_equal(run_submit(t->rt, &root_actor, engine_agent(t, "one"), "", 0, &w.a, &e), 0);
	assert_int_equal(run_submit(t->rt, &root_actor, engine_agent(t, "two"), "", 0, &w.b, &e), 0);
	assert_int_equal(run_state(w.b), RUN_QUEUED);
	assert_int_equal(agent_state(engine_agent(t, "two")), AGENT_WAITING);
	agent_render_status(t->rt, engine_agent(t, "two"), &b);
	assert_non_null(strstr(b.data, "waits_for scheduler.max_concurrent_tasks: 1 run"));
	assert_true(engine_until(t, both_done, &w, 10000));
	assert_int_equal(run_outcome(w.b, NULL), 0);
	run_unref(w.a);
	run_unref(w.b);
	buf_done(&b);
}

static void memory_is_held_and_what_can_never_fit_is_refused(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	struct two w;
	struct buf b;
	char out[64];
	engine_done(t); /* the total is read at the start */
	engine_init(t);
	engine_spawner(t);
	engine_set(t, "resource.total_memory", "104857600");
	engine_set(t, "native_execution.allowed_executables", "sleep,cat");
	engine_open(t, false);
	buf_init(&b, 4096);
	put(t, "big.yaml", "tier: None\ncommand: [cat]\nresource_limits: {memory_mb: 101}\n");
	assert_int_equal(engine_run(t, "big", "", out, sizeof out, &e), -EDQUOT);
	assert_non_null(strstr(e.msg, "memory_mb: needs 101"));
	put(t, "one.yaml", "tier: None\ncommand: [sleep, '0.3']\nresource_limits: {memory_mb: 60}\n");
	put(t, "two.yaml", "tier: None\ncommand: [cat]\nresource_limits: {memory_mb: 60}\n");
	run_submit(t->rt, &root_actor, engine_agent(t, "one"), "", 0, &w.a, &e);
	run_submit(t->rt, &root_actor, engine_agent(t, "two"), "", 0, &w.b, &e);
	agent_render_status(t->rt, engine_agent(t, "two"), &b);
	assert_non_null(strstr(b.data, "waits_for memory_mb: needs 60, free 40"));
	assert_true(engine_until(t, both_done, &w, 10000));
	run_unref(w.a);
	run_unref(w.b);
	buf_done(&b);
}

static void a_persistent_agent_talks_by_its_streams(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	put(t, "p.yaml", "tier: None\nexecution_mode: persistent\n"
			 "command: [bash, -c, 'while read l; do echo \"got $l\"; done']\n");
	engine_expect_state(t, "p", AGENT_RUNNING);
	assert_int_equal(engine_ctl(t, "p", "message one", &e), 0);
	assert_int_equal(agent_stdin(t->rt, engine_agent(t, "p"), "two\n", 4, &e), 4);
	for (int i = 0; i < 500 && !strstr(engine_file(t, "p", AGENT_STDOUT), "got two"); i++)
		engine_turn(t, 10);
	assert_string_equal(engine_file(t, "p", AGENT_STDOUT), "got one\ngot two\n");
	struct run *r;
	assert_int_equal(run_submit(t->rt, &root_actor, engine_agent(t, "p"), "", 0, &r, &e), -EBUSY);
	assert_int_equal(engine_ctl(t, "p", "stop", &e), 0);
	engine_expect_state(t, "p", AGENT_READY);
	engine_turn(t, 400); /* stopped is stopped, whatever the restart policy says */
	assert_int_equal(agent_state(engine_agent(t, "p")), AGENT_READY);
	assert_int_equal(engine_ctl(t, "p", "start", &e), 0);
	engine_expect_state(t, "p", AGENT_RUNNING);
}

static void eof_ends_its_input(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	put(t, "c.yaml", "tier: None\nexecution_mode: persistent\nrestart: never\n"
			 "command: [sh, -c, 'cat; echo end']\n");
	engine_expect_state(t, "c", AGENT_RUNNING);
	assert_int_equal(engine_ctl(t, "c", "message last", &e), 0);
	assert_int_equal(engine_ctl(t, "c", "eof", &e), 0);
	assert_int_equal(engine_ctl(t, "c", "eof", &e), -EBUSY);
	assert_int_equal(engine_ctl(t, "c", "message more", &e), -EPIPE);
	engine_expect_state(t, "c", AGENT_READY);
	assert_string_equal(engine_file(t, "c", AGENT_STDOUT), "last\nend\n");
}

static bool has_failed_for_good(void *arg)
{
	struct engine *t = arg;
	return agent_state(engine_agent(t, "r")) == AGENT_FAILED &&
	       strstr(engine_file(t, "r", AGENT_LOG), "not restarted");
}

static unsigned lines_of(const char *text)
{
	unsigned n = 0;
	for (; (text = strchr(text, '\n')); text++)
		n++;
	return n;
}

static void restarts_stop_at_their_intensity(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	put(t, "r.yaml", "tier: None\nexecution_mode: persistent\ncommand: [sh, -c, 'echo up; exit 1']\n"
			 "restart: {policy: on-failure, max_restarts: 3, window: 60s}\n");
	assert_true(engine_until(t, has_failed_for_good, t, 15000));
	assert_int_equal(lines_of(engine_file(t, "r", AGENT_STDOUT)), 4); /* once and three times again */
	assert_int_equal(engine_ctl(t, "r", "start", &e), 0);		  /* by hand it may again */
	assert_true(engine_until(t, has_failed_for_good, t, 15000));
}

static void suspend_stops_the_clock_of_its_processes(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	put(t, "c.yaml", "tier: None\nexecution_mode: persistent\n"
			 "command: [bash, -c, 'while :; do echo tick; sleep 0.02; done']\n");
	engine_expect_state(t, "c", AGENT_RUNNING);
	while (!lines_of(engine_file(t, "c", AGENT_STDOUT)))
		engine_turn(t, 10);
	assert_int_equal(engine_ctl(t, "c", "suspend", &e), 0);
	engine_turn(t, 100);
	unsigned n = lines_of(engine_file(t, "c", AGENT_STDOUT));
	engine_turn(t, 300);
	assert_int_equal(lines_of(engine_file(t, "c", AGENT_STDOUT)), n);
	assert_int_equal(engine_ctl(t, "c", "resume", &e), 0);
	for (int i = 0; i < 500 && lines_of(engine_file(t, "c", AGENT_STDOUT)) == n; i++)
		engine_turn(t, 10);
	assert_true(lines_of(engine_file(t, "c", AGENT_STDOUT)) > n);
	assert_int_equal(engine_ctl(t, "c", "suspend", &e), 0); /* a frozen one can be ended */
	assert_int_equal(engine_ctl(t, "c", "terminate", &e), 0);
	engine_expect_state(t, "c", AGENT_TERMINATED);
}

static void deleting_ends_what_runs_and_tells_who_waits(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	struct run *r;
	struct engine_answer ans = {0};
	put(t, "d.yaml", "tier: None\ncommand: [sleep, '1000']\n");
	assert_int_equal(run_submit(t->rt, &root_actor, engine_agent(t, "d"), "", 0, &r, &e), 0);
	engine_turn(t, 100);
	assert_int_equal(engine_reply(t, agent_delete(t->rt, &root_actor, engine_agent(t, "d"),
						      ENGINE_DONE(&ans), &e), &ans), 0);
	assert_int_equal(run_state(r), RUN_DONE);
	assert_int_equal(run_outcome(r, &e), -ENOENT);
	run_unref(r);
}

static void only_so_many_finished_runs_are_kept(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	char out[64], path[512];
	engine_set(t, "runs.keep", "3");
	put(t, "k.yaml", "tier: None\ncommand: [cat]\n");
	for (int i = 0; i < 6; i++)
		assert_int_equal(engine_run(t, "k", "x", out, sizeof out, &e), 0);
	struct agent *a = engine_agent(t, "k");
	assert_null(run_find(t->rt, a, 3));
	assert_int_equal(run_number(run_next(t->rt, a, 0)), 4);
	snprintf(path, sizeof path, "%s/agents/%llu/runs/3.out", t->dir,
		 (unsigned long long)agent_serial(a));
	assert_int_equal(access(path, F_OK), -1);
	engine_close(t);
	engine_open(t, false);
	a = engine_agent(t, "k");
	assert_int_equal(run_number(run_next(t->rt, a, 0)), 4);
	assert_int_equal(run_outcome(run_find(t->rt, a, 6), &e), 0);
	assert_int_equal(engine_run(t, "k", "x", out, sizeof out, &e), 0); /* numbers go on */
	assert_non_null(run_find(t->rt, a, 7));
}

static void an_interval_starts_runs(void **state)
{
	struct engine *t = *state;
	put(t, "s.yaml", "tier: None\ncommand: ['true']\nexecution_mode: scheduled\ninterval: 1s\n");
	for (int i = 0; i < 400 && !run_find(t->rt, engine_agent(t, "s"), 2); i++)
		engine_turn(t, 10);
	assert_non_null(run_find(t->rt, engine_agent(t, "s"), 2));
}

static void an_event_starts_runs_with_it_as_input(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	char path[512], text[512] = "";
	put(t, "e.yaml", "tier: None\ncommand: [cat]\nexecution_mode: event_driven\n"
			 "topic: agent.terminated\n");
	put(t, "x.yaml", "tier: None\ncommand: [cat]\n");
	engine_ctl(t, "x", "terminate", &e);
	struct run *r = NULL;
	for (int i = 0; i < 500 && !(r = run_find(t->rt, engine_agent(t, "e"), 1)); i++)
		engine_turn(t, 10);
	assert_non_null(r);
	assert_true(engine_until(t, engine_is_run_done, r, 10000));
	run_file_path(t->rt, r, RUN_OUTPUT, path, sizeof path);
	int fd = open(path, O_RDONLY);
	assert_true(read(fd, text, sizeof text - 1) > 0);
	close(fd);
	assert_non_null(strstr(text, "\"type\":\"agent.terminated\",\"agent\":\"x\""));
	assert_null(run_find(t->rt, engine_agent(t, "e"), 2));
}

/* A worker is killed and the next one finds what the spawner still runs. */
static void a_new_worker_adopts_what_runs(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	put(t, "a.yaml", "tier: None\nexecution_mode: persistent\n"
			 "command: [bash, -c, 'while :; do echo tick; sleep 0.02; done']\n");
	put(t, "q.yaml", "tier: None\ncommand: [sh, -c, 'sleep 0.4; echo late']\n");
	engine_expect_state(t, "a", AGENT_RUNNING);
	struct run *r;
	assert_int_equal(run_submit(t->rt, &root_actor, engine_agent(t, "q"), "", 0, &r, &e), 0);
	assert_true(engine_until(t, engine_is_run_started, r, 10000));
	run_unref(r);
	struct buf before, after;
	buf_init(&before, 64);
	buf_init(&after, 64);
	for (int i = 0; i < 1000 && !before.len; i++) { /* it is Running before it has a pid */
		engine_turn(t, 10);
		agent_render_pid(t->rt, engine_agent(t, "a"), &before);
	}
	engine_close(t); /* ends nothing */
	engine_open(t, true);
	engine_expect_state(t, "a", AGENT_RUNNING);
	for (int i = 0; i < 300 && !after.len; i++) {
		engine_turn(t, 10);
		agent_render_pid(t->rt, engine_agent(t, "a"), &after);
	}
	assert_string_equal(before.data, after.data);
	r = run_find(t->rt, engine_agent(t, "q"), 1);
	assert_non_null(r);
	assert_true(engine_until(t, engine_is_run_done, r, 10000));
	assert_int_equal(run_outcome(r, &e), 0);
	unsigned n = lines_of(engine_file(t, "a", AGENT_STDOUT));
	for (int i = 0; i < 1000 && lines_of(engine_file(t, "a", AGENT_STDOUT)) <= n; i++)
		engine_turn(t, 10);
	assert_true(lines_of(engine_file(t, "a", AGENT_STDOUT)) > n); /* it lives on */
	buf_done(&before);
	buf_done(&after);
}

static void a_new_daemon_ends_runs_and_starts_persistent_agents(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	struct run *r;
	put(t, "a.yaml", "tier: None\nexecution_mode: persistent\ncommand: [sleep, '1000']\n");
	put(t, "s.yaml", "tier: None\nexecution_mode: persistent\ncommand: [sleep, '1000']\n");
	put(t, "q.yaml", "tier: None\ncommand: [sleep, '1000']\n");
	engine_expect_state(t, "a", AGENT_RUNNING);
	engine_expect_state(t, "s", AGENT_RUNNING);
	engine_ctl(t, "s", "stop", &e);
	engine_expect_state(t, "s", AGENT_READY);
	run_submit(t->rt, &root_actor, engine_agent(t, "q"), "", 0, &r, &e);
	assert_true(engine_until(t, engine_is_run_started, r, 10000));
	run_unref(r);
	engine_close(t);
	kill(t->spawner, SIGKILL);
	waitpid(t->spawner, NULL, 0);
	close(t->spawn_fd);
	engine_spawner(t);
	engine_open(t, false);
	engine_expect_state(t, "a", AGENT_RUNNING);
	assert_int_equal(agent_state(engine_agent(t, "s")), AGENT_READY);
	engine_expect_state(t, "q", AGENT_READY);
	assert_int_equal(run_outcome(run_find(t->rt, engine_agent(t, "q"), 1), &e), -EIO);
	assert_int_equal(e.code, ERR_SCHED_FAILED);
}

static bool spawner_is_lost(void *arg)
{
	struct buf b;
	struct engine *t = arg;
	buf_init(&b, 4096);
	runtime_render_health(t->rt, &b);
	bool yes = strstr(b.data, "no spawner") != NULL;
	buf_done(&b);
	return yes;
}

static bool stays_up(void *arg)
{
	struct engine *t = arg;
	return agent_state(engine_agent(t, "stay")) == AGENT_RUNNING;
}

/* As the daemon's parent does it: another spawner, another worker. */
static void what_a_killed_spawner_ran_has_ended_and_the_persistent_goes_on(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	struct run *r;
	put(t, "q.yaml", "tier: None\ncommand: [sleep, '1000']\n");
	put(t, "stay.yaml", "tier: None\nexecution_mode: persistent\ncommand: [sleep, '1001']\n");
	run_submit(t->rt, &root_actor, engine_agent(t, "q"), "", 0, &r, &e);
	assert_true(engine_until(t, stays_up, t, 10000));
	assert_true(engine_until(t, engine_is_run_started, r, 10000));
	run_unref(r);
	kill(t->spawner, SIGKILL);
	assert_true(engine_until(t, spawner_is_lost, t, 10000));
	assert_true(stays_up(t));
	run_submit(t->rt, &root_actor, engine_agent(t, "q"), "", 0, &r, &e);
	engine_turn(t, 100);
	assert_int_equal(run_state(r), RUN_QUEUED);
	run_unref(r);
	engine_close(t);
	close(t->spawn_fd);
	waitpid(t->spawner, NULL, 0);
	assert_int_equal(spawn_server_cleanup(t->dir, NULL), 0);
	engine_spawner(t);
	engine_open(t, true);
	r = run_find(t->rt, engine_agent(t, "q"), 1);
	assert_true(engine_until(t, engine_is_run_done, r, 10000));
	assert_int_equal(run_outcome(r, &e), -EIO);
	assert_true(engine_until(t, stays_up, t, 10000));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_run_answers_with_its_output),
		T(a_failure_is_the_runs_outcome),
		T(execution_timeout_ends_a_run_that_ignores_sigterm),
		T(idle_timeout_ends_a_run_that_does_nothing),
		T(a_clock_that_is_set_back_ends_nothing),
		T(max_concurrent_tasks_makes_runs_wait_and_says_so),
		T(memory_is_held_and_what_can_never_fit_is_refused),
		T(a_persistent_agent_talks_by_its_streams),
		T(eof_ends_its_input),
		T(restarts_stop_at_their_intensity),
		T(suspend_stops_the_clock_of_its_processes),
		T(deleting_ends_what_runs_and_tells_who_waits),
		T(only_so_many_finished_runs_are_kept),
		T(an_interval_starts_runs),
		T(an_event_starts_runs_with_it_as_input),
		T(a_new_worker_adopts_what_runs),
		T(a_new_daemon_ends_runs_and_starts_persistent_agents),
		T(what_a_killed_spawner_ran_has_ended_and_the_persistent_goes_on),
	};
	struct sys set_back = sys_kernel;
	set_back.wall_ms = wall_ms;
	sys = &set_back;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
