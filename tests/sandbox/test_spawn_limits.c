/* SPDX-License-Identifier: MIT */
/* test_spawn_limits.c - what takes more than it may is ended or refused, says so in its result, and
 * disturbs nobody. Programs that take are this one, started with the name of what to take. */
#include <sys/resource.h>

#include "tests/support/copy_self.h"
#include "tests/sandbox/places.h"
#include "tests/sandbox/spawned.h"

#define MIB         (1u << 20)
#define TAKEN_MIB   48 /* by: */
#define TAKE_MEMORY "dd if=/dev/zero of=/dev/null bs=48M count=1 2>/dev/null"
#define TOO_LITTLE  (32 * MIB)
#define ENOUGH      (128 * MIB)

static struct spawned s;
static struct sandbox_caps caps;
static char self[512];

/* ---- the programs ---- */

static _Noreturn void take_processes(void)
{
	for (bool said = false;;) {
		pid_t pid = fork();
		if (pid < 0 && !said) {
			said = true;
			puts("refused");
			fflush(stdout);
		}
		if (pid < 0)
			usleep(2000);
	}
}

static _Noreturn void take_descriptors(void)
{
	unsigned n = 0;
	while (dup(0) >= 0)
		n++;
	printf("%s after %u\n", strerror(errno), n);
	fflush(stdout);
	_exit(0); /* what runs at exit may want a descriptor */
}

static _Noreturn void take_cpu(bool stubborn)
{
	if (stubborn)
		signal(SIGXCPU, SIG_IGN);
	for (volatile unsigned i = 0;; i++)
		;
}

static int take(const char *what)
{
	if (strcmp(what, "processes") == 0)
		take_processes();
	if (strcmp(what, "descriptors") == 0)
		take_descriptors();
	take_cpu(strcmp(what, "cpu-stubborn") == 0);
}

/* ---- */

static int setup(void **state)
{
	(void)state;
	spawned_open(&s);
	snprintf(self, sizeof self, "%s/taker", s.work);
	copy_self(self);
	sandbox_caps_probe(&caps);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	spawned_close(&s);
	return 0;
}

struct taker {
	struct shell_spec sh;
	const char *argv[3];
};

static struct sandbox_spec *taker(struct taker *t, const char *what, struct sandbox_limits l)
{
	shell_spec(&s, &t->sh, "");
	t->argv[0] = self;
	t->argv[1] = what;
	t->argv[2] = NULL;
	t->sh.spec.argv = t->argv;
	t->sh.spec.limits = l;
	return &t->sh.spec;
}

static struct sandbox_spec *memory_taker(struct shell_spec *sh, const char *script, uint64_t limit)
{
	shell_spec(&s, sh, script);
	sh->spec.limits.memory_bytes = limit;
	return &sh->spec;
}

static void memory_beyond_its_limit_ends_it(void **state)
{
	(void)state;
	struct shell_spec sh;
	struct heard *h = spawned_run(&s, memory_taker(&sh, "exec " TAKE_MEMORY, TOO_LITTLE));
	if (caps.memory) {
		assert_int_equal(h->result.end, END_MEMORY);
		assert_true(h->result.oom_kills > 0);
		assert_true(h->result.memory_peak_bytes > TOO_LITTLE / 2);
		assert_true(h->result.memory_peak_bytes <= TOO_LITTLE);
	} else { /* RLIMIT_AS: it is refused, and dd says so */
		assert_int_equal(h->result.end, END_EXITED);
		assert_int_equal(h->result.code, 1);
	}
	assert_int_equal(spawned_sh(&s, "exit 0")->result.end, END_EXITED);
}

static void memory_of_a_child_counts(void **state)
{
	(void)state;
	struct shell_spec sh;
	if (!caps.memory)
		skip();
	struct heard *h = spawned_run(&s, memory_taker(&sh, TAKE_MEMORY "; exit $?", TOO_LITTLE));
	assert_int_equal(h->result.end, END_MEMORY);
}

static void enough_memory_is_given(void **state)
{
	(void)state;
	struct shell_spec sh;
	struct heard *h = spawned_run(&s, memory_taker(&sh, "exec " TAKE_MEMORY, ENOUGH));
	assert_int_equal(h->result.end, END_EXITED);
	assert_int_equal(h->result.code, 0);
	assert_int_equal(h->result.oom_kills, 0);
	assert_true(h->result.memory_peak_bytes >= TAKEN_MIB * MIB);
}

static void limits_change_while_it_runs(void **state)
{
	(void)state;
	struct shell_spec sh;
	int p[2];
	if (!caps.memory)
		skip();
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	memory_taker(&sh, "echo ready; read line; exec " TAKE_MEMORY, ENOUGH)->stdin_fd = p[0];
	uint64_t id = spawned_start(&s, &sh.spec);
	spawned_until(&s, *text_of(s.out));
	sandbox_set_limits(s.client, id, &(struct sandbox_limits){.memory_bytes = TOO_LITTLE}, NULL);
	sandbox_measure(s.client, id, NULL); /* answered behind it */
	spawned_until(&s, heard_of(&s, id)->measured);
	assert_int_equal(write(p[1], "\n", 1), 1);
	assert_int_equal(spawned_wait(&s, id)->result.end, END_MEMORY);
	close(p[0]);
	close(p[1]);
}

static void no_limit_is_applied_when_not_enforced(void **state)
{
	(void)state;
	struct shell_spec sh;
	memory_taker(&sh, "exec " TAKE_MEMORY, TOO_LITTLE)->enforce = false;
	assert_int_equal(spawned_run(&s, &sh.spec)->result.code, 0);
}

