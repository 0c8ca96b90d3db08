/* SPDX-License-Identifier: MIT */
/* test_bombs.c - test_bombs [ROUNDS [DRIVER]]: programs that take all that they can get, in rounds. Each ends by its limit or when it is
 * killed, nothing of it is left, and another sandbox goes on meanwhile; how long its answers take is printed. A copy of this
 * program is what runs inside. */
#include "tests/support/copy_self.h"
#include "tests/sandbox/spawned.h"

#define MIB (1ull << 20)

static struct spawned s;
static unsigned rounds = 1;
static const char *driver_name = "proc";

/* ---- inside ---- */

static void do_fork(void)
{
	puts("up");
	fflush(stdout);
	for (;;)
		if (fork() < 0)
			usleep(100);
}

static void do_memory(void)
{
	for (;;) {
		char *p = malloc(4 * MIB);
		for (size_t i = 0; p && i < 4 * MIB; i += 4096)
			p[i] = 1;
		if (!p)
			_exit(9);
	}
}

/* Until there is no more room: 28. */
static void write_all(int fd, uint64_t most)
{
	static char block[65536];
	for (uint64_t n = 0; n < most; n += sizeof block)
		if (write(fd, block, sizeof block) < 0)
			_exit(errno == ENOSPC ? 28 : 9);
}

static void do_disk(void)
{
	write_all(open("full", O_WRONLY | O_CREAT, 0600), 10ull << 30);
}

static void do_temp(void)
{
	char path[32];
	for (int i = 0;; i++) {
		snprintf(path, sizeof path, "/tmp/%d", i);
		write_all(open(path, O_WRONLY | O_CREAT, 0600), 4 * MIB);
	}
}

static void do_output(void)
{
	write_all(1, 10ull << 30);
}

static void do_daemon(void)
{
	if (fork() == 0) {
		setsid();
		if (fork() == 0) {
			for (int sig = 1; sig < NSIG; sig++)
				signal(sig, SIG_IGN);
			for (;;)
				pause();
		}
		_exit(0);
	}
	wait(NULL);
}

