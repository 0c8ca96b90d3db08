/* SPDX-License-Identifier: MIT */
/* oci.c - the shim: has an OCI runtime run one program, stands for it before the spawner, and ends as it ended. L1;
 * single-threaded, a process for each container.
 *
 * The runtime is asked to detach; what it leaves (the container's first process, or gVisor's kernel and file server)
 * becomes the shim's child, as the shim adopts orphans. When nothing is left below it the program is over, and the file
 * that symbi-init wrote says how. */
#include "sandbox/oci.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/sys.h"
#include "sandbox/proctree.h"
#include "sandbox/shim.h"

#define LOG_TAIL     1500
#define GUEST_WAIT_NS 10000000000ull

struct shim {
	const struct spawn_start *start;
	const struct oci_runtime *runtime;
	const char *dir;
	const char *step;     /* that failed already; NULL: none */
	const char *platform; /* flag for gVisor; NULL: what its build does best */
	struct oci_guest guest; /* of an engine */
	uint64_t guest_by_ns;	/* when it must have come; 0: the engine is not done yet */
	char socket[PATH_MAX];	/* the engine's */
	uint64_t id;
	char command[PATH_MAX];
	char name[40]; /* of the container: unique on the machine, as gVisor makes a socket by it */
	struct sandbox_layers layers;
	int stdio[3], null, report, signals, watch;
	int file[3], pipe[3]; /* where what comes out of which pipe is written by us; -1: nowhere */
	pid_t asked;   /* the runtime's command that starts it; 0: it has ended */
	bool started;  /* the program runs or has run */
	bool ending;   /* the spawner died: end it all */
	int refused;   /* errno of its execve */
	struct err failure; /* of an engine's container, other than that */
	bool full;     /* its output could not be written */
	bool told;     /* symbi-init, or what was full, said how it ended: */
	int status;    /* as by wait */
};

/* ---- the runtime's command ---- */

static _Noreturn void become(const struct shim *s, const char *const *words, bool with_streams)
{
	const char *argv[24], *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	char root[PATH_MAX], log[PATH_MAX];
	sigset_t none;
	size_t n = 0;
	snprintf(root, sizeof root, "%s/state", s->dir);
	snprintf(log, sizeof log, "%s/log", s->dir);
	argv[n++] = s->runtime->name;
	argv[n++] = s->runtime->engine ? "--socket" : "--root";
	argv[n++] = s->runtime->engine ? s->socket : root;
	argv[n++] = "--log";
	argv[n++] = log;
	for (const char *const *f = s->runtime->flags; *f; f++)
		argv[n++] = *f;
	if (s->platform)
		argv[n++] = s->platform;
	for (; *words; words++)
		argv[n++] = *words;
	argv[n] = NULL;
	for (int i = 0; i < 3; i++)
		dup2(with_streams ? s->stdio[i] : s->null, i);
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}); /* the shim's own */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(s->command, (char **)argv, (char *const *)env);
	_exit(127);
}

static pid_t command(const struct shim *s, const char *const *words, bool with_streams)
{
	pid_t pid = fork();
	if (pid == 0)
		become(s, words, with_streams);
	return pid;
}

static void ask_to_run(struct shim *s)
{
	const char *words[] = {"run", "--bundle", s->dir, "--detach", s->name, NULL};
	s->asked = command(s, words, true);
}

static void hand_on(struct shim *s, int sig)
{
	char text[8];
	snprintf(text, sizeof text, "%d", sig);
	const char *words[] = {"kill", s->name, text, NULL};
	if (s->runtime->engine)
		oci_guest_signal(&s->guest, sig);
	else if (s->started)
		command(s, words, false);
}

/* ---- output into files ----
 *
 * gVisor writes to a host's file at an offset of its own, over what is there, and no limit of a file's size reaches it:
 * so it is given a pipe, and the shim, which is under that limit, writes the file. */

static void make_pipes(struct shim *s)
{
	struct stat st;
	int p[2];
	for (int i = 0; i < 3; i++)
		s->file[i] = s->pipe[i] = -1;
	for (int i = 1; s->runtime->gvisor && i < 3; i++) {
		if (fstat(s->stdio[i], &st) < 0 || !S_ISREG(st.st_mode) || pipe2(p, O_CLOEXEC) < 0)
			continue;
		fcntl(p[0], F_SETFL, O_NONBLOCK);
		s->file[i] = s->stdio[i];
		s->pipe[i] = p[0];
		s->stdio[i] = p[1];
	}
}

