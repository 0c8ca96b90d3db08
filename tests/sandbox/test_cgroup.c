/* SPDX-License-Identifier: MIT */
/* test_cgroup.c - groups on whatever hierarchies this machine has: made, joined, limited, used again,
 * removed. Skipped where none can be written. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/cgroup_i.h"
#include "tests/sandbox/places.h"

static struct cgroup_base *base;
static struct sandbox_caps caps;
static char name[32];

static int setup(void **state)
{
	(void)state;
	snprintf(name, sizeof name, "symbi-test-%d", getpid());
	base = cgroup_base_open(name, &caps);
	return base ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	cgroup_base_close(base);
	return 0;
}

static struct cgroup *get(const struct sandbox_limits *l)
{
	struct cgroup *g = NULL;
	struct err e = {0};
	if (cgroup_get(base, l, -1, &g, &e) < 0)
		fail_msg("%s", e.msg);
	if (!g)
		skip();
	return g;
}

#define TAKEN (2u << 20) /* bytes; the kernel counts in batches of 256 KiB per processor */

/* A process in g that took some memory and waits; NULL: in none. */
static pid_t sleeper(struct cgroup *g)
{
	int p[2];
	char c;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		if (g && cgroup_join(g) < 0)
			_exit(1);
		char *taken = mmap(NULL, TAKEN, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (taken != MAP_FAILED && write(p[1], "x", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(p[1]);
	assert_int_equal(read(p[0], &c, 1), 1);
	close(p[0]);
	return pid;
}

/* What the kernel counts as tasks: one, unless a sanitizer adds a thread of its own. */
static unsigned threads_of(pid_t pid)
{
	char path[64];
	struct stat st;
	snprintf(path, sizeof path, "/proc/%d/task", pid);
	assert_int_equal(stat(path, &st), 0);
	return (unsigned)st.st_nlink - 2; /* a directory each, beside . and .. */
}

static void end(struct cgroup *g, pid_t pid)
{
	int status;
	cgroup_kill(g);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	while (!cgroup_empty(g))
		usleep(1000);
}

static void words_are_whole_words(void **state)
{
	(void)state;
	assert_true(cg_has_word("memory cpu\n", "cpu"));
	assert_true(cg_has_word("cpu", "cpu"));
	assert_true(cg_has_word("cpuset cpuacct cpu", "cpu"));
	assert_false(cg_has_word("cpuset cpuacct", "cpu"));
	assert_false(cg_has_word("xcpu", "cpu"));
	assert_false(cg_has_word("", "cpu"));
}

static void caps_say_what_is_there(void **state)
{
	(void)state;
	assert_int_equal(caps.kill, caps.freeze);
	assert_int_equal(caps.cgroup_version != 0, caps.kill);
	if (!caps.kill)
		assert_false(caps.memory || caps.cpu || caps.pids || caps.io);
}

static void what_joined_is_in_it(void **state)
{
	(void)state;
	struct cgroup *g = get(&(struct sandbox_limits){0});
	assert_true(cgroup_empty(g));
	pid_t pid = sleeper(g);
	assert_false(cgroup_empty(g));
	struct sandbox_usage u;
	cgroup_usage(g, &u);
	if (caps.pids)
		assert_int_equal(u.pids, threads_of(pid));
	end(g, pid);
	cgroup_put(g);
}

static uint64_t set_to(enum controller c, const char *v2, const char *v1)
{
	const char *file = base->v2[c] ? v2 : v1;
	char group[16] = "", text[64];
	DIR *d = opendir(base->path[c]);
	assert_non_null(d);
	for (struct dirent *ent; (ent = readdir(d));) /* the only group there is */
		if (ent->d_type == DT_DIR && ent->d_name[0] != '.')
			snprintf(group, sizeof group, "%.15s", ent->d_name);
	closedir(d);
	unsigned long long n = 0;
	assert_true(cg_read(base->dir[c], group, file, text, sizeof text) > 0);
	if (sscanf(text, "%llu", &n) != 1 && strncmp(text, "max", 3) != 0)
		fail_msg("%s is %s", file, text);
	return n;
}

static void limits_reach_the_kernel(void **state)
{
	(void)state;
	struct cgroup *g = get(&(struct sandbox_limits){
		.memory_bytes = 96u << 20, .cpu_millis = 1500, .pids = 17});
	if (caps.memory)
		assert_int_equal(set_to(MEMORY, "memory.max", "memory.limit_in_bytes"), 96u << 20);
	if (caps.cpu)
		assert_int_equal(set_to(CPU, "cpu.max", "cpu.cfs_quota_us"), 150000);
	if (caps.pids)
		assert_int_equal(set_to(PIDS, "pids.max", "pids.max"), 17);
	/* both ways: on v1 the limit with swap must never be below the one without */
	const uint64_t sizes[] = {200u << 20, 64u << 20, 1u << 30, 48u << 20};
	for (size_t i = 0; i < ARRAY_LEN(sizes) && caps.memory; i++) {
		assert_int_equal(cgroup_limit(g, &(struct sandbox_limits){.memory_bytes = sizes[i]},
					      -1, NULL),
				 0);
		assert_int_equal(set_to(MEMORY, "memory.max", "memory.limit_in_bytes"), sizes[i]);
	}
	assert_int_equal(cgroup_limit(g, &(struct sandbox_limits){.cpu_millis = 1}, -1, NULL), 0);
	if (caps.cpu) /* the least that the kernel takes */
		assert_int_equal(set_to(CPU, "cpu.max", "cpu.cfs_quota_us"), 1000);
	cgroup_put(g);
}

static void the_next_user_has_its_own_limits_and_counts(void **state)
{
	(void)state;
	struct cgroup *g = get(&(struct sandbox_limits){.pids = 1});
	pid_t pid = fork();
	if (pid == 0) {
		if (cgroup_join(g) < 0)
			_exit(9);
		for (volatile unsigned i = 0; i < 50000000; i++)
			;
		pid_t child = fork();
		_exit(child < 0 ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	struct sandbox_usage u;
	cgroup_usage(g, &u);
	assert_true(u.cpu_ns > 0);
	if (caps.pids) {
		assert_int_equal(status, 0);
		assert_int_equal(u.pids_refused, 1);
	}
	cgroup_put(g);
	g = get(&(struct sandbox_limits){0});
	cgroup_usage(g, &u);
	assert_int_equal(u.cpu_ns, 0);
	assert_int_equal(u.pids_refused, 0);
	assert_int_equal(u.oom_kills, 0);
	if (caps.pids)
		assert_int_equal(set_to(PIDS, "pids.max", "pids.max"), 0);
	cgroup_put(g);
}

/* Charges 4 MiB to g that stay when the process is gone: a file's pages. */
static void leave_pages(struct cgroup *g, const char *file)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		static char block[1 << 20];
		int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0 || cgroup_join(g) < 0)
			_exit(1);
		for (int i = 0; i < 4; i++)
			if (write(fd, block, sizeof block) != sizeof block)
				_exit(1);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	while (!cgroup_empty(g))
		usleep(1000);
}

static void memory_left_by_another_is_not_deducted_once_it_is_gone(void **state)
{
	(void)state;
	struct sandbox_usage u;
	char file[] = "/tmp/symbi-test.XXXXXX";
	close(mkstemp(file));
	if (!caps.memory)
		skip();
	for (int early = 0; early < 2; early++) { /* before its next user came, or while it runs */
		struct cgroup *g = get(&(struct sandbox_limits){0});
		leave_pages(g, file);
		cgroup_usage(g, &u);
		assert_true(u.memory_peak_bytes >= 4u << 20);
		cgroup_put(g);
		if (early)
			unlink(file);
		g = get(&(struct sandbox_limits){0});
		pid_t pid = sleeper(g);
		unlink(file);
		cgroup_usage(g, &u);
		assert_true(u.memory_bytes > 0);
		assert_true(u.memory_bytes < 4u << 20);
		assert_true(u.memory_peak_bytes >= u.memory_bytes);
		end(g, pid);
		cgroup_put(g);
	}
}

static void a_killed_frozen_group_serves_again(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct cgroup *g = get(&(struct sandbox_limits){.pids = 8});
		pid_t pid = sleeper(g);
		assert_int_equal(cgroup_freeze(g, true), 0);
		end(g, pid);
		cgroup_put(g);
	}
}

static void the_disk_limit_is_set_for_the_disk(void **state)
{
	(void)state;
	char disk[24];
	struct stat st;
	autoclose int dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(fstat(dir, &st), 0);
	cg_disk_of(st.st_dev, disk);
	if (!caps.io || !*disk)
		skip();
	struct cgroup *g = NULL;
	struct err e = {0};
	if (cgroup_get(base, &(struct sandbox_limits){.disk_bytes_per_s = 7u << 20}, dir, &g, &e) <
	    0)
		fail_msg("%s", e.msg);
	char text[256], want[64];
	snprintf(want, sizeof want, base->v2[IO] ? "%s rbps=7340032 wbps=7340032" : "%s 7340032",
		 disk);
	const char *file = base->v2[IO] ? "0/io.max" : "0/blkio.throttle.write_bps_device";
	autoclose int fd = openat(base->dir[IO], file, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof text - 1);
	text[n > 0 ? n : 0] = 0;
	assert_non_null(strstr(text, want));
	cgroup_put(g);
}

static void nothing_is_left_after_the_base(void **state)
{
	(void)state;
	char *paths[CONTROLLERS] = {0};
	struct cgroup *g[20];
	for (size_t i = 0; i < ARRAY_LEN(g); i++)
		g[i] = get(&(struct sandbox_limits){.pids = 4});
	pid_t pid = sleeper(g[3]); /* forgotten in it */
	for (size_t i = 0; i < ARRAY_LEN(g); i++)
		cgroup_put(g[i]);
	for (int c = 0; c < CONTROLLERS; c++)
		if (base->path[c])
			paths[c] = strdup(base->path[c]);
	cgroup_base_close(base);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	for (int c = 0; c < CONTROLLERS; c++) {
		if (paths[c])
			assert_int_equal(access(paths[c], F_OK), -1);
		free(paths[c]);
	}
	setup(NULL);
}

static void groups_below_a_group_go_too(void **state)
{
	(void)state;
	if (base->dir[UNIFIED] < 0)
		skip();
	struct cgroup *g = get(&(struct sandbox_limits){0});
	assert_int_equal(mkdirat(base->dir[UNIFIED], "0/deeper", 0755), 0);
	pid_t pid = sleeper(NULL);
	assert_int_equal(
		cg_write_num(base->dir[UNIFIED], "0/deeper", "cgroup.procs", (uint64_t)pid), 0);
	assert_false(cgroup_empty(g));
	end(g, pid);
	cgroup_put(g);
	char path[1100];
	snprintf(path, sizeof path, "%s", base->path[UNIFIED]);
	cgroup_base_close(base);
	assert_int_equal(access(path, F_OK), -1);
	setup(NULL);
}

static void only_cgroups_are_removed(void **state)
{
	(void)state;
	char dir[] = "/tmp/symbi-test.XXXXXX";
	assert_non_null(mkdtemp(dir));
	assert_int_equal(cgroup_remove(dir), -EINVAL);
	assert_int_equal(access(dir, F_OK), 0);
	rmdir(dir);
	assert_int_equal(cgroup_remove(dir), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static int tests(const char *place)
{
	char title[64];
	const struct CMUnitTest list[] = {
		cmocka_unit_test(words_are_whole_words),
		T(caps_say_what_is_there),
		T(what_joined_is_in_it),
		T(limits_reach_the_kernel),
		T(the_next_user_has_its_own_limits_and_counts),
		T(memory_left_by_another_is_not_deducted_once_it_is_gone),
		T(a_killed_frozen_group_serves_again),
		T(the_disk_limit_is_set_for_the_disk),
		T(nothing_is_left_after_the_base),
		T(groups_below_a_group_go_too),
		cmocka_unit_test(only_cgroups_are_removed),
	};
	snprintf(title, sizeof title, "cgroup, %s", place);
	return cmocka_run_group_tests_name(title, list, NULL, NULL);
}

int main(void)
{
	return places_run(tests);
}
