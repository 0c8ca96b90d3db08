/* SPDX-License-Identifier: MIT */
/* test_drivers.c - what every driver must do alike: the same cases run over each that the registry holds. A
 * driver that cannot run here is named with its reason. Without an argument those that the spawner is itself; with
 * `oci` those that have a runtime do it, or of those the named ones, with `vm` those of microVMs; 77 when there is none. */
#include "tests/sandbox/places.h"
#include "tests/sandbox/spawned.h"

static struct spawned s;
static struct sandbox_caps caps;
static const struct sandbox_driver *driver;
static enum kind { ITSELF, CONTAINERS, VMS } kind; /* the drivers asked for */
static char **wanted;	/* of them these alone; none: all */
static bool any;        /* of them could be tried */

/* The processes of the machine that a start has: gVisor's programs are none of them, but their kernel is. */
static unsigned left(void)
{
	char state[128];
	snprintf(state, sizeof state, "%s/" SPAWN_CONTAINERS, s.state);
	return running(s.work) + running(state);
}

static int setup(void **state)
{
	(void)state;
	spawned_open(&s);
	s.driver = driver;
	sandbox_caps_probe(&caps);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	spawned_close(&s);
	return 0;
}

static void exit_codes_and_signals(void **state)
{
	(void)state;
	assert_int_equal(spawned_sh(&s, "exit 0")->result.code, 0);
	struct heard *h = spawned_sh(&s, "exit 133");
	assert_int_equal(h->result.end, END_EXITED);
	assert_int_equal(h->result.code, 133);
	h = spawned_sh(&s, "kill -SEGV $$");
	assert_int_equal(h->result.end, END_SIGNALED);
	assert_int_equal(h->result.code, SIGSEGV);
	assert_int_equal(h->started, 1);
	assert_int_equal(h->ended, 1);
}

static void streams(void **state)
{
	(void)state;
	struct shell_spec sh;
	int p[2];
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	shell_spec(&s, &sh, "cat; echo more; echo wrong >&2");
	sh.spec.stdin_fd = p[0];
	uint64_t id = spawned_start(&s, &sh.spec);
	close(p[0]);
	assert_int_equal(write(p[1], "given\n", 6), 6);
	close(p[1]);
	assert_int_equal(spawned_wait(&s, id)->result.code, 0);
	assert_string_equal(text_of(s.out), "given\nmore\n");
	assert_string_equal(text_of(s.err), "wrong\n");
	assert_int_equal(spawned_sh(&s, "cat")->result.code, 0); /* no input is an empty one */
}

static void environment_and_arguments(void **state)
{
	(void)state;
	struct shell_spec sh;
	const char *env[] = {"B=2 and more", "A=", NULL}, *argv[] = {"/usr/bin/env", NULL};
	shell_spec(&s, &sh, "");
	sh.spec.argv = argv;
	sh.spec.envp = env;
	assert_int_equal(spawned_run(&s, &sh.spec)->result.code, 0);
	if (kind != CONTAINERS || strcmp(text_of(s.out), "A=\nB=2 and more\n") != 0) /* runc keeps them in no order */
		assert_string_equal(text_of(s.out), "B=2 and more\nA=\n");
	const char *print[] = {"/usr/bin/printf", "%s|", "", "a b", "$(id)", NULL};
	sh.spec.id = s.next_id++;
	sh.spec.stdout_fd = sh.spec.stderr_fd = -1;
	sh.spec.argv = print;
	assert_int_equal(spawned_run(&s, &sh.spec)->result.code, 0);
	assert_string_equal(text_of(s.out), "|a b|$(id)|");
}

static void works_in_its_directory(void **state)
{
	(void)state;
	char path[128];
	assert_int_equal(spawned_sh(&s, "echo kept > file && cat file")->result.code, 0);
	assert_string_equal(text_of(s.out), "kept\n");
	snprintf(path, sizeof path, "%s/file", s.work);
	assert_string_equal(text_of(path), "kept\n");
}

static void no_descriptor_but_its_streams(void **state)
{
	(void)state;
	int leak = open("/etc/passwd", O_RDONLY);
	spawned_sh(&s, "for f in 3 4 5 6 7 8 9 10 11 12 20; do [ -e /proc/self/fd/$f ] && "
		       "readlink /proc/self/fd/$f; done | grep -v -e /dev/null -e pipe: ; true");
	close(leak);
	assert_string_equal(text_of(s.out), "");
}

