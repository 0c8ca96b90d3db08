/* SPDX-License-Identifier: MIT */
/* attempts.h - attempts to get out of a sandbox, or to see or use what is not in it. Each is a function that answers
 * whether it came to anything; test_box.c carries it out inside by a copy of itself. First the controls: what a program
 * must be able to do, done by the same means, so that a sandbox in which nothing works passes no test. */
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/sandbox/spawned.h"

#define YES     0
#define NO      1
#define OPEN(p) opens(p, O_RDONLY)

static char arg[256]; /* what an attempt was given: a path, a pid, a port */

static bool opens(const char *path, int how)
{
	int fd = open(path, how | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool there(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

static int number(void)
{
	uint64_t n = 0;
	return parse_u64(arg, 0, INT32_MAX, &n, NULL) == 0 ? (int)n : -1;
}

static bool call(long nr, long a, long b, long c, long d)
{
	return syscall(nr, a, b, c, d, 0, 0) >= 0;
}

/* In a child, so that what a signal ends is the child. */
static bool survives(bool (*fn)(void))
{
	int status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(fn() ? YES : NO);
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == YES;
}

/* ---- what must work ---- */

static bool ok_files(void)
{
	return opens("mine", O_WRONLY | O_CREAT) && opens("/tmp/mine", O_WRONLY | O_CREAT) &&
	       opens("/dev/shm/mine", O_RDWR | O_CREAT) && rename("mine", "mine2") == 0 && OPEN("mine2");
}
static bool ok_devices(void)
{
	return opens("/dev/null", O_RDWR) && OPEN("/dev/zero") && OPEN("/dev/urandom");
}
static bool ok_itself(void)
{
	return OPEN("/proc/self/status") && OPEN("/proc/self/maps") && OPEN("/etc/passwd") && getpid() > 1;
}
static void *nothing(void *p)
{
	return p;
}
static bool nothing_at_all(void)
{
	return true;
}
static bool ok_processes(void)
{
	pthread_t t;
	return pthread_create(&t, NULL, nothing, NULL) == 0 && pthread_join(t, NULL) == 0 &&
	       survives(nothing_at_all);
}
static bool ok_sockets(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int s = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), sv[2];
	return bind(s, (struct sockaddr *)&a, sizeof a) == 0 && listen(s, 1) == 0 &&
	       getsockname(s, (struct sockaddr *)&a, &len) == 0 &&
	       connect(c, (struct sockaddr *)&a, sizeof a) == 0 &&
	       socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0;
}
static bool ok_stdout_again(void)
{
	return opens("/dev/stdout", O_WRONLY | O_APPEND);
}
static bool ok_terminate(void)
{
	return signal(SIGTERM, SIG_IGN) != SIG_ERR && raise(SIGTERM) == 0;
}

/* ---- files ---- */

static bool see_secret(void)
{
	return OPEN(arg) || there(arg);
}
static bool see_home(void)
{
	return there("/root") || there("/home");
}
static bool see_users(void)
{
	char text[65536];
	int fd = open("/etc/passwd", O_RDONLY);
	ssize_t n = read(fd, text, sizeof text - 1);
	text[n > 0 ? n : 0] = 0;
	return there("/etc/shadow") || strstr(text, "root") || strstr(text, "daemon");
}
static bool see_sockets(void)
{
	return there("/run/dbus") || there("/var/run/docker.sock") || there("/run/systemd");
}
static bool see_cgroups(void)
{
	return there("/sys/fs") || there("/sys/kernel");
}
static bool see_logs(void)
{
	return there("/var/log") || there("/var/lib") || OPEN("/dev/kmsg");
}
static bool see_disks(void)
{
	return there("/dev/vda") || there("/dev/sda") || there("/dev/mem") || there("/dev/kvm") ||
	       there("/dev/fuse") || there("/dev/vsock");
}
static bool write_system(void)
{
	return opens("/usr/bin/symbi-probe", O_WRONLY | O_CREAT) || opens("/usr/bin/env", O_WRONLY) ||
	       opens("/lib/probe", O_WRONLY | O_CREAT);
}
static bool write_root(void)
{
	return opens("/probe", O_WRONLY | O_CREAT) || mkdir("/probe.d", 0700) == 0 ||
	       opens("/etc/passwd", O_WRONLY) || opens("/etc/ld.so.preload", O_WRONLY | O_CREAT);
}
static bool above_directory(void)
{
	return there("../state") || there("../secret") || there("../../../../root/.ssh");
}
static bool make_device(void)
{
	return (mknod("disk", S_IFBLK | 0600, makedev(254, 0)) == 0 || mknod("memory", S_IFCHR | 0600, makedev(1, 1)) == 0);
}
static bool link_to_secret(void)
{
	unlink("link");
	return (symlink(arg, "link") == 0 && OPEN("link")) || link("/usr/bin/env", "env") == 0;
}
static bool set_user_bit(void)
{
	return chown("probe", 0, 0) == 0;
}
static bool handle_of_root(void)
{
	struct {
		struct file_handle h;
		char room[128];
	} f = {.h.handle_bytes = 128};
	int mount_id;
	return name_to_handle_at(AT_FDCWD, ".", &f.h, &mount_id, 0) == 0 &&
	       open_by_handle_at(AT_FDCWD, &f.h, O_RDONLY) >= 0;
}
static bool root_of_another(void)
{
	char path[300];
	snprintf(path, sizeof path, "/proc/1/root%s", arg);
	return OPEN(path) || there("/proc/1/cwd/") || OPEN("/proc/self/root/../root/.profile");
}

/* ---- /proc and /sys ---- */

static bool write_core_pattern(void)
{
	return opens("/proc/sys/kernel/core_pattern", O_WRONLY) || opens("/proc/sysrq-trigger", O_WRONLY);
}
static bool read_kernel(void)
{
	return OPEN("/proc/kallsyms") || OPEN("/proc/kcore") || OPEN("/proc/keys") || OPEN("/proc/cmdline");
}
static bool read_pid_one(void)
{
	return OPEN("/proc/1/environ") || OPEN("/proc/1/mem") || OPEN("/proc/1/maps");
}
static bool see_other_processes(void)
{
	char path[300];
	snprintf(path, sizeof path, "/proc/%s", arg);
	return there(path) && OPEN(path);
}

/* ---- processes ---- */

static bool signal_other(void)
{
	return kill((pid_t)number(), 0) == 0;
}
static bool kill_pid_one(void)
{
	kill(1, SIGKILL);
	kill(1, SIGSTOP);
	kill(1, SIGUSR1);
	usleep(20000);
	return kill(1, 0) < 0 && errno == ESRCH;
}
static bool trace_pid_one(void)
{
	return ptrace(PTRACE_ATTACH, 1, 0, 0) == 0 || ptrace(PTRACE_SEIZE, 1, 0, 0) == 0;
}
static bool trace_own_child(void)
{
	return ptrace(PTRACE_TRACEME, 0, 0, 0) == 0;
}
static bool read_memory(void)
{
	char c;
	struct iovec l = {&c, 1}, r = {&c, 1};
	return process_vm_readv(1, &l, 1, &r, 1, 0) == 1 || process_vm_readv(getpid(), &l, 1, &r, 1, 0) == 1;
}
static bool take_descriptor(void)
{
	int fd = (int)syscall(SYS_pidfd_open, 1, 0);
	return fd >= 0 && call(SYS_pidfd_getfd, fd, 0, 0, 0);
}
static bool become_root(void)
{
	return setuid(0) == 0 || setresuid(0, 0, 0) == 0 || setgid(0) == 0 || geteuid() == 0;
}
static bool have_capability(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	unsigned long long caps;
	bool any = false, seen = false;
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "Cap%*3s: %llx", &caps) == 1) {
			seen = true;
			any |= caps != 0;
		}
	return any || !seen;
}
static bool dump_core(void)
{
	struct rlimit l;
	return getrlimit(RLIMIT_CORE, &l) < 0 || l.rlim_max != 0;
}
static bool raise_priority(void)
{
	return setpriority(PRIO_PROCESS, 0, -5) == 0 || nice(-1) >= 0;
}

