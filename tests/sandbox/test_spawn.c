/* SPDX-License-Identifier: MIT */
/* test_spawn.c - programs through the real client and symbi-spawn, in every place a spawner may live: exit
 * codes, signals, streams, environment, identity, limits of a process, and what cannot be started. */
#include <dirent.h>
#include <sys/resource.h>

#include "tests/sandbox/places.h"
#include "tests/sandbox/spawned.h"

static struct spawned s;

static int setup(void **state)
{
	(void)state;
	spawned_open(&s);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	spawned_close(&s);
	return 0;
}

static void exit_codes_come_back(void **state)
{
	(void)state;
	const int codes[] = {0, 1, 2, 77, 126, 127, 200, 255};
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		char script[32];
		snprintf(script, sizeof script, "exit %d", codes[i]);
		struct heard *h = spawned_sh(&s, script);
		assert_int_equal(h->started, 1);
		assert_int_equal(h->ended, 1);
		assert_int_equal(h->result.end, END_EXITED);
		assert_int_equal(h->result.code, codes[i]);
	}
}

static void signals_come_back(void **state)
{
	(void)state;
	const int sigs[] = {SIGTERM, SIGKILL, SIGSEGV, SIGABRT, SIGHUP};
	for (size_t i = 0; i < ARRAY_LEN(sigs); i++) {
		char script[32];
		snprintf(script, sizeof script, "kill -%d $$", sigs[i]);
		struct heard *h = spawned_sh(&s, script);
		assert_int_equal(h->result.end, END_SIGNALED);
		assert_int_equal(h->result.code, sigs[i]);
	}
}

static void the_pid_told_is_the_programs(void **state)
{
	(void)state;
	char text[16];
	struct heard *h = spawned_sh(&s, "echo $$");
	snprintf(text, sizeof text, "%d\n", h->pid);
	assert_string_equal(text_of(s.out), text);
}

static void streams_are_its_own(void **state)
{
	(void)state;
	spawned_sh(&s, "echo to out; echo to err >&2");
	assert_string_equal(text_of(s.out), "to out\n");
	assert_string_equal(text_of(s.err), "to err\n");
}

static void input_is_read_to_its_end(void **state)
{
	(void)state;
	struct shell_spec sh;
	int p[2];
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	shell_spec(&s, &sh, "cat; echo end");
	sh.spec.stdin_fd = p[0];
	uint64_t id = spawned_start(&s, &sh.spec);
	close(p[0]);
	assert_int_equal(write(p[1], "hello\n", 6), 6);
	close(p[1]);
	assert_int_equal(spawned_wait(&s, id)->result.code, 0);
	assert_string_equal(text_of(s.out), "hello\nend\n");
}

static void no_input_is_an_empty_one(void **state)
{
	(void)state;
	assert_int_equal(spawned_sh(&s, "cat; readlink /proc/self/fd/0")->result.code, 0);
	assert_string_equal(text_of(s.out), "/dev/null\n");
}

static void a_pipe_ends_with_the_program(void **state)
{
	(void)state;
	struct shell_spec sh;
	char text[64] = "";
	int p[2];
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	shell_spec(&s, &sh, "echo one");
	sh.spec.stdout_fd = p[1];
	uint64_t id = spawned_start(&s, &sh.spec);
	close(p[1]);
	spawned_wait(&s, id);
	assert_int_equal(read(p[0], text, sizeof text), 4);
	assert_int_equal(read(p[0], text, sizeof text), 0);
	close(p[0]);
}

