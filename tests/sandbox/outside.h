/* SPDX-License-Identifier: MIT */
/* outside.h - a small world for tests of networks: this process in a network namespace of its own, joined to another one
 * where servers are, with a resolver that answers as the test says. Needs root and iproute2.
 *
 *   here    198.51.100.1, 2001:db8::1, and a service on all its addresses, loopback too: NEAR_PORT
 *   there   198.51.100.2, 2001:db8::2, 10.9.8.7, 169.254.169.254: FAR_PORT
 * A server says which of its addresses it was reached at and what it heard first. Names: rows of `names`. */
#pragma once

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

#include "tests/sandbox/spawned.h"

#define FAR_PORT  8080
#define NEAR_PORT 8081

static const struct {
	const char *name, *first, *then; /* IPv4 addresses, two at a time apart by ',': of the first look-up, of later ones */
} names[] = {
	{"good.test", "198.51.100.2", "198.51.100.2"},	{"sub.good.test", "198.51.100.2", "198.51.100.2"},
	{"rebind.test", "198.51.100.2", "127.0.0.1"},	{"late.test", "127.0.0.1", "198.51.100.2"},
	{"loop.test", "127.0.0.1", "127.0.0.1"},	{"private.test", "10.9.8.7", "10.9.8.7"},
	{"meta.test", "169.254.169.254", "169.254.169.254"}, {"own.test", "198.51.100.1", "198.51.100.1"},
	{"mixed.test", "127.0.0.1,198.51.100.2", "127.0.0.1,198.51.100.2"}, {"secret.test", "198.51.100.2", "198.51.100.2"},
};

struct outside { /* shared by all processes of it */
	unsigned asked[ARRAY_LEN(names)], asked_other;
	unsigned far, near; /* connections that were accepted there, here */
};
static struct outside *outside;

static inline void ip(const char *words)
{
	char copy[256], *argv[24] = {"ip"};
	size_t n = 1;
	int status = 1;
	snprintf(copy, sizeof copy, "%s", words);
	for (char *w, *rest = copy; (w = strsep(&rest, " "));)
		argv[n++] = w;
	pid_t pid = fork();
	if (pid == 0) {
		execvp("ip", argv);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid || status != 0) {
		printf("skipped: `ip %s` fails here; is iproute2 installed?\n", words);
		exit(77);
	}
}

static inline int listen_on(int family, uint16_t port)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&six, sizeof six) < 0 || listen(fd, 64) < 0) { /* IPv4 too */
		perror("a server of the test");
		exit(1);
	}
	return fd;
}

static inline void serve_one(int c)
{
	struct sockaddr_in6 at = {0};
	socklen_t len = sizeof at;
	char text[8192], address[64] = "", heard[4096];
	struct pollfd p = {.fd = c, .events = POLLIN};
	getsockname(c, (struct sockaddr *)&at, &len);
	inet_ntop(AF_INET6, &at.sin6_addr, address, sizeof address);
	ssize_t n = poll(&p, 1, 5000) > 0 ? read(c, heard, sizeof heard - 1) : 0;
	heard[n > 0 ? n : 0] = 0;
	n = snprintf(text, sizeof text, "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nat %s\n%s", address, heard);
	if (write(c, text, (size_t)n) < 0)
		perror("a server of the test");
	close(c);
}

static inline _Noreturn void serve(int fd, unsigned *count)
{
	for (;;) {
		int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		if (c < 0)
			continue;
		__atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
		serve_one(c);
	}
}

/* ---- the resolver ---- */

/* A question's name with dots; where it ends. */
static inline size_t question(const uint8_t *q, size_t len, char name[256])
{
	size_t at = 12, n = 0;
	while (at < len && q[at] && n + q[at] + 1 < 255) {
		for (size_t i = 0; i < q[at] && at + 1 + i < len; i++)
			name[n++] = (char)q[at + 1 + i];
		name[n++] = '.';
		at += 1u + q[at];
	}
	name[n ? n - 1 : 0] = 0;
	return at + 5;
}

static inline size_t answer_for(uint8_t *m, size_t len)
{
	char name[256], list[64];
	size_t end = question(m, len, name), i = 0;
	bool v4 = m[end - 3] == 1; /* type A; of AAAA there is none */
	while (i < ARRAY_LEN(names) && strcasecmp(names[i].name, name) != 0)
		i++;
	m[2] = 0x81;
	m[3] = i < ARRAY_LEN(names) ? 0x80 : 0x83;
	memset(m + 6, 0, 6);
	if (i == ARRAY_LEN(names)) {
		__atomic_add_fetch(&outside->asked_other, 1, __ATOMIC_SEQ_CST);
		return end;
	}
	if (!v4)
		return end;
	unsigned before = __atomic_fetch_add(&outside->asked[i], 1, __ATOMIC_SEQ_CST);
	snprintf(list, sizeof list, "%s", before ? names[i].then : names[i].first);
	for (char *a, *rest = list; (a = strsep(&rest, ","));) {
		static const uint8_t head[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4};
		memcpy(m + end, head, sizeof head);
		inet_pton(AF_INET, a, m + end + sizeof head);
		end += sizeof head + 4;
		m[7]++;
	}
	return end;
}

