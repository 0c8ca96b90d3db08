/* SPDX-License-Identifier: MIT */
/* test_journal.c - the journal while nothing goes wrong: round trips, classes, segments, retention. */
#include <dirent.h>

#include "lib/journal_format.h"
#include "lib/mem.h"
#include "tests/support/journal.h"

static void records_come_back_as_they_were(void **state)
{
	struct jtest *t = *state;
	jtest_fill(t, 300);
	assert_int_equal(journal_last_seq(t->j), 300);
	jtest_reopen(t, 0);
	assert_int_equal(t->seen, 300);
	jtest_fill(t, 20);
	jtest_reopen(t, 290);
	assert_int_equal(t->seen, 30);
	assert_int_equal(journal_last_seq(t->j), 320);
	jtest_reopen(t, 320);
	assert_int_equal(t->seen, 0);
}

static int keep_copy(void *arg, const struct journal_record *rec)
{
	*(struct journal_record *)arg = *rec;
	return rec->body_len ? 0 : -ECANCELED;
}

static void every_field_is_kept(void **state)
{
	struct jtest *t = *state;
	struct journal_record got = {0}, rec = {.type = 65535,
						.uid = 4294967295u,
						.pid = 4242,
						.view = 7,
						.object = "",
						.body = "",
						.body_len = 0};
	assert_int_equal(journal_append(t->j, &rec, JOURNAL_FAST, NULL, NULL), 0);
	journal_flush(t->j);
	assert_int_equal(journal_scan(t->dir, keep_copy, &got, NULL, NULL), -ECANCELED);
	assert_int_equal(got.seq, 1);
	assert_int_equal(got.time_ms, rec.time_ms);
	assert_int_equal(got.type, 65535);
	assert_int_equal(got.uid, 4294967295u);
	assert_int_equal(got.pid, 4242);
	assert_int_equal(got.view, 7);
	assert_int_equal(got.body_len, 0);
}

static void names_and_bodies_are_capped(void **state)
{
	struct jtest *t = *state;
	struct err e;
	char name[JOURNAL_NAME_MAX + 2];
	char *body = calloc(1, JOURNAL_BODY_MAX + 1u);
	memset(name, 'n', sizeof name);
	name[JOURNAL_NAME_MAX + 1] = 0;
	struct journal_record rec = {.type = 1, .object = name, .body = body, .body_len = 1};
	assert_int_equal(journal_append(t->j, &rec, JOURNAL_SAFE, NULL, &e), -EFBIG);
	assert_int_equal(e.code, ERR_RESOURCE_TOO_BIG);
	name[JOURNAL_NAME_MAX] = 0;
	rec.body_len = JOURNAL_BODY_MAX + 1u;
	assert_int_equal(journal_append(t->j, &rec, JOURNAL_SAFE, NULL, &e), -EFBIG);
	assert_int_equal(journal_last_seq(t->j), 0);
	rec.body_len = JOURNAL_BODY_MAX;
	for (int i = 0; i < 3; i++)
		assert_int_equal(journal_append(t->j, &rec, JOURNAL_SAFE, NULL, &e), 0);
	journal_flush(t->j);
	struct journal_stat st;
	assert_int_equal(jtest_scan(t, &st), 0);
	assert_int_equal(st.records, 3);
	assert_int_equal(st.segments, 3);
	free(body);
}

struct order {
	struct journal_ack ack;
	struct order_of {
		uint64_t last;
		unsigned n;
	} * of;
};

static void in_order(struct journal_ack *ack, uint64_t seq, int r)
{
	struct order *o = (struct order *)(void *)ack;
	assert_int_equal(r, 0);
	assert_true(seq > o->of->last);
	o->of->last = seq;
	o->of->n++;
}

static void acks_come_in_order(void **state)
{
	struct jtest *t = *state;
	enum { n = 400 };
	static struct order acks[n];
	struct order_of of = {0};
	unsigned safe = 0;
	for (unsigned i = 0; i < n; i++) {
		enum journal_class c = i * 7 % 5 < 2 ? JOURNAL_SAFE : JOURNAL_FAST;
		struct journal_record rec = {.type = 1, .object = "o", .body = "{}", .body_len = 2};
		acks[i] = (struct order){.ack = {.done = in_order}, .of = &of};
		assert_int_equal(journal_append(t->j, &rec, c, &acks[i].ack, NULL), 0);
		safe += c == JOURNAL_SAFE;
		if (c == JOURNAL_FAST)
			assert_int_equal(journal_written_seq(t->j), rec.seq);
		if (i % 50 == 0)
			loop_drain(&t->loop);
	}
	wait_for(&t->loop, of.n == safe);
	assert_int_equal(journal_written_seq(t->j), n);
}

