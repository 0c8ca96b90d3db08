/* SPDX-License-Identifier: MIT */
/* test_spawn_end.c - everything a program started ends with it, whatever it does against that; suspending;
 * what is used. In every place a spawner may live. */
#include <linux/magic.h>
#include <sys/vfs.h>

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

/* Shell text: a daemon that left session, parent and terminal, and ignores what it can ignore. Its command
 * line holds the working directory. */
#define DAEMON                                                                                     \
	"(setsid sh -c 'trap \"\" TERM HUP INT QUIT; (while :; do sleep 0.1; done) & "             \
	"while :; do sleep 0.1; done' \"$0\" &) ; "

static uint64_t start(const char *script)
{
	struct shell_spec sh;
	shell_spec(&s, &sh, script);
	const char *argv[] = {"/bin/sh", "-c", script, s.work, NULL};
	sh.spec.argv = argv;
	return spawned_start(&s, &sh.spec);
}

static void kill_ends_all_of_it(void **state)
{
	(void)state;
	uint64_t id = start(DAEMON DAEMON "echo up; trap '' TERM; while :; do sleep 0.1; done");
	spawned_until(&s, *text_of(s.out) && running(s.work) >= 5);
	sandbox_kill(s.client, id, NULL);
	struct heard *h = spawned_wait(&s, id);
	assert_int_equal(running(s.work), 0);
	assert_int_equal(h->result.end, END_KILLED);
	assert_int_equal(h->result.code, SIGKILL);
}

static void what_outlives_the_first_process_ends_too(void **state)
{
	(void)state;
	uint64_t id = start(DAEMON DAEMON "exit 5");
	struct heard *h = spawned_wait(&s, id);
	assert_int_equal(running(s.work), 0);
	assert_int_equal(h->result.end, END_EXITED);
	assert_int_equal(h->result.code, 5);
}

static void stopped_children_end_too(void **state)
{
	(void)state;
	uint64_t id = start("(sh -c 'kill -STOP $$; sleep 1000' \"$0\") & " DAEMON "wait");
	spawned_until(&s, running(s.work) >= 3);
	sandbox_kill(s.client, id, NULL);
	spawned_wait(&s, id);
	assert_int_equal(running(s.work), 0);
}

static void a_program_that_kills_its_parent_gains_nothing(void **state)
{
	(void)state;
	if (geteuid() != 0 ||
	    !caps.kill) { /* else the parent is the spawner of a root that trusts it */
		uint64_t id = start(DAEMON "p=$PPID; read -r _ name _ < /proc/$p/stat; "
					   "case $name in *keeper*) kill -9 $p;; esac; sleep 1000");
		if (caps.kill)
			sandbox_kill(s.client, id, NULL);
		spawned_wait(&s, id);
		spawned_until(&s, running(s.work) == 0);
	}
	assert_int_equal(spawned_sh(&s, "exit 3")->result.code, 3);
}

static void nothing_of_it_runs_while_it_is_frozen(void **state)
{
	(void)state;
	struct stat st, before = {0};
	uint64_t id = start("(while :; do echo x; sleep 0.001; done) & while :; do echo y; done");
	spawned_until(&s, stat(s.out, &st) == 0 && st.st_size > 0);
	sandbox_freeze(s.client, id, true, NULL);
	unsigned same = 0; /* looks at the size that found no change */
	spawned_until(&s,
		      stat(s.out, &st) == 0 && (same = st.st_size == before.st_size ? same + 1 : 0,
						before = st, same > 20));
	char out[96];
	snprintf(out, sizeof out, "%s", s.out);
	snprintf(s.out, sizeof s.out, "%s/out2", s.dir);
	for (int i = 0; i < 5; i++) /* others go on meanwhile */
		assert_int_equal(spawned_sh(&s, "exit 0")->result.code, 0);
	snprintf(s.out, sizeof s.out, "%s", out);
	assert_int_equal(stat(s.out, &st), 0);
	assert_int_equal(st.st_size, before.st_size);
	sandbox_freeze(s.client, id, false, NULL);
	spawned_until(&s, stat(s.out, &st) == 0 && st.st_size > before.st_size);
	sandbox_kill(s.client, id, NULL);
	assert_int_equal(spawned_wait(&s, id)->result.end, END_KILLED);
}

static void what_is_frozen_can_be_killed(void **state)
{
	(void)state;
	uint64_t id = start(DAEMON "echo up; sleep 1000");
	spawned_until(&s, *text_of(s.out) && running(s.work) >= 2);
	sandbox_freeze(s.client, id, true, NULL);
	sandbox_kill(s.client, id, NULL);
	assert_int_equal(spawned_wait(&s, id)->result.end, END_KILLED);
	assert_int_equal(running(s.work), 0);
	for (int i = 0; i < 3; i++) /* and its group is not frozen for who comes after */
		assert_int_equal(spawned_sh(&s, "exit 0")->result.code, 0);
}

