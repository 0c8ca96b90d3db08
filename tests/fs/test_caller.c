/* SPDX-License-Identifier: MIT */
/* test_caller.c - the process behind a request, and for how long one is remembered. */
#include "fs/caller.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/check.h"

static void a_process_has_parent_and_start(void **state)
{
	(void)state;
	struct caller me, again;
	assert_true(caller_of(getpid(), &me));
	assert_int_equal(me.pid, getpid());
	assert_int_equal(me.parent, getppid());
	assert_true(me.start > 0);
	assert_true(caller_of(getpid(), &again));
	assert_memory_equal(&me, &again, sizeof me);
}

struct thread_result {
	bool found;
	pid_t thread;
	struct caller caller;
};

static void *ask_as_thread(void *arg)
{
	struct thread_result *r = arg;
	r->thread = (pid_t)syscall(SYS_gettid);
	r->found = caller_of(r->thread, &r->caller);
	return NULL;
}

static void a_thread_is_its_process(void **state)
{
	(void)state;
	struct thread_result r = {0};
	struct caller me;
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, ask_as_thread, &r), 0);
	pthread_join(thread, NULL);
	assert_true(r.found);
	assert_int_not_equal(r.thread, getpid());
	assert_true(caller_of(getpid(), &me));
	assert_memory_equal(&me, &r.caller, sizeof me);
}

static pid_t child(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_true(pid > 0);
	return pid;
}

static void who_ended_is_forgotten(void **state)
{
	(void)state;
	struct caller c;
	pid_t pid = child();
	assert_true(caller_of(pid, &c));
	assert_int_equal(c.pid, pid);
	assert_int_equal(c.parent, getpid());
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	assert_false(caller_of(pid, &c));
	assert_false(caller_of(pid, &c));
}

/* More processes than are remembered do not become each other. */
static void each_is_itself(void **state)
{
	(void)state;
	enum { MANY = 150 };
	pid_t pids[MANY];
	struct caller c;
	for (int i = 0; i < MANY; i++)
		pids[i] = child();
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < MANY; i++) {
			assert_true(caller_of(pids[i], &c));
			assert_int_equal(c.pid, pids[i]);
		}
	for (int i = 0; i < MANY; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
}

static void nobody_is_nobody(void **state)
{
	(void)state;
	struct caller c;
	assert_false(caller_of(0, &c));
	assert_false(caller_of(-1, &c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_has_parent_and_start),
		cmocka_unit_test(a_thread_is_its_process),
		cmocka_unit_test(who_ended_is_forgotten),
		cmocka_unit_test(each_is_itself),
		cmocka_unit_test(nobody_is_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
