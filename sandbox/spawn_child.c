/* SPDX-License-Identifier: MIT */
/* spawn_child.c - everything between clone and exec. L1; single-threaded.
 *
 * The child shares the memory of its parent, which is suspended until it calls exec (CLONE_VM and
 * CLONE_VFORK): copying page tables costs as much as the rest of a start. So below child() nothing may
 * change memory but its own stack and the failure, nothing may allocate, and ids are changed by bare
 * system calls. */
#include "sandbox/spawn_child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/box.h"

#define STACK_SIZE (256u << 10)
#define OOM_ADD    500  /* agents fall before the daemon and the rest of the machine */
#define FILES      1024 /* descriptors of a process; it may raise it up to: */
#define FILES_MAX  65536

struct start {
	const struct spawn_start *s;
	pid_t parent;
	pid_t pid; /* in a box: of the program */
	uid_t uid; /* of the parent */
	struct sandbox_layers layers; /* put on so far */
	int eno; /* of the step that failed */
	const char *step;
};

static char oom_score[24];

void spawn_child_init(void)
{
	char text[16] = "";
	sigset_t all;
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	int score;
	autoclose int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, text, sizeof text - 1) > 0 && sscanf(text, "%d", &score) == 1)
		snprintf(oom_score, sizeof oom_score, "%d",
			 score + OOM_ADD < 1000 ? score + OOM_ADD : 1000);
}

/* ---- in the child ---- */

static void put_limit(struct spawn_rlimit *ret, int which, const char *name, rlim_t soft, rlim_t hard)
{
	struct rlimit now;
	*ret = (struct spawn_rlimit){which, name, {soft, hard}};
	if (getrlimit((__rlimit_resource_t)which, &now) == 0 && now.rlim_max < hard)
		ret->value.rlim_max = now.rlim_max; /* a limit of ours never widens one that is there */
	if (ret->value.rlim_cur > ret->value.rlim_max)
		ret->value.rlim_cur = ret->value.rlim_max;
}

size_t spawn_rlimits(const struct spawn_start *s, struct spawn_rlimit ret[static SPAWN_RLIMITS])
{
#define LIMIT(which, soft, hard) put_limit(&ret[n++], which, #which, soft, hard)
	const struct sandbox_limits *l = &s->limits;
	size_t n = 0;
	LIMIT(RLIMIT_CORE, 0, 0);
	LIMIT(RLIMIT_NOFILE, FILES, FILES_MAX);
	if (!s->enforce)
		return n;
	if (l->cpu_seconds) /* SIGXCPU, and SIGKILL for who ignores it */
		LIMIT(RLIMIT_CPU, l->cpu_seconds, l->cpu_seconds + 1);
	if (l->file_bytes)
		LIMIT(RLIMIT_FSIZE, l->file_bytes, l->file_bytes);
	if (l->memory_bytes && s->memory_by_as)
		LIMIT(RLIMIT_AS, l->memory_bytes, l->memory_bytes);
	if (s->nproc)
		LIMIT(RLIMIT_NPROC, s->nproc, s->nproc);
	return n;
#undef LIMIT
}

void spawn_nice(const struct spawn_start *s)
{
	if (s->enforce && s->limits.nice)
		setpriority(PRIO_PROCESS, 0, (int)s->limits.nice);
}

static void apply_rlimits(const struct spawn_start *s)
{
	struct spawn_rlimit most[SPAWN_RLIMITS];
	size_t n = spawn_rlimits(s, most);
	for (size_t i = 0; i < n; i++)
		setrlimit((__rlimit_resource_t)most[i].which, &most[i].value);
	spawn_nice(s);
}

static void raise_oom_score(void)
{
	int fd = *oom_score ? open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		if (write(fd, oom_score, strlen(oom_score)) < 0)
			errno = 0; /* no /proc or not ours: the score is a kindness, not a limit */
		close(fd);
	}
}

static bool take_ids(const struct spawn_start *s)
{
	if (s->gid >= 0 && (syscall(SYS_setgroups, 0, NULL) < 0 ||
			    syscall(SYS_setresgid, s->gid, s->gid, s->gid) < 0))
		return false;
	return s->uid < 0 || syscall(SYS_setresuid, s->uid, s->uid, s->uid) == 0;
}

static int fail(struct start *st, const char *step)
{
	st->eno = errno;
	st->step = step;
	return 127;
}

