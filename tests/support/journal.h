/* SPDX-License-Identifier: MIT */
/* journal.h - a journal in a directory of its own, filled with records whose content follows from their
 * sequence, so that a reader can tell a whole record from any other. */
#pragma once

#include <errno.h>
#include <fcntl.h>

#include "lib/buf.h"
#include "lib/journal.h"
#include "tests/support/check.h"
#include "tests/support/tempdir.h"
#include "tests/support/wait.h"

struct jtest {
	char dir[64];
	struct loop loop;
	struct journal *j;
	uint64_t segment_bytes;
	uint64_t seen, next; /* records that a replay showed; sequence that it must show next */
	unsigned appended, acks;
	uint64_t acked; /* highest sequence */
	struct err e;
};

/* The body of record seq: len bytes, every one of which depends on seq. */
static inline void jtest_body(uint64_t seq, size_t len, struct buf *out)
{
	buf_clear(out);
	buf_printf(out, "{\"seq\":%llu,\"fill\":\"", (unsigned long long)seq);
	while (out->len < len)
		buf_add(out, &(char){(char)('a' + (seq + out->len) % 26)}, 1);
	buf_adds(out, "\"}");
}

static inline int jtest_check(void *arg, const struct journal_record *rec)
{
	struct jtest *t = arg;
	char object[32];
	autobuf struct buf body;
	buf_init(&body, JOURNAL_BODY_MAX);
	assert_int_equal(rec->seq, t->next);
	if (rec->body_len) {
		jtest_body(rec->seq, rec->body_len - 2, &body);
		assert_int_equal(rec->body_len, body.len);
		assert_memory_equal(rec->body, body.data, body.len);
	}
	snprintf(object, sizeof object, "object-%llu", (unsigned long long)rec->seq);
	assert_string_equal(rec->object, object);
	assert_int_equal(rec->type, rec->seq % 7 + 1);
	assert_int_equal(rec->uid, (uint32_t)rec->seq * 3);
	assert_true(rec->time_ms > 1000);
	t->next++;
	t->seen++;
	return 0;
}

static inline int jtest_open(struct jtest *t, uint64_t after)
{
	struct journal_opts o = {.dir = t->dir, .segment_bytes = t->segment_bytes};
	t->j = NULL;
	t->seen = 0;
	t->next = after + 1;
	t->e = (struct err){0};
	return journal_open(&t->j, &o, &t->loop, after, jtest_check, t, &t->e);
}

static inline void jtest_reopen(struct jtest *t, uint64_t after)
{
	journal_close(t->j);
	if (jtest_open(t, after) < 0)
		fail_msg("%s", t->e.msg);
}

static inline int jtest_scan(struct jtest *t, struct journal_stat *st)
{
	t->e = (struct err){0};
	return journal_scan(t->dir, NULL, NULL, st, &t->e);
}

struct jtest_ack {
	struct journal_ack ack;
	struct jtest *t;
};

static inline void jtest_acked(struct journal_ack *ack, uint64_t seq, int r)
{
	struct jtest_ack *a = (struct jtest_ack *)(void *)ack;
	assert_int_equal(r, 0);
	a->t->acks++;
	if (seq > a->t->acked)
		a->t->acked = seq;
	free(a);
}

/* Append the record that comes next, acked into t->acks. */
static inline int jtest_append_flagged(struct jtest *t, enum journal_class c, size_t body_len,
				       bool reserve)
{
	uint64_t seq = journal_last_seq(t->j) + 1;
	char object[32];
	autobuf struct buf body;
	buf_init(&body, JOURNAL_BODY_MAX + 64u);
	jtest_body(seq, body_len, &body);
	snprintf(object, sizeof object, "object-%llu", (unsigned long long)seq);
	struct journal_record rec = {.type = (uint16_t)(seq % 7 + 1),
				     .uid = (uint32_t)seq * 3,
				     .object = object,
				     .body = body.data,
				     .body_len = body.len,
				     .may_use_reserve = reserve};
	struct jtest_ack *a = malloc(sizeof *a);
	*a = (struct jtest_ack){.ack = {.done = jtest_acked}, .t = t};
	int r = journal_append(t->j, &rec, c, &a->ack, &t->e);
	if (r < 0)
		free(a);
	else
		assert_int_equal(rec.seq, seq);
	if (r == 0 && c == JOURNAL_FAST)
		jtest_acked(&a->ack, seq, 0);
	t->appended += r == 0;
	return r;
}

static inline void jtest_append(struct jtest *t, enum journal_class c, size_t body_len)
{
	if (jtest_append_flagged(t, c, body_len, false) < 0)
		fail_msg("%s", t->e.msg);
}

/* n records of differing size and class, all acked. */
static inline void jtest_fill(struct jtest *t, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		jtest_append(t, i % 3 ? JOURNAL_FAST : JOURNAL_SAFE, (i * 37) % 500);
	wait_for(&t->loop, t->acks == t->appended);
}

static inline int jtest_setup_in(void **state, const char *parent)
{
	struct jtest *t = calloc(1, sizeof *t);
	if (parent)
		setenv("TMPDIR", parent, 1);
	tempdir_make(t->dir);
	if (loop_init(&t->loop, NULL) < 0 || jtest_open(t, 0) < 0)
		return -1;
	*state = t;
	return 0;
}

static inline int jtest_setup(void **state)
{
	return jtest_setup_in(state, NULL);
}

static inline int jtest_teardown(void **state)
{
	struct jtest *t = *state;
	journal_close(t->j);
	loop_done(&t->loop);
	tempdir_remove(t->dir);
	free(t);
	return 0;
}

/* The segment file, for a test that changes bytes in it. */
static inline int jtest_segment(struct jtest *t, unsigned number)
{
	char path[96];
	snprintf(path, sizeof path, "%s/%010u.seg", t->dir, number);
	return open(path, O_RDWR | O_CLOEXEC);
}
