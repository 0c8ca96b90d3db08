/* SPDX-License-Identifier: MIT */
/* test_keep.c - what outlives a worker: objects come back as they were published, and a request that workers die of
 * is known. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs/keep.h"
#include "tests/support/check.h"

static struct keep *reopen(struct keep *k, int fd)
{
	keep_close(k);
	assert_int_equal(keep_open(&k, fd, NULL), 0);
	return k;
}

struct seen {
	unsigned n;
	uint64_t id;
	char state[16], text[64];
};

static void see(void *arg, enum keep_kind kind, uint64_t id, const void *state, size_t len, struct buf *text)
{
	struct seen *s = arg;
	assert_int_equal(kind, KEEP_DOC);
	s->n++;
	s->id = id;
	snprintf(s->state, sizeof s->state, "%.*s", (int)len, (const char *)state);
	snprintf(s->text, sizeof s->text, "%.*s", (int)text->len, text->data);
}

static void what_was_published_comes_back(void **state)
{
	(void)state;
	struct seen s = {0};
	struct keep *k = NULL;
	int fd = keep_create(NULL);
	assert_true(fd >= 0);
	k = reopen(k, fd);
	keep_state(k, KEEP_DOC, 1, "gone", 4);
	keep_gone(k, KEEP_DOC, 1);
	keep_state(k, KEEP_DOC, 2, "old", 3);
	keep_text(k, KEEP_DOC, 2, 0, "hello world", 11);
	keep_state(k, KEEP_DOC, 2, "new", 3);
	keep_text(k, KEEP_DOC, 2, 6, "you", 3);
	keep_publish(k);
	keep_text(k, KEEP_DOC, 2, 0, "never told", 10);
	k = reopen(k, fd);
	assert_int_equal(keep_load(k, see, &s, NULL), 0);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.id, 2);
	assert_string_equal(s.state, "new");
	assert_string_equal(s.text, "hello you");
	keep_close(k);
	close(fd);
}

static void a_request_that_two_workers_died_of_is_deadly(void **state)
{
	(void)state;
	struct keep *k = NULL;
	int fd = keep_create(NULL);
	assert_true(fd >= 0);
	k = reopen(k, fd);
	keep_doing(k, 7);
	k = reopen(k, fd); /* it may have been chance */
	assert_false(keep_is_deadly(k, 7));
	keep_doing(k, 7);
	keep_doing(k, 0); /* carried out this time */
	keep_doing(k, 8);
	k = reopen(k, fd);
	assert_false(keep_is_deadly(k, 7));
	keep_doing(k, 8);
	k = reopen(k, fd);
	assert_true(keep_is_deadly(k, 8));
	assert_false(keep_is_deadly(k, 7));
	assert_false(keep_is_deadly(k, 0));
	k = reopen(k, fd); /* one that died of nothing in particular changes nothing */
	assert_true(keep_is_deadly(k, 8));
	keep_close(k);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_published_comes_back),
		cmocka_unit_test(a_request_that_two_workers_died_of_is_deadly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
