/* SPDX-License-Identifier: MIT */
/* runtime.c - the engine as a whole: open, stop, authorise, status. L2; loop thread only. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/metric.h"
#include "runtime/runtime_i.h"
#include "sandbox/spec.h"

/* ---- timers: on the heap, because a handle must live until its close callback ---- */

static void timer_closed(uv_handle_t *h)
{
	free(h);
}

uv_timer_t *timer_start(struct runtime *rt, uv_timer_t *t, uint64_t ms, void (*fn)(uv_timer_t *),
			void *arg)
{
	if (!t) {
		t = malloc(sizeof *t);
		if (!t)
			abort();
		uv_timer_init(&rt->loop->uv, t);
	}
	t->data = arg;
	uv_update_time(&rt->loop->uv);
	uv_timer_start(t, fn, ms, 0);
	return t;
}

void timer_free(uv_timer_t *t)
{
	if (t)
		uv_close((uv_handle_t *)t, timer_closed);
}

/* ---- open and close ---- */

int runtime_open(struct runtime **ret, const struct runtime_opts *o, struct err *e)
{
	char dir[4096];
	struct runtime *rt = calloc(1, sizeof *rt);
	if (!rt || !(rt->state_dir = strdup(o->state_dir)) ||
	    !(rt->mount = strdup(o->mount ? o->mount : "")))
		return err_set(e, ERR_SYS_MEMORY, "no memory for the runtime");
	rt->loop = o->loop;
	rt->config = o->config;
	rt->worker_restarts = o->worker_restarts;
	rt->resumed = o->resumed;
	rt->boot_ms = clock_wall_ms();
	rt->next_serial = 1;
	rt->queue_end = &rt->queue;
	rt->events_fd = -1;
	metric_set(METRIC_WORKER_RESTARTS, o->worker_restarts);
	sandbox_caps_probe(&rt->caps);
	/* 0711: agents of other users reach their own output through descriptors only. */
	if (mkdir(o->state_dir, 0700) < 0 && errno != EEXIST)
		return err_sys(e, ERR_SYS_IO, errno, "state directory '%s'", o->state_dir);
	int r = event_open(rt, e);
	if (r == 0 && o->spawn_fd >= 0)
		r = spawn_client_open(&rt->spawn, o->spawn_fd, rt->loop, &exec_events, rt, e);
	snprintf(dir, sizeof dir, "%s/journal", o->state_dir);
	struct journal_opts j = {dir, config_u64(rt->config, "journal.segment_mb") << 20};
	rt->replaying = true;
	if (r == 0)
		r = journal_open(&rt->journal, &j, rt->loop, 0, record_replay, rt, e);
	rt->replaying = false;
	if (r < 0)
		return r;
	exec_after_restart(rt);
	*ret = rt;
	return 0;
}

static void stop_now(uv_timer_t *t)
{
	struct runtime *rt = t->data;
	rt->stop_timer = NULL;
	timer_free(t);
	rt->stopped.fn(rt->stopped.arg, NULL);
}

void runtime_stop(struct runtime *rt, struct runtime_done done)
{
	rt->stopping = true;
	rt->stopped = done;
	for (size_t i = 0; i < rt->agents_n; i++) {
		struct agent *a = rt->agents[i];
		for (struct run *r = a->runs; r; r = r->next)
			if (r->state == RUN_RUNNING)
				exec_stop(r);
	}
	uint64_t grace = config_ms(rt->config, "lifecycle.termination_timeout") + 2000;
	rt->stop_timer = timer_start(rt, NULL, rt->running ? grace : 0, stop_now, rt);
}

void runtime_close(struct runtime *rt)
{
	if (!rt)
		return;
	rt->replaying = true; /* what follows is no change of state */
	while (rt->agents_n) {
		struct agent *a = rt->agents[rt->agents_n - 1];
		while (a->runs)
			run_remove(a->runs);
		agent_drop(a);
	}
	journal_close(rt->journal);
	spawn_client_close(rt->spawn);
	close(rt->events_fd);
	for (struct user_errors *u; (u = rt->errors);) {
		rt->errors = u->next;
		buf_done(&u->text);
		free(u);
	}
	map_done(&rt->by_name);
	free(rt->agents);
	free(rt->state_dir);
	free(rt->mount);
	free(rt);
}