static void close_calls_what_waits(void **state)
{
	struct jtest *t = *state;
	for (int i = 0; i < 50; i++)
		jtest_append(t, i % 2 ? JOURNAL_SAFE : JOURNAL_FAST, 100);
	journal_close(t->j);
	assert_int_equal(t->acks, 50);
	assert_int_equal(jtest_open(t, 0), 0);
	assert_int_equal(t->seen, 50);
}

static void records_go_on_in_the_next_segment(void **state)
{
	struct jtest *t = *state;
	struct journal_stat st;
	for (int i = 0; i < 100; i++)
		jtest_append(t, i % 2 ? JOURNAL_SAFE : JOURNAL_FAST, 100000);
	wait_for(&t->loop, t->acks == 100);
	assert_int_equal(jtest_scan(t, &st), 0);
	assert_int_equal(st.records, 100);
	assert_true(st.segments >= 4);
	jtest_reopen(t, 0);
	assert_int_equal(t->seen, 100);
	jtest_reopen(t, 97);
	assert_int_equal(t->seen, 3);
	jtest_fill(t, 10);
	jtest_reopen(t, 0);
	assert_int_equal(t->seen, 110);
}

static void a_segment_can_be_filled_to_its_last_byte(void **state)
{
	struct jtest *t = *state;
	struct journal_stat st;
	char *body = malloc(JOURNAL_BODY_MAX);
	memset(body, 'b', JOURNAL_BODY_MAX);
	struct journal_record rec = {.type = 1, .object = "o", .body = body};
	uint64_t left = (SEGMENT_MIN + 0xffffull) / 0x10000 * 0x10000 - SEGMENT_HEADER;
	for (uint64_t size; left; left -= size) {
		size = left > 1000000 ? 500000 : left;
		size -= size % 8;
		rec.body_len = size - sizeof(struct record_header) - 1;
		assert_int_equal(journal_append(t->j, &rec, JOURNAL_SAFE, NULL, NULL), 0);
	}
	journal_flush(t->j);
	assert_int_equal(jtest_scan(t, &st), 0);
	assert_int_equal(st.segments, 1);
	assert_false(st.torn);
	rec.body_len = 0;
	assert_int_equal(journal_append(t->j, &rec, JOURNAL_SAFE, NULL, NULL), 0);
	journal_flush(t->j);
	assert_int_equal(jtest_scan(t, &st), 0);
	assert_int_equal(st.segments, 2);
	assert_int_equal(st.last_seq, journal_last_seq(t->j));
	free(body);
}

static unsigned segment_files(struct jtest *t)
{
	unsigned n = 0;
	DIR *d = opendir(t->dir);
	for (struct dirent *e; (e = readdir(d));)
		n += segment_number(e->d_name) > 0;
	closedir(d);
	return n;
}

/* Retiring is done by another thread: ask until what it leaves is seen. */
static void retire(struct jtest *t, uint64_t upto, uint64_t keep, uint64_t segments)
{
	struct journal_stat st;
	do {
		assert_int_equal(journal_retire(t->j, upto, keep, &t->e), 0);
		if (jtest_scan(t, &st) < 0)
			fail_msg("%s", t->e.msg);
	} while (st.segments > segments);
	assert_int_equal(st.segments, segments);
}

static void old_segments_go_and_the_rest_still_opens(void **state)
{
	struct jtest *t = *state;
	struct journal_stat all, st;
	for (int i = 0; i < 120; i++)
		jtest_append(t, JOURNAL_FAST, 100000);
	wait_for(&t->loop, t->acks == 120);
	assert_int_equal(jtest_scan(t, &all), 0);
	uint64_t one = all.bytes / all.segments;
	assert_int_equal(all.segments, 5);
	assert_int_equal(journal_retire(t->j, 0, 0, NULL), 0);
	retire(t, 26, 0, 4);
	retire(t, 120, one * 3, 3);
	retire(t, 120, 0, 1);
	assert_int_equal(jtest_scan(t, &st), 0);
	assert_true(st.first_seq > 90 && st.last_seq == 120);
	assert_memory_equal(st.head, all.head, sizeof st.head);
	jtest_reopen(t, 110);
	assert_int_equal(t->seen, 10);
	jtest_fill(t, 5);
	jtest_reopen(t, st.first_seq - 1);
	assert_int_equal(t->seen, st.records + 5);
	assert_true(segment_files(t) <= 2);
	journal_close(t->j);
	assert_int_equal(jtest_open(t, st.first_seq - 2),
			 -EUCLEAN); /* one record is needed that is gone */
	assert_int_equal(t->e.code, ERR_JOURNAL_DAMAGED);
	assert_non_null(strstr(t->e.msg, "are missing"));
	assert_int_equal(t->seen, 0);
}

static void a_journal_begun_anew_goes_on_behind_the_state(void **state)
{
	struct jtest *t = *state;
	struct journal_stat st;
	journal_close(t->j);
	tempdir_remove(t->dir);
	assert_int_equal(jtest_open(t, 1000), 0);
	jtest_fill(t, 3);
	assert_int_equal(journal_last_seq(t->j), 1003);
	jtest_reopen(t, 1001);
	assert_int_equal(t->seen, 2);
	assert_int_equal(jtest_scan(t, &st), 0);
	assert_int_equal(st.first_seq, 1001);
}

