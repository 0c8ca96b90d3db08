/* SPDX-License-Identifier: MIT */
/* probe.c - tries to get out of what it is run in, each way in a process of its own, and says which led somewhere. Static,
 * so that it runs in any root. Nothing that it does harms a machine that has no wall: where only a right is asked for, the
 * value that is there is written again, or an argument is wrong behind the check of the right.
 *
 *   probe FACT=VALUE...      a line "CLASS NAME open|closed" for each; `probe --list` says what each is
 *   probe --leave|--stay WORD    a process that should not be there any more later
 * CLASS: E an effect on the machine or sight of it, S a part of the kernel that programs have no need of, L a limit that is
 * not there, C a control: must be open, else nothing is shown by the others. Facts: see fact(). */
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

#define SECONDS 20 /* for one probe */
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static char **facts;

/* secret (a file), pid (a process), socket (a path), tcp and udp (ports of 127.0.0.1), address (of the machine), abstract (a
 * name), shm (a key), mq (a name), tmp, devshm (files), env (a value), host (its name). "" when it was not given. */
static const char *fact(const char *name)
{
	size_t n = strlen(name);
	for (char **f = facts; *f; f++)
		if (strncmp(*f, name, n) == 0 && (*f)[n] == '=')
			return *f + n + 1;
	return "";
}

static int number(const char *name)
{
	return (int)strtol(fact(name), NULL, 10);
}