static void do_stopped(void)
{
	int status;
	pid_t pid = fork();
	if (pid == 0)
		for (;;)
			raise(SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
}

static void do_descriptors(void)
{
	struct rlimit l;
	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
	while (dup(1) >= 0)
		;
	_exit(errno == EMFILE ? 24 : 9);
}

static void do_spin(void)
{
	for (;;)
		;
}

static void do_echo(void) /* the other sandbox */
{
	char c;
	while (read(0, &c, 1) == 1 && write(1, &c, 1) == 1)
		;
}

/* ---- outside ---- */

static const struct bomb {
	const char *name;
	void (*act)(void);
	enum sandbox_end end;
	int code; /* of END_EXITED */
	bool killed;
	unsigned every; /* how many rounds */
} bombs[] = {
	{"fork", do_fork, END_KILLED, 0, true, 1},
	{"memory", do_memory, END_MEMORY, 0, false, 1},
	{"disk", do_disk, END_FILE_SIZE, 0, false, 1},
	{"temp", do_temp, END_EXITED, 28, false, 1},
	{"output", do_output, END_FILE_SIZE, 0, false, 1},
	{"daemon", do_daemon, END_EXITED, 0, false, 1},
	{"stopped", do_stopped, END_EXITED, 0, false, 1},
	{"descriptors", do_descriptors, END_EXITED, 24, false, 1},
	{"spin", do_spin, END_CPU_TIME, 0, false, 10},
	{"echo", do_echo, END_EXITED, 0, false, 0},
};

static double answers[100000], ends[ARRAY_LEN(bombs)];
static size_t answers_n;
static int to_other, from_other;
static uint64_t other;

static uint64_t start(const struct bomb *b, int in, int out)
{
	static const char *argv[5];
	struct shell_spec sh;
	shell_spec(&s, &sh, "");
	argv[0] = "./bombs", argv[1] = "--do", argv[2] = b->name, argv[3] = s.work, argv[4] = NULL;
	sh.spec.argv = argv;
	sh.spec.stdin_fd = in;
	sh.spec.stdout_fd = out;
	sh.spec.limits = (struct sandbox_limits){.memory_bytes = 64 * MIB, .pids = 64, .file_bytes = 16 * MIB,
						 .temp_bytes = 16 * MIB, .cpu_seconds = b->every ? 1 : 0};
	return spawned_start(&s, &sh.spec);
}

/* Does the other sandbox answer? */
static void ask_other(void)
{
	char c = 'x';
	uint64_t from = clock_mono_ns();
	assert_int_equal(write(to_other, &c, 1), 1);
	assert_int_equal(read(from_other, &c, 1), 1);
	if (answers_n < ARRAY_LEN(answers))
		answers[answers_n++] = (double)(clock_mono_ns() - from) / 1e6;
}

static void one(const struct bomb *b)
{
	uint64_t id = start(b, -1, -1), asked = 0;
	if (b->killed) {
		spawned_until(&s, strstr(text_of(s.out), "up") || heard_of(&s, id)->ended);
		for (int i = 0; i < 5; i++)
			ask_other();
		asked = clock_mono_ns();
		sandbox_kill(s.client, id, NULL);
	}
	while (!heard_of(&s, id)->ended) {
		ask_other();
		uv_run(&s.loop.uv, UV_RUN_NOWAIT);
		usleep(1000);
	}
	double ms = asked ? (double)(clock_mono_ns() - asked) / 1e6 : (double)heard_of(&s, id)->result.wall_ns / 1e6;
	struct heard *h = heard_of(&s, id);
	if (h->result.end == END_START_FAILED)
		fail_msg("%s: %s", b->name, h->result.err.msg);
	if (h->result.end != b->end || (b->end == END_EXITED && h->result.code != b->code))
		fail_msg("%s: end %d code %d", b->name, h->result.end, h->result.code);
	ends[b - bombs] = ms > ends[b - bombs] ? ms : ends[b - bombs];
	sandbox_ack(s.client, id, NULL);
	s.n--; /* told all there is: its place is free */
	assert_ptr_equal(h, &s.heard[s.n]);
}

/* What a round may not leave: processes, groups of processes, mounts, descriptors of the spawner. */
struct traces {
	unsigned processes, groups, mounts, descriptors;
};

static struct traces look(void)
{
	struct traces t = {.processes = running(s.work), .groups = groups_of(&s)};
	char path[64], line[4096];
	FILE *f = fopen("/proc/self/mountinfo", "re");
	while (f && fgets(line, sizeof line, f))
		t.mounts += strstr(line, s.dir) != NULL;
	if (f)
		fclose(f);
	snprintf(path, sizeof path, "/proc/%d/fd", s.pid);
	DIR *d = opendir(path);
	while (d && readdir(d))
		t.descriptors++;
	if (d)
		closedir(d);
	return t;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void nothing_is_left_of_them(void **state)
{
	(void)state;
	one(&bombs[5]); /* cgroups are used again: one may be kept */
	struct traces before = look();
	for (unsigned r = 1; r <= rounds; r++) {
		for (size_t i = 0; i < ARRAY_LEN(bombs); i++)
			if (bombs[i].every && r % bombs[i].every == 0)
				one(&bombs[i]);
		struct traces after = look();
		if (memcmp(&before, &after, sizeof before) != 0)
			fail_msg("round %u: processes %u groups %u mounts %u descriptors %u, not %u %u %u %u", r, after.processes,
				 after.groups, after.mounts, after.descriptors, before.processes, before.groups, before.mounts,
				 before.descriptors);
	}
	qsort(answers, answers_n, sizeof *answers, by_size);
	printf("%u rounds; the other sandbox answered %zu times, median %.3f ms, 99 of 100 in %.3f ms, longest %.1f ms\n", rounds,
	       answers_n, answers[answers_n / 2], answers[answers_n * 99 / 100], answers[answers_n - 1]);
	for (size_t i = 0; i < ARRAY_LEN(bombs); i++)
		if (ends[i] > 0)
			printf("%-11s longest %s %.0f ms\n", bombs[i].name, bombs[i].killed ? "from its kill to its end" : "life",
			       ends[i]);
}

static int setup(void **state)
{
	int in[2], out[2];
	struct sandbox_caps caps;
	(void)state;
	sandbox_caps_probe(&caps);
	if (!caps.memory || !caps.pids) {
		printf("skipped: no cgroup limits memory and processes here: %s\n", caps.why);
		exit(77);
	}
	spawned_open(&s);
	for (const struct sandbox_driver *const *d = sandbox_drivers; *d; d++)
		if (strcmp((*d)->name, driver_name) == 0)
			s.driver = *d;
	assert_non_null(s.driver);
	char path[128];
	snprintf(path, sizeof path, "%s/bombs", s.work);
	copy_self(path);
	assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
	to_other = in[1], from_other = out[0];
	other = start(&bombs[ARRAY_LEN(bombs) - 1], in[0], out[1]);
	close(in[0]);
	close(out[1]);
	spawned_until(&s, heard_of(&s, other)->started);
	ask_other();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(to_other);
	assert_int_equal(spawned_wait(&s, other)->result.end, END_EXITED);
	close(from_other);
	spawned_close(&s);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_left_of_them)};
	uint64_t n;
	for (size_t i = 0; argc > 2 && strcmp(argv[1], "--do") == 0 && i < ARRAY_LEN(bombs); i++)
		if (strcmp(bombs[i].name, argv[2]) == 0) {
			bombs[i].act();
			_exit(0); /* a sanitizer's look for leaks needs what a box refuses */
		}
	if (argc > 1 && parse_u64(argv[1], 1, 1000000, &n, NULL) == 0)
		rounds = (unsigned)n;
	if (argc > 2)
		driver_name = argv[2];
	return cmocka_run_group_tests_name("bombs", tests, setup, teardown);
}
