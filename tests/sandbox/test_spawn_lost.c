/* SPDX-License-Identifier: MIT */
/* test_spawn_lost.c - kill -9 of the worker, of the spawner, and of everything of Symbi's at once: what runs
 * goes on or ends, and nothing is left. In every place a spawner may live. */
#include "sandbox/proctree.h"
#include "sandbox/spawn_msg.h"
#include "tests/sandbox/places.h"
#include "tests/sandbox/spawned.h"

static struct spawned s;
static struct sandbox_caps caps;

static int setup(void **state)
{
	(void)state;
	spawned_open(&s);
	sandbox_caps_probe(&caps);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	spawned_close(&s);
	return 0;
}

#define DAEMON "(setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 0.1; done' \"$0\" &) ; "

static uint64_t start(const char *script)
{
	struct shell_spec sh;
	shell_spec(&s, &sh, script);
	const char *argv[] = {"/bin/sh", "-c", script, s.work, NULL};
	sh.spec.argv = argv;
	return spawned_start(&s, &sh.spec);
}

/* Of another version, say: who asked is told, and does not wait for ever. */
static void a_start_that_cannot_be_read_is_answered(void **state)
{
	struct spawn_req q = {.op = SPAWN_START, .id = s.next_id++, .argc = 1, .flags = 1u << 30};
	(void)state;
	assert_int_equal(spawn_send(s.keep, &q, sizeof q, NULL, 0, NULL, 0), 0);
	struct heard *h = spawned_wait(&s, q.id);
	assert_int_equal(h->result.end, END_START_FAILED);
	assert_non_null(strstr(h->result.err.msg, "cannot be read"));
	assert_int_equal(h->started, 0);
	sandbox_ack(s.client, q.id, NULL);
}

