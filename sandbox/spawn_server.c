/* SPDX-License-Identifier: MIT */
/* spawn_server.c - the main loop of symbi-spawn: starts processes, sees them end, ends what they leave, and
 * remembers all of it until it is acknowledged. L1; single-threaded. Nothing here waits for one job: the
 * other side may be dead or slow, and so may be what it asked for. */
#include "sandbox/spawn_server.h"
#include "sandbox/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/footprint.h"
#include "lib/mem.h"
#include "sandbox/box.h"
#include "sandbox/oci.h"
#include "sandbox/proctree.h"

#define BURST         32          /* requests served before ended processes get their turn */
#define TICK_MAX_MS   50          /* between two rounds of ending what does not end */
#define ENDING_MAX_NS 10000000000 /* then its end is told though something is stuck in the kernel */

uint64_t server_now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- news: what the other side has not been told yet ---- */

void server_queue(struct server *s, struct job *j, unsigned news)
{
	j->news |= news;
	if (j->queued)
		return;
	j->queued = true;
	j->next_news = NULL;
	*s->news_end = j;
	s->news_end = &j->next_news;
}

static struct spawn_event event_of(const struct server *s, struct job *j, unsigned news)
{
	struct spawn_event ev = {.id = j->id, .pid = j->pid};
	switch ((enum job_news)news) {
	case NEWS_STARTED:
		ev.op = SPAWN_STARTED;
		ev.layers = j->layers;
		break;
	case NEWS_MEASURED:
		ev.op = SPAWN_MEASURED;
		job_usage(j, &ev.usage);
		break;
	case NEWS_ENDED:
		ev.op = SPAWN_ENDED;
		ev.result = j->result;
		break;
	case NEWS_LISTING: ev.op = SPAWN_LISTING; break;
	case NEWS_CAPS:
		ev.op = SPAWN_CAPS_ARE;
		ev.caps = s->caps;
		break;
	case NEWS_LISTED: ev.op = SPAWN_LISTED; break;
	}
	return ev;
}

static void watch(struct server *s, bool for_room)
{
	struct epoll_event ev = {EPOLLIN | (for_room ? EPOLLOUT : 0), {.fd = s->sock}};
	if (for_room != s->blocked)
		epoll_ctl(s->epoll, EPOLL_CTL_MOD, s->sock, &ev);
	s->blocked = for_room;
}

/* Tell what there is to tell, as far as the socket takes it. */
static void tell(struct server *s)
{
	for (struct job *j; (j = s->news);) {
		while (j->news) {
			unsigned news = j->news & -j->news;
			bool late = news == NEWS_MEASURED && j->state != JOB_RUNNING;
			struct spawn_event ev = late ? (struct spawn_event){0} : event_of(s, j, news);
			bool door = news == NEWS_STARTED && j->talk >= 0;
			if (!late && spawn_send(s->sock, &ev, sizeof ev, NULL, 0, &j->talk, door) == -EAGAIN)
				return watch(s, true);
			j->news &= ~news;
		}
		s->news = j->next_news;
		if (!s->news)
			s->news_end = &s->news;
		j->queued = false;
		if (j->acked)
			jobs_free(&s->jobs, j);
	}
	watch(s, false);
}

/* Everything once more, between two marks: for a new worker, which cannot know what the old one heard. */
static void tell_all(struct server *s, uint64_t token)
{
	for (struct job *j; (j = s->news);) {
		s->news = j->next_news;
		j->news = 0;
		j->queued = false;
		if (j->acked)
			jobs_free(&s->jobs, j);
	}
	s->news_end = &s->news;
	s->listing.id = s->listed.id = token;
	server_queue(s, &s->listing, NEWS_LISTING);
	for (struct job *j = NULL; (j = jobs_each(&s->jobs, j));)
		if (j->state == JOB_OVER || j->pid)
			server_queue(s, j, j->state == JOB_OVER ? NEWS_ENDED : NEWS_STARTED);
	server_queue(s, &s->caps_told, NEWS_CAPS); /* it may have been asked for and was dropped above */
	server_queue(s, &s->listed, NEWS_LISTED);
}

/* ---- the end of a job ---- */

static void release(struct job *j)
{
	if (j->hold >= 0)
		close(take_fd(&j->hold));
}

static void over(struct server *s, struct job *j)
{
	release(j);
	if (j->failed)
		j->result.end = END_START_FAILED;
	else
		job_judge(j);
	cgroup_put(take_ptr(j->group));
	if (j->bundle)
		oci_discard(j->bundle);
	j->state = JOB_OVER;
	server_queue(s, j, NEWS_ENDED);
}

void server_never_ran(struct server *s, struct job *j, const struct err *e)
{
	release(j);
	cgroup_put(take_ptr(j->group));
	if (j->bundle)
		oci_discard(j->bundle);
	j->result = (struct sandbox_result){.end = END_START_FAILED, .err = *e};
	j->state = JOB_OVER;
	server_queue(s, j, NEWS_ENDED);
}