static inline _Noreturn void resolver(int fd)
{
	uint8_t m[1024];
	struct sockaddr_in from;
	for (;;) {
		socklen_t flen = sizeof from;
		ssize_t n = recvfrom(fd, m, 512, 0, (struct sockaddr *)&from, &flen);
		if (n >= 17)
			sendto(fd, m, answer_for(m, (size_t)n), 0, (struct sockaddr *)&from, flen);
	}
}

static inline int resolver_socket(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0) {
		perror("the test's resolver");
		exit(1);
	}
	return fd;
}

static inline unsigned asked(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i].name, name) == 0)
			return __atomic_load_n(&outside->asked[i], __ATOMIC_SEQ_CST);
	return 0;
}

/* ---- all of it ---- */

static inline void show_text(const char *path, const char *text)
{
	char own[] = "/tmp/symbi-net-XXXXXX";
	int fd = mkstemp(own);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) > 0 && fchmod(fd, 0644) == 0 &&
		  mount(own, path, NULL, MS_BIND, NULL) == 0;
	close(fd);
	unlink(own);
	if (!ok) {
		printf("skipped: %s cannot be replaced here: %s\n", path, strerror(errno));
		exit(77);
	}
}

static inline pid_t child(void)
{
	pid_t parent = getpid(), pid = fork();
	if (pid == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent))
		_exit(1);
	return pid;
}

/* The other side: addresses come once the pair is there. */
static inline pid_t far_side(void)
{
	int ready[2], go[2];
	char c = 0;
	if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0)
		exit(1);
	pid_t pid = child();
	if (pid == 0) {
		if (unshare(CLONE_NEWNET) < 0 || write(ready[1], &c, 1) < 0 || read(go[0], &c, 1) != 1)
			_exit(1);
		ip("link set lo up");
		ip("addr add 198.51.100.2/24 dev symbi1");
		ip("addr add 2001:db8::2/64 dev symbi1 nodad");
		ip("addr add 10.9.8.7/32 dev symbi1");
		ip("addr add 169.254.169.254/32 dev symbi1");
		ip("link set symbi1 up");
		int fd = listen_on(AF_INET6, FAR_PORT);
		if (write(ready[1], &c, 1) < 0)
			_exit(1);
		serve(fd, &outside->far);
	}
	char words[64];
	if (read(ready[0], &c, 1) != 1)
		exit(1);
	ip("link add symbi0 type veth peer name symbi1");
	snprintf(words, sizeof words, "link set symbi1 netns %d", pid);
	ip(words);
	ip("addr add 198.51.100.1/24 dev symbi0");
	ip("addr add 2001:db8::1/64 dev symbi0 nodad");
	ip("link set symbi0 up");
	if (write(go[1], &c, 1) < 0 || read(ready[0], &c, 1) != 1)
		exit(1);
	ip("route add 10.9.8.7 dev symbi0");
	ip("route add 169.254.169.254 dev symbi0");
	return pid;
}

/* As udev makes it: for everybody. Where that cannot be done, an ordinary user has no whole network. */
static inline void open_tun(void)
{
	char own[64];
	snprintf(own, sizeof own, "/tmp/symbi-tun-%d", getpid());
	if (mknod(own, S_IFCHR | 0666, makedev(10, 200)) == 0 && chmod(own, 0666) == 0 &&
	    mount(own, "/dev/net/tun", NULL, MS_BIND, NULL) < 0)
		printf("/dev/net/tun stays as it is: %s\n", strerror(errno));
	unlink(own);
}

/* Make it, in this process, which nothing leads out of afterwards. 77 where it cannot be had. */
static inline void outside_make(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		printf("skipped: only root can make the networks of this test\n");
		exit(77);
	}
	outside = mmap(NULL, sizeof *outside, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	show_text("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:2 attempts:1\n");
	show_text("/etc/nsswitch.conf", "hosts: files dns\n");
	show_text("/etc/hosts", "127.0.0.1 localhost\n");
	open_tun();
	ip("link set lo up");
	far_side();
	int fd = listen_on(AF_INET6, NEAR_PORT), dns = resolver_socket();
	if (child() == 0)
		serve(fd, &outside->near);
	if (child() == 0)
		resolver(dns);
	close(fd);
	close(dns);
}
