/* SPDX-License-Identifier: MIT */
/* vm.c - what the shim of a microVM does while it runs: passes streams and signals in and out, hears how it goes. L1. */
#include "sandbox/vm_i.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/shim.h"

#define PART 4096 /* a pipe that poll calls writable takes so much */

uint64_t vm_clock_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* ---- to the guest ---- */

static void flush(struct vm *v)
{
	while (v->sent < v->queued) {
		ssize_t n = send(v->port, v->queue + v->sent, v->queued - v->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n <= 0)
			return; /* it is full, or QEMU is gone, which waitpid says */
		v->sent += (size_t)n;
	}
	v->queued = v->sent = 0;
}

static void say(struct vm *v, enum vm_what what, int stream, const void *body, uint32_t len)
{
	struct vm_frame f = {.what = (uint16_t)what, .stream = (uint16_t)stream, .len = len};
	char *more = realloc(v->queue, v->queued + sizeof f + len);
	if (!more)
		abort(); /* the job ends as killed */
	v->queue = more;
	memcpy(more + v->queued, &f, sizeof f);
	if (len)
		memcpy(more + v->queued + sizeof f, body, len);
	v->queued += sizeof f + len;
	flush(v);
}

void vm_say_run(struct vm *v)
{
	uint8_t seed[VM_SEED];
	struct timespec now;
	size_t len;
	clock_gettime(CLOCK_REALTIME, &now);
	autofree char *text = getrandom(seed, sizeof seed, 0) == sizeof seed
				      ? vm_run_text(v->start, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec, seed, &len)
				      : NULL;
	if (text)
		say(v, VM_RUN, 0, text, (uint32_t)len);
	else
		v->wrong = "its arguments and environment are too long";
}

/* ---- streams ---- */

static void close_stream(struct vm *v, int i)
{
	if (v->stdio[i] >= 0)
		close(take_fd(&v->stdio[i]));
}

static void read_input(struct vm *v)
{
	static char part[VM_WINDOW / 2];
	size_t room = VM_WINDOW - v->away;
	ssize_t n = read(v->stdio[0], part, room < sizeof part ? room : sizeof part);
	if (n > 0) {
		v->away += (uint32_t)n;
		say(v, VM_DATA, 0, part, (uint32_t)n);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		close_stream(v, 0);
		say(v, VM_CLOSE, 0, NULL, 0);
	}
}

/* A file that takes no more ends the program, as RLIMIT_FSIZE or a full disk would; a reader that is gone tells it. */
static void refused(struct vm *v, int i)
{
	if (v->out[i].regular) {
		v->told = v->over = true;
		v->end.status = errno == EFBIG ? SIGXFSZ : SIGPIPE;
	}
	v->out[i].len = 0;
	close_stream(v, i);
	say(v, VM_CLOSE, i, NULL, 0);
}

static void write_output(struct vm *v, int i)
{
	struct output *o = &v->out[i];
	size_t most = o->regular || o->len < PART ? o->len : PART;
	ssize_t n = v->stdio[i] >= 0 ? write(v->stdio[i], o->data, most) : (ssize_t)o->len;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		refused(v, i);
		return;
	}
	uint32_t done = (uint32_t)n;
	o->len -= done;
	memmove(o->data, o->data + done, o->len);
	say(v, VM_ACK, i, &done, sizeof done);
}

static void take_output(struct vm *v, int i, const char *data, size_t len)
{
	struct output *o = &v->out[i];
	if (len > sizeof o->data - o->len) {
		v->wrong = "its guest sent more than it may";
		return;
	}
	memcpy(o->data + o->len, data, len);
	o->len += len;
	if (o->regular || v->stdio[i] < 0)
		write_output(v, i);
}

/* ---- from the guest ---- */

static void on_started(struct vm *v)
{
	struct keeper_report r = {.id = v->id, .pid = getpid(), .layers = v->layers};
	if (!v->started)
		shim_report(v->report, &r);
	v->started = true;
}

/* Nothing of its agent's has come in yet: that is the guest to keep. */
static void on_ready(struct vm *v)
{
	if (v->saving >= 0 && !vm_warm_save(v->qmp, v->saving, v->ram, v->warm))
		v->wrong = "it did not go on after it was kept";
	if (v->saving >= 0)
		close(take_fd(&v->saving));
	vm_say_run(v);
}

static void on_frame(struct vm *v, const struct vm_frame *f, const char *body)
{
	uint32_t n = 0;
	if (f->len == sizeof n)
		memcpy(&n, body, sizeof n);
	if (f->what == VM_READY && n != VM_VERSION)
		v->wrong = "its image is of another build (`symbi sandbox image build` makes a new one)";
	else if (f->what == VM_READY && v->ready_by && !v->restored)
		on_ready(v);
	else if (f->what == VM_STARTED)
		on_started(v);
	else if (f->what == VM_DATA)
		take_output(v, f->stream, body, f->len);
	else if (f->what == VM_ACK)
		v->away -= n < v->away ? n : v->away;
	else if (f->what == VM_CLOSE)
		v->out[f->stream].closing = true;
	else if (f->what == VM_FAILED && !v->started)
		memcpy(&v->failed, body, sizeof v->failed), v->over = true;
	else if (f->what == VM_ENDED && v->started && !v->told)
		memcpy(&v->end, body, sizeof v->end), v->told = true;
	v->ready_by = 0;
}