/* A worker in a process of its own: does work(), says so, and is killed. */
static void worker_dies_after(void (*work)(void))
{
	int p[2];
	char c;
	spawned_disconnect(&s);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		uv_loop_fork(&s.loop.uv);
		spawned_connect(&s);
		work();
		if (write(p[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(p[1]);
	assert_int_equal(read(p[0], &c, 1), 1);
	close(p[0]);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void new_worker(void)
{
	s.n = 0;
	s.resynced = false;
	spawned_connect(&s);
	assert_int_equal(spawn_client_resync(s.client, spawned_resynced, NULL), 0);
	spawned_until(&s, s.resynced);
}

static void start_three(void)
{
	start(DAEMON "sleep 1000");
	spawned_wait(&s, start("echo done; exit 7"));
	uint64_t id = start("exit 8");
	spawned_wait(&s, id);
	sandbox_ack(s.client, id, NULL);
}

static void a_new_worker_hears_what_runs_and_what_ended(void **state)
{
	(void)state;
	worker_dies_after(start_three);
	new_worker();
	assert_int_equal(s.n, 2);
	assert_int_equal(heard_of(&s, 1)->started, 1);
	assert_int_equal(heard_of(&s, 1)->ended, 0);
	assert_int_equal(heard_of(&s, 2)->ended, 1);
	assert_int_equal(heard_of(&s, 2)->result.code, 7);
	spawned_until(&s, running(s.work) >= 2); /* its daemon may be on its way to exec still */
	assert_int_equal(kill(heard_of(&s, 1)->pid, 0), 0);
	sandbox_ack(s.client, 2, NULL);
	sandbox_kill(s.client, 1, NULL);
	assert_int_equal(spawned_wait(&s, 1)->result.end, END_KILLED);
	assert_int_equal(running(s.work), 0);
	sandbox_ack(s.client, 1, NULL);
	spawned_disconnect(&s);
	new_worker();
	assert_int_equal(s.n, 0);
}

static void start_many_and_hear_nothing(void)
{
	struct shell_spec sh;
	for (unsigned i = 0; i < 150; i++) {
		shell_spec(&s, &sh, "exit 0");
		spawned_start(&s, &sh.spec);
		uv_run(&s.loop.uv, UV_RUN_NOWAIT);
		s.n = 0;
	}
	shell_spec(&s, &sh, "echo last");
	spawned_wait(&s, spawned_start(&s, &sh.spec));
}

/* Nobody reads; the socket fills; the spawner goes on all the same. */
static void a_dead_worker_holds_nobody_up(void **state)
{
	(void)state;
	worker_dies_after(start_many_and_hear_nothing);
	struct spawn_req list = {.op = SPAWN_LIST, .id = 1};
	for (int i = 0; i < 3; i++)
		assert_int_equal(send(s.keep, &list, sizeof list, 0), sizeof list);
	new_worker();
	assert_int_equal(s.n, 151);
	for (size_t i = 0; i < s.n; i++) {
		spawned_wait(&s, s.heard[i].id);
		assert_int_equal(s.heard[i].ended, 1);
		assert_int_equal(s.heard[i].result.code, 0);
		sandbox_ack(s.client, s.heard[i].id, NULL);
	}
}

static void the_same_start_again_starts_nothing(void **state)
{
	(void)state;
	struct shell_spec sh;
	shell_spec(&s, &sh, "echo once >> log; sleep 1000");
	uint64_t id = spawned_start(&s, &sh.spec);
	spawned_until(&s, heard_of(&s, id)->started == 1);
	spawned_start(&s, &sh.spec);
	spawned_until(&s, heard_of(&s, id)->started == 2);
	sandbox_kill(s.client, id, NULL);
	spawned_wait(&s, id);
	char log[128];
	snprintf(log, sizeof log, "%s/log", s.work);
	assert_true(strcmp(text_of(log), "once\n") == 0 || !*text_of(log));
	assert_int_equal(heard_of(&s, id)->ended, 1);
}

static void end_spawner(void)
{
	kill(s.pid, SIGKILL);
	assert_int_equal(waitpid(s.pid, NULL, 0), s.pid);
	s.pid = 0;
	spawned_until(&s, s.lost);
}

/* What the daemon's parent does then. */
static void clean_up_and_go_on(void)
{
	struct err e = {0};
	char lines[4096], record[128];
	snprintf(record, sizeof record, "%s/spawn.cgroups", s.state);
	snprintf(lines, sizeof lines, "%s", text_of(record));
	assert_int_equal(*lines != 0, caps.kill);
	if (spawn_server_cleanup(s.state, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(running(s.work), 0);
	assert_int_equal(access(record, F_OK), -1);
	for (char *line = lines; *line; line += strcspn(line, "\n") + 1) {
		char path[512];
		snprintf(path, sizeof path, "%.*s", (int)strcspn(line, "\n"), line);
		assert_int_equal(access(path, F_OK), -1);
	}
	spawned_disconnect(&s);
	close(take_fd(&s.keep));
	s.lost = false;
	spawned_run_spawner(&s);
	spawned_connect(&s);
	assert_int_equal(spawned_sh(&s, "exit 9")->result.code, 9);
}

static void a_killed_spawner_is_cleaned_up_after(void **state)
{
	(void)state;
	struct err e = {0};
	start(DAEMON DAEMON "trap '' TERM; while :; do sleep 0.1; done");
	start("kill -STOP $$");
	uint64_t frozen = start(DAEMON "sleep 1000");
	spawned_until(&s, running(s.work) >= 6);
	sandbox_freeze(s.client, frozen, true, NULL);
	spawned_sh(&s, "true");
	end_spawner();
	assert_int_equal(sandbox_kill(s.client, frozen, &e), -EPIPE);
	assert_int_equal(e.code, ERR_SPAWN_LOST);
	clean_up_and_go_on();
}

static void kill_one(void *arg, pid_t pid)
{
	(void)arg;
	kill(pid, SIGKILL);
}

/* pkill -9 symbi: also the keepers are gone, and only the mark is left to find anything by. */
static void a_killed_spawner_with_its_keepers_too(void **state)
{
	(void)state;
	start(DAEMON DAEMON "sleep 1000");
	spawned_until(&s, running(s.work) >= 3);
	kill(s.pid, SIGSTOP);
	if (!caps.kill)
		proctree_each_child(s.pid, kill_one, NULL); /* keepers */
	end_spawner();
	spawned_until(&s, running(s.work) >= 1); /* it may be on its way to exec still */
	clean_up_and_go_on();
}

static void two_spawners_on_one_state_are_kept_apart(void **state)
{
	struct err e = {0};
	int status, sv[2];
	char pid_text[16];
	if (strcmp(*state, "as it is") != 0)
		skip(); /* five seconds; a lock on a file is the same everywhere */
	uint64_t id = start("sleep 1000");
	spawned_until(&s, heard_of(&s, id)->started);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	pid_t other = fork();
	if (other == 0) {
		int null = open("/dev/null", O_WRONLY);
		dup2(sv[1], 3);
		dup2(null, 2);
		execl(SYMBI_BIN_DIR "/symbi-spawn", "symbi-spawn", "--fd", "3", "--state", s.state,
		      (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(other, &status, 0), other);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	close(sv[0]);
	close(sv[1]);
	assert_int_equal(spawn_server_cleanup(s.state, &e), -EBUSY);
	snprintf(pid_text, sizeof pid_text, "%d", s.pid);
	assert_non_null(strstr(e.msg, pid_text));
	spawned_until(&s, running(s.work) >= 1); /* nothing of the first was touched */
	sandbox_kill(s.client, id, NULL);
	spawned_wait(&s, id);
}

static void an_empty_state_directory_needs_no_cleaning(void **state)
{
	(void)state;
	struct err e = {0};
	char path[128];
	snprintf(path, sizeof path, "%s/other", s.dir);
	mkdir(path, 0700);
	assert_int_equal(spawn_server_cleanup(path, &e), 0);
	assert_int_equal(spawn_server_cleanup("/no/such/state", &e), -ENOENT);
}

/* A record that names what is not ours must not make us remove it. */
static void a_forged_record_is_not_believed(void **state)
{
	(void)state;
	struct err e = {0};
	char path[128], record[160], victim[160];
	snprintf(path, sizeof path, "%s/forged", s.dir);
	snprintf(victim, sizeof victim, "%s/victim", path);
	mkdir(path, 0700);
	mkdir(victim, 0700);
	snprintf(record, sizeof record, "%s/spawn.cgroups", path);
	FILE *f = fopen(record, "we");
	assert_non_null(f);
	fprintf(f, "%s\n/sys/fs/cgroup\n/sys/fs/cgroup/unified\n\n\xff", victim);
	fclose(f);
	uint64_t id = start("sleep 1000");
	spawned_until(&s, heard_of(&s, id)->started);
	assert_int_equal(spawn_server_cleanup(path, &e), 0);
	assert_int_equal(access(victim, F_OK), 0);
	spawned_until(&s, running(s.work) >= 1); /* it may be on its way to exec still */
	sandbox_kill(s.client, id, NULL);
	spawned_wait(&s, id);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static int tests(const char *place)
{
	char name[64];
	const struct CMUnitTest list[] = {
		T(a_new_worker_hears_what_runs_and_what_ended),
		T(a_dead_worker_holds_nobody_up),
		T(the_same_start_again_starts_nothing),
		T(a_start_that_cannot_be_read_is_answered),
		T(a_killed_spawner_is_cleaned_up_after),
		T(a_killed_spawner_with_its_keepers_too),
		cmocka_unit_test_prestate_setup_teardown(two_spawners_on_one_state_are_kept_apart, setup, teardown, (void *)place),
		T(an_empty_state_directory_needs_no_cleaning),
		T(a_forged_record_is_not_believed),
	};
	snprintf(name, sizeof name, "lost, %s", place);
	return cmocka_run_group_tests_name(name, list, NULL, NULL);
}

int main(void)
{
	return places_run(tests);
}
