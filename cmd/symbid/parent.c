/* SPDX-License-Identifier: MIT */
/* parent.c - the loop of the parent process: signals, and what becomes of its two children. L4;
 * single-threaded, no allocation. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/footprint.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/mem.h"
#include "sandbox/sandbox.h"
#include "symbid.h"

#define QUICK_MS      2000 /* a crash this soon after the start counts as one more in a row */
#define QUICK_MAX     10   /* in a row, then nothing more is tried */
#define DELAY_MS      10   /* before the next start; doubled for each one in a row */
#define DELAY_MAX_MS  2000
#define STOP_SLACK_MS 10000 /* beyond termination_timeout */

struct parent {
	struct daemon *d;
	struct err *e;
	int signals;    /* signalfd */
	int said;       /* read end of the worker's pipe; -1 */
	char text[700]; /* what the worker says */
	size_t text_len;
	bool ready; /* the present worker is */
	bool ever_ready;
	bool stopping;
	bool done;
	int status;
	uint64_t started_ms;
	uint64_t start_at_ms; /* of the next worker; 0: there is one */
	uint64_t kill_at_ms;  /* when a worker that does not stop is killed; 0: not stopping */
	unsigned quick;       /* workers that ended too soon, in a row */
	unsigned quick_spawners;
	uint64_t spawner_started_ms;
};

static uint64_t now_ms(void)
{
	return clock_mono_ns() / 1000000;
}

/* ---- the worker ---- */

/* In the child. Without its parent a worker would have nobody to restart it, so that it is told when
 * the parent dies; one that died before prctl took effect is noticed by its pid. */
static void become_worker(struct parent *p, int say)
{
	sigset_t none;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != p->d->parent)
		_exit(1);
	sigemptyset(&none);
	signal(SIGINT, SIG_IGN); /* Ctrl-C goes to the whole group; the parent passes it on */
	close(p->signals);
	if (p->said >= 0)
		close(p->said);
	if (p->d->ready_fd >= 0) /* its end is what the starter waits for */
		close(take_fd(&p->d->ready_fd));
	p->d->say_fd = say;
	sigprocmask(SIG_SETMASK, &none, NULL);
	exit(worker_main(p->d));
}

static void give_up(struct parent *p, const char *what)
{
	if (p->e->code == ERR_NONE)
		err_set(p->e, ERR_SYS_IO, "%s; the log says why", what);
	log_err(LOG_LEVEL_ERROR, "daemon.gives_up", p->e, NULL, NULL);
	p->status = 1;
	p->done = true;
	if (p->d->worker > 0)
		kill(p->d->worker, SIGKILL);
}

static void start_worker(struct parent *p)
{
	int say[2];
	p->start_at_ms = 0;
	if (p->said >= 0)
		close(take_fd(&p->said));
	if (pipe2(say, O_CLOEXEC | O_NONBLOCK) < 0) {
		give_up(p, "no pipe for the worker");
		return;
	}
	p->ready = false;
	p->text_len = 0;
	p->started_ms = now_ms();
	p->d->worker = fork();
	if (p->d->worker == 0)
		become_worker(p, say[1]);
	close(say[1]);
	p->said = say[0];
	if (p->d->worker < 0)
		give_up(p, "the worker cannot be started");
}

static void tell_starter(struct parent *p)
{
	struct daemon *d = p->d;
	if (p->ever_ready)
		return;
	p->ever_ready = true;
	notify_manager("READY=1");
	if (d->ready_fd >= 0) {
		if (write(d->ready_fd, "ok\n", 3) < 0)
			log_warn("ready.unheard", NULL);
		close(take_fd(&d->ready_fd));
	}
}

/* The worker says "ok", or "CODE sentence" before it ends with WORKER_FAILED. */
static void hear_worker(struct parent *p)
{
	ssize_t n = read(p->said, p->text + p->text_len, sizeof p->text - 1 - p->text_len);
	if (n > 0)
		p->text_len += (size_t)n;
	p->text[p->text_len] = 0;
	if (strcmp(p->text, "ok\n") == 0) {
		p->ready = true;
		tell_starter(p);
	}
	if (n == 0 || (n < 0 && errno != EAGAIN) || p->ready)
		close(take_fd(&p->said));
}

static void take_reason(struct parent *p)
{
	char *space = strchr(p->text, ' ');
	if (p->e->code != ERR_NONE || !p->text_len || !space)
		return;
	*space = 0;
	p->text[p->text_len - 1] = 0; /* '\n' */
	enum err_code code = err_code_find(p->text);
	err_set(p->e, code == ERR_NONE ? ERR_SYS_IO : code, "%s", space + 1);
}

/* A kill -9 of a worker that served comes from outside and says nothing against the next one. */
static bool ended_too_soon(const struct parent *p, int status)
{
	if (!p->ready)
		return true;
	bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	return !killed && now_ms() - p->started_ms < QUICK_MS;
}

