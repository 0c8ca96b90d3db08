/* SPDX-License-Identifier: MIT */
/* limits.c - what must work, and how much of it there is. */
#include "probe.h"

bool own_files(void)
{
	bool ok = opens("probe-own", O_RDWR | O_CREAT) && rename("probe-own", "probe-own2") == 0 && sees("probe-own2");
	unlink("probe-own2");
	return ok;
}
bool own_processes(void)
{
	int status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(7);
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7;
}
bool own_loopback(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int s = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
	return bind(s, (void *)&a, sizeof a) == 0 && listen(s, 1) == 0 && getsockname(s, (void *)&a, &len) == 0 &&
	       connect(c, (void *)&a, sizeof a) == 0;
}
bool own_memory(void)
{
	void *p = mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	return p != MAP_FAILED;
}

bool processes_limit(void)
{
	static pid_t pids[2000];
	size_t n = 0;
	for (; n < COUNT(pids); n++) {
		pids[n] = fork();
		if (pids[n] == 0) {
			pause();
			_exit(0);
		}
		if (pids[n] < 0)
			break;
	}
	bool all = n == COUNT(pids);
	while (n > 0)
		kill(pids[--n], SIGKILL);
	return all;
}
bool memory_limit(void)
{
	for (int i = 0; i < 64; i++) {
		char *p = mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			return false;
		for (size_t k = 0; k < 16 << 20; k += 4096)
			p[k] = 1;
	}
	return true;
}
/* files of up to 30 MB, 300 MB in all, are written */
static bool fills(const char *dir, size_t each)
{
	static char block[1 << 20];
	char path[300];
	size_t all = 0, k = 0;
	bool ok = true;
	signal(SIGXFSZ, SIG_IGN);
	memset(block, 'x', sizeof block);
	for (; ok && all < 300; k++) {
		snprintf(path, sizeof path, "%s/probe-fill-%zu", dir, k);
		int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		ok = fd >= 0;
		for (size_t i = 0; ok && i < each && all < 300; i++, all++)
			ok = write(fd, block, sizeof block) == sizeof block;
		if (fd >= 0)
			close(fd);
	}
	while (k > 0) {
		snprintf(path, sizeof path, "%s/probe-fill-%zu", dir, --k);
		unlink(path);
	}
	return ok;
}
bool tmp_limit(void) { return fills("/tmp", 30); }
bool dev_shm_limit(void) { return fills("/dev/shm", 30); }
bool directory_limit(void) { return fills(".", 30); }
bool file_size_limit(void) { return fills(".", 300); }
bool inode_limit(void)
{
	char path[64];
	int n = 0;
	mkdir("/tmp/probe-inodes", 0700);
	for (; n < 50000; n++) {
		snprintf(path, sizeof path, "/tmp/probe-inodes/%d", n);
		if (!opens(path, O_WRONLY | O_CREAT))
			break;
	}
	bool all = n == 50000;
	while (n > 0) {
		snprintf(path, sizeof path, "/tmp/probe-inodes/%d", --n);
		unlink(path);
	}
	rmdir("/tmp/probe-inodes");
	return all;
}
bool descriptor_limit(void)
{
	struct rlimit l;
	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
	int n = 0;
	while (n < 100000 && open("/dev/null", O_RDONLY) >= 0)
		n++;
	return n == 100000;
}
/* Two processes that do nothing else: one alone may have to share with the rest of a busy machine. */
bool processor_limit(void)
{
	struct timespec t;
	pid_t pid = fork();
	clock_gettime(CLOCK_MONOTONIC, &t);
	double from = (double)t.tv_sec + (double)t.tv_nsec / 1e9, now = from;
	for (volatile long i = 0; now - from < 3; i++)
		if (i % 10000 == 0) {
			clock_gettime(CLOCK_MONOTONIC, &t);
			now = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
		}
	if (pid == 0)
		_exit(0);
	struct rusage own, of_child;
	waitpid(pid, NULL, 0);
	getrusage(RUSAGE_SELF, &own);
	getrusage(RUSAGE_CHILDREN, &of_child);
	double used = (double)(own.ru_utime.tv_sec + of_child.ru_utime.tv_sec) +
		      (double)(own.ru_utime.tv_usec + of_child.ru_utime.tv_usec) / 1e6;
	return !*fact("gvisor") && used / 3 > 0.75; /* gVisor's clock is its own: who runs us looks at the machine's */
}
bool core_limit(void)
{
	struct rlimit l;
	return getrlimit(RLIMIT_CORE, &l) < 0 || l.rlim_max != 0;
}
