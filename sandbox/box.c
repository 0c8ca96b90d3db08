/* SPDX-License-Identifier: MIT */
/* box.c - makes a box: its pid 1, and how a program enters it. L1. The file system is in box_view.c. */
#include "sandbox/box.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/box_i.h"
#include "sandbox/door.h"

#define NAMESPACES                                                                                 \
	(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)
#define NOBODY 65534

enum fd { FD_TALK = 3, FD_DIR }; /* what pid 1 keeps while it is made */

struct box_said { /* by pid 1, once */
	int eno; /* 0: ready */
	char step[60];
};

static int namespaces(void)
{
	return NAMESPACES | (geteuid() == 0 ? 0 : CLONE_NEWUSER);
}

uint32_t box_namespaces(void)
{
	return LAYER_BIT(LAYER_MOUNT) | LAYER_BIT(LAYER_PID) | LAYER_BIT(LAYER_NET) | LAYER_BIT(LAYER_IPC) |
	       LAYER_BIT(LAYER_UTS) | LAYER_BIT(LAYER_CGROUP) | (geteuid() == 0 ? 0 : LAYER_BIT(LAYER_USER));
}

/* ---- pid 1 ---- */

static _Noreturn void say(int eno, const char *step)
{
	struct box_said said = {.eno = eno};
	snprintf(said.step, sizeof said.step, "%s", step);
	if (write(FD_TALK, &said, sizeof said) < 0)
		errno = 0; /* the spawner is gone, and so are we */
	_exit(1);
}

/* What is inherited must not live on in here: the spawner's socket, above all. */
static void keep_fds(int talk, int dir)
{
	talk = fcntl(talk, F_DUPFD_CLOEXEC, 100);
	dir = dir < 0 ? -1 : fcntl(dir, F_DUPFD_CLOEXEC, 100);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 3; i++)
		dup2(null, i);
	dup3(talk, FD_TALK, O_CLOEXEC);
	if (dir >= 0)
		dup3(dir, FD_DIR, O_CLOEXEC);
	close_range(FD_DIR + (dir >= 0), ~0u, 0);
}

static bool write_file(const char *path, const char *text)
{
	autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* An ordinary user is itself in its own user namespace, and nobody else is there. */
static bool map_ids(uid_t uid, gid_t gid)
{
	char u[40], g[40];
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* else the files below are root's */
	snprintf(u, sizeof u, "%u %u 1", uid, uid);
	snprintf(g, sizeof g, "%u %u 1", gid, gid);
	return write_file("/proc/self/setgroups", "deny") && write_file("/proc/self/gid_map", g) &&
	       write_file("/proc/self/uid_map", u);
}

bool box_loopback_up(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
}

void box_drop_bounds(void)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
		;
}

static bool drop_caps(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &head, none) == 0;
}

/* Give up what making it took. Its memory must be closed to the program, which may be of the same user. */
static void become_harmless(const struct spawn_start *s, int door)
{
	char go;
	bool user = geteuid() != 0;
	box_drop_bounds();
	if (!user && (syscall(SYS_setgroups, 0, NULL) < 0 ||
		      syscall(SYS_setresgid, s->gid, s->gid, s->gid) < 0 ||
		      syscall(SYS_setresuid, s->uid, s->uid, s->uid) < 0))
		say(errno, "its user and group");
	if (!drop_caps())
		say(errno, "its capabilities");
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (!user)
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	struct box_said ready = {0};
	if (spawn_send(FD_TALK, &ready, sizeof ready, NULL, 0, &door, door >= 0) < 0)
		_exit(1);
	if (door >= 0)
		close(door);
	if (!user)
		return;
	/* A namespace of a process that is not dumpable can be entered by root only: later, then. */
	if (read(FD_TALK, &go, 1) != 1)
		_exit(1);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (write(FD_TALK, &go, 1) != 1)
		_exit(1);
}

/* Reaps. Whoever is in the box can send it signals, but only the spawner's come from no pid. */
static _Noreturn void serve(void)
{
	sigset_t wanted;
	siginfo_t si;
	close(FD_TALK);
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGCHLD);
	sigaddset(&wanted, BOX_STOP);
	sigaddset(&wanted, BOX_CONT);
	for (;;) {
		int sig = sigwaitinfo(&wanted, &si);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (sig == BOX_STOP && si.si_pid == 0)
			for (int i = 0; i < 3; i++) /* who forks meanwhile is caught by the next */
				kill(-1, SIGSTOP);
		if (sig == BOX_CONT && si.si_pid == 0)
			kill(-1, SIGCONT);
	}
}

static _Noreturn void pid_one(const struct spawn_start *s, int talk, uid_t uid, gid_t gid)
{
	keep_fds(talk, s->cwd_fd);
	prctl(PR_SET_NAME, "symbi-box");
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	setsid();
	umask(022);
	if (uid != 0 && !map_ids(uid, gid))
		say(errno, "the mapping of its user");
	const char *step = box_view(s, s->cwd_fd >= 0 ? FD_DIR : -1);
	if (step)
		say(errno, step);
	if (s->cwd_fd >= 0)
		close(FD_DIR);
	if (sethostname("symbi", 5) < 0 || !box_loopback_up())
		say(errno, "its network and name");
	int door = s->network == NETWORK_RESTRICTED ? door_listen() : -1;
	if (s->network == NETWORK_RESTRICTED && door < 0)
		say(errno, "the door of its network");
	umask(077);
	become_harmless(s, door);
	serve();
}

