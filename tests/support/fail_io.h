/* SPDX-License-Identifier: MIT */
/* fail_io.h - makes the n-th disk write of this program fail, also one that a library makes.
 * Include in the one source of a test program: its definitions stand before those of the C library.
 */
#pragma once

#include <errno.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_int fail_io_in; /* calls until one fails; 0: none will */
static atomic_int fail_io_errno;

/* The n-th call from now on fails with eno, the ones behind it do not. */
static inline void fail_io_arm(int n, int eno)
{
	atomic_store(&fail_io_errno, eno);
	atomic_store(&fail_io_in, n);
}

/* Stop; whether the failure took place. */
static inline bool fail_io_fired(void)
{
	return atomic_exchange(&fail_io_in, 0) <= 0;
}

static int fail_io_now(void)
{
	if (atomic_load(&fail_io_in) <= 0 || atomic_fetch_sub(&fail_io_in, 1) != 1)
		return 0;
	atomic_store(&fail_io_in, -1); /* over, and it took place */
	errno = atomic_load(&fail_io_errno);
	return 1;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
	return fail_io_now() ? -1 : syscall(SYS_pwrite64, fd, data, len, at);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	return fail_io_now() ? -1 : syscall(SYS_writev, fd, v, n);
}

int fdatasync(int fd)
{
	return fail_io_now() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	return fail_io_now() ? -1 : (int)syscall(SYS_fsync, fd);
}
