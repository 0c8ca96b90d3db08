/* SPDX-License-Identifier: MIT */
/* test_journal_damage.c - a torn tail is cut; a changed byte, a forged record, a missing segment are refused
 * with their place. */
#include <signal.h>
#include <sys/wait.h>

#include "lib/journal_format.h"
#include "lib/mem.h"
#include "tests/support/journal.h"

#define TAIL 4096

/* Append n records in a process that is killed, so that nothing says how far the disk has them. */
static void append_and_die(struct jtest *t, unsigned n)
{
	int status;
	uint64_t after = journal_last_seq(t->j);
	journal_close(t->j);
	t->j = NULL;
	pid_t pid = fork();
	if (pid == 0) {
		if (jtest_open(t, after) < 0)
			_exit(1);
		jtest_fill(t, n);
		raise(SIGKILL);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status));
}

static void must_open(struct jtest *t, uint64_t after)
{
	if (jtest_open(t, after) < 0)
		fail_msg("%s", t->e.msg);
}

/* Where record seq stands in the first segment; *ret_size its bytes. */
static size_t place_of(int fd, uint64_t seq, uint32_t *ret_size)
{
	for (size_t at = SEGMENT_HEADER;; at += *ret_size) {
		struct record_header h;
		assert_int_equal(sys_pread_all(fd, &h, sizeof h, at), 0);
		assert_true(h.size > 0);
		*ret_size = h.size;
		if (h.seq == seq)
			return at;
	}
}

static void expect_damage(struct jtest *t, size_t offset)
{
	struct journal_stat st;
	char where[64], name[32];
	assert_int_equal(jtest_scan(t, &st), -EUCLEAN);
	assert_int_equal(t->e.code, ERR_JOURNAL_DAMAGED);
	snprintf(where, sizeof where, "at offset %zu:", offset);
	segment_name(1, name);
	if (!strstr(t->e.msg, where) || !strstr(t->e.msg, name) || !strstr(t->e.msg, "restore it"))
		fail_msg("no '%s' and '%s' in: %s", where, name, t->e.msg);
}

static void the_tail_may_be_cut_at_every_byte(void **state)
{
	struct jtest *t = *state;
	struct journal_stat st;
	char whole[TAIL], cut[TAIL] = {0};
	uint32_t size;
	append_and_die(t, 5);
	autoclose int fd = jtest_segment(t, 1);
	size_t at = place_of(fd, 5, &size);
	assert_true(size < TAIL);
	assert_int_equal(sys_pread_all(fd, whole, size, at), 0);
	for (uint32_t kept = 0; kept <= size; kept++) {
		memset(cut, 0, size);
		memcpy(cut, whole, kept);
		bool same = memcmp(cut, whole, size) == 0;
		assert_int_equal(sys_pwrite_all(fd, cut, size, at), 0);
		assert_int_equal(jtest_scan(t, &st), 0);
		assert_int_equal(st.last_seq, same ? 5 : 4);
		assert_int_equal(st.torn, !same && kept > 0);
		if (st.torn)
			assert_int_equal(st.torn_offset, at);
		if (kept % 16 == 1) { /* and a journal that goes on there */
			must_open(t, 0);
			assert_int_equal(t->seen, 4);
			journal_close(t->j);
			t->j = NULL;
			assert_int_equal(jtest_scan(t, &st), 0);
			assert_false(st.torn);
		}
	}
	must_open(t, 0);
}

/* A power cut keeps any of the pages of a write: a later one may be there, an earlier not. */
static void a_hole_before_whole_records_of_the_same_write_is_cut(void **state)
{
	struct jtest *t = *state;
	struct journal_stat st;
	static const char zeros[TAIL];
	uint32_t size;
	int status;
	journal_close(t->j);
	t->j = NULL;
	pid_t pid = fork();
	if (pid == 0) { /* 20 records that no fdatasync lies between */
		must_open(t, 0);
		for (int i = 0; i < 20; i++)
			jtest_append(t, JOURNAL_FAST, 100);
		wait_for(&t->loop, t->acks == 20);
		raise(SIGKILL);
	}
	waitpid(pid, &status, 0);
	autoclose int fd = jtest_segment(t, 1);
	size_t at = place_of(fd, 12, &size);
	assert_int_equal(sys_pwrite_all(fd, zeros, size, at), 0);
	assert_int_equal(jtest_scan(t, &st), 0);
	assert_int_equal(st.last_seq, 11);
	assert_true(st.torn);
	must_open(t, 0);
	assert_int_equal(t->seen, 11);
	jtest_fill(t, 2); /* would meet what was left of 13 and 14 */
	jtest_reopen(t, 0);
	assert_int_equal(t->seen, 13);
}