static bool opens(const char *path, int how)
{
	int fd = open(path, how | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool sees(const char *path)
{
	struct stat st;
	return *path && lstat(path, &st) == 0;
}

/* Something can be read there. */
static bool reads(const char *path)
{
	char c;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool ok = fd >= 0 && read(fd, &c, 1) == 1;
	if (fd >= 0)
		close(fd);
	return ok;
}

static bool makes(const char *path)
{
	bool ok = opens(path, O_WRONLY | O_CREAT | O_EXCL);
	if (ok)
		unlink(path);
	return ok;
}

static bool has(const char *path, const char *what)
{
	static char text[1 << 20];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
	if (fd >= 0)
		close(fd);
	return n > 0 && *what && memmem(text, (size_t)n, what, strlen(what));
}

static bool any(bool (*test)(const char *), const char *const *paths)
{
	bool found = false;
	for (; *paths; paths++)
		found |= test(*paths);
	return found;
}
#define ANY(test, ...) any(test, (const char *const[]){__VA_ARGS__, NULL})

static bool writable(const char *path)
{
	return opens(path, O_WRONLY);
}

/* The call is there and got further than to a missing right: it did its work, or found fault with an argument. */
static bool call(long nr, long a, long b, long c, long d)
{
	return syscall(nr, a, b, c, d, 0, 0) >= 0 || (errno != ENOSYS && errno != EPERM && errno != EACCES);
}

static bool family(int f, int type, int protocol)
{
	int fd = socket(f, type | SOCK_CLOEXEC, protocol);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool tcp(const char *address, int port)
{
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	bool v6 = strchr(address, ':');
	if (!*address || !port || inet_pton(v6 ? AF_INET6 : AF_INET, address, v6 ? (void *)&six.sin6_addr : (void *)&four.sin_addr) != 1)
		return false;
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd >= 0 && connect(fd, v6 ? (void *)&six : (void *)&four, v6 ? sizeof six : sizeof four) == 0;
}

/* ---- the probes: CLASS, name, what it would mean, the attempt ---- */

#define PROBES(P) \
	P(C, own_files, "writes and reads files of its directory") \
	P(C, own_processes, "starts a process") \
	P(C, own_loopback, "connects to itself") \
	P(C, own_memory, "has 16 MiB") \
	P(E, secret_file, "a file elsewhere on the machine is seen") \
	P(E, parent_directory, "what lies beside its directory is seen") \
	P(E, link_to_secret, "a symbolic link leads out") \
	P(E, homes, "homes of users are seen") \
	P(E, shadow, "the users' passwords or names of the machine are seen") \
	P(E, logs_and_state, "logs and states of the machine's programs are seen") \
	P(E, host_tmp, "the machine's /tmp is its own") \
	P(E, host_dev_shm, "the machine's /dev/shm is its own") \
	P(E, write_system, "system programs can be replaced") \
	P(E, write_etc, "the system's settings can be changed") \
	P(E, disks, "a disk can be read") \
	P(E, memory_devices, "the machine's memory is a file") \
	P(E, kernel_devices, "FUSE, KVM, tun or the kernel's log can be opened") \
	P(E, make_disk, "a device can be made and opened") \
	P(E, core_pattern, "the program that is run at a crash can be set: as root on the machine") \
	P(E, sysrq, "the machine can be stopped") \
	P(E, proc_sys, "the kernel's settings can be changed") \
	P(E, sys_files, "/sys can be written") \
	P(E, cgroups, "groups of processes can be changed") \
	P(E, tracing, "the kernel's debug and trace files are seen") \
	P(E, kcore, "the kernel's memory can be read") \
	P(E, kernel_log, "the kernel's log can be read") \
	P(E, processes, "a process of the machine is seen") \
	P(E, signal_process, "a process of the machine can be signalled") \
	P(E, environment, "a variable of who started it is seen, also of pid 1") \
	P(E, descriptors, "descriptors of who started it are there") \
	P(E, trace_pid1, "pid 1 can be traced or its memory read") \
	P(E, root_of_pid1, "/proc/1/root leads elsewhere") \
	P(E, loopback4, "a service on the machine's 127.0.0.1 is reached") \
	P(E, loopback6, "a service on the machine's ::1 is reached") \
	P(E, address, "a service on the machine's address is reached") \
	P(E, udp, "a service answers by UDP") \
	P(E, route, "there is a way into other networks") \
	P(E, abstract_socket, "an abstract socket of the machine is reached") \
	P(E, path_socket, "a socket in the machine's files is reached") \
	P(E, shared_memory, "System V memory of the machine is reached") \
	P(E, message_queue, "a message queue of the machine is reached") \
	P(E, host_name, "the machine's name is known, or can be set") \
	P(E, kernel_uid_0, "it is the machine's root for the kernel") \
	P(E, become_root, "it can become uid 0") \
	P(E, capabilities, "it has a capability") \
	P(E, bounding_set, "a program could give it capabilities") \
	P(E, new_privileges, "no_new_privs is not set") \
	P(E, set_user_id, "set-user-id programs work") \
	P(E, mounts, "it can mount") \
	P(E, unmounts, "it can unmount, or make read-only writable") \
	P(E, changes_root, "it can change its root") \
	P(E, handles, "a file can be opened by its number") \
	P(E, hard_link, "a system file can be linked into its directory") \
	P(E, oom_score, "it can hide from the out-of-memory killer") \
	P(E, priority, "it can go before others") \
	P(E, raises_limits, "it can raise a hard limit") \
	P(E, sets_clock, "it may set the clock") \
	P(S, user_namespace, "unshare of users") \
	P(S, clone_namespace, "clone with a namespace of users") \
	P(S, clone3_namespace, "clone3 with a namespace of users") \
	P(S, other_namespaces, "unshare of mounts, network or pids") \
	P(S, joins_namespace, "setns") \
	P(S, new_mount_api, "fsopen, open_tree") \
	P(S, io_uring, "io_uring_setup") \
	P(S, kernel_aio, "io_setup") \
	P(S, userfaultfd, "userfaultfd") \
	P(S, bpf, "bpf") \
	P(S, perf, "perf_event_open") \
	P(S, keys, "keyctl, add_key") \
	P(S, traces_child, "ptrace of a child") \
	P(S, process_memory, "process_vm_readv") \
	P(S, take_descriptor, "pidfd_getfd") \
	P(S, compares, "kcmp") \
	P(S, vsock, "AF_VSOCK, which no network namespace holds") \
	P(S, alg, "AF_ALG") \
	P(S, netlink, "AF_NETLINK") \
	P(S, packet, "AF_PACKET and raw sockets") \
	P(S, rare_families, "AF_KEY, AF_CAN, AF_TIPC, AF_BLUETOOTH, AF_RDS, AF_XDP ...") \
	P(S, rare_protocols, "SCTP, MPTCP, DCCP, UDP-Lite, ping") \
	P(S, socket_filter, "a classic BPF program at a socket") \
	P(S, kernel_tls, "TCP_ULP") \
	P(S, x32_calls, "system calls of x32") \
	P(S, i386_calls, "system calls of i386") \
	P(S, personalities, "personality other than Linux") \
	P(S, modify_ldt, "modify_ldt") \
	P(S, fanotify, "fanotify_init") \
	P(S, file_handles, "name_to_handle_at") \
	P(S, modules, "init_module, kexec_load") \
	P(S, memory_placement, "mbind, move_pages") \
	P(S, quotas_and_swap, "quotactl, swapon, acct") \
	P(S, terminal_input, "TIOCSTI reaches the kernel") \
	P(L, processes_limit, "2000 processes") \
	P(L, memory_limit, "1 GiB of memory") \
	P(L, tmp_limit, "300 MB in /tmp") \
	P(L, dev_shm_limit, "300 MB in /dev/shm") \
	P(L, inode_limit, "50000 files in /tmp") \
	P(L, directory_limit, "300 MB in its directory") \
	P(L, file_size_limit, "a file of 300 MB") \
	P(L, descriptor_limit, "100000 descriptors") \
	P(L, processor_limit, "more than three quarters of a processor over a second") \
	P(L, core_limit, "a crash may leave a file of its memory")

#define DECLARE(c, name, doc) static bool name(void);
PROBES(DECLARE)

static bool own_files(void)
{
	bool ok = opens("probe-own", O_RDWR | O_CREAT) && rename("probe-own", "probe-own2") == 0 && sees("probe-own2");
	unlink("probe-own2");
	return ok;
}
static bool own_processes(void)
{
	int status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(7);
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7;
}
static bool own_loopback(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int s = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
	return bind(s, (void *)&a, sizeof a) == 0 && listen(s, 1) == 0 && getsockname(s, (void *)&a, &len) == 0 &&
	       connect(c, (void *)&a, sizeof a) == 0;
}
static bool own_memory(void)
{
	void *p = mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	return p != MAP_FAILED;
}

static bool secret_file(void) { return sees(fact("secret")); }
static bool parent_directory(void) { return sees("../secret") || sees("../../../../../../../root/.bashrc"); }
static bool link_to_secret(void)
{
	unlink("probe-link");
	bool ok = symlink(fact("secret"), "probe-link") == 0 && opens("probe-link", O_RDONLY);
	unlink("probe-link");
	return ok;
}
static bool entries(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;
	for (struct dirent *e; d && (e = readdir(d));)
		n += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return n > 0;
}
static bool homes(void) { return sees("/root/.bashrc") || ANY(entries, "/home", "/root"); }
static bool shadow(void) { return sees("/etc/shadow") || has("/etc/passwd", "daemon:"); }
static bool logs_and_state(void) { return ANY(entries, "/var/log", "/var/lib", "/var/cache"); }
static bool host_tmp(void) { return sees(fact("tmp")); }
static bool host_dev_shm(void) { return sees(fact("devshm")); }
static bool write_system(void) { return ANY(makes, "/usr/bin/probe-x", "/usr/lib/probe-x", "/lib/probe-x", "/opt/probe-x"); }
static bool write_etc(void) { return ANY(makes, "/etc/probe-x", "/etc/cron.d/probe-x", "/etc/ld.so.conf.d/probe-x"); }
static bool disks(void) { return ANY(reads, "/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/xvda", "/dev/loop0"); }
static bool memory_devices(void) { return ANY(writable, "/dev/mem", "/dev/port", "/dev/kmem"); }
/* gVisor's are its own. */
static bool kernel_devices(void) { return !*fact("gvisor") && ANY(writable, "/dev/fuse", "/dev/kvm", "/dev/net/tun", "/dev/kmsg", "/dev/vhost-net"); }
static bool make_disk(void)
{
	bool ok = false;
	static const unsigned major_of[] = {254, 253, 259, 8, 7};
	for (size_t i = 0; i < COUNT(major_of); i++) {
		ok |= mknod("probe-disk", S_IFBLK | 0600, makedev(major_of[i], 0)) == 0 && opens("probe-disk", O_RDONLY);
		unlink("probe-disk");
	}
	return ok;
}
static bool core_pattern(void) { return writable("/proc/sys/kernel/core_pattern"); }
static bool sysrq(void) { return writable("/proc/sysrq-trigger"); }
static bool proc_sys(void) { return ANY(writable, "/proc/sys/vm/drop_caches", "/proc/sys/kernel/hostname", "/proc/sys/kernel/printk", "/proc/sys/net/ipv4/ip_forward"); }
static bool sys_files(void) { return ANY(writable, "/sys/power/state", "/sys/kernel/mm/ksm/run", "/sys/block/vda/queue/scheduler", "/sys/kernel/uevent_helper"); }
static bool cgroups(void)
{
	return ANY(writable, "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/unified/cgroup.procs", "/sys/fs/cgroup/memory/cgroup.procs",
		   "/sys/fs/cgroup/devices/cgroup.procs", "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/release_agent");
}
static bool tracing(void) { return ANY(entries, "/sys/kernel/debug", "/sys/kernel/tracing", "/sys/fs/bpf") || reads("/proc/timer_list"); }
static bool kcore(void) { return reads("/proc/kcore") || (has("/proc/kallsyms", " T ") && !has("/proc/kallsyms", "0000000000000000")); }
/* gVisor has a log of its own: a line of it is of no machine. */
static bool kernel_log(void)
{
	static char text[1 << 18];
	int n = klogctl(3, text, sizeof text - 1);
	return (n > 0 && !strstr(text, "gVisor")) || reads("/dev/kmsg");
}
static bool processes(void)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/comm", number("pid"));
	return has(path, "probe-victim");
}
static bool signal_process(void) { return processes() && kill(number("pid"), 0) == 0; }
static bool environment(void)
{
	return has("/proc/self/environ", fact("env")) || has("/proc/1/environ", fact("env")) || has("/proc/2/environ", fact("env"));
}
static bool descriptors(void)
{
	for (int fd = 3; fd < 200; fd++) {
		struct stat st;
		if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
			return true;
	}
	return false;
}
static bool trace_pid1(void) { return getpid() != 1 && (ptrace(PTRACE_SEIZE, 1, 0, 0) == 0 || reads("/proc/1/mem")); }
static bool root_of_pid1(void)
{
	char path[600];
	snprintf(path, sizeof path, "/proc/1/root%s", fact("secret"));
	return *fact("secret") && sees(path);
}
static bool loopback4(void) { return tcp("127.0.0.1", number("tcp")); }
static bool loopback6(void) { return tcp("::1", number("tcp")); }
static bool address(void) { return tcp(fact("address"), number("tcp")); }
static bool udp(void)
{
	static const char *const to[] = {"127.0.0.1", NULL};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number("udp"))};
	char c = 0;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (int i = 0; fd >= 0 && i < 2; i++) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (inet_pton(AF_INET, i ? fact("address") : to[0], &a.sin_addr) != 1 ||
		    sendto(fd, &c, 1, 0, (void *)&a, sizeof a) != 1)
			continue;
		if (poll(&p, 1, 500) == 1 && recv(fd, &c, 1, MSG_DONTWAIT) == 1)
			return true;
	}
	return false;
}
static bool route(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(9)};
	inet_pton(AF_INET, "192.88.99.7", &a.sin_addr);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd >= 0 && connect(fd, (void *)&a, sizeof a) == 0;
}
static bool unix_connect(const char *name, bool abstract)
{
	struct sockaddr_un u = {.sun_family = AF_UNIX};
	size_t n = strlen(name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!n || n >= sizeof u.sun_path - 1)
		return false;
	memcpy(u.sun_path + abstract, name, n);
	return fd >= 0 && connect(fd, (void *)&u, (socklen_t)(sizeof(sa_family_t) + abstract + n)) == 0;
}
static bool abstract_socket(void) { return unix_connect(fact("abstract"), true); }
static bool path_socket(void) { return unix_connect(fact("socket"), false); }
static bool shared_memory(void) { return number("shm") && shmget(number("shm"), 0, 0) >= 0; }
static bool message_queue(void) { return *fact("mq") && mq_open(fact("mq"), O_RDONLY) >= 0; }
static bool host_name(void)
{
	char name[256] = "";
	gethostname(name, sizeof name - 1);
	return strcmp(name, fact("host")) == 0 || sethostname(name, strlen(name)) == 0;
}
/* Its uid, where the mapping of its namespace leads to. */
static bool kernel_uid_0(void)
{
	unsigned in, out, n;
	FILE *f = fopen("/proc/self/uid_map", "re");
	while (f && fscanf(f, "%u %u %u", &in, &out, &n) == 3)
		if (getuid() >= in && getuid() - in < n && out + (getuid() - in) == 0)
			return !*fact("gvisor");
	return f == NULL && getuid() == 0 && !*fact("gvisor");
}
static bool become_root(void) { return getuid() != 0 && (setuid(0) == 0 || setresuid(0, 0, 0) == 0 || setgid(0) == 0); }
static unsigned long long caps(const char *which)
{
	char line[256];
	unsigned long long v = 0;
	FILE *f = fopen("/proc/self/status", "re");
	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, which, strlen(which)) == 0)
			v = strtoull(line + strlen(which), NULL, 16);
	if (f)
		fclose(f);
	return v;
}
static bool capabilities(void) { return caps("CapEff:") != 0 || caps("CapPrm:") != 0; }
static bool bounding_set(void) { return caps("CapBnd:") != 0; }
static bool new_privileges(void) { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0; }
static bool set_user_id(void)
{
	struct statvfs v;
	return new_privileges() && statvfs("/usr/bin", &v) == 0 && !(v.f_flag & ST_NOSUID) && getuid() != 0;
}
static bool mounts(void)
{
	mkdir("probe-mount", 0700);
	bool ok = mount("x", "probe-mount", "tmpfs", 0, NULL) == 0;
	if (ok)
		umount2("probe-mount", MNT_DETACH);
	rmdir("probe-mount");
	return ok;
}
static bool unmounts(void) /* what is no mount: the right is asked for first */
{
	return call(SYS_umount2, (long)"/no/such/place", 0, 0, 0) || mount(NULL, "/no/such/place", NULL, MS_REMOUNT | MS_BIND, NULL) == 0;
}
static bool changes_root(void) { return chroot("/") == 0 || call(SYS_pivot_root, (long)"/no/such", (long)"/no/such", 0, 0); }
static bool handles(void)
{
	struct {
		struct file_handle h;
		char room[128];
	} f = {.h.handle_bytes = 128};
	int id;
	return name_to_handle_at(AT_FDCWD, ".", &f.h, &id, 0) == 0 && open_by_handle_at(AT_FDCWD, &f.h, O_RDONLY) >= 0;
}
static bool hard_link(void)
{
	unlink("probe-hard");
	bool ok = link("/usr/bin/env", "probe-hard") == 0;
	unlink("probe-hard");
	return ok;
}
static bool oom_score(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, "-1000", 5) == 5 && !*fact("gvisor");
}
static bool priority(void) { return setpriority(PRIO_PROCESS, 0, -5) == 0 && getpriority(PRIO_PROCESS, 0) == -5 && !*fact("gvisor"); }
static bool raises_limits(void)
{
	struct rlimit l;
	getrlimit(RLIMIT_NOFILE, &l);
	if (l.rlim_max > 1000000)
		return false; /* the limit is another probe's */
	l.rlim_max++;
	return setrlimit(RLIMIT_NOFILE, &l) == 0 && !*fact("gvisor");
}
static bool sets_clock(void)
{
	struct timespec bad = {.tv_sec = 0, .tv_nsec = -1}; /* the right is asked for behind this in new kernels */
	return clock_settime(CLOCK_REALTIME, &bad) < 0 && errno == EINVAL && (caps("CapEff:") & 1ull << 25);
}