/* What is in the pipe now, or a part of it. */
static void pump(struct shim *s, int i)
{
	char part[65536];
	ssize_t n = read(s->pipe[i], part, sizeof part);
	if (n == 0)
		close(take_fd(&s->pipe[i]));
	for (ssize_t at = 0, w; at < n; at += w) {
		w = write(s->file[i], part + at, (size_t)(n - at));
		if (w > 0)
			continue;
		s->told = s->full = true; /* the end, as by RLIMIT_FSIZE or a full disk */
		s->status = errno == EFBIG ? SIGXFSZ : SIGPIPE;
		close(take_fd(&s->pipe[i]));
		return;
	}
}

/* All that is still there: nobody writes any more. */
static void drain(struct shim *s)
{
	for (int i = 1; i < 3; i++)
		for (int left = 1; s->pipe[i] >= 0 && !s->full && ioctl(s->pipe[i], FIONREAD, &left) == 0 && left > 0;)
			pump(s, i);
}

/* ---- what is told ---- */

static void report_started(struct shim *s)
{
	struct keeper_report r = {.id = s->id, .pid = getpid(), .layers = s->layers};
	s->started = true;
	shim_report(s->report, &r);
}

static void report_failed(struct shim *s, const struct err *e)
{
	struct keeper_report r = {.id = s->id, .pid = -1, .err = *e};
	shim_report(s->report, &r);
}

/* The end of a file, in one line of printable text; "" when there is none. */
static void tail(const char *path, char out[static LOG_TAIL])
{
	struct stat st;
	out[0] = 0;
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	off_t from = st.st_size > LOG_TAIL - 1 ? st.st_size - (LOG_TAIL - 1) : 0;
	ssize_t n = pread(fd, out, LOG_TAIL - 1, from);
	out[n > 0 ? n : 0] = 0;
	for (char *p = out; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
}

static void explain(struct shim *s, struct err *e)
{
	char path[PATH_MAX], text[LOG_TAIL], *from = text;
	if (s->failure.code) {
		*e = s->failure;
		return;
	}
	if (s->guest_by_ns) {
		err_set(e, ERR_SPAWN_FAILED,
			"'%s' could not be started: the engine at '%s' started its container, but nothing of it came back: is "
			"it on this machine, with this state directory?",
			s->start->program, s->socket);
		return;
	}
	snprintf(path, sizeof path, "%s/log", s->dir);
	tail(path, text);
	for (char *p = text; (p = strstr(p, "msg=")); p++) /* runc, crun: the last message is the reason */
		from = p + 4;
	err_set(e, ERR_SPAWN_FAILED, "'%s' could not be started: %s: %.300s", s->start->program, s->runtime->name,
		*from ? from : "it ended without a word");
}

/* What symbi-init wrote, last line last. Its writer may be the program itself, which deceives about itself only. */
static void read_told(struct shim *s)
{
	char path[PATH_MAX], text[LOG_TAIL], word[12];
	int n;
	snprintf(path, sizeof path, "%s/told", s->dir);
	if (s->full)
		return;
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
	text[len > 0 ? len : 0] = 0;
	for (char *line = text; line && sscanf(line, "%11s", word) == 1;
	     line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		bool number = sscanf(line, "%*s %d", &n) == 1;
		if (strcmp(word, "started") == 0 && !s->started)
			report_started(s);
		else if (strcmp(word, "failed") == 0 && number && n > 0)
			s->refused = n;
		else if (strcmp(word, "exited") == 0 && number && n >= 0 && n < 256)
			s->status = n << 8, s->told = true;
		else if (strcmp(word, "signaled") == 0 && number && n > 0 && n < NSIG)
			s->status = n, s->told = true;
	}
}

/* ---- from start to end ---- */

/* The runtime ended before the program began. gVisor may do better by another way of catching system calls. */
static bool try_again(struct shim *s)
{
	if (!s->runtime->gvisor || s->platform)
		return false;
	s->platform = "--platform=ptrace";
	ask_to_run(s);
	return s->asked > 0;
}

/* The container has its streams: else who reads its output would wait for us. */
static void let_go(struct shim *s)
{
	for (int i = 0; i < 3; i++)
		if (s->stdio[i] >= 0)
			close(take_fd(&s->stdio[i]));
}

/* The engine has made its container, and symbi-init is on its way. */
static void await_guest(struct shim *s, int status)
{
	if (status == 0)
		s->guest_by_ns = clock_mono_ns() + GUEST_WAIT_NS;
	else
		close(take_fd(&s->guest.listener));
}

/* Is there still to come something of an engine's container? It is no child of ours. */
static bool guest_is_due(struct shim *s)
{
	struct pollfd gone = {.fd = s->guest.pidfd, .events = POLLIN};
	if (s->guest.listener >= 0 && s->guest_by_ns && clock_mono_ns() > s->guest_by_ns)
		close(take_fd(&s->guest.listener));
	if (s->guest.pidfd >= 0 && poll(&gone, 1, 0) == 1)
		close(take_fd(&s->guest.pidfd));
	return s->guest.listener >= 0 || s->guest.pidfd >= 0;
}

static void guest_arrives(struct shim *s)
{
	if (oci_guest_arrives(&s->guest, s->start, s->stdio, &s->layers, &s->failure) < 0 || s->guest.pidfd >= 0)
		let_go(s);
}

/* Children that ended; false when none is left. */
static bool reap(struct shim *s)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != s->asked)
			continue;
		s->asked = 0;
		read_told(s);
		if (s->guest.listener >= 0)
			await_guest(s, status);
		else if (s->started || s->refused || status == 0 || !try_again(s))
			let_go(s);
	}
	return pid == 0;
}