/* ---- kernel surface ---- */

static bool new_user_namespace(void)
{
	return unshare(CLONE_NEWUSER) == 0;
}
static bool new_namespace(void)
{
	return unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWPID) == 0;
}
static bool clone_namespace(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		_exit(0);
	return pid > 0;
}
static bool clone_three(void)
{
	uint64_t args[11] = {CLONE_NEWUSER, 0, 0, 0, SIGCHLD};
	long pid = syscall(SYS_clone3, args, sizeof args);
	if (pid == 0)
		_exit(0);
	return pid > 0;
}
static bool enter_namespace(void)
{
	int fd = open("/proc/1/ns/net", O_RDONLY), own = open("/proc/self/ns/net", O_RDONLY);
	return (fd >= 0 && setns(fd, 0) == 0) || (own >= 0 && setns(own, 0) == 0);
}
static bool mount_something(void)
{
	return mount("x", "/tmp", "tmpfs", 0, NULL) == 0 || mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL) == 0 ||
	       umount2("/proc", MNT_DETACH) == 0;
}
static bool mount_anew(void)
{
	return call(SYS_fsopen, (long)"tmpfs", 0, 0, 0) || call(SYS_open_tree, AT_FDCWD, (long)"/", 1, 0);
}
static bool change_root(void)
{
	return chroot("/tmp") == 0 || call(SYS_pivot_root, (long)".", (long)".", 0, 0);
}
static bool load_bpf(void)
{
	char attr[128] = {0};
	return call(SYS_bpf, 0, (long)attr, sizeof attr, 0) || errno == EINVAL;
}
static bool io_rings(void)
{
	char params[256] = {0};
	return call(SYS_io_uring_setup, 4, (long)params, 0, 0);
}
static bool fault_handler(void)
{
	return call(SYS_userfaultfd, 1, 0, 0, 0);
}
static bool performance_events(void)
{
	char attr[128] = {0};
	return call(SYS_perf_event_open, (long)attr, 0, -1, -1) || errno == EINVAL || errno == EACCES;
}
static bool key_rings(void)
{
	return call(SYS_keyctl, 0, -1, 1, 0) || call(SYS_add_key, (long)"user", (long)"x", (long)"y", 1);
}
static bool kernel_image(void)
{
	return call(SYS_kexec_load, 0, 0, 0, 0) || call(SYS_init_module, 0, 0, (long)"", 0) || errno != ENOSYS;
}
static bool set_clock(void)
{
	struct timespec t = {1, 0};
	return clock_settime(CLOCK_REALTIME, &t) == 0 || sethostname("x", 1) == 0;
}
static bool odd_personality(void)
{
	return call(SYS_personality, 0x0040000, 0, 0, 0);
}
static bool type_at_terminal(void)
{
	char c = 'x';
	return ioctl(0, 0x5412, &c) == 0 || errno != ENOSYS || ioctl(0, 0x541c, &c) == 0 || errno != ENOSYS;
}
static bool old_calls(void)
{
	long r;
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory"); /* getpid of i386 */
	return r > 0;
}
static bool x32_calls(void)
{
	return syscall(0x40000000 + SYS_getpid) > 0;
}
static void *x32_thread(void *p)
{
	syscall(0x40000000 + SYS_getpid);
	return p;
}
/* Killed is the whole program; that of a dead thread would hang for ever. */
static bool outlive_a_thread(void)
{
	pthread_t t;
	return pthread_create(&t, NULL, x32_thread, NULL) == 0 && pthread_join(t, NULL) == 0;
}

