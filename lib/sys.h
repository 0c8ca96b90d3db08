/* SPDX-License-Identifier: MIT */
/* sys.h - clock, randomness and disk behind one struct, so that tests can set the time and make any
 * call fail. L0; any thread. */
#pragma once

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Each is the system call of its name: -1 and errno on failure. */
struct sys {
	uint64_t (*mono_ns)(void);
	uint64_t (*wall_ms)(void);
	void (*random)(void *out, size_t len); /* for keys; cannot fail */
	int (*open)(const char *path, int flags, mode_t mode);
	ssize_t (*pread)(int fd, void *out, size_t len, off_t at);
	ssize_t (*pwrite)(int fd, const void *data, size_t len, off_t at);
	int (*fallocate)(int fd, int mode, off_t at, off_t len);
	int (*fdatasync)(int fd);
	int (*fsync)(int fd);
	int (*rename)(const char *from, const char *to);
	int (*unlink)(const char *path);
	int (*mkdir)(const char *path, mode_t mode);
};

extern const struct sys sys_kernel; /* the real ones */

/* What is in use; sys_kernel unless a test changed it before it started a thread. */
extern const struct sys *sys;

/* Nanoseconds of CLOCK_MONOTONIC; milliseconds of CLOCK_REALTIME since 1970. */
static inline uint64_t clock_mono_ns(void)
{
	return sys->mono_ns();
}

static inline uint64_t clock_wall_ms(void)
{
	return sys->wall_ms();
}

/* Milliseconds since then, by clock_wall_ms(); 0 where the clock was set back behind it. */
static inline uint64_t clock_since_ms(uint64_t then)
{
	uint64_t now = clock_wall_ms();
	return now > then ? now - then : 0;
}

/* Write or read all of it, going on after a short count or EINTR. 0 or -errno; -EIO where a file ends
 * before len bytes were read. */
int sys_pwrite_all(int fd, const void *data, size_t len, uint64_t at);
int sys_pread_all(int fd, void *out, size_t len, uint64_t at);

/* Make what happened to the names in a directory durable. 0 or -errno. */
int sys_sync_dir(const char *path);

/* A hint to the CPU in a loop that waits for another thread. */
static inline void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}
