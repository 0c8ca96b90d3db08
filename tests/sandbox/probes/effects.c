/* SPDX-License-Identifier: MIT */
/* effects.c - attempts to see or change something of the machine. */
#include "probe.h"

bool secret_file(void) { return sees(fact("secret")); }
bool parent_directory(void) { return sees("../secret") || sees("../../../../../../../root/.bashrc"); }
bool link_to_secret(void)
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
bool homes(void) { return sees("/root/.bashrc") || ANY(entries, "/home", "/root"); }
bool shadow(void) { return sees("/etc/shadow") || has("/etc/passwd", "daemon:"); }
bool logs_and_state(void) { return ANY(entries, "/var/log", "/var/lib", "/var/cache"); }
bool host_tmp(void) { return sees(fact("tmp")); }
bool host_dev_shm(void) { return sees(fact("devshm")); }
bool write_system(void) { return ANY(makes, "/usr/bin/probe-x", "/usr/lib/probe-x", "/lib/probe-x", "/opt/probe-x"); }
bool write_etc(void) { return ANY(makes, "/etc/probe-x", "/etc/cron.d/probe-x", "/etc/ld.so.conf.d/probe-x"); }
bool disks(void) { return ANY(reads, "/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/xvda", "/dev/loop0"); }
bool memory_devices(void) { return ANY(writable, "/dev/mem", "/dev/port", "/dev/kmem"); }
/* gVisor's are its own. */
bool kernel_devices(void) { return !*fact("gvisor") && ANY(writable, "/dev/fuse", "/dev/kvm", "/dev/net/tun", "/dev/kmsg", "/dev/vhost-net"); }
bool make_disk(void)
{
	bool ok = false;
	static const unsigned major_of[] = {254, 253, 259, 8, 7};
	for (size_t i = 0; i < COUNT(major_of); i++) {
		ok |= mknod("probe-disk", S_IFBLK | 0600, makedev(major_of[i], 0)) == 0 && opens("probe-disk", O_RDONLY);
		unlink("probe-disk");
	}
	return ok;
}
bool core_pattern(void) { return writable("/proc/sys/kernel/core_pattern"); }
bool sysrq(void) { return writable("/proc/sysrq-trigger"); }
bool proc_sys(void) { return ANY(writable, "/proc/sys/vm/drop_caches", "/proc/sys/kernel/hostname", "/proc/sys/kernel/printk", "/proc/sys/net/ipv4/ip_forward"); }
bool sys_files(void) { return ANY(writable, "/sys/power/state", "/sys/kernel/mm/ksm/run", "/sys/block/vda/queue/scheduler", "/sys/kernel/uevent_helper"); }
bool cgroups(void)
{
	return ANY(writable, "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/unified/cgroup.procs", "/sys/fs/cgroup/memory/cgroup.procs",
		   "/sys/fs/cgroup/devices/cgroup.procs", "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/release_agent");
}
bool tracing(void) { return ANY(entries, "/sys/kernel/debug", "/sys/kernel/tracing", "/sys/fs/bpf") || reads("/proc/timer_list"); }
bool kcore(void) { return reads("/proc/kcore") || (has("/proc/kallsyms", " T ") && !has("/proc/kallsyms", "0000000000000000")); }
/* gVisor has a log of its own: a line of it is of no machine. */
bool kernel_log(void)
{
	static char text[1 << 18];
	int n = klogctl(3, text, sizeof text - 1);
	return (n > 0 && !strstr(text, "gVisor")) || reads("/dev/kmsg");
}
bool processes(void)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/comm", number("pid"));
	return has(path, "probe-victim");
}
bool signal_process(void) { return processes() && kill(number("pid"), 0) == 0; }
bool environment(void)
{
	return has("/proc/self/environ", fact("env")) || has("/proc/1/environ", fact("env")) || has("/proc/2/environ", fact("env"));
}
bool descriptors(void)
{
	for (int fd = 3; fd < 200; fd++) {
		struct stat st;
		if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
			return true;
	}
	return false;
}
bool trace_pid1(void) { return getpid() != 1 && (ptrace(PTRACE_SEIZE, 1, 0, 0) == 0 || reads("/proc/1/mem")); }
bool root_of_pid1(void)
{
	char path[600];
	snprintf(path, sizeof path, "/proc/1/root%s", fact("secret"));
	return *fact("secret") && sees(path);
}
bool loopback4(void) { return tcp("127.0.0.1", number("tcp")); }
bool loopback6(void) { return tcp("::1", number("tcp")); }
bool address(void) { return tcp(fact("address"), number("tcp")); }
bool udp(void)
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
bool route(void)
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
bool abstract_socket(void) { return unix_connect(fact("abstract"), true); }
bool path_socket(void) { return unix_connect(fact("socket"), false); }
bool shared_memory(void) { return number("shm") && shmget(number("shm"), 0, 0) >= 0; }
bool message_queue(void) { return *fact("mq") && mq_open(fact("mq"), O_RDONLY) >= 0; }
bool host_name(void)
{
	char name[256] = "";
	gethostname(name, sizeof name - 1);
	return strcmp(name, fact("host")) == 0 || sethostname(name, strlen(name)) == 0;
}
/* Its uid, where the mapping of its namespace leads to. */
bool kernel_uid_0(void)
{
	unsigned in, out, n;
	FILE *f = fopen("/proc/self/uid_map", "re");
	while (f && fscanf(f, "%u %u %u", &in, &out, &n) == 3)
		if (getuid() >= in && getuid() - in < n && out + (getuid() - in) == 0)
			return !*fact("gvisor");
	return f == NULL && getuid() == 0 && !*fact("gvisor");
}
bool become_root(void) { return getuid() != 0 && (setuid(0) == 0 || setresuid(0, 0, 0) == 0 || setgid(0) == 0); }
static unsigned long long caps(const char *which)
{
	char line[256];
	unsigned long long v = 0;
	FILE *f = fopen("/proc/self/status", "re");
	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, which, strlen(which)) == 0)
			sscanf(line + strlen(which), "%llx", &v);
	if (f)
		fclose(f);
	return v;
}
bool capabilities(void) { return caps("CapEff:") != 0 || caps("CapPrm:") != 0; }
bool bounding_set(void) { return caps("CapBnd:") != 0; }
bool new_privileges(void) { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0; }
bool set_user_id(void)
{
	struct statvfs v;
	return new_privileges() && statvfs("/usr/bin", &v) == 0 && !(v.f_flag & ST_NOSUID) && getuid() != 0;
}
bool mounts(void)
{
	mkdir("probe-mount", 0700);
	bool ok = mount("x", "probe-mount", "tmpfs", 0, NULL) == 0;
	if (ok)
		umount2("probe-mount", MNT_DETACH);
	rmdir("probe-mount");
	return ok;
}
bool unmounts(void) /* what is no mount: the right is asked for first, behind the name in older kernels */
{
	return call(SYS_umount2, (long)"/proc/self", 0, 0, 0) || mount(NULL, "/no/such/place", NULL, MS_REMOUNT | MS_BIND, NULL) == 0;
}
bool changes_root(void) { return chroot("/") == 0 || call(SYS_pivot_root, (long)"/no/such", (long)"/no/such", 0, 0); }
bool handles(void)
{
	struct {
		struct file_handle h;
		char room[128];
	} f = {.h.handle_bytes = 128};
	int id;
	return name_to_handle_at(AT_FDCWD, ".", &f.h, &id, 0) == 0 && open_by_handle_at(AT_FDCWD, &f.h, O_RDONLY) >= 0;
}
bool hard_link(void)
{
	unlink("probe-hard");
	bool ok = link("/usr/bin/env", "probe-hard") == 0;
	unlink("probe-hard");
	return ok;
}
bool oom_score(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, "-1000", 5) == 5 && !*fact("gvisor");
}
bool priority(void) { return setpriority(PRIO_PROCESS, 0, -5) == 0 && getpriority(PRIO_PROCESS, 0) == -5 && !*fact("gvisor"); }
bool raises_limits(void)
{
	struct rlimit l;
	getrlimit(RLIMIT_NOFILE, &l);
	if (l.rlim_max > 1000000)
		return false; /* the limit is another probe's */
	l.rlim_max++;
	return setrlimit(RLIMIT_NOFILE, &l) == 0 && !*fact("gvisor");
}
bool sets_clock(void)
{
	struct timespec bad = {.tv_sec = 0, .tv_nsec = -1}; /* the right is asked for behind this in new kernels */
	return clock_settime(CLOCK_REALTIME, &bad) < 0 && errno == EINVAL && (caps("CapEff:") & 1ull << 25);
}
