/* SPDX-License-Identifier: MIT */
/* vm_start.c - the shim of a microVM from its fork to its end: QEMU in a box, around a guest that begins anew or where an earlier
 * one was kept. L1; single-threaded, a process for each microVM. */
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
	if (v->saving >= 0)
		q.limits.file_bytes = 0; /* it writes one of ours */
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

/* Where it lies, QEMU opens it by the descriptor: so this one goes through its execve. */
static bool make_memory(struct vm *v)
{
	v->ram = memfd_create("ram", 0);
	return v->ram >= 0 && ftruncate(v->ram, (off_t)vm_memory_mib(v->start->enforce ? v->start->limits.memory_bytes : 0) << 20) == 0;
}

static void add_descriptors(struct vm_command *c, const struct vm *v, int port, int monitor)
{
	vm_word(c, "-object");
	vm_word(c, "memory-backend-file,id=ram,mem-path=/proc/self/fd/%d,share=on,size=%uM", v->ram,
		vm_memory_mib(v->start->enforce ? v->start->limits.memory_bytes : 0));
	vm_word(c, "-chardev");
	vm_word(c, "socket,id=port,fd=%d", port);
	vm_word(c, "-chardev");
	vm_word(c, "socket,id=qmp,fd=%d", monitor);
	vm_word(c, "-mon");
	vm_word(c, "chardev=qmp,mode=control");
	if (v->restored)
		vm_word(c, "-incoming");
	if (v->restored)
		vm_word(c, "defer");
}

/* Its guest begins as one that was kept, or anew, and then it is kept. */
static int launch(struct vm *v, struct err *e)
{
	static struct vm_command c;
	struct vm_image image;
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}); /* the shim's own; QEMU's is set for it */
	int r = vm_image_find(&image, e);
	if (r < 0)
		return r;
	vm_qemu_command(&c, v->start, &image);
	vm_warm_path(&image, &c, v->warm);
	autoclose int port = -1, monitor = -1;
	if (!connect_to(&v->port, &port) || !connect_to(&v->qmp, &monitor) || !make_memory(v))
		return err_sys(e, ERR_SPAWN_FAILED, errno, "'%s' could not be started: its memory", v->start->program);
	autoclose int kept = vm_warm_open(v->warm, v->ram);
	v->restored = kept >= 0;
	v->saving = v->restored ? -1 : vm_warm_create(v->warm);
	add_descriptors(&c, v, port, monitor);
	r = boot(v, &image, &c, e);
	v->ready_by = vm_clock_ms() + READY_MS;
	if (r < 0 || !v->restored)
		return r;
	if (!vm_warm_resume(v->qmp, kept))
		v->wrong = "what was kept of it cannot be used";
	vm_say_run(v);
	return 0;
}

static void end_box(struct vm *v)
{
	if (v->box > 0)
		kill(v->box, SIGKILL); /* and with it all that is in it */
	while (waitpid(-1, NULL, 0) > 0)
		;
	v->box = v->qemu = 0;
}

/* What was kept and does not go on, of another QEMU say, is made anew. */
static bool begins_anew(struct vm *v)
{
	if (!v->restored || !v->ready_by || v->ending)
		return false;
	end_box(v);
	vm_warm_forget(v->warm);
	close(take_fd(&v->port));
	close(take_fd(&v->qmp));
	close(take_fd(&v->ram));
	v->in.have = v->in.done = v->queued = v->sent = 0;
	v->wrong = NULL;
	v->end = (struct vm_ended){0};
	return ftruncate(v->log, 0) == 0;
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
	const char *step = shim_begin(&mine, &report, 1, spawner, mark, "symbi-vm");
	v = (struct vm){.start = &mine, .layers = *layers, .id = id, .report = report, .port = -1, .saving = -1, .ram = -1, .qmp = -1};
	memcpy(v.stdio, mine.stdio, sizeof v.stdio);
	int r = prepare(&v, step, &failed.err);
	do {
		if (r == 0)
			r = launch(&v, &failed.err);
		shim_limit_files(&mine);
		if (r == 0)
			vm_serve(&v);
	} while (r == 0 && begins_anew(&v));
	if (r == 0)
		finish(&v);
	end_box(&v);
	shim_report(report, &failed);
	_exit(127);
}
