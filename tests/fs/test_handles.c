/* SPDX-License-Identifier: MIT */
/* test_handles.c - open files by the tree's own API: a write is a transaction, a wrong one changes nothing, reads that wait
 * are answered or cancelled. */
#include <poll.h>

#include "tests/fs/client.h"

#define AGENT "tier: None\nruntime: sh\ncode: cat\n"

static int setup(void **state)
{
	struct client *c = calloc(1, sizeof *c);
	client_init(c, true);
	client_agent(c, "a.yaml", AGENT);
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	client_done(*state);
	free(*state);
	return 0;
}

/* ---- documents ---- */

static void a_spec_is_an_agent_once_it_is_flushed_and_not_before(void **state)
{
	struct client *c = *state;
	struct err e = {0};
	struct handle *h = client_opened(c, "agents/b.yaml", O_WRONLY | O_CREAT);
	assert_false(client_has(c, "agents/b"));
	assert_int_equal(client_pwrite(c, h, AGENT, &e), strlen(AGENT));
	assert_false(client_has(c, "agents/b"));
	assert_int_equal(client_flush(c, h, &e), 0);
	assert_true(client_has(c, "agents/b"));
	assert_int_equal(client_flush(c, h, &e), 0); /* nothing was written since */
	handle_release(h);
	client_expect(c, "agents/b.yaml", AGENT);
}

static void a_wrong_spec_leaves_nothing(void **state)
{
	struct client *c = *state;
	struct err e = {0};
	assert_true(client_echo(c, "agents/b.yaml", "tier: Teir1\ncommand: [cat]\n", &e) < 0);
	assert_non_null(strstr(e.msg, "Teir1"));
	assert_false(client_has(c, "agents/b.yaml"));
	assert_true(client_echo(c, "agents/b.yaml", "tier: None\n", &e) < 0); /* nothing to run: seen at the end only */
	assert_false(client_has(c, "agents/b.yaml"));
	assert_true(client_echo(c, "agents/a.yaml", "{bad", &e) < 0);
	client_expect(c, "agents/a.yaml", AGENT);
}

static void a_spec_ends_where_documents_may_end(void **state)
{
	struct client *c = *state;
	struct err e = {0};
	struct reply p;
	struct handle *h = client_opened(c, "agents/b.yaml", O_WRONLY | O_CREAT);
	reply_init(&p, &root_actor);
	handle_write(h, &p.req, FS_DOC_MAX, "x", 1, false);
	assert_int_equal(reply_wait(c, &p), -EFBIG);
	reply_init(&p, &root_actor);
	handle_write(h, &p.req, UINT64_MAX, "x", 1, false);
	assert_int_equal(reply_wait(c, &p), -EFBIG);
	assert_true(handle_truncate(h, (uint64_t)FS_DOC_MAX + 1, &e) < 0);
	handle_release(h);
	assert_false(client_has(c, "agents/b.yaml"));
}

static int renamed(struct client *c, const char *from, const char *to, bool noreplace)
{
	struct fs_attr dir;
	struct err e = {0};
	struct reply p;
	assert_int_equal(tree_walk(c->t, &root_actor, "agents", &dir, &e), 0);
	reply_init(&p, &root_actor);
	tree_rename(c->t, &p.req, dir.id, from, dir.id, to, noreplace);
	return reply_wait(c, &p);
}

static void an_editors_scratch_file_becomes_the_spec_by_its_name(void **state)
{
	struct client *c = *state;
	struct fs_attr dir, a;
	struct err e = {0};
	struct handle *h;
	static const char changed[] = "tier: None\ncommand: [wc]\n";
	assert_int_equal(tree_walk(c->t, &root_actor, "agents", &dir, &e), 0);
	assert_int_equal(tree_create(c->t, &root_actor, dir.id, ".a.swp", 0600, O_WRONLY, &a, &h, &e), 0);
	assert_int_equal(client_pwrite(c, h, changed, &e), strlen(changed));
	assert_int_equal(client_flush(c, h, &e), 0);
	handle_release(h);
	client_expect(c, "agents/.a.swp", changed);
	assert_int_equal(renamed(c, ".a.swp", "a.yaml", true), -EEXIST);
	assert_int_equal(renamed(c, ".a.swp", "a.yaml", false), 0);
	client_expect(c, "agents/a.yaml", changed);
	assert_false(client_has(c, "agents/.a.swp"));
	assert_int_equal(renamed(c, "a.yaml", "moved.yaml", false), 0);
	assert_true(client_has(c, "agents/moved"));
	assert_false(client_has(c, "agents/a"));
	assert_int_equal(renamed(c, "a.yaml", "b.yaml", false), -ENOENT);
	assert_true(renamed(c, "moved.yaml", "moved.txt", false) < 0);
}