static void privileges_cannot_grow(void **state)
{
	(void)state;
	if (driver->tier == TIER_2)
		skip(); /* gVisor's /proc of 2022 does not say */
	spawned_sh(&s, "grep NoNewPrivs /proc/self/status");
	assert_string_equal(text_of(s.out), "NoNewPrivs:\t1\n");
}

static void a_program_that_is_not_there_is_named(void **state)
{
	(void)state;
	struct shell_spec sh;
	struct err e = {0};
	const char *argv[] = {"/no/such/program", NULL};
	shell_spec(&s, &sh, "");
	sh.spec.argv = argv;
	assert_int_equal(sandbox_start(s.client, driver->tier, &sh.spec, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "/no/such/program"));
}

#define DAEMON "(setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 0.1; done' \"$0\" &) ; "

static uint64_t start(const char *script)
{
	struct shell_spec sh;
	const char *argv[] = {"/bin/sh", "-c", script, s.work, NULL};
	shell_spec(&s, &sh, script);
	sh.spec.argv = argv;
	return spawned_start(&s, &sh.spec);
}

static void kill_ends_all_of_it(void **state)
{
	(void)state;
	/* gVisor hangs up a group with a stopped process in it, which Linux does to a newly orphaned one alone. */
	uint64_t id = start("trap '' TERM HUP; " DAEMON "(sh -c 'kill -STOP $$; sleep 99' \"$0\") & echo up; wait");
	spawned_until(&s, driver->tier > TIER_1 ? left() && *text_of(s.out) : running(s.work) >= 3);
	sandbox_kill(s.client, id, NULL);
	assert_int_equal(spawned_wait(&s, id)->result.end, END_KILLED);
	assert_int_equal(left(), 0);
}

static void the_rest_ends_with_the_first(void **state)
{
	(void)state;
	uint64_t id = start(DAEMON "exit 5");
	assert_int_equal(spawned_wait(&s, id)->result.code, 5);
	assert_int_equal(left(), 0);
}

static void terminate_is_heard(void **state)
{
	(void)state;
	uint64_t id = start("trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done");
	spawned_until(&s, *text_of(s.out));
	sandbox_signal(s.client, id, SIGTERM, NULL);
	assert_int_equal(spawned_wait(&s, id)->result.code, 3);
}

static void frozen_means_no_progress(void **state)
{
	(void)state;
	struct stat st, before = {0};
	unsigned same = 0;
	uint64_t id = start("while :; do echo y; done");
	spawned_until(&s, stat(s.out, &st) == 0 && st.st_size > 0);
	sandbox_freeze(s.client, id, true, NULL);
	spawned_until(&s,
		      stat(s.out, &st) == 0 && (same = st.st_size == before.st_size ? same + 1 : 0,
						before = st, same > 20));
	sandbox_freeze(s.client, id, false, NULL);
	spawned_until(&s, stat(s.out, &st) == 0 && st.st_size > before.st_size);
	sandbox_freeze(s.client, id, true, NULL);
	sandbox_kill(s.client, id, NULL);
	assert_int_equal(spawned_wait(&s, id)->result.end, END_KILLED);
}

static void limits_end_it_and_say_so(void **state)
{
	(void)state;
	struct shell_spec sh;
	shell_spec(&s, &sh, "exec dd if=/dev/zero of=/dev/null bs=128M count=1");
	sh.spec.limits.memory_bytes = 64u << 20;
	struct heard *h = spawned_run(&s, &sh.spec);
	if (caps.memory)
		assert_int_equal(h->result.end, END_MEMORY);
	else
		assert_int_not_equal(h->result.code, 0);
	shell_spec(&s, &sh, "exec yes");
	sh.spec.limits.file_bytes = 1u << 20;
	assert_int_equal(spawned_run(&s, &sh.spec)->result.end, END_FILE_SIZE);
	if (!caps.pids || driver->tier == TIER_2)
		return; /* gVisor: its limit is the kernel's threads' too, and far above */
	shell_spec(&s, &sh, "for i in 1 2 3 4 5 6 7 8 9; do sleep 99 & done");
	sh.spec.limits.pids = 6;
	h = spawned_run(&s, &sh.spec);
	assert_int_not_equal(h->result.code, 0);
	assert_true(h->result.pids_refused > 0);
}

