/* SPDX-License-Identifier: MIT */
/* test_journal_follow.c - following a journal beside its writer: every record once and in order, over segments, from anywhere,
 * and nothing that is damaged. */
#include "lib/journal_follow.h"
#include "lib/mem.h"
#include "tests/support/journal.h"

static struct journal_follow *follow_from(struct jtest *t, uint64_t after)
{
	struct journal_follow *f = NULL;
	if (journal_follow_open(&f, t->dir, after, &t->e) < 0)
		fail_msg("%s", t->e.msg);
	t->next = after + 1;
	return f;
}

/* All that is written, each as it was made. */
static void take_all(struct jtest *t, struct journal_follow *f)
{
	struct journal_record rec;
	uint64_t upto = journal_written_seq(t->j);
	int r;
	while ((r = journal_follow_next(f, upto, &rec, &t->e)) == 1)
		jtest_check(t, &rec);
	if (r < 0)
		fail_msg("%s", t->e.msg);
	assert_int_equal(t->next, upto + 1);
}

static void records_are_given_while_they_are_written(void **state)
{
	struct jtest *t = *state;
	jtest_append(t, JOURNAL_FAST, 10);
	struct journal_follow *f = follow_from(t, 0);
	take_all(t, f);
	for (int i = 0; i < 300; i++) {
		jtest_append(t, i % 5 ? JOURNAL_FAST : JOURNAL_SAFE, (size_t)(i * 37) % 3000);
		if (i % 7 == 0)
			take_all(t, f);
	}
	wait_for(&t->loop, t->acks == t->appended);
	take_all(t, f);
	take_all(t, f); /* nothing twice */
	assert_int_equal(journal_follow_sync(f, &t->e), 0);
	journal_follow_close(f);
}

/* Records as large as they may be, larger than what is read at once, in more than one segment. */
static void it_goes_on_in_the_next_segments(void **state)
{
	struct jtest *t = *state;
	jtest_append(t, JOURNAL_FAST, 1);
	struct journal_follow *f = follow_from(t, 0);
	for (int i = 0; i < 24; i++) {
		jtest_append(t, JOURNAL_SAFE, i % 2 ? 700000 : 5);
		wait_for(&t->loop, t->acks == t->appended);
		take_all(t, f);
	}
	journal_follow_close(f);
	struct journal_stat st;
	assert_int_equal(jtest_scan(t, &st), 0);
	assert_true(st.segments > 2);
	for (uint64_t after = 0; after < st.last_seq; after += 5) { /* from anywhere */
		f = follow_from(t, after);
		take_all(t, f);
		journal_follow_close(f);
	}
}

static void what_is_not_there_any_more_is_said(void **state)
{
	struct jtest *t = *state;
	struct journal_follow *f;
	for (int i = 0; i < 12; i++)
		jtest_append(t, JOURNAL_SAFE, 700000);
	wait_for(&t->loop, t->acks == t->appended);
	assert_int_equal(journal_retire(t->j, 12, 0, &t->e), 0);
	struct journal_stat st;
	do
		assert_int_equal(jtest_scan(t, &st), 0);
	while (st.first_seq < 10); /* a segment holds three; they go one by one */
	assert_int_equal(journal_follow_open(&f, t->dir, 1, &t->e), -EUCLEAN);
	assert_int_equal(t->e.code, ERR_JOURNAL_DAMAGED);
	f = follow_from(t, 0); /* the oldest that is there */
	t->next = st.first_seq;
	take_all(t, f);
	journal_follow_close(f);
}

static void a_flipped_bit_is_damage(void **state)
{
	struct jtest *t = *state;
	struct journal_record rec;
	jtest_fill(t, 20);
	autoclose int fd = jtest_segment(t, 1);
	char c;
	assert_int_equal(pread(fd, &c, 1, 500), 1);
	c ^= 1;
	assert_int_equal(pwrite(fd, &c, 1, 500), 1);
	struct journal_follow *f = NULL;
	int r = journal_follow_open(&f, t->dir, 0, &t->e);
	while (r >= 0 && (r = journal_follow_next(f, 20, &rec, &t->e)) == 1)
		;
	assert_int_equal(r, -EUCLEAN);
	assert_int_equal(journal_follow_next(f, 20, &rec, &t->e), -EUCLEAN); /* again, when asked again */
	c ^= 1;
	assert_int_equal(pwrite(fd, &c, 1, 500), 1);
	assert_int_equal(journal_follow_next(f, 20, &rec, &t->e), 1); /* it was mended */
	journal_follow_close(f);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, jtest_setup, jtest_teardown)
	const struct CMUnitTest tests[] = {
		T(records_are_given_while_they_are_written),
		T(it_goes_on_in_the_next_segments),
		T(what_is_not_there_any_more_is_said),
		T(a_flipped_bit_is_damage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