/* ---- making one ---- */

static int no_namespaces(struct err *e, int eno)
{
	if (geteuid() != 0 && (eno == EPERM || eno == ENOSPC || eno == EUSERS))
		return err_sys(e, ERR_SEC_TIER, eno,
			       "no user namespaces for this user (sysctl user.max_user_namespaces, "
			       "kernel.unprivileged_userns_clone, "
			       "kernel.apparmor_restrict_unprivileged_userns; never in a chroot): allow them "
			       "or run as root");
	return err_sys(e, ERR_SEC_TIER, eno, "no namespaces for a sandbox");
}

static void discard(struct box *b)
{
	kill(b->pid, SIGKILL);
	waitpid(b->pid, NULL, 0);
	close(b->fd);
}

/* What pid 1 says, and the socket that came with it, or -1. false: it ended without a word. */
static bool hear(int talk, struct box_said *said, int *door)
{
	int fds[SPAWN_FDS];
	unsigned n = 0;
	struct pollfd p = {.fd = talk, .events = POLLIN};
	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	if (spawn_recv(talk, said, sizeof *said, fds, &n) != sizeof *said)
		return false;
	*door = n > 0 ? fds[--n] : -1;
	while (n > 0)
		close(fds[--n]);
	return true;
}

int box_make(const struct spawn_start *s, struct box *ret, struct err *e)
{
	int sv[2], fd = -1;
	struct box_said said;
	uid_t uid = geteuid();
	gid_t gid = getegid();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return err_sys(e, ERR_SPAWN_FAILED, errno, "no socket for a sandbox");
	pid_t pid = (pid_t)syscall(SYS_clone, namespaces() | CLONE_PIDFD | SIGCHLD, NULL, &fd, NULL,
				   0);
	if (pid == 0) {
		close(sv[0]); /* else it would never see the spawner's end */
		pid_one(s, sv[1], uid, gid);
	}
	int eno = errno;
	close(sv[1]);
	if (pid < 0) {
		close(sv[0]);
		return no_namespaces(e, eno);
	}
	*ret = (struct box){.pid = pid, .fd = fd, .talk = sv[0], .door = -1};
	bool heard = hear(sv[0], &said, &ret->door);
	if (heard && said.eno == 0)
		return 0;
	close(sv[0]);
	discard(ret);
	if (!heard)
		return err_set(e, ERR_SPAWN_FAILED, "the sandbox ended while it was made");
	return err_sys(e, ERR_SPAWN_FAILED, said.eno, "its sandbox: %s", said.step);
}

static int try_one(struct err *e)
{
	struct box b;
	struct spawn_start s = {.cwd_fd = -1, .netns = -1, .uid = NOBODY, .gid = NOBODY};
	unsigned action = SECCOMP_RET_KILL_PROCESS;
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0)
		return err_sys(e, ERR_SEC_TIER, errno,
			       "its layer 'seccomp' is missing: a kernel with CONFIG_SECCOMP_FILTER is needed");
	int r = box_make(&s, &b, e);
	if (r < 0)
		return r;
	close(b.talk);
	discard(&b);
	return 0;
}

int box_available(struct sandbox_layers *ret, struct err *e)
{
	static bool known, can;
	static struct err why;
	if (!known)
		can = try_one(&why) == 0;
	known = true;
	if (!can) {
		*e = why;
		return -(why.eno ? why.eno : EPERM);
	}
	*ret = (struct sandbox_layers){.landlock_abi = sandbox_landlock_abi()};
	ret->active = box_namespaces() | LAYER_BIT(LAYER_SECCOMP) | LAYER_BIT(LAYER_NO_NEW_PRIVS) |
		      LAYER_BIT(LAYER_NO_CAPS) | (geteuid() == 0 ? LAYER_BIT(LAYER_OWN_UID) : 0);
	*(ret->landlock_abi ? &ret->active : &ret->missing) |= LAYER_BIT(LAYER_LANDLOCK);
	return 0;
}

/* ---- entering it ---- */

bool box_enter(const struct box *b)
{
	char go = 0;
	bool user = geteuid() != 0;
	if (setns(b->fd, namespaces()) < 0)
		return false;
	return !user || (write(b->talk, &go, 1) == 1 && read(b->talk, &go, 1) == 1);
}

const char *box_drop(const struct spawn_start *s, struct sandbox_layers *l)
{
	if (!drop_caps())
		return "its capabilities";
	l->active |= LAYER_BIT(LAYER_NO_CAPS);
	l->landlock_abi = sandbox_landlock_abi();
	*(l->landlock_abi ? &l->active : &l->missing) |= LAYER_BIT(LAYER_LANDLOCK);
	if (l->landlock_abi ? box_landlock(s, l->landlock_abi) : s->allow_degraded)
		return NULL;
	return "its rules of Landlock";
}