static void use_is_measured(void **state)
{
	(void)state;
	uint64_t id = start("echo up; sleep 99; true");
	spawned_until(&s, *text_of(s.out));
	sandbox_measure(s.client, id, NULL);
	spawned_until(&s, heard_of(&s, id)->measured);
	assert_true(heard_of(&s, id)->usage.memory_bytes > 0);
	assert_true(heard_of(&s, id)->usage.pids >= 1);
	sandbox_kill(s.client, id, NULL);
	assert_true(spawned_wait(&s, id)->result.cpu_ns > 0);
}

static void many_starts_leave_nothing(void **state)
{
	(void)state;
	unsigned n = driver->tier > TIER_1 ? 4 : kind == CONTAINERS ? 20 : 100;
	for (unsigned i = 0; i < n; i++)
		start("exit 0");
	for (uint64_t id = s.next_id - n; id < s.next_id; id++) {
		assert_int_equal(spawned_wait(&s, id)->result.code, 0);
		sandbox_ack(s.client, id, NULL);
	}
	assert_int_equal(left(), 0);
	assert_true(groups_of(&s) <= 64 * 7);
}

static void all_ends_with_the_daemon(void **state)
{
	(void)state;
	start(DAEMON "echo up; sleep 99");
	spawned_until(&s, driver->tier > TIER_1 ? left() && *text_of(s.out) : running(s.work) >= 2);
	spawned_stop(&s);
	assert_int_equal(left(), 0);
}

static enum kind kind_of(const struct sandbox_driver *d)
{
	if (d->tier == TIER_3)
		return VMS;
	return strcmp(d->name, "native") == 0 || strcmp(d->name, "proc") == 0 ? ITSELF : CONTAINERS;
}

/* Does its runtime make containers here at all? What it needs of a machine it alone knows. */
static bool makes_containers(void)
{
	spawned_open(&s);
	s.driver = driver;
	struct heard *h = spawned_sh(&s, "exit 0");
	bool yes = h->result.end != END_START_FAILED;
	if (!yes)
		printf("skipped: driver '%s' of %s does not start a container here: %s\n", driver->name,
		       sandbox_tier_name(driver->tier), h->result.err.msg);
	spawned_close(&s);
	return yes;
}

static bool is_wanted(void)
{
	bool yes = !*wanted;
	for (char **name = wanted; *name; name++)
		yes |= strcmp(*name, driver->name) == 0;
	return yes;
}

static int tests_of(const char *place)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_codes_and_signals),
		cmocka_unit_test(streams),
		cmocka_unit_test(environment_and_arguments),
		cmocka_unit_test(works_in_its_directory),
		cmocka_unit_test(no_descriptor_but_its_streams),
		cmocka_unit_test(privileges_cannot_grow),
		cmocka_unit_test(a_program_that_is_not_there_is_named),
		cmocka_unit_test(kill_ends_all_of_it),
		cmocka_unit_test(the_rest_ends_with_the_first),
		cmocka_unit_test(terminate_is_heard),
		cmocka_unit_test(frozen_means_no_progress),
		cmocka_unit_test(limits_end_it_and_say_so),
		cmocka_unit_test(use_is_measured),
		cmocka_unit_test(many_starts_leave_nothing),
		cmocka_unit_test(all_ends_with_the_daemon),
	};
	int failed = 0;
	bool ran = false;
	for (const struct sandbox_driver *const *d = sandbox_drivers; *d; d++) {
		struct err e = {0};
		char name[64];
		driver = *d;
		if (kind_of(driver) != kind || !is_wanted())
			continue;
		if (driver->available(&(struct sandbox_layers){0}, &e) < 0) {
			printf("skipped: driver '%s' of %s: %s\n", driver->name,
			       sandbox_tier_name(driver->tier), e.msg);
			continue;
		}
		if (kind == CONTAINERS && !makes_containers())
			continue;
		ran = true;
		snprintf(name, sizeof name, "driver %s, %s", driver->name, place);
		failed += cmocka_run_group_tests_name(name, tests, setup, teardown);
	}
	any |= ran;
	return failed;
}

int main(int argc, char **argv)
{
	kind = argc < 2 ? ITSELF : strcmp(argv[1], "oci") == 0 ? CONTAINERS : VMS;
	wanted = argv + (argc < 2 ? 1 : 2);
	if (kind != CONTAINERS)
		return places_run(tests_of);
	int failed = tests_of("as it is");
	return failed ? 1 : any ? 0 : 77;
}
