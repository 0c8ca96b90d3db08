/* SPDX-License-Identifier: MIT */
/* test_sys.c - the struct of system calls: real by default, replaceable, whole reads and writes. */
#include <errno.h>

#include "lib/mem.h"
#include "lib/sys.h"
#include "tests/support/check.h"
#include "tests/support/tempdir.h"

static struct sys fake;
static unsigned calls;

static int use_fake(void **state)
{
	(void)state;
	fake = sys_kernel;
	sys = &fake;
	calls = 0;
	return 0;
}

static int use_kernel(void **state)
{
	(void)state;
	sys = &sys_kernel;
	return 0;
}

static uint64_t noon(void)
{
	return 43200000;
}

static void clocks_are_those_of_the_struct(void **state)
{
	(void)state;
	uint64_t a = clock_mono_ns(), b = clock_mono_ns();
	assert_true(a > 0 && b >= a);
	assert_true(clock_wall_ms() > 1700000000000u);
	fake.wall_ms = fake.mono_ns = noon;
	assert_int_equal(clock_wall_ms(), 43200000);
	assert_int_equal(clock_mono_ns(), 43200000);
	assert_int_equal(clock_since_ms(43199000), 1000);
	assert_int_equal(clock_since_ms(43200001), 0); /* it was set back since */
}

static void random_bytes_differ(void **state)
{
	(void)state;
	unsigned char a[32] = {0}, b[32] = {0};
	sys->random(a, sizeof a);
	sys->random(b, sizeof b);
	assert_memory_not_equal(a, b, sizeof a);
}

static ssize_t three_bytes_or_eintr(int fd, const void *data, size_t len, off_t at)
{
	errno = EINTR;
	return ++calls % 2 ? -1 : pwrite(fd, data, len < 3 ? len : 3, at);
}

static ssize_t three_read_or_eintr(int fd, void *data, size_t len, off_t at)
{
	errno = EINTR;
	return ++calls % 2 ? -1 : pread(fd, data, len < 3 ? len : 3, at);
}

static int open_temp(void)
{
	char dir[64], path[80];
	tempdir_make(dir);
	snprintf(path, sizeof path, "%s/f", dir);
	int fd = sys->open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(sys_sync_dir(dir), 0);
	assert_int_equal(sys->unlink(path), 0);
	tempdir_remove(dir);
	return fd;
}

static void short_counts_and_signals_do_not_cut_a_write_or_read(void **state)
{
	(void)state;
	char back[11] = {0};
	autoclose int fd = open_temp();
	fake.pwrite = three_bytes_or_eintr;
	fake.pread = three_read_or_eintr;
	assert_int_equal(sys_pwrite_all(fd, "0123456789", 10, 5), 0);
	assert_int_equal(calls, 8);
	assert_int_equal(sys_pread_all(fd, back, 10, 5), 0);
	assert_string_equal(back, "0123456789");
	assert_int_equal(sys_pread_all(fd, back, 10, 6), -EIO); /* the file ends before */
	assert_int_equal(sys_pwrite_all(fd, "", 0, 0), 0);
}

static ssize_t no_space(int fd, const void *data, size_t len, off_t at)
{
	(void)fd, (void)data, (void)len, (void)at;
	errno = ENOSPC;
	return -1;
}

static ssize_t nothing(int fd, const void *data, size_t len, off_t at)
{
	(void)fd, (void)data, (void)len, (void)at;
	return 0;
}

static void failures_come_back_as_errno(void **state)
{
	(void)state;
	char c;
	fake.pwrite = no_space;
	assert_int_equal(sys_pwrite_all(1, "x", 1, 0), -ENOSPC);
	fake.pwrite = nothing;
	assert_int_equal(sys_pwrite_all(1, "x", 1, 0), -EIO);
	assert_int_equal(sys_pread_all(-1, &c, 1, 0), -EBADF);
	assert_int_equal(sys_sync_dir("/proc/none"), -ENOENT);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, use_fake, use_kernel)
	const struct CMUnitTest tests[] = {
		T(clocks_are_those_of_the_struct),
		T(random_bytes_differ),
		T(short_counts_and_signals_do_not_cut_a_write_or_read),
		T(failures_come_back_as_errno),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