/* Its first process ended: so must the rest. */
static void ending(struct server *s, struct job *j, int status, const struct rusage *used)
{
	if (j->state != JOB_RUNNING)
		return;
	j->status = status;
	j->used = *used;
	j->ended_ns = server_now_ns();
	j->state = JOB_ENDING;
	if (job_empty(j)) {
		over(s, j);
		return;
	}
	job_kill(j);
	j->next_ending = s->ending;
	s->ending = j;
	s->tick_ms = 1;
}

/* Too late to wait any longer. */
static void give_up(struct server *s, struct job *j)
{
	if (j->child.pid)
		kill(j->child.pid, SIGKILL); /* a keeper; what it held becomes ours, as strays */
	s->strays |= !j->group && !j->box.pid;
}

static void end_round(struct server *s)
{
	uint64_t now = server_now_ns();
	for (struct job **at = &s->ending; *at;) {
		struct job *j = *at;
		bool late = now - j->ended_ns > ENDING_MAX_NS;
		if (!job_empty(j) && !late) {
			job_kill(j);
			at = &j->next_ending;
			continue;
		}
		*at = j->next_ending;
		if (late && !job_empty(j))
			give_up(s, j);
		over(s, j);
	}
	s->tick_ms = s->tick_ms < TICK_MAX_MS ? s->tick_ms * 2 : TICK_MAX_MS;
}

/* A child of ours that is no keeper: its keeper was killed by what it kept. */
static void end_stray(void *arg, pid_t pid)
{
	struct server *s = arg;
	if (job_by_pid(&s->jobs, pid))
		return;
	kill(pid, SIGSTOP);
	proctree_kill(pid);
	kill(pid, SIGKILL);
	s->strays = true;
}

static void end_strays(struct server *s)
{
	s->strays = false;
	proctree_each_child(getpid(), end_stray, s);
}

static void send_signal(struct job *j, int sig)
{
	if (sig <= 0 || sig >= NSIG)
		return;
	if (!j->pid) {
		j->early = sig;
		return;
	}
	kill(j->pid, sig);
	if (sig == SIGTERM) /* who was stopped cannot hear it */
		kill(j->pid, SIGCONT);
}

/* Once the runtime has done its part: what it needs and its program may not have. */
static void limit_shim(struct job *j)
{
	struct sandbox_limits l = j->limits;
	if (!j->shim || !j->group)
		return;
	if (j->vm)
		l = vm_outer_limits(&l);
	else
		l.pids = oci_pids(j->runtime, l.pids, true);
	cgroup_limit(j->group, &l, -1, NULL);
}

static void read_reports(struct server *s)
{
	struct keeper_report r;
	while (read(s->reports[0], &r, sizeof r) == sizeof r) {
		struct job *j = job_by_id(&s->jobs, r.id);
		if (!j || j->state != JOB_RUNNING)
			continue;
		if (r.ended) {
			ending(s, j, r.status, &r.used);
		} else if (r.pid > 0) {
			j->pid = r.pid;
			j->layers = r.layers;
			limit_shim(j);
			server_queue(s, j, NEWS_STARTED);
			send_signal(j, j->early);
			if (j->killed)
				job_kill(j);
		} else if (r.counted) {
			j->oom_kills += r.oom_kills;
			j->pids_refused += r.pids_refused;
		} else if (j->shim) { /* it ends by itself */
			j->failed = true;
			j->result.err = r.err;
		} else {
			server_never_ran(s, j, &r.err);
		}
	}
}

static void reap(struct server *s)
{
	struct signalfd_siginfo si[16];
	struct rusage used;
	int status;
	pid_t pid;
	while (read(s->signals, si, sizeof si) == sizeof si)
		;
	while ((pid = wait4(-1, &status, WNOHANG, &used)) > 0) {
		struct job_pid *p = job_by_pid(&s->jobs, pid);
		if (!p) {
			s->strays |= s->keepers;
			continue;
		}
		struct job *j = p->job;
		jobs_drop_pid(&s->jobs, p);
		if (p == &j->box || p == &j->door) /* what was in it is dead; its program is reaped by itself */
			continue;
		if (s->keepers || j->shim)
			read_reports(s); /* what it said before it went */
		s->strays |= s->keepers && !j->box.pid && j->state == JOB_RUNNING;
		if (j->state == JOB_ENDING) /* a keeper's: with what it reaped since its report */
			j->used = used;
		ending(s, j, status, &used);
	}
}

/* ---- requests ---- */

static void serve_running(struct server *s, struct job *j, const struct spawn_req *q)
{
	if (q->op == SPAWN_SIGNAL)
		send_signal(j, q->arg);
	if (q->op == SPAWN_FREEZE)
		job_freeze(j, q->arg);
	if (q->op == SPAWN_RELEASE)
		release(j);
	if (q->op == SPAWN_MEASURE)
		server_queue(s, j, NEWS_MEASURED);
	if (q->op == SPAWN_LIMITS) {
		j->limits = q->limits;
		if (j->shim)
			limit_shim(j);
		else if (j->group)
			cgroup_limit(j->group, &q->limits, -1, NULL);
	}
	if (q->op == SPAWN_KILL) {
		j->killed = true;
		job_kill(j);
	}
}

