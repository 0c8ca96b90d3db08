/* SPDX-License-Identifier: MIT */
/* pool.c - one queue of jobs, some threads that take from it. L0. */
#include "lib/pool.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/mem.h"

struct pool {
	/* constant */
	struct loop *loop;
	/* loop thread only */
	unsigned out; /* jobs whose done is yet to be called */
	unsigned threads_n;
	/* shared, under mu */
	pthread_mutex_t mu;
	pthread_cond_t work;
	struct pool_job *first, **end;
	bool stop;
	pthread_t threads[];
};

static void on_back(struct loop_job *back)
{
	struct pool_job *job = container_of(back, struct pool_job, back);
	job->pool->out--;
	job->done(job);
}

static void *worker(void *arg)
{
	struct pool *p = arg;
	for (;;) {
		pthread_mutex_lock(&p->mu);
		while (!p->first && !p->stop)
			pthread_cond_wait(&p->work, &p->mu);
		struct pool_job *job = p->first;
		if (job && !(p->first = job->next))
			p->end = &p->first;
		pthread_mutex_unlock(&p->mu);
		if (!job)
			return NULL;
		job->work(job);
		loop_post(p->loop, &job->back);
	}
}

int pool_open(struct pool **ret, unsigned threads, struct loop *l, struct err *e)
{
	int r = 0;
	threads += threads == 0;
	struct pool *p = calloc(1, sizeof *p + threads * sizeof *p->threads);
	if (!p)
		return err_set(e, ERR_SYS_MEMORY, "no memory for worker threads");
	p->loop = l;
	p->end = &p->first;
	pthread_mutex_init(&p->mu, NULL);
	pthread_cond_init(&p->work, NULL);
	for (; r == 0 && p->threads_n < threads; p->threads_n += r == 0)
		r = pthread_create(&p->threads[p->threads_n], NULL, worker, p);
	if (r) {
		pool_close(p);
		return err_sys(e, ERR_SYS_IO, r, "worker threads cannot be started");
	}
	*ret = p;
	return 0;
}

void pool_run(struct pool *p, struct pool_job *job)
{
	job->pool = p;
	job->next = NULL;
	job->cancelled = false;
	job->back.fn = on_back;
	p->out++;
	pthread_mutex_lock(&p->mu);
	*p->end = job;
	p->end = &job->next;
	pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->mu);
}

static void cancel(struct pool *p, struct pool_job *job)
{
	job->cancelled = true;
	loop_post(p->loop, &job->back);
}

bool pool_cancel(struct pool *p, struct pool_job *job)
{
	bool found = false;
	pthread_mutex_lock(&p->mu);
	for (struct pool_job **at = &p->first; *at; at = &(*at)->next) {
		if (*at != job)
			continue;
		found = true;
		*at = job->next;
		if (!*at)
			p->end = at;
		break;
	}
	pthread_mutex_unlock(&p->mu);
	if (found)
		cancel(p, job);
	return found;
}

static void cancel_all(struct pool *p)
{
	pthread_mutex_lock(&p->mu);
	struct pool_job *job = p->first;
	p->first = NULL;
	p->end = &p->first;
	p->stop = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->mu);
	while (job) {
		struct pool_job *next = job->next;
		cancel(p, job);
		job = next;
	}
}

void pool_close(struct pool *p)
{
	if (!p)
		return;
	cancel_all(p);
	for (unsigned i = 0; i < p->threads_n; i++)
		pthread_join(p->threads[i], NULL);
	while (p->out) { /* a done may have queued another */
		loop_drain(p->loop);
		cancel_all(p);
	}
	pthread_mutex_destroy(&p->mu);
	pthread_cond_destroy(&p->work);
	free(p);
}
