/* SPDX-License-Identifier: MIT */
/* worker.c - the process that serves: loop, runtime, tree, mount. L4. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "fs/fuse.h"
#include "lib/log.h"
#include "symbid.h"

struct worker {
	struct loop loop;
	struct runtime *rt;
	struct tree *tree;
	struct fuse_front *fuse;
	uv_signal_t term;
};

static void stopped(void *arg, const struct err *e)
{
	(void)e;
	struct worker *w = arg;
	loop_stop(&w->loop);
}

static void on_term(uv_signal_t *s, int sig)
{
	(void)sig;
	struct worker *w = s->data;
	uv_signal_stop(s);
	log_info("daemon.stopping", NULL);
	runtime_stop(w->rt, (struct runtime_done){stopped, w});
}

static int open_all(struct worker *w, struct daemon *d, struct err *e)
{
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
	return r;
}

static void say_ready(struct daemon *d, const struct err *e)
{
	char line[600];
	if (d->ready_fd < 0)
		return;
	int n = e ? snprintf(line, sizeof line, "%s %s\n", err_code_name(e->code), e->msg)
		  : snprintf(line, sizeof line, "ok\n");
	if (write(d->ready_fd, line, (size_t)n) < 0)
		log_warn("ready.unheard", NULL);
	close(d->ready_fd);
	d->ready_fd = -1;
}

int worker_main(struct daemon *d)
{
	struct worker w = {0};
	struct err e = {0};
	prctl(PR_SET_NAME, "symbid-worker");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (open_all(&w, d, &e) < 0) {
		log_err(LOG_LEVEL_ERROR, "daemon.start_failed", &e, NULL, NULL);
		say_ready(d, &e);
		return 3; /* the parent does not try again */
	}
	uv_signal_init(&w.loop.uv, &w.term);
	w.term.data = &w;
	uv_signal_start(&w.term, on_term, SIGTERM);
	log_info("daemon.ready", "mount", d->mount ? d->mount : "none", "state", d->state, NULL);
	say_ready(d, NULL);
	loop_run(&w.loop);
	fuse_close_front(w.fuse);
	tree_free(w.tree);
	runtime_close(w.rt);
	loop_done(&w.loop);
	return 0;
}
