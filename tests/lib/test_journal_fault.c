/* SPDX-License-Identifier: MIT */
/* test_journal_fault.c - a disk that is full, and one where any call fails: what was acked is there at the
 * next start, and a full disk never ends the process. */
#include <sys/wait.h>

#include "lib/journal_format.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "tests/support/fail_sys.h"
#include "tests/support/journal.h"

static int setup(void **state)
{
	fail_sys_install();
	return jtest_setup_in(state, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL);
}

static int teardown(void **state)
{
	for (int call = 0; call < FAIL_CALLS; call++)
		fail_sys_arm((enum fail_call)call, 0, 0);
	return jtest_teardown(state);
}

/* ---- no space ---- */

/* Append until the journal takes no more. */
static int append_until_refused(struct jtest *t, size_t len, bool reserve)
{
	int r;
	while ((r = jtest_append_flagged(t, JOURNAL_SAFE, len, reserve)) == 0)
		;
	return r;
}

static void fill_up(struct jtest *t)
{
	fail_sys_arm(FAIL_FALLOCATE, -1, ENOSPC);
	assert_int_equal(append_until_refused(t, 20000, false), -ENOSPC);
	assert_int_equal(t->e.code, ERR_JOURNAL_FULL);
	assert_non_null(strstr(t->e.msg, "no space left"));
}

static void a_full_disk_leaves_the_reserve_to_small_records_that_stop(void **state)
{
	struct jtest *t = *state;
	fill_up(t);
	uint64_t before = journal_last_seq(t->j);
	assert_int_equal(jtest_append_flagged(t, JOURNAL_SAFE, 20000, true), -ENOSPC);
	assert_int_equal(append_until_refused(t, 200, true), -ENOSPC);
	uint64_t more = journal_last_seq(t->j) - before;
	assert_true(more > 500);
	assert_int_equal(jtest_append_flagged(t, JOURNAL_FAST, 10, false), -ENOSPC);
	wait_for(&t->loop, t->acks == journal_last_seq(t->j));
	jtest_reopen(t, 0);
	assert_int_equal(t->seen, before + more);
	assert_int_equal(jtest_append_flagged(t, JOURNAL_SAFE, 200, false), -ENOSPC);
	assert_int_equal(append_until_refused(t, 200, true), -ENOSPC);
}

static void appending_goes_on_when_there_is_space_again(void **state)
{
	struct jtest *t = *state;
	fill_up(t);
	fail_sys_arm(FAIL_FALLOCATE, 0, 0);
	atomic_fetch_add(&fail_sys_later_ns, 2000000000u);
	while (jtest_append_flagged(t, JOURNAL_SAFE, 20000, false) < 0)
		atomic_fetch_add(&fail_sys_later_ns, 2000000000u);
	jtest_fill(t, 100);
	jtest_reopen(t, 0);
	assert_int_equal(t->seen, journal_last_seq(t->j));
}

static void retiring_a_segment_makes_the_next(void **state)
{
	struct jtest *t = *state;
	for (int i = 0; i < 60; i++)
		jtest_append(t, JOURNAL_SAFE, 100000);
	wait_for(&t->loop, t->acks == 60);
	fill_up(t);
	fail_sys_arm(FAIL_FALLOCATE, 0, 0);
	assert_int_equal(journal_retire(t->j, 60, 0, NULL), 0);
	while (jtest_append_flagged(t, JOURNAL_SAFE, 20000, false) < 0)
		uv_sleep(1);
	jtest_fill(t, 100);
}

static void a_file_system_without_fallocate_will_do(void **state)
{
	struct jtest *t = *state;
	fail_sys_arm(FAIL_FALLOCATE, -1, EOPNOTSUPP);
	for (int i = 0; i < 100; i++)
		jtest_append(t, JOURNAL_FAST, 100000);
	jtest_reopen(t, 0);
	assert_int_equal(t->seen, 100);
}

static void a_failed_retirement_is_told_by_the_next_and_made_good(void **state)
{
	struct jtest *t = *state;
	struct journal_stat st = {0};
	for (int i = 0; i < 60; i++)
		jtest_append(t, JOURNAL_SAFE, 100000);
	wait_for(&t->loop, t->acks == 60);
	fail_sys_arm(FAIL_UNLINK, 1, EROFS);
	assert_int_equal(journal_retire(t->j, 60, 0, NULL), 0);
	while (!atomic_load(&fail_sys_fired))
		uv_sleep(1);
	int r = 0;
	while (r == 0) /* the thread still has to put it down */
		r = journal_retire(t->j, 0, 0, &t->e);
	assert_int_equal(r, -EROFS);
	assert_non_null(strstr(t->e.msg, "Read-only"));
	assert_int_equal(journal_retire(t->j, 60, 0, NULL), 0);
	while (st.segments != 1)
		assert_int_equal(jtest_scan(t, &st), 0);
}

