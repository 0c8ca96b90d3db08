/* SPDX-License-Identifier: MIT */
/* symbi-guest - pid 1 of a microVM: makes the place that its host describes, starts the program there, and carries its
 * streams, its signals and its end over a virtio-serial port. L4; linked statically, the only program of its initramfs. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "guest.h"

#define PART 32768u /* of a stream in one frame */

static char frame[sizeof(struct vm_frame) + VM_FRAME_MAX]; /* what comes in */
static size_t have;

/* ---- to the host ---- */

/* There is nobody to talk to any more: so there is nothing left to do. */
static _Noreturn void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void write_all(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
		} else if (n == 0 || errno != EINTR) {
			power_off();
		}
	}
}

void guest_send(const struct guest *g, enum vm_what what, int stream, const void *data, uint32_t len)
{
	static char out[sizeof(struct vm_frame) + PART];
	struct vm_frame f = {.what = (uint16_t)what, .stream = (uint16_t)stream, .len = len};
	memcpy(out, &f, sizeof f);
	if (len)
		memcpy(out + sizeof f, data, len);
	write_all(g->port, out, sizeof f + len);
}

static _Noreturn void rest(const struct guest *g)
{
	char left[64];
	for (;;) { /* the host ends us */
		ssize_t n = read(g->port, left, sizeof left);
		if (n == 0)
			power_off();
		if (n < 0)
			poll(&(struct pollfd){.fd = g->port, .events = POLLIN}, 1, -1);
	}
}

_Noreturn void guest_fail(const struct guest *g, int eno, const char *step)
{
	struct vm_failed f = {.eno = eno, .ours = step != NULL};
	snprintf(f.step, sizeof f.step, "%s", step ? step : "");
	guest_send(g, VM_FAILED, 0, &f, sizeof f);
	rest(g);
}

/* ---- from the host ---- */

/* Strings one behind the other, as struct vm_run counts them. */
static void take_run(struct guest *g, char *text, size_t len)
{
	static char *list[VM_TEXT_MAX / 2];
	if (len < sizeof g->run)
		guest_fail(g, EBADMSG, "what to run");
	memcpy(&g->run, text, sizeof g->run);
	size_t n = 0, want = 2 + (size_t)g->run.argc + g->run.envc;
	char *p = text + sizeof g->run, *end = text + len;
	if (want + 2 > sizeof list / sizeof *list)
		guest_fail(g, E2BIG, "what to run");
	for (size_t i = 0; i < want; i++) {
		char *nul = memchr(p, 0, (size_t)(end - p));
		if (!nul)
			guest_fail(g, EBADMSG, "what to run");
		list[n++] = p;
		if (i == 1 + (size_t)g->run.argc)
			list[n++] = NULL;
		p = nul + 1;
	}
	list[n] = NULL;
	g->program = list[0];
	g->cwd = list[1];
	g->argv = list + 2;
	g->envp = list + 3 + g->run.argc;
	place_make(g);
	program_start(g);
}

static void close_stream(struct guest *g, int i)
{
	if (g->stream[i] >= 0)
		close(g->stream[i]);
	g->stream[i] = -1;
}

static void take_input(struct guest *g, const char *data, size_t len)
{
	if (len > sizeof g->in - g->in_len)
		return; /* more than the window: not of our host */
	memcpy(g->in + g->in_len, data, len);
	g->in_len += len;
}

static void take(struct guest *g, const struct vm_frame *f, char *data)
{
	int32_t sig;
	uint32_t n;
	int i = f->stream < 3 ? f->stream : 0;
	if (f->what == VM_RUN && !g->pid) {
		take_run(g, data, f->len);
	} else if (f->what == VM_SIGNAL && f->len == sizeof sig && g->pid > 0) {
		memcpy(&sig, data, sizeof sig);
		kill(g->pid, sig);
		if (sig == SIGTERM) /* who was stopped cannot hear it */
			kill(g->pid, SIGCONT);
	} else if (f->what == VM_DATA) {
		take_input(g, data, f->len);
	} else if (f->what == VM_ACK && f->len == sizeof n) {
		memcpy(&n, data, sizeof n);
		g->away[i] -= n < g->away[i] ? n : g->away[i];
	} else if (f->what == VM_CLOSE && i == 0) {
		g->in_closed = true;
	} else if (f->what == VM_CLOSE) {
		close_stream(g, i);
	}
}