static void environment_is_exactly_what_was_given(void **state)
{
	(void)state;
	struct shell_spec sh;
	const char *argv[] = {"/usr/bin/env", NULL},
		   *env[] = {"B=2 and more", "A=", "B2=x\ny", NULL};
	setenv("SYMBI_TEST_LEAK", "1", 1);
	shell_spec(&s, &sh, "");
	sh.spec.argv = argv;
	sh.spec.envp = env;
	assert_int_equal(spawned_run(&s, &sh.spec)->result.code, 0);
	assert_string_equal(text_of(s.out), "B=2 and more\nA=\nB2=x\ny\n");
	shell_spec(&s, &sh, "");
	sh.spec.argv = argv;
	sh.spec.envp = NULL;
	assert_int_equal(spawned_run(&s, &sh.spec)->result.code, 0);
	assert_string_equal(text_of(s.out), "");
}

static void arguments_arrive_as_they_are(void **state)
{
	(void)state;
	struct shell_spec sh;
	const char *argv[] = {"/usr/bin/printf", "%s|", "", "a b", "\"'$(id)*", "\xff\n", NULL};
	shell_spec(&s, &sh, "");
	sh.spec.argv = argv;
	spawned_run(&s, &sh.spec);
	assert_string_equal(text_of(s.out), "|a b|\"'$(id)*|\xff\n|");
}

static void long_arguments_go_through_a_memfd(void **state)
{
	(void)state;
	struct shell_spec sh;
	static char big[100000 + 1];
	memset(big, 'x', sizeof big - 1);
	shell_spec(&s, &sh, "printf %s \"$1\" | wc -c");
	const char *argv[] = {"/bin/sh", "-c", sh.argv[2], "sh", big, NULL};
	sh.spec.argv = argv;
	assert_int_equal(spawned_run(&s, &sh.spec)->result.code, 0);
	assert_string_equal(text_of(s.out), "100000\n");
}

static void more_text_than_there_may_be_is_refused(void **state)
{
	(void)state;
	struct shell_spec sh;
	struct err e = {0};
	char *big = malloc((4u << 20) + 1);
	assert_non_null(big);
	memset(big, 'x', 4u << 20);
	big[4u << 20] = 0;
	shell_spec(&s, &sh, big);
	assert_int_equal(sandbox_start(s.client, TIER_NONE, &sh.spec, &e), -EFBIG);
	assert_int_equal(e.code, ERR_RESOURCE_TOO_BIG);
	free(big);
}

static void working_directory_by_path_and_by_descriptor(void **state)
{
	(void)state;
	struct shell_spec sh;
	char line[128];
	snprintf(line, sizeof line, "%s\n", s.work);
	spawned_sh(&s, "pwd");
	assert_string_equal(text_of(s.out), line);
	shell_spec(&s, &sh, "pwd");
	sh.spec.cwd = "/";
	sh.spec.cwd_fd = open(s.work, O_PATH | O_DIRECTORY | O_CLOEXEC);
	spawned_run(&s, &sh.spec);
	close(sh.spec.cwd_fd);
	assert_string_equal(text_of(s.out), line);
}

static void missing_working_directory_is_named(void **state)
{
	(void)state;
	struct shell_spec sh;
	shell_spec(&s, &sh, "true");
	sh.spec.cwd = "/no/such/directory";
	struct heard *h = spawned_run(&s, &sh.spec);
	assert_int_equal(h->result.end, END_START_FAILED);
	assert_int_equal(h->started, 0);
	assert_non_null(strstr(h->result.err.msg, "working directory"));
	assert_non_null(strstr(h->result.err.msg, "No such file"));
}

static void umask_and_session_are_its_own(void **state)
{
	(void)state;
	umask(0);
	spawned_sh(&s, "umask; cut -d' ' -f6 /proc/$$/stat; echo $$");
	char first[32] = "", sid[32] = "", pid[32] = "";
	assert_int_equal(sscanf(text_of(s.out), "%31s %31s %31s", first, sid, pid), 3);
	assert_string_equal(first, "0077");
	assert_string_equal(sid, pid);
}

static void no_descriptor_is_inherited(void **state)
{
	(void)state;
	int leak = open("/etc/passwd", O_RDONLY);          /* of the worker's, without CLOEXEC */
	spawned_sh(&s, "ls /proc/self/fd | tr '\\n' ' '"); /* 3: ls's own */
	close(leak);
	assert_string_equal(text_of(s.out), "0 1 2 3 ");
}