/* ---- any call ---- */

static int told_fd;

static void tell(struct journal_ack *ack, uint64_t seq, int r)
{
	(void)ack;
	if (r < 0 || write(told_fd, &seq, sizeof seq) != sizeof seq)
		_exit(99);
}

/* A short life of a journal: opened, filled over three segments, retired, closed, opened again. Ends with
 * 0, or 1 when something was refused. */
static int life(struct jtest *t)
{
	static struct journal_ack acks[200];
	bool refused = false;
	if (jtest_open(t, 0) < 0)
		return 1;
	for (unsigned i = 0; i < 80; i++) {
		autobuf struct buf body;
		buf_init(&body, JOURNAL_BODY_MAX);
		uint64_t seq = journal_last_seq(t->j) + 1;
		char object[32];
		jtest_body(seq, i % 2 ? 100 : 90000, &body);
		snprintf(object, sizeof object, "object-%llu", (unsigned long long)seq);
		struct journal_record rec = {.type = (uint16_t)(seq % 7 + 1),
					     .uid = (uint32_t)seq * 3,
					     .object = object,
					     .body = body.data,
					     .body_len = body.len};
		acks[i] = (struct journal_ack){.done = tell};
		enum journal_class c = i % 3 ? JOURNAL_FAST : JOURNAL_SAFE;
		bool no = journal_append(t->j, &rec, c, &acks[i], NULL) < 0;
		refused |= no;
		if (!no && c == JOURNAL_FAST)
			tell(&acks[i], rec.seq, 0);
		if (i % 10 == 0) {
			journal_flush(t->j);
			loop_drain(&t->loop);
		}
		if (i == 60)
			refused |= journal_retire(t->j, 20, 0, NULL) < 0;
	}
	refused |= journal_retire(t->j, 20, 0, NULL) < 0;
	journal_close(t->j);
	refused |= jtest_open(t, 60) < 0;
	journal_close(t->j);
	return refused;
}

/* One life in which the n-th call fails. Returns whether it came to that. */
static bool live_with(struct jtest *t, enum fail_call call, int n, int eno)
{
	int p[2], status;
	uint64_t told = 0, seq;
	struct journal_stat st;
	tempdir_remove(t->dir);
	assert_int_equal(pipe(p), 0);
	pid_t pid = fork();
	if (pid == 0) {
		told_fd = p[1];
		log_init(open("/dev/null", O_WRONLY), LOG_LEVEL_ERROR, false);
		fail_sys_arm(call, n, eno);
		int r = life(t);
		_exit(atomic_load(&fail_sys_fired) ? 10 + r : r);
	}
	close(p[1]);
	while (read(p[0], &seq, sizeof seq) == sizeof seq)
		told = seq > told ? seq : told;
	close(p[0]);
	waitpid(pid, &status, 0);
	bool fatal = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	if (!fatal && code != 0 && code != 10 && code != 11)
		fail_msg("call %d, time %d: status %x", call, n, status);
	if (fatal && call != FAIL_PWRITE && call != FAIL_FDATASYNC)
		fail_msg("call %d, time %d ended the process", call, n);
	int r = jtest_scan(t, &st);
	if (r < 0 && !(t->e.eno == ENOENT && told == 0))
		fail_msg("call %d, time %d: %s", call, n, t->e.msg);
	if (st.last_seq < told)
		fail_msg("call %d, time %d: %llu was acked, %llu is there", call, n,
			 (unsigned long long)told, (unsigned long long)st.last_seq);
	if (jtest_open(t, st.first_seq ? st.first_seq - 1 : 0) < 0)
		fail_msg("call %d, time %d: %s", call, n, t->e.msg);
	jtest_fill(t, 3);
	journal_close(t->j);
	t->j = NULL;
	return code != 0;
}

static void every_call_may_fail(void **state)
{
	struct jtest *t = *state;
	int step = getenv("TEST_CRASH_ROUNDS") ? 4
						: 1; /* a quick round takes fewer of many alike */
	journal_close(t->j);
	t->j = NULL;
	for (int call = 0; call < FAIL_CALLS; call++) {
		int n = 1;
		while (live_with(t, (enum fail_call)call, n, n % 2 ? EIO : ENOSPC))
			n += 1 + n / step;
		assert_true(n > 1);
	}
	assert_int_equal(jtest_open(t, 0), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_full_disk_leaves_the_reserve_to_small_records_that_stop),
		T(appending_goes_on_when_there_is_space_again),
		T(retiring_a_segment_makes_the_next),
		T(a_file_system_without_fallocate_will_do),
		T(a_failed_retirement_is_told_by_the_next_and_made_good),
		T(every_call_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
