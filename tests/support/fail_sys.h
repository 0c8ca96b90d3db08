/* SPDX-License-Identifier: MIT */
/* fail_sys.h - struct sys with a call that can be made to fail, and a clock that a test moves. Install it
 * before any thread starts. */
#pragma once

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "lib/sys.h"

enum fail_call {
	FAIL_OPEN,
	FAIL_PREAD,
	FAIL_PWRITE,
	FAIL_FALLOCATE,
	FAIL_FDATASYNC,
	FAIL_FSYNC,
	FAIL_RENAME,
	FAIL_UNLINK,
	FAIL_MKDIR,
	FAIL_CALLS,
};

static atomic_int fail_sys_in[FAIL_CALLS]; /* calls until one fails; 0: none; -1: all of them do */
static atomic_int fail_sys_errno;
static atomic_bool fail_sys_fired;
static atomic_uint_fast64_t fail_sys_later_ns; /* how far the clock was moved */

static inline void fail_sys_arm(enum fail_call call, int n, int eno)
{
	atomic_store(&fail_sys_errno, eno);
	atomic_store(&fail_sys_fired, false);
	atomic_store(&fail_sys_in[call], n);
}

static bool fail_sys_now(enum fail_call call)
{
	int n = atomic_load(&fail_sys_in[call]);
	if (n == 0 || (n > 0 && atomic_fetch_sub(&fail_sys_in[call], 1) != 1))
		return false;
	atomic_store(&fail_sys_fired, true);
	errno = atomic_load(&fail_sys_errno);
	return true;
}

#define FAIL_SYS(type, name, CALL, params, args)                                                   \
	static type fail_sys_##name params                                                         \
	{                                                                                          \
		return fail_sys_now(CALL) ? (type)-1 : sys_kernel.name args;                       \
	}
FAIL_SYS(int, open, FAIL_OPEN, (const char *p, int f, mode_t m), (p, f, m))
FAIL_SYS(ssize_t, pread, FAIL_PREAD, (int fd, void *d, size_t n, off_t at), (fd, d, n, at))
FAIL_SYS(ssize_t, pwrite, FAIL_PWRITE, (int fd, const void *d, size_t n, off_t at), (fd, d, n, at))
FAIL_SYS(int, fallocate, FAIL_FALLOCATE, (int fd, int m, off_t at, off_t n), (fd, m, at, n))
FAIL_SYS(int, fdatasync, FAIL_FDATASYNC, (int fd), (fd))
FAIL_SYS(int, fsync, FAIL_FSYNC, (int fd), (fd))
FAIL_SYS(int, rename, FAIL_RENAME, (const char *a, const char *b), (a, b))
FAIL_SYS(int, unlink, FAIL_UNLINK, (const char *p), (p))
FAIL_SYS(int, mkdir, FAIL_MKDIR, (const char *p, mode_t m), (p, m))

static uint64_t fail_sys_mono_ns(void)
{
	return sys_kernel.mono_ns() + atomic_load(&fail_sys_later_ns);
}

static inline void fail_sys_install(void)
{
	static struct sys mine;
	mine = sys_kernel;
	mine.mono_ns = fail_sys_mono_ns;
	mine.open = fail_sys_open;
	mine.pread = fail_sys_pread;
	mine.pwrite = fail_sys_pwrite;
	mine.fallocate = fail_sys_fallocate;
	mine.fdatasync = fail_sys_fdatasync;
	mine.fsync = fail_sys_fsync;
	mine.rename = fail_sys_rename;
	mine.unlink = fail_sys_unlink;
	mine.mkdir = fail_sys_mkdir;
	sys = &mine;
}