static void signals_are_neither_blocked_nor_ignored(void **state)
{
	(void)state;
	struct shell_spec sh;
	const char *argv[] = {"/bin/grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status", NULL};
	shell_spec(&s, &sh, "");
	sh.spec.argv = argv;
	spawned_run(&s, &sh.spec);
	assert_string_equal(text_of(s.out),
			    "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

static void no_new_privileges(void **state)
{
	(void)state;
	spawned_sh(&s, "grep NoNewPrivs /proc/self/status");
	assert_string_equal(text_of(s.out), "NoNewPrivs:\t1\n");
}

static void falls_before_the_daemon_when_memory_runs_out(void **state)
{
	(void)state;
	int mine = 0, its = 0;
	assert_int_equal(sscanf(text_of("/proc/self/oom_score_adj"), "%d", &mine), 1);
	spawned_sh(&s, "cat /proc/self/oom_score_adj");
	assert_int_equal(sscanf(text_of(s.out), "%d", &its), 1);
	assert_int_equal(its, mine + 500 < 1000 ? mine + 500 : 1000);
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/oom_score_adj", s.pid);
	assert_int_equal(sscanf(text_of(path), "%d", &its), 1);
	assert_int_equal(its, mine);
}

static void rlimits_are_in_effect(void **state)
{
	(void)state;
	struct shell_spec sh;
	shell_spec(&s, &sh, "ulimit -c; ulimit -t; ulimit -f; ulimit -n");
	sh.spec.limits = (struct sandbox_limits){.cpu_seconds = 7, .file_bytes = 1 << 20};
	spawned_run(&s, &sh.spec);
	assert_string_equal(text_of(s.out), "0\n7\n2048\n1024\n");
	shell_spec(&s, &sh, "ulimit -c; ulimit -t; ulimit -f");
	sh.spec.limits = (struct sandbox_limits){.cpu_seconds = 7, .file_bytes = 1 << 20};
	sh.spec.enforce = false;
	spawned_run(&s, &sh.spec);
	assert_string_equal(text_of(s.out), "0\nunlimited\nunlimited\n");
}

static void another_user_when_root(void **state)
{
	(void)state;
	struct shell_spec sh;
	if (geteuid() != 0)
		skip();
	shell_spec(&s, &sh, "id -u; id -g; id -G; grep CapEff /proc/self/status; cat /etc/shadow");
	sh.spec.uid = PLACE_UID;
	sh.spec.gid = PLACE_UID + 1;
	assert_int_not_equal(spawned_run(&s, &sh.spec)->result.code, 0);
	assert_string_equal(text_of(s.out), "64321\n64322\n64322\nCapEff:\t0000000000000000\n");
}

static void another_user_is_refused_to_a_user(void **state)
{
	(void)state;
	struct shell_spec sh;
	if (geteuid() == 0)
		skip();
	shell_spec(&s, &sh, "id");
	sh.spec.uid = sh.spec.gid = 0;
	struct heard *h = spawned_run(&s, &sh.spec);
	assert_int_equal(h->result.end, END_START_FAILED);
	assert_non_null(strstr(h->result.err.msg, "user and group"));
}

static void make_program(const char *name, const char *text, mode_t mode, char path[static 160])
{
	snprintf(path, 160, "%s/%s", s.work, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	fchmod(fd, mode);
	close(fd);
}

static struct heard *run_program(const char *path)
{
	struct shell_spec sh;
	const char *argv[] = {path, NULL};
	shell_spec(&s, &sh, "");
	sh.spec.argv = argv;
	return spawned_run(&s, &sh.spec);
}

static void what_cannot_be_executed_is_named_with_its_reason(void **state)
{
	(void)state;
	char path[160];
	struct err e = {0};
	make_program("script", "#!/no/such/interpreter\n", 0755, path);
	struct heard *h = run_program(path);
	assert_int_equal(h->result.end, END_START_FAILED);
	assert_int_equal(h->started, 0);
	assert_int_equal(h->result.err.code, ERR_SPAWN_FAILED);
	assert_non_null(strstr(h->result.err.msg, path));
	assert_non_null(strstr(h->result.err.msg, "interpreter"));
	make_program("text", "echo not a program\n", 0755, path);
	h = run_program(path);
	assert_int_equal(h->result.end, END_START_FAILED);
	assert_non_null(strstr(h->result.err.msg, path));
	assert_non_null(strstr(h->result.err.msg, "Exec format error"));
	struct shell_spec sh;
	const char *argv[] = {"/no/such/program", NULL};
	shell_spec(&s, &sh, "");
	sh.spec.argv = argv;
	assert_int_equal(sandbox_start(s.client, TIER_NONE, &sh.spec, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "/no/such/program"));
}

static void a_script_runs_by_its_first_line(void **state)
{
	(void)state;
	char path[160];
	make_program("good", "#!/bin/sh\necho from a script\n", 0755, path);
	assert_int_equal(run_program(path)->result.code, 0);
	assert_string_equal(text_of(s.out), "from a script\n");
}

static void a_signal_reaches_the_program(void **state)
{
	(void)state;
	struct shell_spec sh;
	shell_spec(&s, &sh,
		   "trap 'echo heard; exit 3' TERM; echo ready; while :; do sleep 0.05; done");
	uint64_t id = spawned_start(&s, &sh.spec);
	spawned_until(&s, *text_of(s.out));
	assert_int_equal(sandbox_signal(s.client, id, SIGTERM, NULL), 0);
	struct heard *h = spawned_wait(&s, id);
	assert_int_equal(h->result.end, END_EXITED);
	assert_int_equal(h->result.code, 3);
	assert_string_equal(text_of(s.out), "ready\nheard\n");
}

static void a_stopped_program_hears_terminate(void **state)
{
	(void)state;
	struct shell_spec sh;
	shell_spec(&s, &sh, "kill -STOP $$; sleep 1000");
	uint64_t id = spawned_start(&s, &sh.spec);
	spawned_until(&s, heard_of(&s, id)->pid && state_of_pid(heard_of(&s, id)->pid) == 'T');
	sandbox_signal(s.client, id, SIGTERM, NULL);
	struct heard *h = spawned_wait(&s, id);
	assert_int_equal(h->result.end, END_SIGNALED);
	assert_int_equal(h->result.code, SIGTERM);
}

static void a_signal_at_once_is_not_lost(void **state)
{
	(void)state;
	struct shell_spec sh;
	for (int i = 0; i < 20; i++) {
		shell_spec(&s, &sh, "sleep 1000");
		uint64_t id = spawned_start(&s, &sh.spec);
		if (i & 1)
			sandbox_kill(s.client, id, NULL);
		else
			sandbox_signal(s.client, id, SIGTERM, NULL);
		struct heard *h = spawned_wait(&s, id);
		assert_int_equal(h->result.end, i & 1 ? END_KILLED : END_SIGNALED);
		sandbox_ack(s.client, id, NULL);
	}
}

/* Its shell must not come so far as to say that it cannot fork. */
static void killed_while_it_forks_is_killed(void **state)
{
	(void)state;
	struct shell_spec sh;
	for (int i = 0; i < 20; i++) {
		shell_spec(&s, &sh, "while :; do /bin/true; done");
		uint64_t id = spawned_start(&s, &sh.spec);
		spawned_until(&s, heard_of(&s, id)->pid);
		usleep(2000 * (unsigned)(i % 5));
		sandbox_kill(s.client, id, NULL);
		assert_int_equal(spawned_wait(&s, id)->result.end, END_KILLED);
		sandbox_ack(s.client, id, NULL);
	}
}

static void unknown_ids_are_harmless(void **state)
{
	(void)state;
	sandbox_signal(s.client, 999, SIGKILL, NULL);
	sandbox_kill(s.client, 999, NULL);
	sandbox_freeze(s.client, 999, true, NULL);
	sandbox_ack(s.client, 999, NULL);
	sandbox_measure(s.client, 999, NULL);
	sandbox_signal(s.client, 999, -5, NULL);
	assert_int_equal(spawned_sh(&s, "true")->result.code, 0);
	assert_int_equal(heard_of(&s, 999)->measured, 0);
}

static void garbage_on_the_socket_is_dropped(void **state)
{
	(void)state;
	char junk[64];
	memset(junk, 0x5a, sizeof junk);
	for (size_t n = 1; n <= sizeof junk; n *= 2)
		assert_int_equal(send(s.keep, junk, n, 0), n);
	assert_int_equal(spawned_sh(&s, "exit 4")->result.code, 4);
}

static void many_at_once(void **state)
{
	(void)state;
	struct shell_spec sh;
	const unsigned many = 100;
	uint64_t first = s.next_id;
	for (unsigned i = 0; i < many; i++) {
		shell_spec(&s, &sh, i % 2 ? "exit 1" : "exit 0");
		spawned_start(&s, &sh.spec);
	}
	for (uint64_t id = first; id < first + many; id++) {
		struct heard *h = spawned_wait(&s, id);
		assert_int_equal(h->result.code, (id - first) % 2);
		assert_int_equal(h->started, 1);
		sandbox_ack(s.client, id, NULL);
	}
}

static int tests(const char *place)
{
	char name[64];
	const struct CMUnitTest list[] = {
		cmocka_unit_test(exit_codes_come_back),
		cmocka_unit_test(signals_come_back),
		cmocka_unit_test(the_pid_told_is_the_programs),
		cmocka_unit_test(streams_are_its_own),
		cmocka_unit_test(input_is_read_to_its_end),
		cmocka_unit_test(no_input_is_an_empty_one),
		cmocka_unit_test(a_pipe_ends_with_the_program),
		cmocka_unit_test(environment_is_exactly_what_was_given),
		cmocka_unit_test(arguments_arrive_as_they_are),
		cmocka_unit_test(long_arguments_go_through_a_memfd),
		cmocka_unit_test(more_text_than_there_may_be_is_refused),
		cmocka_unit_test(working_directory_by_path_and_by_descriptor),
		cmocka_unit_test(missing_working_directory_is_named),
		cmocka_unit_test(umask_and_session_are_its_own),
		cmocka_unit_test(no_descriptor_is_inherited),
		cmocka_unit_test(signals_are_neither_blocked_nor_ignored),
		cmocka_unit_test(no_new_privileges),
		cmocka_unit_test(falls_before_the_daemon_when_memory_runs_out),
		cmocka_unit_test(rlimits_are_in_effect),
		cmocka_unit_test(another_user_when_root),
		cmocka_unit_test(another_user_is_refused_to_a_user),
		cmocka_unit_test(what_cannot_be_executed_is_named_with_its_reason),
		cmocka_unit_test(a_script_runs_by_its_first_line),
		cmocka_unit_test(a_signal_reaches_the_program),
		cmocka_unit_test(a_stopped_program_hears_terminate),
		cmocka_unit_test(a_signal_at_once_is_not_lost),
		cmocka_unit_test(killed_while_it_forks_is_killed),
		cmocka_unit_test(unknown_ids_are_harmless),
		cmocka_unit_test(garbage_on_the_socket_is_dropped),
		cmocka_unit_test(many_at_once),
	};
	snprintf(name, sizeof name, "spawn, %s", place);
	return cmocka_run_group_tests_name(name, list, setup, teardown);
}

int main(void)
{
	return places_run(tests);
}