/* What is done by names of the machine, and so before a box is entered. NULL, or the step that failed. */
const char *spawn_place(const struct spawn_start *s)
{
	int r = s->group ? cgroup_join(s->group) : 0;
	if (r < 0) {
		errno = -r;
		return "its cgroup cannot be joined";
	}
	raise_oom_score();
	return NULL;
}

/* In a box by its path: a descriptor of a directory outside would lead out. */
static bool enter_directory(const struct spawn_start *s)
{
	return (s->cwd_fd >= 0 && !s->box ? fchdir(s->cwd_fd) : chdir(s->cwd)) == 0;
}

/* What it returns is the exit status. */
static int run(void *arg)
{
	struct start *st = arg;
	const struct spawn_start *s = st->s;
	sigset_t none;
	setsid();
	for (int i = 0; i < 3; i++)
		if (dup2(s->stdio[i], i) < 0)
			return fail(st, "its standard streams");
	apply_rlimits(s);
	umask(077);
	if (s->box)
		box_drop_bounds();
	if (!take_ids(s))
		return fail(st, "its user and group");
	if (!enter_directory(s))
		return fail(st, "its working directory");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fail(st, "no new privileges");
	st->layers.active |= LAYER_BIT(LAYER_NO_NEW_PRIVS);
	if (s->uid >= 0 && s->uid != st->uid)
		st->layers.active |= LAYER_BIT(LAYER_OWN_UID);
	const char *step = s->box ? box_drop(s, &st->layers) : NULL;
	if (step)
		return fail(st, step);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* after the ids: changing them clears it */
	if (getppid() != (s->box ? 0 : st->parent)) /* a parent outside of its pid namespace is 0 */
		return 127;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (s->box && !box_filter_apply())
		return fail(st, "its filter of system calls");
	if (s->box)
		st->layers.active |= LAYER_BIT(LAYER_SECCOMP);
	execve(s->program, s->argv, s->envp);
	return fail(st, NULL);
}

static int child(void *arg)
{
	struct start *st = arg;
	const char *step = spawn_place(st->s);
	return step ? fail(st, step) : run(arg);
}

/* Enters the box and has the program started there, as a child of our parent. */
static int child_for_box(void *arg)
{
	_Alignas(16) static char stack[STACK_SIZE];
	struct start *st = arg;
	const char *step = spawn_place(st->s);
	if (step)
		return fail(st, step);
	if (!box_enter(st->s->box))
		return fail(st, "its sandbox cannot be entered");
	st->layers.active |= box_namespaces();
	pid_t pid = clone(run, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_PARENT | SIGCHLD,
			  st);
	if (pid < 0)
		return fail(st, "no process in its sandbox");
	st->pid = pid;
	return 0;
}

/* ---- in the parent ---- */

static int explain(const struct start *st, struct err *e)
{
	const struct spawn_start *s = st->s;
	if (st->step)
		return err_sys(e, ERR_SPAWN_FAILED, st->eno, "'%s' could not be started: %s",
			       s->program, st->step);
	if (st->eno == ENOENT && s->box)
		return err_sys(e, ERR_SPAWN_FAILED, ENOENT,
			       "'%s' is not seen in its sandbox, or its interpreter is not: /usr, "
			       "/opt and its working directory are",
			       s->program);
	/* The file is there: it is the interpreter in its first line, or its loader, that is not. */
	if (st->eno == ENOENT && access(s->program, F_OK) == 0)
		return err_sys(e, ERR_SPAWN_FAILED, st->eno,
			       "'%s' needs an interpreter or loader that is "
			       "missing",
			       s->program);
	return err_sys(e, ERR_SPAWN_FAILED, st->eno, "'%s' cannot be executed", s->program);
}

pid_t spawn_child(const struct spawn_start *s, struct sandbox_layers *ret, struct err *e)
{
	_Alignas(16) static char stack[STACK_SIZE];
	struct start st = {.s = s, .parent = getpid(), .uid = geteuid()};
	pid_t pid = clone(s->box ? child_for_box : child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, &st);
	if (pid < 0)
		return err_sys(e, ERR_SPAWN_FAILED, errno, "no process for '%s'", s->program);
	if (s->box) { /* the one that entered it has ended already */
		waitpid(pid, NULL, 0);
		pid = st.pid;
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* a change of ids in our memory took it away */
	}
	*ret = st.layers;
	if (!st.eno)
		return pid;
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return explain(&st, e);
}