int runtime_authorize(struct runtime *rt, const struct actor *who, const char *action, uid_t owner,
		      gid_t group, mode_t mode, int want, struct err *e)
{
	(void)rt;
	if (who->uid == 0 || (who->uid == geteuid() && owner == geteuid()))
		return 0;
	unsigned shift = who->uid == owner ? 6 : who->gid == group ? 3 : 0;
	if (((mode >> shift) & (unsigned)want) == (unsigned)want)
		return 0;
	return err_set(e, ERR_FS_MODE, "uid %u may not do this (%s); the owner is uid %u", who->uid,
		       action, owner);
}

struct config *runtime_config(struct runtime *rt)
{
	return rt->config;
}

struct loop *runtime_loop(struct runtime *rt)
{
	return rt->loop;
}

/* ---- texts ---- */

int runtime_render_status(struct runtime *rt, struct buf *out)
{
	const struct sandbox_caps *c = &rt->caps;
	buf_printf(out, "version %s\npid %d\nworker_pid %d\nworker_restarts %u\nuptime_seconds %llu\n",
		   SYMBI_VERSION, getppid(), getpid(), rt->worker_restarts,
		   (unsigned long long)((clock_wall_ms() - rt->boot_ms) / 1000));
	buf_printf(out, "mount %s\nstate_dir %s\nagents %zu\nruns_running %u\njournal_seq %llu\n",
		   rt->mount, rt->state_dir, rt->live, rt->running,
		   (unsigned long long)journal_last_seq(rt->journal));
	buf_printf(out, "enforced rlimits%s%s%s\nkill %s\nfreeze %s\n", c->memory ? " memory" : "",
		   c->cpu ? " cpu" : "", c->pids ? " pids" : "", c->kill ? "cgroup" : "session",
		   c->freeze ? "cgroup" : "signal");
	buf_adds(out, "not_enforced disk_io_mbps network_io_mbps idle_timeout");
	buf_printf(out, "%s%s%s\n", c->memory ? "" : " memory", c->cpu ? "" : " cpu",
		   c->pids ? "" : " pids");
	if (c->why[0])
		buf_printf(out, "why %s\n", c->why);
	return out->fail;
}

int runtime_render_health(struct runtime *rt, struct buf *out)
{
	if (rt->stopping)
		return buf_adds(out, "stopping\n");
	return buf_adds(out, rt->spawn ? "ok\n" : "no spawner: agents cannot be started\n");
}

int runtime_render_tiers(struct runtime *rt, struct buf *out)
{
	for (int t = TIER_NONE; t <= TIER_3; t++) {
		struct err e = {0};
		int r = sandbox_tier_available((enum sandbox_tier)t, &e);
		if (r == 0 && t == TIER_NONE &&
		    !config_bool(rt->config, "security.allow_native_execution"))
			r = err_set(&e, ERR_SEC_VIOLATION,
				    "switched off by security.allow_native_execution");
		buf_printf(out, "%s %s%s%s\n", sandbox_tier_name((enum sandbox_tier)t),
			   r == 0 ? "available native" : "no", r == 0 ? "" : " ", e.msg);
	}
	return out->fail;
}

/* ---- ctl of the daemon ---- */

int runtime_ctl_check(const char *line, size_t len, struct err *e)
{
	enum log_level level;
	char text[64];
	snprintf(text, sizeof text, "%.*s", (int)(len < 63 ? len : 63), line);
	if (strcmp(text, "stop") == 0 ||
	    (strncmp(text, "log ", 4) == 0 && log_level_parse(text + 4, &level) == 0))
		return 0;
	return err_set(e, ERR_AGENT_CTL, "unknown command '%s'; one of stop, log LEVEL", text);
}

int runtime_ctl(struct runtime *rt, const struct actor *who, const char *line, size_t len,
		struct runtime_done done, struct err *e)
{
	enum log_level level;
	char text[64];
	int r = runtime_ctl_check(line, len, e);
	if (r == 0)
		r = runtime_authorize(rt, who, "daemon.control", geteuid(), getegid(), 0600, 2, e);
	if (r < 0)
		return r;
	snprintf(text, sizeof text, "%.*s", (int)len, line);
	if (strcmp(text, "stop") == 0)
		kill(getppid(), SIGTERM);
	else if (log_level_parse(text + 4, &level) == 0)
		log_init(STDERR_FILENO, level, false);
	done.fn(done.arg, NULL);
	return 0;
}
