/* SPDX-License-Identifier: MIT */
/* test_job.c - the spawner's table of jobs by id and pid, and why an end was what it was. */
#include <signal.h>
#include <stdlib.h>

#include "lib/mem.h"
#include "sandbox/job.h"
#include "tests/support/check.h"

#define MANY 5000

static struct job *add(struct jobs *t, uint64_t id, pid_t child)
{
	struct job *j = calloc(1, sizeof *j);
	assert_non_null(j);
	*j = (struct job){.id = id};
	assert_int_equal(jobs_add(t, j), 0);
	if (child)
		jobs_add_pid(t, j, &j->child, child);
	return j;
}

static void an_empty_table_has_nothing(void **state)
{
	(void)state;
	struct jobs t = {0};
	assert_null(job_by_id(&t, 1));
	assert_null(job_by_pid(&t, 1));
	assert_null(jobs_each(&t, NULL));
	jobs_done(&t);
}

static void thousands_are_found_by_both_keys(void **state)
{
	(void)state;
	struct jobs t = {0};
	for (uint64_t i = 1; i <= MANY; i++)
		add(&t, i << 32 | 7, (pid_t)(i * 3));
	assert_int_equal(t.n, MANY);
	for (uint64_t i = 1; i <= MANY; i++) {
		struct job *j = job_by_id(&t, i << 32 | 7);
		assert_non_null(j);
		assert_ptr_equal(job_by_pid(&t, (pid_t)(i * 3)), &j->child);
		assert_ptr_equal(j->child.job, j);
	}
	assert_null(job_by_id(&t, 7));
	assert_null(job_by_pid(&t, 1));
	jobs_done(&t);
}

static void each_is_visited_once(void **state)
{
	(void)state;
	struct jobs t = {0};
	static unsigned seen[MANY];
	for (uint64_t i = 0; i < MANY; i++)
		add(&t, i, 0);
	for (struct job *j = NULL; (j = jobs_each(&t, j));)
		seen[j->id]++;
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(seen[i], 1);
	jobs_done(&t);
}

static void removed_ones_are_gone_and_others_stay(void **state)
{
	(void)state;
	struct jobs t = {0};
	for (uint64_t i = 1; i <= MANY; i++)
		add(&t, i, (pid_t)i);
	for (uint64_t i = 1; i <= MANY; i += 2) {
		struct job *j = job_by_id(&t, i);
		if (i % 3)
			jobs_drop_pid(&t, &j->child);
		jobs_free(&t, j);
	}
	for (uint64_t i = 1; i <= MANY; i++) {
		assert_int_equal(job_by_id(&t, i) != NULL, i % 2 == 0);
		assert_int_equal(job_by_pid(&t, (pid_t)i) != NULL, i % 2 == 0);
	}
	assert_int_equal(t.n, MANY / 2);
	jobs_done(&t);
}

static void why_it_ended(void **state)
{
	(void)state;
#define EXIT(n) ((n) << 8)
	static const struct {
		const char *what;
		int status;
		bool killed;
		struct sandbox_limits limits;
		long cpu_s;
		enum sandbox_end end;
		int code;
	} rows[] = {
		{"exit 0", EXIT(0), false, {0}, 0, END_EXITED, 0},
		{"exit 0 though a kill was on its way", EXIT(0), true, {0}, 0, END_EXITED, 0},
		{"a signal of its own", SIGSEGV, false, {0}, 0, END_SIGNALED, SIGSEGV},
		{"a core, were there any", SIGSEGV | 0x80, false, {0}, 0, END_SIGNALED, SIGSEGV},
		{"our kill", SIGKILL, true, {0}, 0, END_KILLED, SIGKILL},
		{"somebody's kill", SIGKILL, false, {0}, 0, END_SIGNALED, SIGKILL},
		{"too large a file", SIGXFSZ, false, {.file_bytes = 1}, 0, END_FILE_SIZE, SIGXFSZ},
		{"the same of a shell's child",
		 EXIT(128 + SIGXFSZ),
		 false,
		 {.file_bytes = 1},
		 0,
		 END_FILE_SIZE,
		 153},
		{"the same number without a limit",
		 EXIT(128 + SIGXFSZ),
		 false,
		 {0},
		 0,
		 END_EXITED,
		 153},
		{"cpu time", SIGXCPU, false, {.cpu_seconds = 1}, 1, END_CPU_TIME, SIGXCPU},
		{"cpu time of a shell's child",
		 EXIT(128 + SIGXCPU),
		 false,
		 {.cpu_seconds = 1},
		 1,
		 END_CPU_TIME,
		 152},
		{"cpu time, ignored", SIGKILL, false, {.cpu_seconds = 2}, 3, END_CPU_TIME, SIGKILL},
		{"a kill long before the cpu time",
		 SIGKILL,
		 false,
		 {.cpu_seconds = 9},
		 1,
		 END_SIGNALED,
		 SIGKILL},
		{"our kill after the cpu time",
		 SIGKILL,
		 true,
		 {.cpu_seconds = 1},
		 3,
		 END_KILLED,
		 SIGKILL},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct job j = {.status = rows[i].status,
				.killed = rows[i].killed,
				.limits = rows[i].limits,
				.started_ns = 5,
				.ended_ns = 7,
				.used = {.ru_utime = {.tv_sec = rows[i].cpu_s}, .ru_maxrss = 3}};
		job_judge(&j);
		if (j.result.end != rows[i].end || j.result.code != rows[i].code)
			fail_msg("%s: end %d, code %d", rows[i].what, j.result.end, j.result.code);
		assert_int_equal(j.result.wall_ns, 2);
		assert_int_equal(j.result.memory_peak_bytes, 3072);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_table_has_nothing),
		cmocka_unit_test(thousands_are_found_by_both_keys),
		cmocka_unit_test(each_is_visited_once),
		cmocka_unit_test(removed_ones_are_gone_and_others_stay),
		cmocka_unit_test(why_it_ended),
	};
	return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
