/* SPDX-License-Identifier: MIT */
/* test_proctree.c - processes by descent: found, stopped, ended, counted, and found again by their mark. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/proctree.h"
#include "tests/support/check.h"

static _Noreturn void wait_for_ever(void)
{
	for (;;)
		pause();
}

/* A child with two children, one of them with a child that left the session and whose parent died: it is
 * adopted by the child, which is a subreaper. Returns the child once all four are there. */
static pid_t family(void)
{
	int p[2];
	char c;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid_t root = fork();
	if (root == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		if (fork() == 0) {
			if (write(p[1], "x", 1) == 1)
				wait_for_ever();
		}
		pid_t middle = fork();
		if (middle == 0) {
			if (fork() == 0) {
				setsid();
				signal(SIGTERM, SIG_IGN);
				if (write(p[1], "x", 1) == 1)
					wait_for_ever();
			}
			_exit(0);
		}
		waitpid(middle, NULL, 0);
		if (write(p[1], "x", 1) == 1)
			wait_for_ever();
		_exit(1);
	}
	close(p[1]);
	for (int i = 0; i < 3; i++)
		assert_int_equal(read(p[0], &c, 1), 1);
	close(p[0]);
	return root;
}

static void end_family(pid_t root)
{
	while (proctree_kill(root))
		;
	kill(root, SIGKILL);
	assert_int_equal(waitpid(root, NULL, 0), root);
}

struct seen {
	pid_t pid[16];
	unsigned n;
};

static void see(void *arg, pid_t pid)
{
	struct seen *s = arg;
	if (s->n < ARRAY_LEN(s->pid))
		s->pid[s->n++] = pid;
}

static void descendants_are_found_wherever_they_went(void **state)
{
	(void)state;
	struct seen s = {0}, kids = {0};
	pid_t root = family();
	assert_int_equal(proctree_each(root, see, &s), 2);
	assert_int_equal(proctree_each_child(root, see, &kids), 2);
	for (unsigned i = 0; i < s.n; i++)
		assert_true(s.pid[i] != root);
	struct seen mine = {0};
	assert_int_equal(proctree_each(getpid(), see, &mine), 3);
	assert_int_equal(proctree_each_child(getpid(), see, &mine), 1);
	end_family(root);
	assert_int_equal(proctree_each(getpid(), see, &mine), 0);
}

static char state_of(pid_t pid)
{
	char path[64], text[512] = "";
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *f = fopen(path, "re");
	char *end = f && fgets(text, sizeof text, f) ? strrchr(text, ')') : NULL;
	if (f)
		fclose(f);
	return end ? end[2] : 0;
}

static void they_are_stopped_and_go_on(void **state)
{
	(void)state;
	struct seen s = {0};
	pid_t root = family();
	proctree_each(root, see, &s);
	proctree_freeze(root, true);
	for (unsigned i = 0; i < s.n; i++)
		while (state_of(s.pid[i]) != 'T')
			usleep(1000);
	assert_true(state_of(root) != 'T');
	proctree_freeze(root, false);
	for (unsigned i = 0; i < s.n; i++)
		while (state_of(s.pid[i]) != 'S')
			usleep(1000);
	end_family(root);
}

static void the_root_survives_their_end(void **state)
{
	(void)state;
	struct seen s = {0};
	pid_t root = family();
	while (proctree_kill(root))
		;
	assert_int_equal(proctree_each(root, see, &s), 0);
	assert_int_equal(waitpid(root, NULL, WNOHANG), 0);
	end_family(root);
}

static void use_is_added_up(void **state)
{
	(void)state;
	struct sandbox_usage u = {.pids = 3};
	volatile unsigned long sum = 0;
	struct rusage ru;
	do {
		for (unsigned i = 0; i < 1000000; i++)
			sum += i;
		getrusage(RUSAGE_SELF, &ru);
	} while (ru.ru_utime.tv_sec * 1000000 + ru.ru_utime.tv_usec < 50000);
	proctree_add_usage(&u, getpid());
	assert_int_equal(u.pids, 4);
	assert_true(u.cpu_ns > 0);
	assert_true(u.memory_bytes > 0);
	struct sandbox_usage same = u;
	proctree_add_usage(&u, 4194304); /* nobody */
	assert_memory_equal(&u, &same, sizeof u);
}

static void processes_of_a_user_are_counted(void **state)
{
	(void)state;
	unsigned before = proctree_count_uid(geteuid());
	assert_true(before >= 1);
	pid_t root = family();
	assert_true(proctree_count_uid(geteuid()) >= 4);
	end_family(root);
	assert_int_equal(proctree_count_uid(4000000000u), 0);
}

static void marked_ones_are_found_after_all_ties_are_cut(void **state)
{
	(void)state;
	const uint32_t mark = 0x12345678, other = 0x12345679;
	int p[2], status;
	pid_t lost = 0;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid_t first = fork();
	if (first == 0) {
		if (!proctree_mark(mark))
			_exit(77);
		if (fork() == 0) {
			setsid();
			pid_t me = getpid();
			if (write(p[1], &me, sizeof me) == sizeof me)
				execlp("sleep", "sleep", "1000", (char *)NULL);
			_exit(1);
		}
		_exit(0);
	}
	close(p[1]);
	assert_int_equal(waitpid(first, &status, 0), first);
	if (WEXITSTATUS(status) == 77)
		skip(); /* the limit is already below all marks */
	assert_int_equal(read(p[0], &lost, sizeof lost), sizeof lost);
	close(p[0]);
	assert_int_equal(proctree_kill_marked(other), 0);
	assert_int_equal(waitpid(lost, &status, WNOHANG), 0);
	assert_int_equal(proctree_kill_marked(mark), 1);
	assert_int_equal(waitpid(lost, &status, 0), lost);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descendants_are_found_wherever_they_went),
		cmocka_unit_test(they_are_stopped_and_go_on),
		cmocka_unit_test(the_root_survives_their_end),
		cmocka_unit_test(use_is_added_up),
		cmocka_unit_test(processes_of_a_user_are_counted),
		cmocka_unit_test(marked_ones_are_found_after_all_ties_are_cut),
	};
	return cmocka_run_group_tests_name("proctree", tests, NULL, NULL);
}