static void a_second_daemon_is_refused(void **state)
{
	struct jtest *t = *state;
	struct journal *first = t->j;
	assert_int_equal(jtest_open(t, 0), -EBUSY);
	assert_non_null(strstr(t->e.msg, t->dir));
	t->j = first;
	jtest_fill(t, 1);
}

static int stop_at_3(void *arg, const struct journal_record *rec)
{
	*(uint64_t *)arg = rec->seq;
	return rec->seq == 3 ? -EUCLEAN : 0;
}

static void a_replay_that_refuses_a_record_stops_the_open(void **state)
{
	struct jtest *t = *state;
	struct journal_opts o = {.dir = t->dir};
	uint64_t at = 0;
	jtest_fill(t, 5);
	journal_close(t->j);
	t->j = NULL;
	assert_int_equal(journal_open(&t->j, &o, &t->loop, 0, stop_at_3, &at, NULL), -EUCLEAN);
	assert_int_equal(at, 3);
	assert_null(t->j);
	assert_int_equal(journal_scan(t->dir, stop_at_3, &at, NULL, NULL), -EUCLEAN);
	assert_int_equal(at, 3);
}

static void another_segment_size_counts_from_the_next_segment_on(void **state)
{
	struct jtest *t = *state;
	struct journal_stat st;
	jtest_fill(t, 10);
	t->segment_bytes = 4u << 20;
	jtest_reopen(t, 10);
	for (int i = 0; i < 60; i++)
		jtest_append(t, JOURNAL_FAST, 100000);
	wait_for(&t->loop, t->acks == 70);
	t->segment_bytes = 3u << 20;
	jtest_reopen(t, 0);
	assert_int_equal(t->seen, 70);
	assert_int_equal(jtest_scan(t, &st), 0);
	assert_int_equal(st.bytes, 0x290000 + (4u << 20));
}

/* ---- beside a running journal ---- */

static void *append_all_the_time(void *arg)
{
	struct jtest *t = arg;
	for (unsigned i = 0; i < 3000; i++) {
		jtest_append(t, i % 16 ? JOURNAL_FAST : JOURNAL_SAFE, i * 37 % 5000);
		if (i % 500 == 0)
			journal_retire(t->j, journal_last_seq(t->j), 1, NULL);
	}
	return NULL;
}

static void a_scan_beside_the_writer_finds_no_damage(void **state)
{
	struct jtest *t = *state;
	struct journal_stat st;
	pthread_t thread;
	pthread_create(&thread, NULL, append_all_the_time, t); /* is the loop thread for now */
	for (unsigned i = 0; i < 40; i++) {
		if (jtest_scan(t, &st) < 0)
			fail_msg("%s", t->e.msg);
	}
	pthread_join(thread, NULL);
	wait_for(&t->loop, t->acks == 3000);
}

/* ---- threads ---- */

/* Are all threads but this one asleep, this often in a row? */
static bool asleep(unsigned times)
{
	char own[16];
	snprintf(own, sizeof own, "%d", (int)getpid());
	for (unsigned i = 0; i < times; i++) {
		DIR *d = opendir("/proc/self/task");
		for (struct dirent *e; (e = readdir(d));) {
			char path[300], stat[256] = {0};
			snprintf(path, sizeof path, "/proc/self/task/%s/stat", e->d_name);
			FILE *f = *e->d_name == '.' ? NULL : fopen(path, "r");
			size_t n = f ? fread(stat, 1, sizeof stat - 1, f) : 0;
			if (f)
				fclose(f);
			char *state = n ? strrchr(stat, ')') : NULL;
			if (state && state[2] == 'R' && strcmp(e->d_name, own) != 0) {
				closedir(d);
				return false;
			}
		}
		closedir(d);
		usleep(500);
	}
	return true;
}

static void idle_threads_sleep(void **state)
{
	struct jtest *t = *state;
	jtest_fill(t, 30);
	while (!asleep(200))
		;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, jtest_setup, jtest_teardown)
	const struct CMUnitTest tests[] = {
		T(records_come_back_as_they_were),
		T(every_field_is_kept),
		T(names_and_bodies_are_capped),
		T(acks_come_in_order),
		T(close_calls_what_waits),
		T(records_go_on_in_the_next_segment),
		T(a_segment_can_be_filled_to_its_last_byte),
		T(old_segments_go_and_the_rest_still_opens),
		T(a_journal_begun_anew_goes_on_behind_the_state),
		T(a_second_daemon_is_refused),
		T(a_replay_that_refuses_a_record_stops_the_open),
		T(another_segment_size_counts_from_the_next_segment_on),
		T(a_scan_beside_the_writer_finds_no_damage),
		T(idle_threads_sleep),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
