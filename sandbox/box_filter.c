/* SPDX-License-Identifier: MIT */
/* box_filter.c - the system calls that a Tier1 program may use, compiled once. L1.
 *
 * What is not in syscalls.def does not exist for it (ENOSYS), as on a kernel without it: programs fall back. Code
 * for another architecture or the x32 table is killed. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/box_i.h"

static struct sock_fprog filter; /* of the life of the process */

#define SOL_TCP_OPTIONS	   64 /* more than there are */
#define SOL_SOCKET_OPTIONS 128
#define TCP_ULP		   31

const unsigned box_protocols[3] = {0, IPPROTO_TCP, IPPROTO_UDP};

static bool socket_option_ok(unsigned level, unsigned name)
{
	if (level == IPPROTO_TCP)
		return name != TCP_ULP;
	return name != SO_ATTACH_FILTER && name != SO_ATTACH_BPF && name != SO_ATTACH_REUSEPORT_CBPF &&
	       name != SO_ATTACH_REUSEPORT_EBPF;
}

bool box_socket_option(size_t i, unsigned *level, int *name)
{
	static const unsigned whole[] = {IPPROTO_IP, IPPROTO_UDP, IPPROTO_IPV6};
	static const struct {
		unsigned level, options;
	} parts[] = {{SOL_SOCKET, SOL_SOCKET_OPTIONS}, {IPPROTO_TCP, SOL_TCP_OPTIONS}};
	if (i < ARRAY_LEN(whole)) {
		*level = whole[i];
		*name = -1;
		return true;
	}
	i -= ARRAY_LEN(whole);
	for (size_t p = 0; p < ARRAY_LEN(parts); p++)
		for (unsigned n = 0; n < parts[p].options; n++)
			if (socket_option_ok(parts[p].level, n) && i-- == 0) {
				*level = parts[p].level;
				*name = (int)n;
				return true;
			}
	return false;
}

static const char *const always[] = {
#define CALL(name) #name,
#include "sandbox/syscalls.def"
};

static int allow_if(scmp_filter_ctx f, int call, struct scmp_arg_cmp cmp)
{
	return seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 1, cmp);
}

static int add_sockets(scmp_filter_ctx f)
{
	static const unsigned inet[] = {AF_INET, AF_INET6};
	unsigned level;
	int name, r = allow_if(f, SCMP_SYS(socket), SCMP_A0_32(SCMP_CMP_EQ, AF_UNIX));
	if (r == 0)
		r = allow_if(f, SCMP_SYS(socketpair), SCMP_A0_32(SCMP_CMP_EQ, AF_UNIX));
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(inet) * ARRAY_LEN(box_protocols); i++)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
				     SCMP_A0_32(SCMP_CMP_EQ, inet[i % 2]), SCMP_A2_32(SCMP_CMP_EQ, box_protocols[i / 2]));
	for (size_t i = 0; r == 0 && box_socket_option(i, &level, &name); i++)
		r = name < 0 ? allow_if(f, SCMP_SYS(setsockopt), SCMP_A1_32(SCMP_CMP_EQ, level))
			     : seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2, SCMP_A1_32(SCMP_CMP_EQ, level),
						SCMP_A2_32(SCMP_CMP_EQ, (unsigned)name));
	return r;
}

/* Calls that depend on an argument. */
static int add_conditional(scmp_filter_ctx f)
{
	static const unsigned personalities[] = {0, 0xffffffff};
	int r = allow_if(f, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEW_ANY, 0));
	if (r == 0)
		r = add_sockets(f);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(personalities); i++)
		r = allow_if(f, SCMP_SYS(personality), SCMP_A0_32(SCMP_CMP_EQ, personalities[i]));
	/* All but TIOCSTI and TIOCLINUX, which type at a terminal that is shared with others. */
	if (r == 0)
		r = allow_if(f, SCMP_SYS(ioctl), SCMP_A1_32(SCMP_CMP_LT, TIOCSTI));
	for (unsigned n = TIOCSTI + 1; r == 0 && n < TIOCLINUX; n++)
		r = allow_if(f, SCMP_SYS(ioctl), SCMP_A1_32(SCMP_CMP_EQ, n));
	return r == 0 ? allow_if(f, SCMP_SYS(ioctl), SCMP_A1_32(SCMP_CMP_GT, TIOCLINUX)) : r;
}

static int build(scmp_filter_ctx f)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(always); i++) {
		int call = seccomp_syscall_resolve_name(always[i]);
		if (call != __NR_SCMP_ERROR) /* a library older than the call */
			r = seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 0);
	}
	return r == 0 ? add_conditional(f) : r;
}

static int load(scmp_filter_ctx f)
{
	struct stat st;
	autoclose int fd = memfd_create("symbi-filter", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : seccomp_export_bpf(f, fd);
	if (r < 0 || fstat(fd, &st) < 0)
		return r < 0 ? r : -errno;
	size_t len = (size_t)st.st_size;
	struct sock_filter *code = malloc(len);
	if (!code)
		return -ENOMEM;
	if (pread(fd, code, len, 0) != (ssize_t)len) {
		free(code);
		return -EIO;
	}
	filter.len = (unsigned short)(len / sizeof *code);
	filter.filter = code;
	return 0;
}

int box_filter_init(struct err *e)
{
	if (filter.len)
		return 0;
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int r = f ? seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2) : -ENOMEM; /* a tree, not a list */
	if (r == 0) /* else the thread alone is killed, and the rest of its program hangs */
		r = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r == 0)
		r = build(f);
	if (r == 0)
		r = load(f);
	if (f)
		seccomp_release(f);
	return r < 0 ? err_sys(e, ERR_SEC_TIER, -r, "the filter of system calls") : 0;
}

bool box_filter_apply(void)
{
	return filter.len && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0;
}
