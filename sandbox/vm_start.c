/* SPDX-License-Identifier: MIT */
/* vm_start.c - the shim of a microVM from its fork to its end: QEMU in a box. L1; single-threaded, a process for each microVM. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/box.h"
#include "sandbox/vm_i.h"

#define READY_MS 120000 /* a guest that has not come up by then does not */

/* ---- QEMU in its box ---- */

/* In a box of its own; what has no CLOEXEC goes with it. */
static int boot(struct vm *v, const struct vm_image *image, struct vm_command *c, struct err *e)
{
	const char *const env[] = {"PATH=/usr/bin:/bin", NULL};
	struct box b;
	struct spawn_start q = *v->start;
	if (c->full)
		return err_set(e, ERR_SPAWN_FAILED, "the working directory of a microVM has too long a name");
	autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	q.program = VM_QEMU;
	q.argv = (char **)c->argv;
	q.envp = (char **)env;
	q.image = image->dir;
	q.kvm = strcmp(image->accel, "kvm") == 0;
	q.limits = vm_outer_limits(&q.limits);
	q.memory_by_as = false; /* its guest's memory holds the program, and its guest counts processes */
	q.nproc = 0;
	q.group = NULL; /* we are in it already */
	q.stdio[0] = q.stdio[1] = null;
	q.stdio[2] = v->log;
	int r = box_make(&q, &b, e);
	if (r < 0)
		return r;
	v->box = b.pid;
	q.box = &b;
	r = spawn_child(&q, &v->layers, e);
	v->qemu = r < 0 ? 0 : r;
	v->layers.active |= LAYER_BIT(LAYER_KERNEL);
	close(b.fd);
	close(b.talk);
	return r < 0 ? r : 0;
}

/* One end of a connection with QEMU, the other goes through its execve. false with errno. */
static bool connect_to(int *ours, int *its)
{
	int sv[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
		return false;
	fcntl(sv[0], F_SETFD, FD_CLOEXEC);
	*ours = sv[0];
	*its = sv[1];
	return true;
}

static int launch(struct vm *v, struct err *e)
{
	static struct vm_command c;
	struct vm_image image;
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}); /* the shim's own; QEMU's is set for it */
	int r = vm_image_find(&image, e);
	if (r < 0)
		return r;
	vm_qemu_command(&c, v->start, &image);
	autoclose int port = -1;
	if (!connect_to(&v->port, &port))
		return err_sys(e, ERR_SPAWN_FAILED, errno, "'%s' could not be started: its port", v->start->program);
	vm_word(&c, "-chardev");
	vm_word(&c, "socket,id=port,fd=%d", port);
	r = boot(v, &image, &c, e);
	v->ready_by = vm_clock_ms() + READY_MS;
	return r;
}

static void end_box(struct vm *v)
{
	if (v->box > 0)
		kill(v->box, SIGKILL); /* and with it all that is in it */
	while (waitpid(-1, NULL, 0) > 0)
		;
	v->box = v->qemu = 0;
}

/* ---- the whole ---- */

static _Noreturn void finish(struct vm *v)
{
	struct keeper_report r = {.id = v->id};
	end_box(v);
	if (v->ending)
		_exit(1);
	if (!v->started) {
		r.pid = -1;
		vm_why_not(v, &r.err);
		shim_report(v->report, &r);
		_exit(127);
	}
	r.counted = true;
	r.oom_kills = v->end.oom_kills;
	r.pids_refused = v->end.pids_refused;
	shim_report(v->report, &r);
	shim_end_as(v->told || v->end.status ? v->end.status : SIGKILL);
}

static int prepare(struct vm *v, const char *step, struct err *e)
{
	struct stat st;
	autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 3; i++) {
		dup2(null, i);
		v->out[i].regular = fstat(v->stdio[i], &st) == 0 && S_ISREG(st.st_mode);
	}
	if (!step && (v->signals = shim_signals()) < 0)
		step = "its signals";
	if (!step && (v->log = memfd_create("log", MFD_CLOEXEC)) < 0)
		step = "its log";
	return step ? err_sys(e, ERR_SPAWN_FAILED, errno, "'%s' could not be started: %s", v->start->program, step) : 0;
}

pid_t vm_start(const struct spawn_start *start, const struct sandbox_layers *layers, uint64_t id, int report, uint32_t mark,
	       struct err *e)
{
	static struct vm v;
	pid_t spawner = getpid(), pid = fork();
	if (pid < 0)
		return err_sys(e, ERR_SPAWN_FAILED, errno, "no process for '%s'", start->program);
	if (pid > 0)
		return pid;
	struct keeper_report failed = {.id = id, .pid = -1};
	struct spawn_start mine = *start;
	const char *step = shim_begin(&mine, &report, spawner, mark, "symbi-vm");
	v = (struct vm){.start = &mine, .layers = *layers, .id = id, .report = report, .port = -1};
	memcpy(v.stdio, mine.stdio, sizeof v.stdio);
	int r = prepare(&v, step, &failed.err);
	if (r == 0)
		r = launch(&v, &failed.err);
	shim_limit_files(&mine);
	if (r == 0) {
		vm_serve(&v);
		finish(&v);
	}
	end_box(&v);
	shim_report(report, &failed);
	_exit(127);
}