static void on_signal(struct shim *s)
{
	struct signalfd_siginfo si;
	while (read(s->signals, &si, sizeof si) == sizeof si) {
		if ((int)si.ssi_signo == SHIM_SPAWNER_DIED)
			s->ending = true;
		else if (si.ssi_signo != SIGCHLD && si.ssi_signo < 32)
			hand_on(s, (int)si.ssi_signo);
	}
}

static void serve(struct shim *s)
{
	char events[4096];
	struct pollfd p[] = {{.fd = s->signals, .events = POLLIN},
			     {.fd = s->watch, .events = POLLIN},
			     {.events = POLLIN},
			     {.events = POLLIN},
			     {.events = POLLIN},
			     {.events = POLLIN}};
	while (reap(s) | guest_is_due(s)) {
		/* With the program goes what it left, and a runtime that takes its time. */
		if (s->ending || s->told) {
			proctree_kill(getpid());
			oci_guest_signal(&s->guest, SIGKILL);
		}
		p[2].fd = s->pipe[1];
		p[3].fd = s->pipe[2];
		p[4].fd = s->guest.listener;
		p[5].fd = s->guest.pidfd;
		poll(p, ARRAY_LEN(p), s->ending || s->told ? 2 : s->guest.listener >= 0 ? 100 : -1);
		on_signal(s);
		if (p[1].revents && read(s->watch, events, sizeof events) > 0)
			read_told(s);
		for (int i = 1; i < 3; i++)
			if (p[i + 1].revents && s->pipe[i] >= 0)
				pump(s, i);
		if (p[4].revents && s->guest.listener >= 0)
			guest_arrives(s);
	}
	read_told(s);
	drain(s);
}

static _Noreturn void finish(struct shim *s)
{
	struct err e = {0};
	if (s->ending) {
		char view[PATH_MAX];
		snprintf(view, sizeof view, "%s" OCI_SYMBI, s->dir);
		umount2(view, MNT_DETACH); /* where there is one */
		oci_discard(s->dir);
		_exit(1);
	}
	if (s->refused == ENOENT && s->start->engine_image)
		err_sys(&e, ERR_SPAWN_FAILED, ENOENT, "'%s' is not in image '%s', or its interpreter is not", s->start->program,
			s->start->engine_image);
	else if (s->refused == ENOENT)
		err_sys(&e, ERR_SPAWN_FAILED, ENOENT,
			"'%s' is not seen in its sandbox, or its interpreter is not: /usr, /opt and its working "
			"directory are",
			s->start->program);
	else if (s->refused)
		err_sys(&e, ERR_SPAWN_FAILED, s->refused, "'%s' cannot be executed", s->start->program);
	else if (!s->started)
		explain(s, &e);
	if (e.code)
		report_failed(s, &e);
	shim_end_as(s->told ? s->status : s->started ? SIGKILL : 127 << 8);
}

/* ---- the place ---- */

/* Mounts of its own: a runtime that dies leaves none. And of cgroups only what it cannot do without is there, else it
 * would make groups, or balk at a mix of both versions. */