static void every_flipped_byte_in_the_middle_is_refused(void **state)
{
	struct jtest *t = *state;
	uint32_t size;
	jtest_fill(t, 6);
	journal_flush(t->j);
	jtest_fill(t, 3); /* which know that the first six are on the disk */
	autoclose int fd = jtest_segment(t, 1);
	size_t at = place_of(fd, 5, &size);
	for (size_t i = 0; i < size; i++) {
		char byte, flipped;
		assert_int_equal(sys_pread_all(fd, &byte, 1, at + i), 0);
		flipped = byte ^ (char)(1 << i % 8);
		assert_int_equal(sys_pwrite_all(fd, &flipped, 1, at + i), 0);
		expect_damage(t, at);
		assert_int_equal(sys_pwrite_all(fd, &byte, 1, at + i), 0);
	}
	struct journal_stat st;
	assert_int_equal(jtest_scan(t, &st), 0);
}

static void the_daemon_does_not_start_on_damage(void **state)
{
	struct jtest *t = *state;
	uint32_t size;
	jtest_fill(t, 9);
	journal_close(t->j);
	autoclose int fd = jtest_segment(t, 1);
	size_t at = place_of(fd, 5, &size);
	assert_int_equal(sys_pwrite_all(fd, "XX", 2, at + 20), 0);
	assert_int_equal(jtest_open(t, 0), -EUCLEAN);
	assert_int_equal(t->seen, 4);
	assert_int_equal(jtest_open(t, 9), -EUCLEAN);
	assert_null(t->j);
}

static void the_last_record_of_a_clean_stop_is_covered_too(void **state)
{
	struct jtest *t = *state;
	uint32_t size;
	jtest_fill(t, 9);
	journal_close(t->j);
	t->j = NULL;
	autoclose int fd = jtest_segment(t, 1);
	size_t at = place_of(fd, 9, &size);
	for (size_t i = 0; i < size; i += 5) {
		char byte, flipped;
		assert_int_equal(sys_pread_all(fd, &byte, 1, at + i), 0);
		flipped = byte ^ 4;
		assert_int_equal(sys_pwrite_all(fd, &flipped, 1, at + i), 0);
		expect_damage(t, at);
		assert_int_equal(jtest_open(t, 0), -EUCLEAN);
		assert_int_equal(sys_pwrite_all(fd, &byte, 1, at + i), 0);
	}
}

static void every_flipped_byte_of_a_segment_header_is_refused(void **state)
{
	struct jtest *t = *state;
	jtest_fill(t, 3);
	autoclose int fd = jtest_segment(t, 1);
	for (size_t i = 0; i < SEGMENT_HEADER; i++) {
		char byte, flipped;
		assert_int_equal(sys_pread_all(fd, &byte, 1, i), 0);
		flipped = byte ^ (char)0x80;
		assert_int_equal(sys_pwrite_all(fd, &flipped, 1, i), 0);
		expect_damage(t, 0);
		assert_int_equal(sys_pwrite_all(fd, &byte, 1, i), 0);
	}
	static const char zeros[SEGMENT_HEADER];
	char header[SEGMENT_HEADER];
	assert_int_equal(sys_pread_all(fd, header, sizeof header, 0), 0);
	assert_int_equal(sys_pwrite_all(fd, zeros, sizeof zeros, 0), 0);
	expect_damage(t, 0);
	assert_int_equal(sys_pwrite_all(fd, header, sizeof header, 0), 0);
}

/* Someone who can write the file can compute CRCs: the chain finds what does not follow. */
static void a_forged_record_breaks_the_chain(void **state)
{
	struct jtest *t = *state;
	uint32_t size, next_size;
	jtest_fill(t, 9);
	autoclose int fd = jtest_segment(t, 1);
	size_t at = place_of(fd, 5, &size), next = place_of(fd, 6, &next_size);
	char *record = malloc(size);
	unsigned char chain[32];
	assert_int_equal(sys_pread_all(fd, record, size, at), 0);
	struct record_header *h = (struct record_header *)(void *)record;
	memcpy(chain, h->prev, sizeof chain);
	h->uid = 0;
	record_seal(record, 4, chain);
	assert_int_equal(sys_pwrite_all(fd, record, size, at), 0);
	expect_damage(t, next);
	assert_non_null(strstr(t->e.msg, "hash chain"));
	free(record);
}

