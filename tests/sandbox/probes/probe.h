/* SPDX-License-Identifier: MIT */
/* probe.h - what attempts are made of. */
#pragma once

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* secret (a file), pid (a process), socket (a path), tcp and udp (ports of 127.0.0.1), address (of the machine), abstract (a
 * name), shm (a key), mq (a name), tmp, devshm (files), env (a value), host (its name). "" when it was not given. */
const char *fact(const char *name);

static inline int number(const char *name)
{
	int n = 0;
	return sscanf(fact(name), "%d", &n) == 1 ? n : 0;
}

static inline bool opens(const char *path, int how)
{
	int fd = open(path, how | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static inline bool sees(const char *path)
{
	struct stat st;
	return *path && lstat(path, &st) == 0;
}

/* Something can be read there. */
static inline bool reads(const char *path)
{
	char c;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool ok = fd >= 0 && read(fd, &c, 1) == 1;
	if (fd >= 0)
		close(fd);
	return ok;
}

static inline bool makes(const char *path)
{
	bool ok = opens(path, O_WRONLY | O_CREAT | O_EXCL);
	if (ok)
		unlink(path);
	return ok;
}

static inline bool has(const char *path, const char *what)
{
	static char text[1 << 20];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
	if (fd >= 0)
		close(fd);
	return n > 0 && *what && memmem(text, (size_t)n, what, strlen(what));
}

static inline bool any(bool (*test)(const char *), const char *const *paths)
{
	bool found = false;
	for (; *paths; paths++)
		found |= test(*paths);
	return found;
}
#define ANY(test, ...) any(test, (const char *const[]){__VA_ARGS__, NULL})

static inline bool writable(const char *path)
{
	return opens(path, O_WRONLY);
}

/* The call is there and got further than to a missing right: it did its work, or found fault with an argument. */
static inline bool call(long nr, long a, long b, long c, long d)
{
	return syscall(nr, a, b, c, d, 0, 0) >= 0 || (errno != ENOSYS && errno != EPERM && errno != EACCES);
}

static inline bool family(int f, int type, int protocol)
{
	int fd = socket(f, type | SOCK_CLOEXEC, protocol);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static inline bool tcp(const char *address, int port)
{
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	bool v6 = strchr(address, ':');
	if (!*address || !port || inet_pton(v6 ? AF_INET6 : AF_INET, address, v6 ? (void *)&six.sin6_addr : (void *)&four.sin_addr) != 1)
		return false;
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd >= 0 && connect(fd, v6 ? (void *)&six : (void *)&four, v6 ? sizeof six : sizeof four) == 0;
}

#define PROBE(class, name, doc) bool name(void);
#include "probes.def"
#undef PROBE
