/* SPDX-License-Identifier: MIT */
/* test_loop.c - jobs posted from threads, draining from within a job, stopping. */
#include <stdlib.h>

#include "lib/loop.h"
#include "lib/mem.h"
#include "tests/support/check.h"
#include "tests/support/wait.h"

struct seen {
	struct loop loop;
	unsigned n, stop_at;
	unsigned last[8]; /* of each poster */
};

struct numbered {
	struct loop_job job;
	struct seen *seen;
	unsigned poster, number;
};

static void note(struct loop_job *job)
{
	struct numbered *j = container_of(job, struct numbered, job);
	struct seen *s = j->seen;
	assert_true(pthread_equal(pthread_self(), s->loop.thread));
	assert_int_equal(j->number, s->last[j->poster] + 1);
	s->last[j->poster] = j->number;
	if (++s->n == s->stop_at)
		loop_stop(&s->loop);
	free(j);
}

static void post(struct seen *s, unsigned poster, unsigned number)
{
	struct numbered *j = malloc(sizeof *j);
	*j = (struct numbered){.job.fn = note, .seen = s, .poster = poster, .number = number};
	loop_post(&s->loop, &j->job);
}

struct poster {
	struct seen *seen;
	unsigned id;
};

static void *post_many(void *arg)
{
	struct poster *p = arg;
	for (unsigned i = 1; i <= 20000; i++)
		post(p->seen, p->id, i);
	return NULL;
}

static void jobs_of_each_thread_run_once_and_in_order(void **state)
{
	(void)state;
	struct seen s = {.stop_at = 80000};
	struct poster posters[4];
	pthread_t threads[4];
	assert_int_equal(loop_init(&s.loop, NULL), 0);
	for (unsigned i = 0; i < 4; i++) {
		posters[i] = (struct poster){&s, i};
		pthread_create(&threads[i], NULL, post_many, &posters[i]);
	}
	loop_run(&s.loop); /* sleeps and is woken; returns when the last has run */
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(s.n, 80000);
	assert_false(loop_drain(&s.loop));
	loop_done(&s.loop);
}

static void drain_runs_what_is_there_and_says_so(void **state)
{
	(void)state;
	struct seen s = {0};
	assert_int_equal(loop_init(&s.loop, NULL), 0);
	assert_false(loop_drain(&s.loop));
	post(&s, 0, 1);
	post(&s, 0, 2);
	assert_true(loop_drain(&s.loop));
	assert_int_equal(s.n, 2);
	assert_false(loop_drain(&s.loop));
	loop_done(&s.loop);
}

struct drainer {
	struct loop_job job;
	struct seen *seen;
};

static void drain_within(struct loop_job *job)
{
	struct drainer *d = container_of(job, struct drainer, job);
	post(d->seen, 0, 4);
	loop_drain(&d->seen->loop);
	assert_int_equal(d->seen->n, 4); /* those behind this job, too */
}

static void a_job_that_drains_leaves_nothing_behind(void **state)
{
	(void)state;
	struct seen s = {0};
	struct drainer d = {.job.fn = drain_within, .seen = &s};
	assert_int_equal(loop_init(&s.loop, NULL), 0);
	post(&s, 0, 1);
	loop_post(&s.loop, &d.job);
	post(&s, 0, 2);
	post(&s, 0, 3);
	assert_true(loop_drain(&s.loop));
	assert_int_equal(s.n, 4);
	loop_done(&s.loop);
}

static void again(struct loop_job *job)
{
	struct drainer *d = container_of(job, struct drainer, job);
	if (++d->seen->n < 5)
		loop_post(&d->seen->loop, &d->job);
	else
		loop_stop(&d->seen->loop);
}

static void a_job_may_post_itself(void **state)
{
	(void)state;
	struct seen s = {0};
	struct drainer d = {.job.fn = again, .seen = &s};
	assert_int_equal(loop_init(&s.loop, NULL), 0);
	loop_post(&s.loop, &d.job);
	loop_run(&s.loop);
	assert_int_equal(s.n, 5);
	loop_done(&s.loop);
}

static void on_timer(uv_timer_t *t)
{
	loop_stop(t->data);
}

static void handles_that_are_left_are_closed(void **state)
{
	(void)state;
	struct loop l;
	uv_timer_t soon, never;
	assert_int_equal(loop_init(&l, NULL), 0);
	uv_timer_init(&l.uv, &soon);
	uv_timer_init(&l.uv, &never);
	soon.data = &l;
	uv_timer_start(&soon, on_timer, 1, 0);
	uv_timer_start(&never, on_timer, 1u << 30, 0);
	loop_run(&l);
	loop_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jobs_of_each_thread_run_once_and_in_order),
		cmocka_unit_test(drain_runs_what_is_there_and_says_so),
		cmocka_unit_test(a_job_that_drains_leaves_nothing_behind),
		cmocka_unit_test(a_job_may_post_itself),
		cmocka_unit_test(handles_that_are_left_are_closed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
