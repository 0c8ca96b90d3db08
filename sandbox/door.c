/* SPDX-License-Identifier: MIT */
/* door.c - the door's process: what it gives up, its loop, and how much it takes on. L1. */
#include "sandbox/door.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/box_i.h"
#include "sandbox/door_i.h"
#include "sandbox/proctree.h"

#define SOON_MS	 20
#define SWEEP_MS 1000

int door_listen(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(DOOR_PORT)};
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 128) < 0)
		return -1;
	return take_fd(&fd);
}

static _Noreturn void make_namespace(int talk)
{
	int fds[2] = {-1, -1};
	bool ok = unshare(CLONE_NEWNET) == 0 && box_loopback_up();
	fds[0] = ok ? open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC) : -1;
	fds[1] = ok ? door_listen() : -1;
	int eno = fds[0] < 0 || fds[1] < 0 ? errno : 0;
	_exit(spawn_send(talk, &eno, sizeof eno, NULL, 0, fds, eno ? 0 : 2) < 0);
}

int door_namespace(int *ret_ns, int *ret_listener, struct err *e)
{
	int sv[2], fds[SPAWN_FDS], eno = ECHILD;
	unsigned n = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return err_sys(e, ERR_SPAWN_FAILED, errno, "a socket for the network of a container");
	pid_t pid = fork();
	if (pid == 0)
		make_namespace(sv[1]);
	close(sv[1]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	if (spawn_recv(sv[0], &eno, sizeof eno, fds, &n) == sizeof eno && !eno && n == 2) {
		*ret_ns = fds[0];
		*ret_listener = fds[1];
		n = 0;
	} else if (!eno) {
		eno = EIO;
	}
	while (n > 0)
		close(fds[--n]);
	close(sv[0]);
	return eno ? err_sys(e, ERR_SPAWN_FAILED, eno, "the network of a container") : 0;
}

/* ---- how much ---- */

bool bucket_take(struct bucket *b, uint64_t now_ms, double n)
{
	b->level += b->per_s * (double)(now_ms - b->at_ms) / 1000;
	b->level = b->level < b->most ? b->level : b->most;
	b->at_ms = now_ms;
	if (b->level <= 0 || b->level < n)
		return false;
	b->level -= n;
	return true;
}

static void on_soon(uv_timer_t *t)
{
	struct door *d = t->data;
	for (struct conn *c = d->conns, *next; c; c = next) {
		next = c->next;
		conn_resume(c);
	}
	door_accept(d);
}

void door_soon(struct door *d)
{
	if (!uv_is_active((uv_handle_t *)&d->soon))
		uv_timer_start(&d->soon, on_soon, SOON_MS, 0);
}

/* A stream that is not accepted from stops listening until it is. */
void door_accept(struct door *d)
{
	if (!d->waiting || d->n >= DOOR_CONNS_MAX)
		return;
	if (!bucket_take(&d->accepts, uv_now(&d->loop), 1)) {
		door_soon(d);
		return;
	}
	d->waiting = !conn_accept(d);
	if (!uv_is_active((uv_handle_t *)&d->sweep))
		uv_timer_again(&d->sweep);
}

static void on_connection(uv_stream_t *s, int status)
{
	struct door *d = s->data;
	d->waiting = status == 0;
	door_accept(d);
}

static void on_sweep(uv_timer_t *t)
{
	struct door *d = t->data;
	uint64_t now = uv_now(&d->loop);
	for (struct conn *c = d->conns, *next; c; c = next) {
		next = c->next;
		if (c->until_ms && c->until_ms < now)
			conn_late(c);
	}
	if (!d->conns)
		uv_timer_stop(t);
}

/* ---- the process ---- */

static bool open_loop(struct door *d, int listener)
{
	uint64_t rate = d->plan->bytes_per_s;
	if (uv_loop_init(&d->loop) < 0 || uv_tcp_init(&d->loop, &d->listener) < 0 ||
	    uv_timer_init(&d->loop, &d->sweep) < 0 || uv_timer_init(&d->loop, &d->soon) < 0 ||
	    uv_poll_init(&d->loop, &d->answers, d->talk) < 0 || uv_tcp_open(&d->listener, listener) < 0)
		return false;
	d->listener.data = d->sweep.data = d->soon.data = d->answers.data = d;
	uv_timer_start(&d->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
	uint64_t now = uv_now(&d->loop);
	d->accepts = (struct bucket){2 * DOOR_PER_S, 2 * DOOR_PER_S, DOOR_PER_S, now};
	d->tells = (struct bucket){DOOR_TOLD_BURST, DOOR_TOLD_BURST, DOOR_TOLD_PER_S, now};
	d->bytes = (struct bucket){(double)rate / 10, (double)rate / 10, (double)rate, now};
	return uv_poll_start(&d->answers, UV_READABLE, talk_read) == 0 &&
	       uv_listen((uv_stream_t *)&d->listener, 128, on_connection) == 0;
}

/* What a door has no use for. The filter of system calls comes last. */
static bool give_up(const struct door_plan *p)
{
	const struct rlimit none = {0, 0}, files = {2 * DOOR_CONNS_MAX + 64, 2 * DOOR_CONNS_MAX + 64};
	uint32_t abi = sandbox_landlock_abi();
	box_drop_bounds();
	if (p->gid >= 0 && (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, p->gid, p->gid, p->gid) < 0))
		return false;
	if (p->uid >= 0 && syscall(SYS_setresuid, p->uid, p->uid, p->uid) < 0)
		return false;
	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_FSIZE, &none);
	setrlimit(RLIMIT_NOFILE, &files);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && (!abi || box_landlock_reading(abi)) && box_filter_apply();
}

/* Of all descriptors the two, as 3 and 4. */
static void keep_fds(int *listener, int *talk)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	*listener = fcntl(*listener, F_DUPFD_CLOEXEC, 100);
	*talk = fcntl(*talk, F_DUPFD_CLOEXEC, 100);
	for (int i = 0; i < 3; i++)
		dup2(null, i);
	*listener = dup3(*listener, 3, O_CLOEXEC);
	*talk = dup3(*talk, 4, O_CLOEXEC);
	close_range(5, ~0u, 0);
}

static _Noreturn void serve(const struct door_plan *p, int listener, int talk, pid_t spawner)
{
	static struct door d;
	sigset_t none;
	d.plan = p;
	d.talk = talk;
	if (!give_up(p))
		_exit(1);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* after the ids: changing them clears it */
	if (getppid() != spawner)
		_exit(1);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (net_rules_read(p->rules, &d.rules, NULL) < 0 || !open_loop(&d, listener))
		_exit(1);
	uv_run(&d.loop, UV_RUN_DEFAULT);
	_exit(0);
}

pid_t door_start(const struct door_plan *p, int listener, int talk, uint32_t mark, struct err *e)
{
	int r = box_filter_init(e);
	pid_t spawner = getpid(), pid = r < 0 ? r : fork();
	if (r < 0 || pid > 0)
		return pid;
	if (pid < 0)
		return err_sys(e, ERR_SPAWN_FAILED, errno, "no process for the door of its network");
	prctl(PR_SET_NAME, "symbi-door");
	setsid();
	keep_fds(&listener, &talk);
	proctree_mark(mark);
	serve(p, listener, talk, spawner);
}