/* ---- S ---- */

static bool user_namespace(void) { return unshare(CLONE_NEWUSER) == 0; }
static bool clone_namespace(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		_exit(0);
	return pid > 0;
}
static bool clone3_namespace(void)
{
	uint64_t args[11] = {CLONE_NEWUSER, 0, 0, 0, SIGCHLD};
	long pid = syscall(SYS_clone3, args, sizeof args);
	if (pid == 0)
		_exit(0);
	return pid > 0;
}
static bool other_namespaces(void) { return unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWPID) == 0; }
static bool joins_namespace(void) { return call(SYS_setns, -1, 0, 0, 0); }
static bool new_mount_api(void) { return call(SYS_fsopen, (long)"tmpfs", 0, 0, 0) || call(SYS_open_tree, AT_FDCWD, (long)"/", 1, 0); }
static bool io_uring(void)
{
	char params[256] = {0};
	return call(SYS_io_uring_setup, 4, (long)params, 0, 0);
}
static bool kernel_aio(void)
{
	unsigned long context = 0;
	return syscall(SYS_io_setup, 1, &context) == 0;
}
static bool userfaultfd(void) { return syscall(SYS_userfaultfd, 1) >= 0; }
static bool bpf(void)
{
	char attr[128] = {0};
	return call(SYS_bpf, 0, (long)attr, sizeof attr, 0);
}
static bool perf(void)
{
	char attr[128] = {[4] = 112};
	return call(SYS_perf_event_open, (long)attr, 0, -1, -1);
}
static bool keys(void) { return call(SYS_keyctl, 0, -3, 1, 0) || call(SYS_add_key, (long)"user", (long)"probe", (long)"x", 1); }
static bool traces_child(void) { return ptrace(PTRACE_TRACEME, 0, 0, 0) == 0; }
static bool process_memory(void)
{
	char a = 1, b = 0;
	struct iovec l = {&b, 1}, r = {&a, 1};
	return process_vm_readv(getpid(), &l, 1, &r, 1, 0) == 1;
}
static bool take_descriptor(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	return fd >= 0 && syscall(SYS_pidfd_getfd, fd, 1, 0) >= 0;
}
static bool compares(void) { return syscall(SYS_kcmp, getpid(), getpid(), 0, 0, 1) >= 0; }
static bool vsock(void) { return family(AF_VSOCK, SOCK_STREAM, 0); }
static bool alg(void) { return family(38, SOCK_SEQPACKET, 0); }
static bool netlink(void) { return !*fact("gvisor") && family(AF_NETLINK, SOCK_RAW, 0); }
static bool packet(void) { return family(AF_PACKET, SOCK_RAW, 0) || family(AF_INET, SOCK_RAW, 1) || family(AF_INET6, SOCK_RAW, 58); }
static bool rare_families(void)
{
	for (int f = 3; f < 46; f++)
		for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++)
			if (f != AF_INET6 && f != AF_NETLINK && f != AF_PACKET && f != AF_VSOCK && f != 38 && family(f, type, 0))
				return true;
	return false;
}
static bool rare_protocols(void)
{
	return family(AF_INET, SOCK_STREAM, 132) || family(AF_INET, SOCK_SEQPACKET, 132) || family(AF_INET, SOCK_STREAM, 262) ||
	       family(AF_INET, 6, 33) || family(AF_INET, SOCK_DGRAM, 136) || family(AF_INET, SOCK_DGRAM, 1);
}
static bool socket_filter(void)
{
	struct sock_filter all = {BPF_RET | BPF_K, 0, 0, 0xffff};
	struct sock_fprog p = {1, &all};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	return !*fact("gvisor") && fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof p) == 0;
}
static bool kernel_tls(void) /* a socket that is not connected has none: ENOTCONN is the kernel's own word */
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return fd >= 0 && (setsockopt(fd, IPPROTO_TCP, 31, "tls", 3) == 0 || errno == ENOTCONN || errno == ENOENT);
}
static bool x32_calls(void) { return syscall(0x40000000 | SYS_getpid) > 0; }
static bool i386_calls(void)
{
#ifdef __x86_64__
	long r = 20; /* getpid */
	__asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
	return r > 0;
#else
	return false;
#endif
}
static bool personalities(void) { return syscall(SYS_personality, 0x0040000) >= 0; }
static bool modify_ldt(void)
{
#ifdef SYS_modify_ldt
	char ldt[64];
	return syscall(SYS_modify_ldt, 0, ldt, sizeof ldt) >= 0;
#else
	return false;
#endif
}
static bool fanotify(void) { return call(SYS_fanotify_init, 0x200, 0, 0, 0); }
static bool file_handles(void)
{
	struct {
		struct file_handle h;
		char room[128];
	} f = {.h.handle_bytes = 128};
	int id;
	return name_to_handle_at(AT_FDCWD, ".", &f.h, &id, 0) == 0 || errno == EOPNOTSUPP;
}
static bool modules(void) { return call(SYS_init_module, 0, 0, 0, 0) || call(SYS_kexec_load, 0, 17, 0, 0); }
static bool memory_placement(void) { return !*fact("gvisor") && (syscall(SYS_mbind, 0, 0, 0, 0, 0, 0) >= 0 || syscall(SYS_move_pages, 0, 0, 0, 0, 0, 0) >= 0); }
static bool quotas_and_swap(void)
{
	return call(SYS_quotactl, -1, 0, 0, 0) || call(SYS_swapon, (long)"/no/such", 0, 0, 0) || call(SYS_acct, (long)"/no/such", 0, 0, 0);
}
static bool terminal_input(void)
{
	int fd = open("/dev/null", O_RDWR);
	return !*fact("gvisor") && ioctl(fd, TIOCSTI, "x") < 0 && errno == ENOTTY;
}

