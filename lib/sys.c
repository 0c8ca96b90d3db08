/* SPDX-License-Identifier: MIT */
/* sys.c - the kernel behind struct sys. L0; any thread. */
#include "lib/sys.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "lib/mem.h"

static uint64_t mono_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t wall_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

static int open_file(const char *path, int flags, mode_t mode)
{
	return open(path, flags, mode);
}

const struct sys sys_kernel = {
	.mono_ns = mono_ns,
	.wall_ms = wall_ms,
	.random = randombytes_buf,
	.open = open_file,
	.pread = pread,
	.pwrite = pwrite,
	.fallocate = fallocate,
	.fdatasync = fdatasync,
	.fsync = fsync,
	.rename = rename,
	.unlink = unlink,
	.mkdir = mkdir,
};

const struct sys *sys = &sys_kernel;

int sys_pwrite_all(int fd, const void *data, size_t len, uint64_t at)
{
	const char *p = data;
	while (len) {
		ssize_t n = sys->pwrite(fd, p, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int sys_pread_all(int fd, void *out, size_t len, uint64_t at)
{
	char *p = out;
	while (len) {
		ssize_t n = sys->pread(fd, p, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int sys_sync_dir(const char *path)
{
	autoclose int fd = sys->open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	return fd < 0 || sys->fsync(fd) < 0 ? -errno : 0;
}