static void names_are_made_in_agents_alone(void **state)
{
	struct client *c = *state;
	static const char *const dirs[] = {"", "wait", "agents/a", "agents/a/limits", "sandbox"};
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		struct fs_attr dir, a;
		struct err e = {0};
		struct handle *h;
		struct reply p;
		assert_int_equal(tree_walk(c->t, &root_actor, dirs[i], &dir, &e), 0);
		assert_true(tree_create(c->t, &root_actor, dir.id, "new", 0644, O_WRONLY, &a, &h, &e) < 0);
		assert_true(e.msg[0]);
		reply_init(&p, &root_actor);
		tree_mkdir(c->t, &p.req, dir.id, "dir", 0755);
		assert_true(reply_wait(c, &p) < 0 && p.e.msg[0]);
	}
}

/* ---- values and commands ---- */

static void a_limit_takes_one_right_line(void **state)
{
	struct client *c = *state;
	struct err e = {0};
	static const char *const wrong[] = {"nonsense\n", "-1\n", "0\n", "64\n65\n", "1e400\n", "64 x\n"};
	assert_int_equal(client_echo(c, "agents/a/limits/memory_mb", "64\n", &e), 0);
	client_expect(c, "agents/a/limits/memory_mb", "64\n");
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		e = (struct err){0};
		if (client_echo(c, "agents/a/limits/memory_mb", wrong[i], &e) >= 0)
			fail_msg("'%s' was taken", wrong[i]);
		assert_true(e.code != ERR_NONE && e.msg[0]);
		client_expect(c, "agents/a/limits/memory_mb", "64\n");
	}
	assert_int_equal(client_echo(c, "agents/a/limits/execution_timeout", "5m", &e), 0); /* printf, no newline */
	client_expect(c, "agents/a/limits/execution_timeout", "5m\n");
}

static void of_commands_one_of_which_is_wrong_none_is_carried_out(void **state)
{
	struct client *c = *state;
	struct err e = {0};
	assert_int_equal(client_echo(c, "agents/a/ctl", "suspend\nnonsense\n", &e), -EINVAL);
	assert_non_null(strstr(e.msg, "nonsense"));
	client_expect(c, "agents/a/state", "Ready\n");
	assert_int_equal(client_echo(c, "agents/a/ctl", "suspend\n", &e), 0);
	client_expect(c, "agents/a/state", "Suspended\n");
	assert_true(client_echo(c, "agents/a/ctl", "suspend\n", &e) < 0);
	assert_int_equal(client_echo(c, "agents/a/ctl", "resume\n", &e), 0);
	client_expect(c, "agents/a/state", "Ready\n");
}

/* ---- calls ---- */

static void a_question_is_answered_to_who_asked(void **state)
{
	struct client *c = *state;
	struct err e = {0};
	struct reply p;
	struct handle *h = client_opened(c, "agents/a/run.d/mine", O_RDWR | O_CREAT);
	assert_int_equal(client_pread(c, h, 0, 100, NULL), -ENODATA);
	assert_int_equal(client_pwrite(c, h, "hello", &e), 5);
	reply_init(&p, &root_actor);
	handle_read(h, &p.req, 5, 100, false); /* the offset that the write left */
	assert_int_equal(reply_wait(c, &p), 5);
	assert_memory_equal(p.data.data, "hello", 5);
	buf_done(&p.data);
	assert_int_equal(handle_run(h), 1);
	assert_int_equal(client_pread(c, h, 10, 100, NULL), 0);
	assert_int_equal(client_pread(c, h, INT64_MAX, 100, NULL), 0);
	handle_release(h);
	client_expect(c, "agents/a/run.d/mine", "hello");
	client_expect(c, "agents/a/runs/1/input", "hello");
	h = client_opened(c, "agents/a/run.d/other", O_RDWR | O_CREAT);
	assert_int_equal(client_pread(c, h, 0, 100, NULL), -ENODATA);
	handle_release(h);
}