static void serve(struct server *s, const struct spawn_req *q, char *text, const int *fds)
{
	if (q->op == SPAWN_START)
		return server_start(s, q, text, fds);
	if (q->op == SPAWN_LIST)
		return tell_all(s, q->id);
	if (q->op == SPAWN_CAPS)
		return server_queue(s, &s->caps_told, NEWS_CAPS);
	struct job *j = job_by_id(&s->jobs, q->id);
	if (j && j->state == JOB_RUNNING)
		serve_running(s, j, q);
	if (!j || j->state != JOB_OVER || q->op != SPAWN_ACK)
		return;
	j->acked = true;
	j->news = 0;
	if (!j->queued)
		jobs_free(&s->jobs, j);
}

/* false when the other side is gone for good. */
static bool read_requests(struct server *s)
{
	int fds[SPAWN_FDS];
	unsigned nfds;
	for (int i = 0; i < BURST; i++) {
		ssize_t n = spawn_recv(s->sock, &s->in, sizeof s->in, fds, &nfds);
		if (n == -EAGAIN || n == -EINTR)
			return true;
		if (n == -EPIPE || n == -ECONNRESET)
			return false;
		if (n < 0)
			continue; /* not one of ours */
		if (spawn_req_check(&s->in.req, (size_t)n, nfds) == 0)
			serve(s, &s->in.req, s->in.bytes + sizeof s->in.req, fds);
		else if ((size_t)n >= sizeof s->in.req && s->in.req.op == SPAWN_START)
			server_refuse(s, s->in.req.id);
		while (nfds > 0)
			close(fds[--nfds]);
	}
	return true;
}

/* ---- the loop ---- */

static int add_fd(struct server *s, int fd)
{
	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){EPOLLIN, {.fd = fd}});
}

int server_open(struct server *s, int sock, const char *group_name, uint32_t mark, struct err *e)
{
	sigset_t child;
	*s = (struct server){.sock = sock, .reports = {-1, -1}, .mark = mark, .tick_ms = 1};
	s->news_end = &s->news;
	spawn_child_init();
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	s->signals = signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (s->signals < 0 || s->epoll < 0 || s->null < 0 || pipe2(s->reports, O_CLOEXEC) < 0)
		return err_sys(e, ERR_SPAWN_FAILED, errno, "the spawner's descriptors");
	fcntl(s->reports[0], F_SETFL, O_NONBLOCK);
	s->base = cgroup_base_open(group_name, &s->caps);
	if (!s->base)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the spawner");
	s->keepers = !s->caps.kill;
	sandbox_drivers_try(); /* and the filter: no start waits for it */
	box_filter_init(NULL);
	footprint_trim(); /* what starting took is not needed for serving */
	if (add_fd(s, sock) < 0 || add_fd(s, s->signals) < 0 || add_fd(s, s->reports[0]) < 0)
		return err_sys(e, ERR_SPAWN_FAILED, errno, "the spawner's descriptors");
	return 0;
}

/* One turn; false when the other side is gone. */
static bool turn(struct server *s)
{
	struct epoll_event ev[4];
	bool open = true;
	int n = epoll_wait(s->epoll, ev, ARRAY_LEN(ev), s->ending || s->strays ? s->tick_ms : -1);
	for (int i = 0; i < n; i++) {
		if (ev[i].data.fd == s->signals)
			reap(s);
		else if (ev[i].data.fd == s->reports[0])
			read_reports(s);
		else if (ev[i].events & ~EPOLLOUT)
			open = read_requests(s);
	}
	if (s->ending)
		end_round(s);
	if (s->strays)
		end_strays(s);
	return open;
}

void server_run(struct server *s)
{
	while (turn(s))
		tell(s);
}

/* End everything, within ENDING_MAX_NS at most. */
void server_close(struct server *s)
{
	uint64_t until = server_now_ns() + ENDING_MAX_NS;
	epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->sock, NULL);
	for (bool any = true; any && server_now_ns() < until;) {
		any = s->ending || s->strays;
		for (struct job *j = NULL; (j = jobs_each(&s->jobs, j));)
			if (j->state == JOB_RUNNING) {
				job_kill(j);
				any = true;
			}
		if (any) {
			epoll_wait(s->epoll, &(struct epoll_event){0}, 1, s->tick_ms);
			reap(s);
			read_reports(s);
			end_round(s);
			if (s->strays)
				end_strays(s);
		}
	}
	cgroup_base_close(s->base);
	jobs_done(&s->jobs);
	close(s->epoll);
	close(s->signals);
	close(s->null);
	close(s->reports[0]);
	close(s->reports[1]);
}
