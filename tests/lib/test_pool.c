/* SPDX-License-Identifier: MIT */
/* test_pool.c - jobs go out and come back once, in order of their calls with one worker; cancelling; closing. */
#include <semaphore.h>
#include <stdlib.h>

#include "lib/mem.h"
#include "lib/pool.h"
#include "tests/support/check.h"
#include "tests/support/wait.h"

struct fixture {
	struct loop loop;
	struct pool *pool;
	unsigned worked, done, cancelled, last;
	sem_t started, go;
};

struct sum { /* a job */
	struct pool_job job;
	struct fixture *f;
	unsigned number;
	uint64_t result;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	sem_init(&f->started, 0, 0);
	sem_init(&f->go, 0, 0);
	*state = f;
	return loop_init(&f->loop, NULL);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	pool_close(f->pool);
	loop_done(&f->loop);
	sem_destroy(&f->started);
	sem_destroy(&f->go);
	free(f);
	return 0;
}

static void work(struct pool_job *job)
{
	struct sum *s = container_of(job, struct sum, job);
	assert_false(pthread_equal(pthread_self(), s->f->loop.thread));
	for (uint64_t i = 0; i <= s->number; i++)
		s->result += i;
}

static void done(struct pool_job *job)
{
	struct sum *s = container_of(job, struct sum, job);
	struct fixture *f = s->f;
	assert_true(pthread_equal(pthread_self(), f->loop.thread));
	assert_int_equal(s->result, job->cancelled ? 0 : (uint64_t)s->number * (s->number + 1) / 2);
	f->cancelled += job->cancelled;
	f->done++;
	f->last = s->number;
	free(s);
}

static struct sum *run(struct fixture *f, unsigned number)
{
	struct sum *s = calloc(1, sizeof *s);
	*s = (struct sum){.job = {.work = work, .done = done}, .f = f, .number = number};
	pool_run(f->pool, &s->job);
	return s;
}

static void every_job_is_done_once(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(pool_open(&f->pool, 4, &f->loop, NULL), 0);
	for (unsigned i = 0; i < 5000; i++)
		run(f, i);
	wait_for(&f->loop, f->done == 5000);
	assert_int_equal(f->cancelled, 0);
}

static void in_order(struct pool_job *job)
{
	struct sum *s = container_of(job, struct sum, job);
	assert_int_equal(s->number, s->f->last + 1);
	done(job);
}

static void one_worker_keeps_the_order(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(pool_open(&f->pool, 0, &f->loop, NULL), 0); /* at least one */
	for (unsigned i = 1; i <= 1000; i++)
		run(f, i)->job.done = in_order;
	wait_for(&f->loop, f->done == 1000);
}

static void wait_to_go(struct pool_job *job)
{
	struct sum *s = container_of(job, struct sum, job);
	sem_post(&s->f->started);
	sem_wait(&s->f->go);
	work(job);
}

/* One worker, and it is busy. */
static struct sum *occupy(struct fixture *f)
{
	struct sum *s = calloc(1, sizeof *s);
	assert_int_equal(pool_open(&f->pool, 1, &f->loop, NULL), 0);
	*s = (struct sum){.job = {.work = wait_to_go, .done = done}, .f = f, .number = 7};
	pool_run(f->pool, &s->job);
	sem_wait(&f->started);
	return s;
}

static void a_job_that_waits_can_be_cancelled_one_that_runs_not(void **state)
{
	struct fixture *f = *state;
	struct sum *runs = occupy(f), *first = run(f, 1), *middle = run(f, 2), *last = run(f, 3);
	assert_false(pool_cancel(f->pool, &runs->job));
	assert_true(pool_cancel(f->pool, &middle->job));
	assert_true(pool_cancel(f->pool, &last->job));
	assert_false(pool_cancel(f->pool, &last->job));
	assert_int_equal(f->done, 0); /* not from within the call */
	loop_drain(&f->loop);
	assert_int_equal(f->cancelled, 2);
	run(f, 4);
	(void)first;
	sem_post(&f->go);
	wait_for(&f->loop, f->done == 5);
	assert_int_equal(f->cancelled, 2);
	assert_int_equal(f->last, 4);
}

static void queue_another(struct pool_job *job)
{
	struct sum *s = container_of(job, struct sum, job);
	struct fixture *f = s->f;
	done(job);
	run(f, 9);
}

static void closing_ends_what_runs_and_cancels_the_rest(void **state)
{
	struct fixture *f = *state;
	occupy(f)->job.done = queue_another;
	for (unsigned i = 0; i < 10; i++)
		run(f, i);
	sem_post(&f->go);
	pool_close(f->pool);
	f->pool = NULL;
	assert_int_equal(f->done, 12);
	assert_true(f->cancelled >= 1); /* the one that a done queued while closing */
}

static void a_done_may_queue_the_next(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(pool_open(&f->pool, 2, &f->loop, NULL), 0);
	run(f, 1)->job.done = queue_another;
	wait_for(&f->loop, f->done == 2);
	assert_int_equal(f->last, 9);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(every_job_is_done_once),
		T(one_worker_keeps_the_order),
		T(a_job_that_waits_can_be_cancelled_one_that_runs_not),
		T(closing_ends_what_runs_and_cancels_the_rest),
		T(a_done_may_queue_the_next),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