static void listen_to_host(struct guest *g)
{
	struct vm_frame f;
	ssize_t n = read(g->port, frame + have, sizeof frame - have);
	if (n == 0)
		power_off();
	have += n > 0 ? (size_t)n : 0;
	size_t at = 0;
	for (; have - at >= sizeof f; at += sizeof f + f.len) {
		memcpy(&f, frame + at, sizeof f);
		if (f.len > VM_FRAME_MAX)
			power_off();
		if (have - at < sizeof f + f.len)
			break;
		bool kept = f.what == VM_RUN; /* its strings stay where they are, and are followed by nothing that matters */
		take(g, &f, frame + at + sizeof f);
		if (kept) {
			at = have = 0;
			return;
		}
	}
	memmove(frame, frame + at, have - at);
	have -= at;
}

/* ---- the program's streams ---- */

static void pass_input(struct guest *g)
{
	ssize_t n = g->in_len && g->stream[0] >= 0 ? write(g->stream[0], g->in, g->in_len) : 0;
	bool refused = g->stream[0] >= 0 && n < 0 && errno != EAGAIN && errno != EINTR;
	uint32_t done = refused || g->stream[0] < 0 ? (uint32_t)g->in_len : n > 0 ? (uint32_t)n : 0;
	if (refused) {
		close_stream(g, 0);
		guest_send(g, VM_CLOSE, 0, NULL, 0);
	}
	if (done) {
		g->in_len -= done;
		memmove(g->in, g->in + done, g->in_len);
		guest_send(g, VM_ACK, 0, &done, sizeof done);
	}
	if (g->in_closed && !g->in_len)
		close_stream(g, 0);
}

static void pass_output(struct guest *g, int i)
{
	static char part[PART];
	size_t room = VM_WINDOW - g->away[i];
	if (room == 0 || g->stream[i] < 0)
		return;
	ssize_t n = read(g->stream[i], part, room < sizeof part ? room : sizeof part);
	if (n > 0) {
		g->away[i] += (uint32_t)n;
		guest_send(g, VM_DATA, i, part, (uint32_t)n);
	} else if (n == 0 || g->ended) { /* behind its end nobody writes */
		close_stream(g, i);
		guest_send(g, VM_CLOSE, i, NULL, 0);
	}
}

static void serve(struct guest *g)
{
	for (;;) {
		bool in = g->in_len && g->stream[0] >= 0;
		struct pollfd p[] = {
			{.fd = g->port, .events = POLLIN},
			{.fd = g->signals, .events = POLLIN},
			{.fd = in ? g->stream[0] : -1, .events = POLLOUT},
			{.fd = g->away[1] < VM_WINDOW ? g->stream[1] : -1, .events = POLLIN},
			{.fd = g->away[2] < VM_WINDOW ? g->stream[2] : -1, .events = POLLIN},
		};
		poll(p, sizeof p / sizeof *p, g->ended ? 0 : -1);
		if (p[0].revents)
			listen_to_host(g);
		if (p[1].revents)
			program_reap(g);
		pass_input(g);
		for (int i = 1; i < 3; i++)
			if (p[2 + i].revents || g->ended)
				pass_output(g, i);
		if (g->ended && g->stream[1] < 0 && g->stream[2] < 0)
			return;
		if (g->ended && g->away[1] + g->away[2]) /* until there is room */
			poll(p, 1, -1);
	}
}

int main(void)
{
	static struct guest g = {.port = -1, .stream = {-1, -1, -1}};
	const uint32_t version = VM_VERSION;
	sigset_t all;
	if (getpid() != 1) {
		fputs("symbi-guest is pid 1 of a microVM of symbid; not to be run by hand.\n", stderr);
		return 2;
	}
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	g.signals = signalfd(-1, &all, SFD_NONBLOCK | SFD_CLOEXEC);
	place_open_port(&g);
	place_prepare(&g);
	guest_send(&g, VM_READY, 0, &version, sizeof version);
	while (!g.pid) {
		poll(&(struct pollfd){.fd = g.port, .events = POLLIN}, 1, -1);
		listen_to_host(&g);
	}
	serve(&g);
	place_leave(&g);
	place_counts(&g.end);
	guest_send(&g, VM_ENDED, 0, &g.end, sizeof g.end);
	rest(&g);
}
