/* SPDX-License-Identifier: MIT */
/* surface.c - attempts to reach parts of the kernel that programs have no need of. */
#include "probe.h"

bool user_namespace(void) { return unshare(CLONE_NEWUSER) == 0; }
bool clone_namespace(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		_exit(0);
	return pid > 0;
}
bool clone3_namespace(void)
{
	uint64_t args[11] = {CLONE_NEWUSER, 0, 0, 0, SIGCHLD};
	long pid = syscall(SYS_clone3, args, sizeof args);
	if (pid == 0)
		_exit(0);
	return pid > 0;
}
bool other_namespaces(void) { return unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWPID) == 0; }
bool joins_namespace(void) { return call(SYS_setns, -1, 0, 0, 0); }
bool new_mount_api(void) { return call(SYS_fsopen, (long)"tmpfs", 0, 0, 0) || call(SYS_open_tree, AT_FDCWD, (long)"/", 1, 0); }
bool io_uring(void)
{
	char params[256] = {0};
	return call(SYS_io_uring_setup, 4, (long)params, 0, 0);
}
bool kernel_aio(void)
{
	unsigned long context = 0;
	return syscall(SYS_io_setup, 1, &context) == 0;
}
bool userfaultfd(void) { return syscall(SYS_userfaultfd, 1) >= 0; }
bool bpf(void)
{
	char attr[128] = {0};
	return call(SYS_bpf, 0, (long)attr, sizeof attr, 0);
}
bool perf(void)
{
	char attr[128] = {[4] = 112};
	return call(SYS_perf_event_open, (long)attr, 0, -1, -1);
}
bool keys(void) { return call(SYS_keyctl, 0, -3, 1, 0) || call(SYS_add_key, (long)"user", (long)"probe", (long)"x", 1); }
bool traces_child(void) { return ptrace(PTRACE_TRACEME, 0, 0, 0) == 0; }
bool process_memory(void)
{
	char a = 1, b = 0;
	struct iovec l = {&b, 1}, r = {&a, 1};
	return process_vm_readv(getpid(), &l, 1, &r, 1, 0) == 1;
}
bool take_descriptor(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	return fd >= 0 && syscall(SYS_pidfd_getfd, fd, 1, 0) >= 0;
}
bool compares(void) { return syscall(SYS_kcmp, getpid(), getpid(), 0, 0, 1) >= 0; }
bool vsock(void) { return family(AF_VSOCK, SOCK_STREAM, 0); }
bool alg(void) { return family(38, SOCK_SEQPACKET, 0); }
bool netlink(void) { return !*fact("gvisor") && family(AF_NETLINK, SOCK_RAW, 0); }
bool packet(void) { return family(AF_PACKET, SOCK_RAW, 0) || family(AF_INET, SOCK_RAW, 1) || family(AF_INET6, SOCK_RAW, 58); }
bool rare_families(void)
{
	for (int f = 3; f < 46; f++)
		for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++)
			if (f != AF_INET6 && f != AF_NETLINK && f != AF_PACKET && f != AF_VSOCK && f != 38 && family(f, type, 0))
				return true;
	return false;
}
bool rare_protocols(void)
{
	return family(AF_INET, SOCK_STREAM, 132) || family(AF_INET, SOCK_SEQPACKET, 132) || family(AF_INET, SOCK_STREAM, 262) ||
	       family(AF_INET, 6, 33) || family(AF_INET, SOCK_DGRAM, 136) || family(AF_INET, SOCK_DGRAM, 1);
}
bool socket_filter(void)
{
	struct sock_filter all = {BPF_RET | BPF_K, 0, 0, 0xffff};
	struct sock_fprog p = {1, &all};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	return !*fact("gvisor") && fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof p) == 0;
}
bool kernel_tls(void) /* a socket that is not connected has none: ENOTCONN is the kernel's own word */
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return fd >= 0 && (setsockopt(fd, IPPROTO_TCP, 31, "tls", 3) == 0 || errno == ENOTCONN || errno == ENOENT);
}
bool x32_calls(void) { return syscall(0x40000000 | SYS_getpid) > 0; }
bool i386_calls(void)
{
#ifdef __x86_64__
	long r = 20; /* getpid */
	__asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
	return r > 0;
#else
	return false;
#endif
}
bool personalities(void) { return syscall(SYS_personality, 0x0040000) >= 0; }
bool modify_ldt(void)
{
#ifdef SYS_modify_ldt
	char ldt[64];
	return syscall(SYS_modify_ldt, 0, ldt, sizeof ldt) >= 0;
#else
	return false;
#endif
}
bool fanotify(void) { return call(SYS_fanotify_init, 0x200, 0, 0, 0); }
bool file_handles(void)
{
	struct {
		struct file_handle h;
		char room[128];
	} f = {.h.handle_bytes = 128};
	int id;
	return name_to_handle_at(AT_FDCWD, ".", &f.h, &id, 0) == 0 || errno == EOPNOTSUPP;
}
bool modules(void) { return call(SYS_init_module, 0, 0, 0, 0) || call(SYS_kexec_load, 0, 17, 0, 0); }
bool memory_placement(void) { return !*fact("gvisor") && (syscall(SYS_mbind, 0, 0, 0, 0, 0, 0) >= 0 || syscall(SYS_move_pages, 0, 0, 0, 0, 0, 0) >= 0); }
bool quotas_and_swap(void)
{
	return call(SYS_quotactl, -1, 0, 0, 0) || call(SYS_swapon, (long)"/no/such", 0, 0, 0) || call(SYS_acct, (long)"/no/such", 0, 0, 0);
}
bool terminal_input(void)
{
	int fd = open("/dev/null", O_RDWR);
	return !*fact("gvisor") && ioctl(fd, TIOCSTI, "x") < 0 && errno == ENOTTY;
}