static void what_is_used_is_measured(void **state)
{
	(void)state;
	uint64_t id = start(
		"sleep 1000 & i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo up; wait");
	spawned_until(&s, *text_of(s.out));
	sandbox_measure(s.client, id, NULL);
	spawned_until(&s, heard_of(&s, id)->measured);
	struct sandbox_usage u = heard_of(&s, id)->usage;
	assert_int_equal(u.pids, 2);
	assert_true(u.memory_bytes > 0);
	assert_true(u.memory_peak_bytes >= u.memory_bytes);
	assert_int_equal(u.from_cgroup, caps.memory);
	assert_int_equal(u.oom_kills, 0);
	sandbox_kill(s.client, id, NULL);
	struct heard *h = spawned_wait(&s, id);
	assert_int_equal(h->measured, 1);
	assert_true(h->result.cpu_ns >= u.cpu_ns && h->result.cpu_ns > 0);
	assert_true(h->result.memory_peak_bytes > 0);
	assert_true(h->result.wall_ns > 0);
}

static void measuring_what_has_ended_says_nothing(void **state)
{
	(void)state;
	struct heard *h = spawned_wait(&s, start("exit 0"));
	sandbox_measure(s.client, h->id, NULL);
	spawned_sh(&s, "true");
	assert_int_equal(h->measured, 0);
}

static void disk_writes_are_counted(void **state)
{
	(void)state;
	struct heard *h = spawned_sh(&s,
				     "dd if=/dev/zero of=big bs=1M count=4 conv=fsync 2>/dev/null");
	assert_int_equal(h->result.code, 0);
	struct statfs fs;
	assert_int_equal(statfs(s.dir, &fs), 0);
	if (caps.io && fs.f_type != TMPFS_MAGIC) /* a file system in memory counts nothing */
		assert_true(h->result.disk_write_bytes >= 4u << 20);
}

static void starts_leave_nothing(void **state)
{
	(void)state;
	const unsigned many = caps.kill && geteuid() == 0 ? 300 : 100;
	struct shell_spec sh;
	for (unsigned i = 0; i < many; i++) {
		shell_spec(&s, &sh, "exit 0");
		uint64_t id = spawned_start(&s, &sh.spec);
		if (i % 20 == 19)
			spawned_wait(&s, id);
	}
	for (uint64_t id = sh.spec.id - many + 1; id <= sh.spec.id; id++) {
		assert_int_equal(spawned_wait(&s, id)->result.code, 0);
		sandbox_ack(s.client, id, NULL);
	}
	char path[64];
	unsigned fds = 0;
	snprintf(path, sizeof path, "/proc/%d/fd", s.pid);
	DIR *d = opendir(path);
	while (d && readdir(d))
		fds++;
	if (d)
		closedir(d);
	assert_true(fds < 40);
	assert_true(groups_of(&s) <= 64 * 7);
	s.resynced = false; /* nothing is remembered either */
	size_t n = s.n;
	unsigned ended = heard_of(&s, sh.spec.id)->ended;
	assert_int_equal(spawn_client_resync(s.client, spawned_resynced, NULL), 0);
	spawned_until(&s, s.resynced);
	assert_int_equal(s.n, n);
	assert_int_equal(heard_of(&s, sh.spec.id)->ended, ended);
}

/* Last: the spawner goes, and with it what runs and what it made. */
static void all_ends_with_the_daemon(void **state)
{
	(void)state;
	start(DAEMON "sleep 1000");
	start("trap '' TERM; " DAEMON "kill -STOP $$");
	spawned_until(&s, running(s.work) >= 6);
	char record[128], lines[4096], path[128];
	snprintf(record, sizeof record, "%s/spawn.cgroups", s.state);
	snprintf(lines, sizeof lines, "%s", text_of(record));
	assert_int_equal(*lines != 0, caps.kill);
	spawned_stop(&s);
	assert_int_equal(running(s.work), 0);
	assert_int_equal(access(record, F_OK), -1);
	for (char *line = lines; *line; line += strcspn(line, "\n") + 1) {
		snprintf(path, sizeof path, "%.*s", (int)strcspn(line, "\n"), line);
		assert_int_equal(access(path, F_OK), -1);
	}
}

static int tests(const char *place)
{
	char name[64];
	const struct CMUnitTest list[] = {
		cmocka_unit_test(kill_ends_all_of_it),
		cmocka_unit_test(what_outlives_the_first_process_ends_too),
		cmocka_unit_test(stopped_children_end_too),
		cmocka_unit_test(a_program_that_kills_its_parent_gains_nothing),
		cmocka_unit_test(nothing_of_it_runs_while_it_is_frozen),
		cmocka_unit_test(what_is_frozen_can_be_killed),
		cmocka_unit_test(what_is_used_is_measured),
		cmocka_unit_test(measuring_what_has_ended_says_nothing),
		cmocka_unit_test(disk_writes_are_counted),
		cmocka_unit_test(starts_leave_nothing),
		cmocka_unit_test(all_ends_with_the_daemon),
	};
	snprintf(name, sizeof name, "end, %s", place);
	return cmocka_run_group_tests_name(name, list, setup, teardown);
}

int main(void)
{
	return places_run(tests);
}