static void worker_ended(struct parent *p, int status)
{
	struct daemon *d = p->d;
	char how[48];
	d->worker = 0;
	while (p->said >= 0 && !p->ready)
		hear_worker(p);
	if (p->stopping || p->done) {
		p->done = true;
		p->status = p->status ? p->status : WIFEXITED(status) ? WEXITSTATUS(status) : 1;
		return;
	}
	snprintf(how, sizeof how, "%s %d", WIFSIGNALED(status) ? "signal" : "exit",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	log_warn("worker.ended", "how", how, NULL);
	p->quick = ended_too_soon(p, status) ? p->quick + 1 : 0;
	bool said_why = WIFEXITED(status) && WEXITSTATUS(status) == WORKER_FAILED;
	if ((said_why && !p->ever_ready) || p->quick == QUICK_MAX) {
		take_reason(p);
		give_up(p, "the worker ends again and again");
		return;
	}
	d->restarts++;
	uint64_t delay = p->quick ? (uint64_t)DELAY_MS << p->quick : 0;
	p->start_at_ms = now_ms() + (delay < DELAY_MAX_MS ? delay : DELAY_MAX_MS);
	if (!p->start_at_ms)
		p->start_at_ms = 1;
}

/* ---- the spawner ---- */

/* What it ran cannot be watched any more: it is ended, a new spawner is started, and the worker comes
 * up anew with it, which records those runs as lost. Callers do not notice a new worker. */
static void spawner_ended(struct parent *p)
{
	struct err e = {0};
	p->d->spawner = 0;
	if (p->stopping || p->done)
		return;
	log_warn("spawner.ended", NULL);
	p->quick_spawners = now_ms() - p->spawner_started_ms < QUICK_MS ? p->quick_spawners + 1 : 0;
	p->spawner_started_ms = now_ms();
	int r = spawn_server_cleanup(p->d->state, &e);
	if (r == 0)
		r = start_spawner(p->d, &e);
	if (r < 0 || p->quick_spawners == QUICK_MAX) {
		if (r < 0)
			*p->e = e;
		give_up(p, "the spawner ends again and again");
		return;
	}
	if (p->d->worker > 0)
		kill(p->d->worker, SIGKILL);
}

/* ---- signals ---- */

static void stop(struct parent *p)
{
	if (p->stopping)
		return;
	p->stopping = true;
	notify_manager("STOPPING=1");
	p->kill_at_ms = now_ms() + config_ms(p->d->config, "lifecycle.termination_timeout") +
			STOP_SLACK_MS;
	if (p->d->worker > 0)
		kill(p->d->worker, SIGTERM);
	else
		p->done = true;
}

static void reload(struct parent *p)
{
	struct err e = {0};
	if (open_log(p->d, &e) < 0)
		log_err(LOG_LEVEL_ERROR, "log.reopen", &e, NULL, NULL);
	if (p->d->worker > 0)
		kill(p->d->worker, SIGHUP);
}

static void reap(struct parent *p)
{
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		if (pid == p->d->worker)
			worker_ended(p, status);
		else if (pid == p->d->spawner)
			spawner_ended(p);
	}
}

static void take_signals(struct parent *p)
{
	struct signalfd_siginfo s;
	while (read(p->signals, &s, sizeof s) == sizeof s) {
		if (s.ssi_signo == SIGCHLD)
			reap(p);
		else if (s.ssi_signo == SIGHUP)
			reload(p);
		else
			stop(p);
	}
}

/* ---- the loop ---- */

static int wait_ms(const struct parent *p)
{
	uint64_t at = p->start_at_ms ? p->start_at_ms : p->kill_at_ms, now = now_ms();
	if (!at)
		return -1;
	return at > now ? (int)(at - now) : 0;
}

static void timers(struct parent *p)
{
	uint64_t now = now_ms();
	if (p->start_at_ms && now >= p->start_at_ms && !p->done)
		start_worker(p);
	if (p->kill_at_ms && now >= p->kill_at_ms && p->d->worker > 0) {
		log_warn("worker.does_not_stop", NULL);
		kill(p->d->worker, SIGKILL);
		p->kill_at_ms = now + STOP_SLACK_MS;
	}
}

int parent_run(struct daemon *d, struct err *e)
{
	struct parent p = {.d = d, .e = e, .said = -1, .spawner_started_ms = now_ms()};
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	p.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (p.signals < 0)
		return err_sys(e, ERR_SYS_IO, errno, "signalfd");
	start_worker(&p);
	reap(&p); /* the spawner may have died before SIGCHLD was blocked */
	while (!p.done || d->worker > 0) {
		struct pollfd fds[] = {{p.signals, POLLIN, 0}, {p.said, POLLIN, 0}};
		int ms = wait_ms(&p);
		if (ms < 0 && p.said < 0)
			footprint_trim(); /* it may sleep for months now */
		if (poll(fds, ARRAY_LEN(fds), ms) < 0 && errno != EINTR)
			break;
		if (fds[1].revents && p.said >= 0)
			hear_worker(&p);
		take_signals(&p);
		timers(&p);
	}
	if (p.said >= 0)
		close(p.said);
	close(p.signals);
	return p.status;
}