static void a_record_that_is_left_out_is_a_gap(void **state)
{
	struct jtest *t = *state;
	uint32_t size;
	for (int i = 0; i < 9; i++)
		jtest_append(t, JOURNAL_SAFE, 100);
	wait_for(&t->loop, t->acks == 9);
	autoclose int fd = jtest_segment(t, 1);
	size_t at = place_of(fd, 5, &size), end = place_of(fd, 9, &size) + size;
	size_t from = place_of(fd, 6, &size), rest = end - from;
	char *move = calloc(1, rest + from - at);
	assert_int_equal(sys_pread_all(fd, move, rest, from), 0);
	assert_int_equal(sys_pwrite_all(fd, move, end - at, at), 0);
	expect_damage(t, at);
	assert_non_null(strstr(t->e.msg, "gap"));
	free(move);
}

static void fill_segments(struct jtest *t)
{
	for (int i = 0; i < 80; i++)
		jtest_append(t, JOURNAL_FAST, 100000);
	wait_for(&t->loop, t->acks == 80);
	journal_close(t->j);
	t->j = NULL;
}

static void a_missing_segment_is_named(void **state)
{
	struct jtest *t = *state;
	struct journal_stat st;
	char path[96], aside[96];
	fill_segments(t);
	snprintf(path, sizeof path, "%s/0000000002.seg", t->dir);
	snprintf(aside, sizeof aside, "%s/aside", t->dir);
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(jtest_scan(t, &st), -EUCLEAN);
	assert_non_null(strstr(t->e.msg, "0000000002.seg"));
	assert_int_equal(jtest_open(t, 0), -EUCLEAN);
	assert_int_equal(jtest_open(t, 79), -EUCLEAN); /* though it would not be read */
	assert_int_equal(rename(aside, path), 0);
	must_open(t, 79);
	assert_int_equal(t->seen, 1);
}

static void a_missing_last_segment_is_noticed_by_the_state(void **state)
{
	struct jtest *t = *state;
	char path[96];
	fill_segments(t);
	for (unsigned n = 4; n <= 5; n++) {
		snprintf(path, sizeof path, "%s/%010u.seg", t->dir, n);
		unlink(path);
	}
	assert_int_equal(jtest_open(t, 80), -EUCLEAN);
	assert_non_null(strstr(t->e.msg, "ends with record"));
	assert_non_null(strstr(t->e.msg, "move the journal aside"));
}

static void a_segment_of_another_journal_does_not_fit(void **state)
{
	struct jtest *t = *state, other = {0};
	char from[96], to[96];
	tempdir_make(other.dir);
	assert_int_equal(loop_init(&other.loop, NULL), 0);
	assert_int_equal(jtest_open(&other, 0), 0);
	fill_segments(t);
	fill_segments(&other);
	snprintf(from, sizeof from, "%s/0000000002.seg", other.dir);
	snprintf(to, sizeof to, "%s/0000000002.seg", t->dir);
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(jtest_open(t, 0), -EUCLEAN); /* times differ, so do the hashes */
	assert_non_null(strstr(t->e.msg, "hash chain"));
	loop_done(&other.loop);
	tempdir_remove(other.dir);
}

static void a_segment_cut_short_is_refused(void **state)
{
	struct jtest *t = *state;
	jtest_fill(t, 3);
	journal_close(t->j);
	t->j = NULL;
	autoclose int fd = jtest_segment(t, 1);
	static const off_t sizes[] = {0, 100, SEGMENT_HEADER, 100000};
	for (int i = 3; i >= 0; i--) {
		assert_int_equal(ftruncate(fd, sizes[i]), 0);
		assert_int_equal(jtest_open(t, 0), -EUCLEAN);
	}
}

static void damage_before_the_state_is_left_to_verify(void **state)
{
	struct jtest *t = *state;
	struct journal_stat st;
	fill_segments(t);
	autoclose int fd = jtest_segment(t, 1);
	assert_int_equal(sys_pwrite_all(fd, "X", 1, 5000), 0);
	must_open(t, 78); /* a start reads only what is behind the state */
	assert_int_equal(t->seen, 2);
	assert_int_equal(jtest_scan(t, &st), -EUCLEAN);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, jtest_setup, jtest_teardown)
	const struct CMUnitTest tests[] = {
		T(the_tail_may_be_cut_at_every_byte),
		T(a_hole_before_whole_records_of_the_same_write_is_cut),
		T(every_flipped_byte_in_the_middle_is_refused),
		T(the_daemon_does_not_start_on_damage),
		T(the_last_record_of_a_clean_stop_is_covered_too),
		T(every_flipped_byte_of_a_segment_header_is_refused),
		T(a_forged_record_breaks_the_chain),
		T(a_record_that_is_left_out_is_a_gap),
		T(a_missing_segment_is_named),
		T(a_missing_last_segment_is_noticed_by_the_state),
		T(a_segment_of_another_journal_does_not_fit),
		T(a_segment_cut_short_is_refused),
		T(damage_before_the_state_is_left_to_verify),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