static const char *own_mounts(const struct oci_runtime *r)
{
	char path[300];
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return "mounts of its own";
	if (r->engine) /* has its own */
		return NULL;
	DIR *d = opendir("/sys/fs/cgroup");
	for (struct dirent *f; d && (f = readdir(d));) {
		if (*f->d_name == '.' || (r->own_group && strcmp(f->d_name, "devices") == 0))
			continue;
		snprintf(path, sizeof path, "/sys/fs/cgroup/%s", f->d_name);
		umount2(path, MNT_DETACH); /* where there is one */
	}
	if (d)
		closedir(d);
	return NULL;
}

static int prepare(struct shim *s, struct err *e)
{
	char told[PATH_MAX];
	const char *step = s->step ? s->step : own_mounts(s->runtime);
	if (!step && (s->signals = shim_signals()) < 0)
		step = "its signals";
	if (!step && (s->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) < 0)
		step = "its watch";
	if (step)
		return err_sys(e, ERR_SPAWN_FAILED, errno, "'%s' could not be started: %s", s->start->program, step);
	if (mkdir(s->dir, 0700) < 0)
		return err_sys(e, ERR_SPAWN_FAILED, errno, "'%s'", s->dir);
	if (s->runtime->engine && oci_guest_expect(&s->guest, s->dir, s->start) < 0)
		return err_sys(e, ERR_SPAWN_FAILED, errno, "'%s/" OCI_STREAMS "'", s->dir);
	int r = s->runtime->engine ? oci_engine_socket(s->runtime, s->socket, e) : 0;
	if (r == 0)
		r = oci_bundle(s->start, s->runtime, s->dir, e);
	snprintf(told, sizeof told, "%s/told", s->dir);
	if (r == 0 && inotify_add_watch(s->watch, told, IN_MODIFY) < 0)
		r = err_sys(e, ERR_SPAWN_FAILED, errno, "'%s'", told);
	return r;
}

static _Noreturn void shim(struct shim *s)
{
	struct err e = {0};
	s->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 3; i++)
		dup2(s->null, i);
	umask(022);
	if (prepare(s, &e) < 0) {
		report_failed(s, &e);
		_exit(127);
	}
	make_pipes(s);
	ask_to_run(s);
	shim_limit_files(s->start);
	serve(s);
	finish(s);
}

pid_t oci_start(const struct spawn_start *start, const struct oci_runtime *rt,
		const struct sandbox_layers *layers, const char *dir, uint64_t id, int fd,
		uint32_t mark, struct err *e)
{
	pid_t spawner = getpid(), pid = fork();
	if (pid < 0)
		return err_sys(e, ERR_SPAWN_FAILED, errno, "no process for '%s'", start->program);
	if (pid > 0)
		return pid;
	struct spawn_start mine = *start;
	struct shim s = {.start = &mine, .runtime = rt, .layers = *layers, .dir = dir, .id = id,
			 .guest = {.listener = -1, .pidfd = -1}};
	int more[1 + CGROUP_DOORS] = {fd}, doors = rt->engine && mine.group ? cgroup_doors(mine.group, more + 1) : 0;
	if (oci_command(rt, s.command) < 0)
		_exit(1);
	s.step = shim_begin(&mine, more, 1 + (size_t)(doors > 0 ? doors : 0), spawner, mark, "symbi-oci");
	if (!s.step && rt->engine && doors <= 0)
		s.step = "its cgroup: without one an engine's container cannot be held";
	s.guest.doors_n = doors;
	snprintf(s.name, sizeof s.name, "symbi-%08x-%d", mark, getpid());
	s.report = more[0];
	memcpy(s.guest.doors, more + 1, sizeof s.guest.doors);
	for (int i = 0; i < 3; i++)
		s.stdio[i] = mine.stdio[i];
	shim(&s);
}

/* ---- what is left ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st, (void)type, (void)f;
	remove(path);
	return 0;
}

void oci_discard(const char *dir)
{
	char path[PATH_MAX], group[32];
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	oci_group_name(dir, group);
	snprintf(path, sizeof path, "/sys/fs/cgroup/devices/%s", group);
	if (access(path, F_OK) == 0)
		cgroup_remove(path);
}

void oci_discard_all(const char *base)
{
	char path[PATH_MAX];
	DIR *d = opendir(base);
	for (struct dirent *f; d && (f = readdir(d));)
		if (*f->d_name != '.' && snprintf(path, sizeof path, "%s/%s", base, f->d_name) < (int)sizeof path)
			oci_discard(path);
	if (d)
		closedir(d);
	rmdir(base);
}