static void a_fork_bomb_stays_within_its_limit(void **state)
{
	(void)state;
	struct taker t;
	taker(&t, "processes", (struct sandbox_limits){.pids = 24});
	if (geteuid() == 0) { /* RLIMIT_NPROC does not hold root */
		t.sh.spec.uid = t.sh.spec.gid = PLACE_UID;
	}
	uint64_t id = spawned_start(&s, &t.sh.spec);
	spawned_until(&s, *text_of(s.out));
	char out[96];
	snprintf(out, sizeof out, "%s", s.out);
	snprintf(s.out, sizeof s.out, "%s/out2", s.dir);
	for (int i = 0; i < 5; i++) { /* others start and end as ever */
		struct shell_spec sh;
		shell_spec(&s, &sh, "/bin/echo $(/bin/echo fine)");
		sh.spec.limits.pids = 64;
		assert_int_equal(spawned_run(&s, &sh.spec)->result.code, 0);
		assert_string_equal(text_of(s.out), "fine\n");
	}
	snprintf(s.out, sizeof s.out, "%s", out);
	sandbox_measure(s.client, id, NULL);
	spawned_until(&s, heard_of(&s, id)->measured);
	if (caps.pids) {
		assert_true(heard_of(&s, id)->usage.pids <= 24);
		assert_true(heard_of(&s, id)->usage.pids_refused > 0);
	} else {
		assert_true(heard_of(&s, id)->usage.pids <= 64);
	}
	sandbox_kill(s.client, id, NULL);
	struct heard *h = spawned_wait(&s, id);
	assert_int_equal(h->result.end, END_KILLED);
	assert_int_equal(running(self), 0);
	assert_int_equal(h->result.pids_refused > 0, caps.pids);
	sandbox_ack(s.client, id, NULL);
}

static void output_ends_at_its_limit(void **state)
{
	(void)state;
	struct shell_spec sh;
	struct stat st;
	const char *scripts[] = {"exec yes", "yes; exit $?", "yes & wait $!"};
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		shell_spec(&s, &sh, scripts[i]);
		sh.spec.limits.file_bytes = 8 * MIB;
		struct heard *h = spawned_run(&s, &sh.spec);
		assert_int_equal(h->result.end, END_FILE_SIZE);
		assert_int_equal(stat(s.out, &st), 0);
		assert_int_equal(st.st_size, 8 * MIB);
	}
}

static void the_same_code_without_a_limit_is_an_exit(void **state)
{
	(void)state;
	struct heard *h = spawned_sh(&s, "exit 153");
	assert_int_equal(h->result.end, END_EXITED);
	assert_int_equal(h->result.code, 153);
}

static void descriptors_run_out_for_it_alone(void **state)
{
	(void)state;
	struct taker t;
	assert_int_equal(
		spawned_run(&s, taker(&t, "descriptors", (struct sandbox_limits){0}))->result.code,
		0);
	assert_string_equal(text_of(s.out), "Too many open files after 1021\n");
}

static void cpu_time_ends_it(void **state)
{
	struct taker a, b;
	if (geteuid() == 0 && strcmp(*state, "as it is") != 0)
		skip(); /* two seconds of a processor are enough once for root and once for a user */
	taker(&a, "cpu", (struct sandbox_limits){.cpu_seconds = 1});
	taker(&b, "cpu-stubborn", (struct sandbox_limits){.cpu_seconds = 1});
	uint64_t plain = spawned_start(&s, &a.sh.spec), stubborn = spawned_start(&s, &b.sh.spec);
	assert_int_equal(spawned_wait(&s, plain)->result.end, END_CPU_TIME);
	assert_int_equal(spawned_wait(&s, stubborn)->result.end, END_CPU_TIME);
	assert_true(heard_of(&s, plain)->result.cpu_ns > 0);
}

static void a_limit_that_cannot_be_set_refuses_the_start(void **state)
{
	(void)state;
	struct taker t;
	if (!caps.pids)
		skip();
	/* beyond what the kernel takes */
	struct heard *h = spawned_run(
		&s, taker(&t, "descriptors", (struct sandbox_limits){.pids = UINT32_MAX}));
	assert_int_equal(h->result.end, END_START_FAILED);
	assert_non_null(strstr(h->result.err.msg, "pids limit"));
	assert_int_equal(spawned_sh(&s, "exit 0")->result.code, 0);
}

static void what_cannot_be_enforced_is_said(void **state)
{
	(void)state;
	bool all = caps.memory && caps.cpu && caps.pids && caps.io && caps.freeze && caps.kill;
	assert_int_equal(all, !*caps.why);
	assert_false(caps.net);
	if (!caps.memory)
		assert_non_null(strstr(caps.why, "memory"));
	if (!caps.kill)
		assert_int_equal(caps.cgroup_version, 0);
}

static int tests(const char *place)
{
	char name[64];
	const struct CMUnitTest list[] = {
		cmocka_unit_test(memory_beyond_its_limit_ends_it),
		cmocka_unit_test(memory_of_a_child_counts),
		cmocka_unit_test(enough_memory_is_given),
		cmocka_unit_test(limits_change_while_it_runs),
		cmocka_unit_test(no_limit_is_applied_when_not_enforced),
		cmocka_unit_test(a_fork_bomb_stays_within_its_limit),
		cmocka_unit_test(output_ends_at_its_limit),
		cmocka_unit_test(the_same_code_without_a_limit_is_an_exit),
		cmocka_unit_test(descriptors_run_out_for_it_alone),
		cmocka_unit_test_prestate(cpu_time_ends_it, (void *)place),
		cmocka_unit_test(a_limit_that_cannot_be_set_refuses_the_start),
		cmocka_unit_test(what_cannot_be_enforced_is_said),
	};
	snprintf(name, sizeof name, "limits, %s", place);
	return cmocka_run_group_tests_name(name, list, setup, teardown);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return take(argv[1]);
	return places_run(tests);
}