static void listen_to_guest(struct vm *v)
{
	struct vm_frame f;
	const char *body;
	int r = 0;
	if (vm_reader_fill(&v->in, v->port) <= 0)
		return; /* QEMU is going, which waitpid says */
	while (!v->over && !v->wrong && (r = vm_reader_next(&v->in, &f, &body)) > 0)
		on_frame(v, &f, body);
	if (r < 0)
		v->wrong = "its guest does not keep to the protocol";
}

/* ---- from start to end ---- */

static void on_signal(struct vm *v)
{
	struct signalfd_siginfo si;
	while (read(v->signals, &si, sizeof si) == sizeof si) {
		int32_t sig = (int32_t)si.ssi_signo;
		if (sig == SHIM_SPAWNER_DIED)
			v->ending = true;
		else if (sig != SIGCHLD && sig < 32 && v->started)
			say(v, VM_SIGNAL, 0, &sig, sizeof sig);
	}
}

/* false when QEMU is gone, or its box, without which it goes. */
static bool reap(struct vm *v)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == v->box)
			v->box = 0;
		if (pid != v->qemu)
			continue;
		v->qemu = 0;
		if (!v->told && WIFSIGNALED(status)) /* by a limit around it */
			v->end.status = status & 0x7f;
	}
	return v->qemu && v->box;
}

static bool drained(const struct vm *v)
{
	return (v->stdio[1] < 0 || !v->out[1].len) && (v->stdio[2] < 0 || !v->out[2].len);
}

static int time_left(struct vm *v)
{
	uint64_t now = vm_clock_ms();
	if (!v->ready_by)
		return -1;
	if (now >= v->ready_by)
		v->wrong = "its kernel has not come up";
	return now < v->ready_by ? (int)(v->ready_by - now) : 0;
}

static void pass_output(struct vm *v, int i, short events)
{
	struct output *o = &v->out[i];
	if (o->len && (events || v->stdio[i] < 0))
		write_output(v, i);
	else if ((events & (POLLERR | POLLHUP)) && v->stdio[i] >= 0)
		refused(v, i);
	if (o->closing && !o->len)
		close_stream(v, i);
}

void vm_serve(struct vm *v)
{
	while (!v->ending && !v->over && !v->wrong && !(v->told && drained(v))) {
		bool in = v->started && !v->told && v->away < VM_WINDOW / 2;
		struct pollfd p[] = {
			{.fd = v->signals, .events = POLLIN},
			{.fd = v->port, .events = (short)(v->told ? 0 : POLLIN | (v->queued ? POLLOUT : 0))},
			{.fd = in ? v->stdio[0] : -1, .events = POLLIN},
			{.fd = v->out[1].regular ? -1 : v->stdio[1], .events = v->out[1].len ? POLLOUT : 0},
			{.fd = v->out[2].regular ? -1 : v->stdio[2], .events = v->out[2].len ? POLLOUT : 0},
		};
		poll(p, ARRAY_LEN(p), time_left(v));
		on_signal(v);
		if (p[1].revents & POLLIN)
			listen_to_guest(v);
		flush(v);
		if (!reap(v) && !v->told) /* what it said before it went was just read */
			break;
		if (p[2].revents)
			read_input(v);
		for (int i = 1; i < 3; i++)
			pass_output(v, i, p[2 + i].revents);
		if (v->out[0].closing)
			close_stream(v, 0);
	}
}

/* What QEMU said, in a line. */
static void explain(const struct vm *v, struct err *e)
{
	char text[300];
	ssize_t n = pread(v->log, text, sizeof text - 1, 0);
	text[n > 0 ? n : 0] = 0;
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
	err_set(e, ERR_SPAWN_FAILED, "'%s' could not be started: its microVM: %s", v->start->program,
		v->wrong ? v->wrong : *text ? text : "QEMU ended without a word");
}

void vm_why_not(const struct vm *v, struct err *e)
{
	const struct vm_failed *f = &v->failed;
	const char *program = v->start->program;
	if (!f->eno)
		explain(v, e);
	else if (f->ours)
		err_sys(e, ERR_SPAWN_FAILED, f->eno, "'%s' could not be started in its microVM: %s", program, f->step);
	else if (f->eno == ENOENT)
		err_sys(e, ERR_SPAWN_FAILED, ENOENT,
			"'%s' is not seen in its sandbox, or its interpreter is not: /usr, /opt and its working "
			"directory are",
			program);
	else
		err_sys(e, ERR_SPAWN_FAILED, f->eno, "'%s' cannot be executed", program);
}

