/* SPDX-License-Identifier: MIT */
/* worker.c - the process that serves: loop, runtime, tree, mount, socket. L4. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "api/api.h"
#include "fs/fuse.h"
#include "lib/footprint.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "symbid.h"

#define ORPHAN_SLACK_SECONDS 10 /* beyond termination_timeout */

struct worker {
	struct daemon *d;
	struct loop loop;
	struct runtime *rt;
	struct tree *tree;
	struct fuse_front *fuse;
	struct api_server *api;
	uv_signal_t term, hup;
	uv_timer_t idle;
	uint64_t used_ns;  /* of processors, at the last look */
	bool to_trim;	   /* it did something since it was trimmed */
};

/* How often it is looked whether the daemon rests; first when what follows a start, the audit trail's first signature
 * among it, has come. */
#define IDLE_FIRST_MS 200
#define IDLE_MS	      30000

static uint64_t processors_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Give memory back once a busy time is over: below a hundredth of a processor since the last look is rest. */
static void on_idle(uv_timer_t *t)
{
	struct worker *w = t->data;
	bool first = w->used_ns == 0;
	uint64_t used = processors_ns() - w->used_ns;
	if (!first && used > IDLE_MS * 10000ull) {
		w->to_trim = true;
	} else if (first || w->to_trim) {
		footprint_trim();
		w->to_trim = false;
	}
	w->used_ns = processors_ns();
}

static bool orphaned(const struct worker *w)
{
	return getppid() != w->d->parent;
}

static void stopped(void *arg, const struct err *e)
{
	(void)e;
	struct worker *w = arg;
	loop_stop(&w->loop);
}

/* From the parent, or from the kernel because the parent is dead; then nobody else would end a worker
 * that hangs. */
static void on_term(uv_signal_t *s, int sig)
{
	(void)sig;
	struct worker *w = s->data;
	uv_signal_stop(s);
	if (orphaned(w)) {
		log_warn("daemon.parent_died", NULL);
		uint64_t ms = config_ms(w->d->config, "lifecycle.termination_timeout");
		alarm((unsigned)(ms / 1000) + ORPHAN_SLACK_SECONDS);
	}
	log_info("daemon.stopping", NULL);
	runtime_stop(w->rt, (struct runtime_done){stopped, w});
}

static void reloaded(void *arg, const struct err *e)
{
	(void)arg;
	if (e)
		log_err(LOG_LEVEL_ERROR, "daemon.reload_failed", e, NULL, NULL);
}

static void on_hup(uv_signal_t *s, int sig)
{
	(void)sig;
	struct worker *w = s->data;
	struct err e = {0};
	struct actor daemon = {.uid = geteuid(), .gid = getegid(), .pid = getpid()};
	if (open_log(w->d, &e) < 0)
		log_err(LOG_LEVEL_ERROR, "log.reopen", &e, NULL, NULL);
	if (runtime_ctl(w->rt, &daemon, "reload", strlen("reload"),
			(struct runtime_done){reloaded, w}, &e) < 0)
		reloaded(w, &e);
}

static int open_socket(struct worker *w, struct err *e)
{
	const struct config *c = w->d->config;
	struct api_opts o = {.listen_fd = w->d->listen_fd,
			     .max_connections = (unsigned)config_u64(c, "socket.max_connections"),
			     .max_connections_per_user = (unsigned)config_u64(
				     c, "socket.max_connections_per_user")};
	return api_open(&w->api, w->tree, &w->loop, &o, e);
}

static int open_all(struct worker *w, struct err *e)
{
	struct daemon *d = w->d;
	struct runtime_opts o = {.state_dir = d->state,
				 .config = d->config,
				 .loop = &w->loop,
				 .spawn_fd = d->spawn_fd,
				 .resumed = d->restarts > 0,
				 .worker_restarts = d->restarts,
				 .mount = d->mount};
	int r = loop_init(&w->loop, e);
	if (r == 0)
		r = runtime_open(&w->rt, &o, e);
	if (r == 0)
		r = tree_new(&w->tree, w->rt, d->mount, e);
	struct fuse_opts f = {.fd = d->fuse_fd,
			      .init = d->init,
			      .init_len = (size_t)d->init_len,
			      .resumed = d->restarts > 0,
			      .keep_fd = d->keep_fd};
	if (r == 0 && d->mount)
		r = fuse_open_front(&w->fuse, w->tree, &w->loop, &f, e);
	if (r == 0)
		r = open_socket(w, e);
	return r;
}

static void say(struct daemon *d, const struct err *e)
{
	char line[600];
	int n = e ? snprintf(line, sizeof line, "%s %s\n", err_code_name(e->code), e->msg)
		  : snprintf(line, sizeof line, "ok\n");
	if (write(d->say_fd, line, (size_t)n) < 0)
		log_warn("ready.unheard", NULL);
	close(take_fd(&d->say_fd));
}

static void on_signal(struct worker *w, uv_signal_t *s, int sig, uv_signal_cb fn)
{
	uv_signal_init(&w->loop.uv, s);
	s->data = w;
	uv_signal_start(s, fn, sig);
}

static void close_all(struct worker *w)
{
	api_close(w->api);
	fuse_close_front(w->fuse);
	tree_free(w->tree);
	runtime_close(w->rt);
	loop_done(&w->loop);
	if (!orphaned(w))
		return;
	/* Nobody else is left to do it. */
	unlink(w->d->socket);
	if (w->d->mount)
		fuse_unmount(&w->d->place);
}

int worker_main(struct daemon *d)
{
	struct worker w = {.d = d};
	struct err e = {0};
	prctl(PR_SET_NAME, "symbid-worker");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (open_all(&w, &e) < 0) {
		log_err(LOG_LEVEL_ERROR, "daemon.start_failed", &e, NULL, NULL);
		say(d, &e);
		if (w.loop.wake.data) /* there is a loop */
			close_all(&w);
		return WORKER_FAILED;
	}
	on_signal(&w, &w.term, SIGTERM, on_term);
	on_signal(&w, &w.hup, SIGHUP, on_hup);
	log_info("daemon.ready", "mount", d->mount ? d->mount : "none", "socket", d->socket,
		 "state", d->state, NULL);
	say(d, NULL);
	uv_timer_init(&w.loop.uv, &w.idle);
	w.idle.data = &w;
	uv_timer_start(&w.idle, on_idle, IDLE_FIRST_MS, IDLE_MS);
	loop_run(&w.loop);
	close_all(&w);
	return 0;
}
