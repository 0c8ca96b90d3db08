/* SPDX-License-Identifier: MIT */
/* test_journal_crash.c - kill -9 of a writer at any moment: what was acked is there, nothing is half. */
#include "tests/support/crash.h"
#include "tests/support/journal.h"

static int tell_fd;

static void tell(struct journal_ack *ack, uint64_t seq, int r)
{
	/* FAST records overtake: everything below a number that is told was in the file before it. */
	if (r < 0 || write(tell_fd, &seq, sizeof seq) != sizeof seq)
		_exit(1);
	free(ack);
}

static void append_told(struct jtest *t, enum journal_class c, size_t len)
{
	struct jtest_ack *a = malloc(sizeof *a);
	autobuf struct buf body;
	char object[32];
	uint64_t seq = journal_last_seq(t->j) + 1;
	buf_init(&body, JOURNAL_BODY_MAX);
	jtest_body(seq, len, &body);
	snprintf(object, sizeof object, "object-%llu", (unsigned long long)seq);
	struct journal_record rec = {.type = (uint16_t)(seq % 7 + 1),
				     .uid = (uint32_t)seq * 3,
				     .object = object,
				     .body = body.data,
				     .body_len = body.len};
	*a = (struct jtest_ack){.ack = {.done = tell}};
	if (journal_append(t->j, &rec, c, &a->ack, NULL) < 0)
		_exit(1);
	if (c == JOURNAL_FAST)
		tell(&a->ack, rec.seq, 0);
}

static void work(void *arg, int fd)
{
	struct jtest *t = arg;
	unsigned seed = (unsigned)getpid();
	tell_fd = fd;
	if (jtest_open(t, 0) < 0)
		return;
	for (unsigned i = 0;; i++) {
		size_t len = i % 64 ? (unsigned)rand_r(&seed) % 2000 : 200000;
		append_told(t, rand_r(&seed) % 4 ? JOURNAL_FAST : JOURNAL_SAFE, len);
		if (i % 8 == 0) {
			journal_retire(t->j, 0, 1u << 30, NULL);
			uv_run(&t->loop.uv, UV_RUN_NOWAIT);
			loop_drain(&t->loop);
		}
	}
}

static void kill_9_loses_nothing_acked_and_leaves_nothing_half(void **state)
{
	struct jtest *t = *state;
	unsigned seed = 7;
	uint64_t before = 0;
	for (unsigned i = crash_rounds(15); i > 0; i--) {
		journal_close(t->j);
		t->j = NULL;
		uint64_t told = crash_once(work, t, 3000 + (unsigned)rand_r(&seed) % 60000, before);
		if (jtest_open(t, 0) < 0)
			fail_msg("%s", t->e.msg);
		assert_true(t->seen >= told && t->seen >= before);
		before = t->seen;
		if (before > 20000) { /* not to read ever more */
			journal_close(t->j);
			tempdir_remove(t->dir);
			before = 0;
			assert_int_equal(jtest_open(t, 0), 0);
		}
	}
}

static void work_fast(void *arg, int fd)
{
	struct jtest *t = arg;
	tell_fd = fd;
	if (jtest_open(t, 0) < 0)
		return;
	for (int i = 0; i < 10; i++)
		append_told(t, JOURNAL_FAST, 50);
	loop_drain(&t->loop);
	raise(SIGKILL);
}

static void a_fast_record_is_in_the_file_when_append_returns(void **state)
{
	struct jtest *t = *state;
	journal_close(t->j);
	t->j = NULL;
	crash_once(work_fast, t, 1000000, 0);
	assert_int_equal(jtest_open(t, 0), 0);
	assert_int_equal(t->seen, 10);
}

static void retire_and_kill(void *arg, int fd)
{
	struct jtest *t = arg;
	tell_fd = fd;
	if (jtest_open(t, 0) < 0)
		return;
	for (int i = 0; i < 150; i++)
		append_told(t, JOURNAL_SAFE, 100000);
	journal_flush(t->j);
	loop_drain(&t->loop);
	journal_retire(t->j, 140, 0, NULL);
	for (;;)
		append_told(t, JOURNAL_SAFE, 500);
}

static void kill_9_while_segments_are_retired_leaves_no_gap(void **state)
{
	struct jtest *t = *state;
	unsigned seed = 3;
	for (unsigned i = crash_rounds(5); i > 0; i--) {
		struct journal_stat st;
		journal_close(t->j);
		t->j = NULL;
		tempdir_remove(t->dir);
		uint64_t told = crash_once(retire_and_kill, t,
					   100000 + (unsigned)rand_r(&seed) % 200000, 0);
		if (jtest_scan(t, &st) < 0 && t->e.eno != ENOENT)
			fail_msg("%s", t->e.msg);
		assert_true(st.last_seq >= told);
		assert_true(st.first_seq <= 141);
		if (jtest_open(t, st.first_seq ? st.first_seq - 1 : 0) < 0)
			fail_msg("%s", t->e.msg);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, jtest_setup, jtest_teardown)
	const struct CMUnitTest tests[] = {
		T(kill_9_loses_nothing_acked_and_leaves_nothing_half),
		T(a_fast_record_is_in_the_file_when_append_returns),
		T(kill_9_while_segments_are_retired_leaves_no_gap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