static void a_read_that_waits_is_cancelled_and_a_later_one_is_answered(void **state)
{
	struct client *c = *state;
	struct err e = {0};
	struct reply p;
	char go[160], spec[400];
	snprintf(go, sizeof go, "%s/go", c->engine.dir);
	snprintf(spec, sizeof spec, "tier: None\nruntime: sh\ncode: 'while [ ! -e %s ]; do sleep 0.05; done; echo went'\n",
		 go);
	client_agent(c, "slow.yaml", spec);
	struct handle *h = client_opened(c, "agents/slow/run.d/x", O_RDWR | O_CREAT);
	assert_int_equal(client_pwrite(c, h, "q", &e), 1);
	assert_int_equal(client_pread(c, h, 0, 100, NULL), -EAGAIN); /* O_NONBLOCK */
	reply_init(&p, &root_actor);
	handle_read(h, &p.req, 0, 100, false);
	assert_false(p.there);
	fs_req_cancel(&p.req);
	assert_true(p.there);
	assert_int_equal(p.r, -EINTR);
	reply_init(&p, &root_actor);
	handle_read(h, &p.req, 0, 100, false);
	int fd = open(go, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(reply_wait(c, &p), 5);
	assert_memory_equal(p.data.data, "went\n", 5);
	buf_done(&p.data);
	handle_release(h);
}

static void a_failed_run_is_no_answer(void **state)
{
	struct client *c = *state;
	struct err e = {0};
	struct reply p;
	client_agent(c, "bad.yaml", "tier: None\nruntime: sh\ncode: echo half; exit 3\n");
	struct handle *h = client_opened(c, "agents/bad/run.d/x", O_RDWR | O_CREAT);
	assert_int_equal(client_pwrite(c, h, "q", &e), 1);
	reply_init(&p, &root_actor);
	handle_read(h, &p.req, 0, 100, false);
	assert_true(reply_wait(c, &p) < 0);
	assert_int_equal(p.e.code, ERR_AGENT_FAILED);
	assert_non_null(strstr(p.e.msg, "3"));
	handle_release(h);
}

/* ---- streams ---- */

static void count_wake(void *arg)
{
	++*(unsigned *)arg;
}

static bool was_woken(void *arg)
{
	return *(unsigned *)arg > 0;
}

static void a_stream_wakes_who_polls_and_answers_who_waits(void **state)
{
	struct client *c = *state;
	struct err e = {0};
	struct reply p, dropped;
	unsigned woken = 0;
	struct handle *h = client_opened(c, "wait/events", O_RDONLY), *quiet = client_opened(c, "wait/agents/a", O_RDONLY);
	assert_int_equal(handle_poll(h, &root_actor, false, count_wake, &woken) & POLLIN, 0);
	assert_int_equal(client_pread(c, h, 0, 100, NULL), -EAGAIN);
	client_agent(c, "first.yaml", AGENT);
	assert_true(engine_until(&c->engine, was_woken, &woken, 20000));
	assert_int_equal(handle_poll(h, &root_actor, false, count_wake, &woken) & POLLIN, POLLIN);
	assert_true(client_pread(c, h, 0, 4096, NULL) > 0);
	reply_init(&dropped, &root_actor);
	handle_read(quiet, &dropped.req, 0, 100, false);
	fs_req_cancel(&dropped.req);
	assert_int_equal(reply_wait(c, &dropped), -EINTR);
	reply_init(&p, &root_actor);
	handle_read(h, &p.req, 0, 4096, false);
	assert_false(p.there);
	client_agent(c, "new.yaml", AGENT);
	assert_true(reply_wait(c, &p) > 0);
	assert_non_null(memmem(p.data.data, p.data.len, "\"new\"", 5));
	buf_done(&p.data);
	handle_release(h);
	assert_int_equal(client_echo(c, "agents/a/ctl", "suspend\n", &e), 0);
	reply_init(&p, &root_actor);
	handle_read(quiet, &p.req, 0, 100, false);
	assert_true(reply_wait(c, &p) > 0);
	assert_non_null(memmem(p.data.data, p.data.len, "Suspended", 9));
	buf_done(&p.data);
	handle_release(quiet);
}

static void a_reader_keeps_the_text_that_it_opened(void **state)
{
	struct client *c = *state;
	struct err e = {0};
	struct buf then;
	struct handle *h = client_opened(c, "agents/a/limits/memory_mb", O_RDONLY);
	assert_int_equal(client_echo(c, "agents/a/limits/memory_mb", "77\n", &e), 0);
	buf_init(&then, 100);
	assert_int_equal(client_pread(c, h, 0, 100, &then), 4);
	assert_memory_equal(then.data, "512\n", 4);
	buf_done(&then);
	handle_release(h);
	client_expect(c, "agents/a/limits/memory_mb", "77\n");
}

#define WITH_TREE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TREE(a_spec_is_an_agent_once_it_is_flushed_and_not_before),
		WITH_TREE(a_wrong_spec_leaves_nothing),
		WITH_TREE(a_spec_ends_where_documents_may_end),
		WITH_TREE(an_editors_scratch_file_becomes_the_spec_by_its_name),
		WITH_TREE(names_are_made_in_agents_alone),
		WITH_TREE(a_limit_takes_one_right_line),
		WITH_TREE(of_commands_one_of_which_is_wrong_none_is_carried_out),
		WITH_TREE(a_question_is_answered_to_who_asked),
		WITH_TREE(a_read_that_waits_is_cancelled_and_a_later_one_is_answered),
		WITH_TREE(a_failed_run_is_no_answer),
		WITH_TREE(a_stream_wakes_who_polls_and_answers_who_waits),
		WITH_TREE(a_reader_keeps_the_text_that_it_opened),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