/* ---- network ---- */

static bool family(int domain, int type)
{
	int fd = socket(domain, type, 0);
	return fd >= 0;
}
static bool socket_vsock(void)
{
	return family(AF_VSOCK, SOCK_STREAM);
}
static bool socket_crypto(void)
{
	return family(AF_ALG, SOCK_SEQPACKET);
}
static bool socket_netlink(void)
{
	return family(AF_NETLINK, SOCK_RAW);
}
static bool socket_packet(void)
{
	return family(AF_PACKET, SOCK_RAW);
}
static bool socket_raw(void)
{
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	return fd >= 0;
}
static bool reaches(const char *host, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	inet_pton(AF_INET, host, &a.sin_addr);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
}
static bool reach_loopback_of_host(void)
{
	return reaches("127.0.0.1", number());
}
static bool reach_outside(void)
{
	return reaches("1.1.1.1", 53) || errno != ENETUNREACH;
}
static bool reach_abstract(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "%.100s", arg);
	return connect(fd, (struct sockaddr *)&a, (socklen_t)(sizeof(sa_family_t) + 1 + strlen(arg))) == 0;
}
static bool share_memory(void)
{
	return shmget((key_t)number(), 1, 0) >= 0;
}

enum given { GIVEN_NOTHING, GIVEN_SECRET, GIVEN_PID, GIVEN_PORT, GIVEN_NAME, GIVEN_SHM };