/* ---- L ---- */

static bool processes_limit(void)
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
static bool memory_limit(void)
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
static bool tmp_limit(void) { return fills("/tmp", 30); }
static bool dev_shm_limit(void) { return fills("/dev/shm", 30); }
static bool directory_limit(void) { return fills(".", 30); }
static bool file_size_limit(void) { return fills(".", 300); }
static bool inode_limit(void)
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
static bool descriptor_limit(void)
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
static bool processor_limit(void)
{
	struct timespec t, c = {0};
	clock_gettime(CLOCK_MONOTONIC, &t);
	double from = (double)t.tv_sec + (double)t.tv_nsec / 1e9, now = from;
	for (volatile long i = 0; now - from < 2; i++)
		if (i % 10000 == 0) {
			clock_gettime(CLOCK_MONOTONIC, &t);
			now = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
		}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &c);
	return ((double)c.tv_sec + (double)c.tv_nsec / 1e9) > 1.5;
}
static bool core_limit(void)
{
	struct rlimit l;
	return getrlimit(RLIMIT_CORE, &l) < 0 || l.rlim_max != 0;
}

/* ---- all of them ---- */

static const struct probe {
	char class;
	const char *name, *doc;
	bool (*attempt)(void);
} probes[] = {
#define ROW(c, n, d) {#c[0], #n, d, n},
	PROBES(ROW)
};

static bool succeeds(const struct probe *p)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		alarm(SECONDS);
		setpgid(0, 0);
		_exit(p->attempt() ? 0 : 1);
	}
	if (pid < 0)
		return false;
	waitpid(pid, &status, 0);
	kill(-pid, SIGKILL);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* What must end with its sandbox: a process that has left its session and its parent and hears no signal. */
static void leave_one(void)
{
	if (fork() == 0) {
		setsid();
		if (fork() == 0) {
			signal(SIGTERM, SIG_IGN);
			signal(SIGHUP, SIG_IGN);
			sleep(120);
		}
		_exit(0);
	}
	wait(NULL);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--leave") == 0) /* the other argument is what it is found by */
		return leave_one(), 0;
	if (argc == 3 && strcmp(argv[1], "--stay") == 0)
		return leave_one(), puts("up"), fflush(stdout), sleep(120), 0;
	bool list = argc == 2 && strcmp(argv[1], "--list") == 0;
	facts = argv + 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < COUNT(probes); i++)
		printf("%c %s %s\n", probes[i].class, probes[i].name,
		       list ? probes[i].doc : succeeds(&probes[i]) ? "open" : "closed");
	return 0;
}