static const struct attempt {
	const char *name;
	bool (*fn)(void);
	bool works; /* a control */
	enum given given;
} attempts[] = {
#define CONTROL(f)  {#f, f, true, GIVEN_NOTHING}
#define ATTEMPT(f)  {#f, f, false, GIVEN_NOTHING}
#define WITH(f, g)  {#f, f, false, g}
	CONTROL(ok_files), CONTROL(ok_devices), CONTROL(ok_itself), CONTROL(ok_processes), CONTROL(ok_sockets),
	CONTROL(ok_stdout_again), CONTROL(ok_terminate),
	WITH(see_secret, GIVEN_SECRET), ATTEMPT(see_home), ATTEMPT(see_users), ATTEMPT(see_sockets),
	ATTEMPT(see_cgroups), ATTEMPT(see_logs), ATTEMPT(see_disks), ATTEMPT(write_system), ATTEMPT(write_root),
	ATTEMPT(above_directory), ATTEMPT(make_device), WITH(link_to_secret, GIVEN_SECRET), ATTEMPT(set_user_bit),
	ATTEMPT(handle_of_root), WITH(root_of_another, GIVEN_SECRET), ATTEMPT(write_core_pattern),
	ATTEMPT(read_kernel), ATTEMPT(read_pid_one), WITH(see_other_processes, GIVEN_PID),
	WITH(signal_other, GIVEN_PID), ATTEMPT(kill_pid_one), ATTEMPT(trace_pid_one), ATTEMPT(trace_own_child),
	ATTEMPT(read_memory), ATTEMPT(take_descriptor), ATTEMPT(become_root), ATTEMPT(have_capability),
	ATTEMPT(dump_core), ATTEMPT(raise_priority), ATTEMPT(new_user_namespace), ATTEMPT(new_namespace),
	ATTEMPT(clone_namespace), ATTEMPT(clone_three), ATTEMPT(enter_namespace), ATTEMPT(mount_something),
	ATTEMPT(mount_anew), ATTEMPT(change_root), ATTEMPT(load_bpf), ATTEMPT(io_rings), ATTEMPT(fault_handler),
	ATTEMPT(performance_events), ATTEMPT(key_rings), ATTEMPT(kernel_image), ATTEMPT(set_clock),
	ATTEMPT(odd_personality), ATTEMPT(type_at_terminal), ATTEMPT(old_calls), ATTEMPT(x32_calls),
	ATTEMPT(outlive_a_thread),
	ATTEMPT(socket_vsock), ATTEMPT(socket_crypto), ATTEMPT(socket_netlink), ATTEMPT(socket_packet),
	ATTEMPT(socket_raw), WITH(reach_loopback_of_host, GIVEN_PORT), ATTEMPT(reach_outside),
	WITH(reach_abstract, GIVEN_NAME), WITH(share_memory, GIVEN_SHM),
};

/* Inside: the answer is the exit code. */
static int carry_out(const char *name, const char *given)
{
	snprintf(arg, sizeof arg, "%s", given);
	for (size_t i = 0; i < ARRAY_LEN(attempts); i++)
		if (strcmp(attempts[i].name, name) == 0)
			return survives(attempts[i].fn) ? YES : NO;
	return 99;
}
