/* SPDX-License-Identifier: MIT */
/* exec.c - processes of agents: start, end, restart, stop, freeze, and what becomes of them when the
 * daemon is restarted. L2; loop thread only. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/log.h"
#include "lib/metric.h"
#include "lib/parse.h"
#include "runtime/runtime_i.h"

#define BACKOFF_MS     100
#define BACKOFF_MAX_MS 30000
#define ENV_MAX        64

static uint64_t exec_id(const struct run *r)
{
	return (uint64_t)r->serial << 32 | r->number;
}

static struct run *run_of(struct runtime *rt, uint64_t id)
{
	struct agent *a = agent_by_serial(rt, id >> 32);
	return a ? run_find(rt, a, (uint32_t)id) : NULL;
}

/* ---- start ---- */

static int open_streams(struct run *r, int fds[3], struct err *e)
{
	struct runtime *rt = r->agent->rt;
	char path[4096];
	if (r->main) {
		agent_dir(r->agent, path, sizeof path);
		snprintf(path + strlen(path), sizeof path - strlen(path), "/stdin");
		if (mkfifo(path, 0600) < 0 && errno != EEXIST)
			return err_sys(e, ERR_SYS_IO, errno, "'%s'", path);
		/* Open for both, so that neither end waits and a worker's death is no end of file. */
		if (r->agent->stdin_fd < 0)
			r->agent->stdin_fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		fds[0] = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fds[0] >= 0)
			fcntl(fds[0], F_SETFL, 0);
		agent_file_path(rt, r->agent, AGENT_STDOUT, path, sizeof path);
	} else {
		run_file_path(rt, r, RUN_INPUT, path, sizeof path);
		fds[0] = open(path, O_RDONLY | O_CLOEXEC);
		run_file_path(rt, r, RUN_OUTPUT, path, sizeof path);
	}
	fds[1] = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (r->main)
		agent_file_path(rt, r->agent, AGENT_STDERR, path, sizeof path);
	else
		run_file_path(rt, r, RUN_STDERR, path, sizeof path);
	fds[2] = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fds[0] < 0 || fds[1] < 0 || fds[2] < 0)
		return err_sys(e, ERR_SYS_IO, errno, "streams of run %u", r->number);
	return 0;
}

static int make_cwd(struct agent *a, char *out, size_t cap, struct err *e)
{
	const char *base = config_str(a->rt->config, "native_execution.working_directory");
	struct stat st;
	if (a->spec->workdir) {
		snprintf(out, cap, "%s", a->spec->workdir);
		return 0;
	}
	if (mkdir(base, 0711) < 0 && errno != EEXIST)
		return err_sys(e, ERR_SYS_IO, errno, "native_execution.working_directory '%s'", base);
	snprintf(out, cap, "%s/%u-%s", base, a->uid, a->name);
	bool made = mkdir(out, 0700) == 0;
	if (made && geteuid() == 0 && chown(out, a->uid, a->gid) < 0)
		return err_sys(e, ERR_SYS_IO, errno, "'%s'", out);
	/* Somebody may have put something else there: the directory lies below a public one. */
	uid_t want = geteuid() == 0 ? a->uid : geteuid();
	if (lstat(out, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != want)
		return err_set(e, ERR_SEC_VIOLATION, "'%s' is not a directory of the agent's owner",
			       out);
	return 0;
}

static struct sandbox_limits limits_of(const struct agent *a)
{
	const struct config *c = a->rt->config;
	const struct agent_limits *l = &a->spec->limits;
	uint64_t mb = config_u64(c, "native_execution.max_memory_mb");
	double cores = config_real(c, "native_execution.max_cpu_cores");
	return (struct sandbox_limits){
		.memory_bytes = (l->memory_mb < mb ? l->memory_mb : mb) << 20,
		.cpu_millis = (uint32_t)((l->cpu_cores < cores ? l->cpu_cores : cores) * 1000),
		.cpu_seconds = (uint32_t)config_u64(c, "native_execution.max_cpu_seconds"),
		.pids = (uint32_t)config_u64(c, "native_execution.max_processes"),
		.file_bytes = config_u64(c, "native_execution.max_output_mb") << 20,
	};
}

static void on_timeout(uv_timer_t *t)
{
	struct run *r = t->data;
	r->timed_out = true;
	exec_stop(r);
}

static void arm_timeout(struct run *r)
{
	struct agent *a = r->agent;
	uint64_t ms = a->spec->limits.execution_timeout_ms;
	uint64_t most = config_u64(a->rt->config, "native_execution.max_execution_time_seconds") * 1000;
	if (r->main) /* a persistent agent runs until it is stopped */
		return;
	if (!ms || ms > most)
		ms = most;
	r->timer = timer_start(a->rt, r->timer, ms, on_timeout, r);
}

int exec_start(struct run *r, struct err *e)
{
	struct agent *a = r->agent;
	struct runtime *rt = a->rt;
	char cwd[4096], vars[6][4200];
	const char *env[ENV_MAX + 8] = {0};
	int fds[3] = {-1, -1, -1}, n = 0;
	int ret = make_cwd(a, cwd, sizeof cwd, e);
	if (ret == 0)
		ret = open_streams(r, fds, e);
	snprintf(vars[n], sizeof vars[n], "PATH=/usr/local/bin:/usr/bin:/bin"), env[n] = vars[n], n++;
	snprintf(vars[n], sizeof vars[n], "HOME=%s", cwd), env[n] = vars[n], n++;
	snprintf(vars[n], sizeof vars[n], "LANG=C.UTF-8"), env[n] = vars[n], n++;
	snprintf(vars[n], sizeof vars[n], "SYMBI_AGENT=%s", a->name), env[n] = vars[n], n++;
	snprintf(vars[n], sizeof vars[n], "SYMBI_AGENT_ID=%s", a->id), env[n] = vars[n], n++;
	snprintf(vars[n], sizeof vars[n], "SYMBI_RUN=%u", r->number), env[n] = vars[n], n++;
	for (char **p = a->spec->env; p && *p && n < ENV_MAX; p++)
		env[n++] = *p;
	bool foreign = geteuid() == 0 && a->uid != 0;
	struct sandbox_spec s = {
		.id = exec_id(r),
		.owner = a->name,
		.argv = (const char *const *)a->spec->argv,
		.envp = env,
		.cwd = cwd,
		.allow = config_list(rt->config, "native_execution.allowed_executables"),
		.stdin_fd = fds[0],
		.stdout_fd = fds[1],
		.stderr_fd = fds[2],
		.uid = foreign ? a->uid : (uid_t)-1,
		.gid = foreign ? a->gid : (gid_t)-1,
		.limits = limits_of(a),
		.enforce = config_bool(rt->config, "native_execution.enforce_resource_limits") &&
			   config_bool(rt->config, "resource.enforcement_enabled"),
	};
	/* Output is the owner's to write: the daemon's directories stay closed, descriptors are not. */
	if (ret == 0)
		ret = sandbox_start(rt->spawn, a->spec->tier, &s, e);
	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (ret == 0) {
		arm_timeout(r);
		metric_add(METRIC_RUNS_STARTED, 1);
	}
	return ret;
}

/* ---- end ---- */

static void kill_now(uv_timer_t *t)
{
	struct run *r = t->data;
	sandbox_kill(r->agent->rt->spawn, exec_id(r), NULL);
}

void exec_stop(struct run *r)
{
	struct runtime *rt = r->agent->rt;
	r->stopping = true;
	if (r->frozen) { /* a frozen process hears no signal */
		r->frozen = false;
		sandbox_freeze(rt->spawn, exec_id(r), false, NULL);
	}
	sandbox_signal(rt->spawn, exec_id(r), SIGTERM, NULL);
	r->timer = timer_start(rt, r->timer, config_ms(rt->config, "lifecycle.termination_timeout"),
			       kill_now, r);
}

static void start_again(uv_timer_t *t)
{
	struct agent *a = t->data;
	agent_move(a, AGENT_INITIALIZING, "restart");
	agent_move(a, AGENT_READY, NULL);
	agent_start(a);
}

/* OTP's restart intensity: more than max_restarts within the window, and it stays down. */
static bool may_restart(struct agent *a, bool failed)
{
	unsigned n = 0, most = a->spec->restart.max_restarts;
	uint64_t now = clock_wall_ms();
	if (a->spec->restart.policy == RESTART_NEVER ||
	    (a->spec->restart.policy == RESTART_ON_FAILURE && !failed))
		return false;
	unsigned slots = ARRAY_LEN(a->restart_times);
	for (unsigned i = 0; i < slots; i++)
		n += a->restart_times[i] && now - a->restart_times[i] < a->spec->restart.window_ms;
	if (n >= most)
		return false;
	a->restart_times[a->restarts++ % slots] = now;
	uint64_t delay = (uint64_t)BACKOFF_MS << (n < 12 ? n : 12);
	a->timer = timer_start(a->rt, a->timer, delay < BACKOFF_MAX_MS ? delay : BACKOFF_MAX_MS,
			       start_again, a);
	return true;
}

static void main_ended(struct agent *a, bool failed)
{
	bool again = a->restart_wanted;
	if (a->stdin_fd >= 0)
		close(a->stdin_fd);
	a->stdin_fd = -1;
	a->restart_wanted = false;
	if (a->state == AGENT_TERMINATING) {
		agent_move(a, AGENT_TERMINATED, NULL);
		return;
	}
	if (a->stop_wanted) {
		a->stop_wanted = false;
		agent_move(a, AGENT_READY, "stopped");
		if (again)
			agent_start(a);
		return;
	}
	agent_move(a, failed ? AGENT_FAILED : AGENT_READY, failed ? a->error : "ended");
	if (!may_restart(a, failed) && failed)
		agent_log(a, "not restarted: restart policy");
}

static void on_started(void *arg, uint64_t id, pid_t pid)
{
	struct runtime *rt = arg;
	struct run *r = run_of(rt, id);
	if (!r || r->state == RUN_DONE || r->pid == pid) {
		if (!r) /* deleted meanwhile */
			sandbox_kill(rt->spawn, id, NULL);
		return;
	}
	record(rt, &actor_self, REC_RUN_STARTED, r->agent->name,
	       json_pack("{s:i,s:i}", "run", r->number, "pid", pid), done_nobody, NULL);
}

static void on_ended(void *arg, uint64_t id, const struct sandbox_result *result)
{
	struct runtime *rt = arg;
	struct run *r = run_of(rt, id);
	sandbox_ack(rt->spawn, id, NULL);
	if (r && r->state != RUN_DONE) {
		struct agent *a = r->agent;
		bool main = r->main;
		run_done(r, result);
		bool failed = r->failure.code != ERR_NONE;
		if (main) {
			a->main = NULL;
			main_ended(a, failed);
		} else if (a->state == AGENT_TERMINATING && a->active == 0) {
			agent_move(a, AGENT_TERMINATED, NULL);
		} else if (a->state == AGENT_RUNNING && a->active == 0) {
			agent_move(a, AGENT_READY, NULL);
		}
	}
	sched_kick(rt);
	if (rt->stopping && rt->running == 0 && rt->stop_timer)
		uv_timer_start(rt->stop_timer, rt->stop_timer->timer_cb, 0, 0);
}

static void on_lost(void *arg)
{
	struct runtime *rt = arg;
	log_error("spawn.lost", NULL);
	for (size_t i = 0; i < rt->agents_n; i++)
		for (struct run *r = rt->agents[i]->runs; r; r = r->next)
			if (r->state == RUN_RUNNING)
				run_done(r, &(struct sandbox_result){.end = END_LOST});
}

const struct sandbox_events exec_events = {
	.started = on_started, .ended = on_ended, .lost = on_lost};

/* ---- what an agent's mode asks for ---- */

static void on_interval(uv_timer_t *t)
{
	struct agent *a = t->data;
	struct err e;
	a->timer = timer_start(a->rt, a->timer, a->spec->interval_ms, on_interval, a);
	/* A run that takes longer than its interval is not overtaken by the next. */
	if (a->active == 0 && a->queued == 0 && a->state != AGENT_SUSPENDED &&
	    run_queue(a, &actor_self, "", 0, false, NULL, &e) < 0)
		agent_set_error(a, &e);
}

void agent_start(struct agent *a)
{
	struct err e = {0};
	if (a->state != AGENT_READY && a->state != AGENT_RUNNING)
		return;
	if (a->spec->mode == MODE_PERSISTENT && !a->main &&
	    run_queue(a, &actor_self, "", 0, true, NULL, &e) < 0)
		agent_set_error(a, &e);
	if (a->spec->mode == MODE_SCHEDULED)
		a->timer = timer_start(a->rt, a->timer, a->spec->interval_ms, on_interval, a);
}

void agent_stop(struct agent *a, bool restart)
{
	for (struct run *r = a->runs; r; r = r->next)
		if (r->state == RUN_RUNNING)
			exec_stop(r);
	a->stop_wanted = a->main != NULL;
	a->restart_wanted = restart;
	if (a->spec->mode == MODE_SCHEDULED || !a->main) {
		timer_free(a->timer);
		a->timer = NULL;
		if (restart)
			agent_start(a);
	}
}

void event_trigger(struct runtime *rt, const char *type, struct agent *about, const char *line,
		   size_t len)
{
	struct err e;
	if (strncmp(type, "agent.", 6) != 0) /* runs would feed on themselves */
		return;
	for (size_t i = 0; i < rt->agents_n; i++) {
		struct agent *a = rt->agents[i];
		const char *t = a->spec ? a->spec->topic : NULL;
		size_t n = t ? strlen(t) : 0;
		if (!t || a == about || a->spec->mode != MODE_EVENT_DRIVEN ||
		    (about->spec && about->spec->mode == MODE_EVENT_DRIVEN) ||
		    a->queued >= TRIGGERS_MAX)
			continue;
		bool match = n && t[n - 1] == '*' ? strncmp(type, t, n - 1) == 0
						   : strcmp(type, t) == 0;
		if (match && run_queue(a, &actor_self, line, len, false, NULL, &e) < 0)
			agent_set_error(a, &e);
	}
}

/* ---- ctl ---- */

static int ctl_suspend(struct agent *a, bool suspend, struct err *e)
{
	for (struct run *r = a->runs; r; r = r->next)
		if (r->state == RUN_RUNNING) {
			sandbox_freeze(a->rt->spawn, exec_id(r), suspend, e);
			r->frozen = suspend;
		}
	int r = agent_move(a, suspend ? AGENT_SUSPENDED : a->active ? AGENT_RUNNING : AGENT_READY,
			   NULL);
	sched_kick(a->rt);
	return r;
}

static int ctl_terminate(struct agent *a)
{
	int r = agent_move(a, AGENT_TERMINATING, NULL);
	if (r < 0)
		return r;
	agent_stop(a, false);
	return a->active ? 0 : agent_move(a, AGENT_TERMINATED, NULL);
}

static int ctl_start(struct agent *a)
{
	if (a->state == AGENT_FAILED || a->state == AGENT_TERMINATED) {
		agent_move(a, AGENT_INITIALIZING, NULL);
		agent_move(a, AGENT_READY, NULL);
	}
	if (a->state == AGENT_SUSPENDED || a->main)
		return -EBUSY;
	agent_start(a);
	return 0;
}

enum verb { START, STOP, SUSPEND, RESUME, RESTART, TERMINATE, KILL, MESSAGE, VERBS };
static const char *const verbs[] = {"start",   "stop",	    "suspend", "resume",
				    "restart", "terminate", "kill",    "message"};

static int signal_of(const char *s)
{
	if (strncmp(s, "SIG", 3) == 0)
		s += 3;
	for (int i = 1; i < 32; i++)
		if (sigabbrev_np(i) && strcmp(sigabbrev_np(i), s) == 0)
			return i;
	uint64_t n;
	return parse_u64(s, 1, 31, &n, NULL) == 0 ? (int)n : -1;
}

static int parse_ctl(const char *line, size_t len, enum verb *ret, char arg[256], struct err *e)
{
	char text[300];
	if (len >= sizeof text)
		return err_set(e, ERR_AGENT_CTL, "a command has at most %zu characters",
			       sizeof text - 1);
	snprintf(text, sizeof text, "%.*s", (int)len, line);
	char *rest = strchr(text, ' ');
	if (rest)
		*rest++ = 0;
	snprintf(arg, 256, "%.255s", rest ? rest : "");
	for (int v = 0; v < VERBS; v++) {
		if (strcmp(text, verbs[v]) != 0)
			continue;
		*ret = (enum verb)v;
		if (v == KILL && signal_of(arg) < 0)
			return err_set(e, ERR_AGENT_CTL, "'%s' is no signal; like `kill TERM`", arg);
		if (v < KILL && *arg)
			return err_set(e, ERR_AGENT_CTL, "'%s' takes nothing behind it", text);
		return 0;
	}
	return err_set(e, ERR_AGENT_CTL,
		       "unknown command '%s'; one of start, stop, suspend, resume, restart, terminate, "
		       "kill SIGNAL, message TEXT", text);
}

int agent_ctl_check(const char *line, size_t len, struct err *e)
{
	enum verb v = VERBS;
	char arg[256];
	return parse_ctl(line, len, &v, arg, e);
}

static int do_verb(struct agent *a, enum verb v, const char *arg, struct err *e)
{
	char line[260];
	switch (v) {
	case START:
		return ctl_start(a);
	case STOP:
	case RESTART:
		agent_stop(a, v == RESTART);
		if (v == RESTART && !a->active)
			return ctl_start(a);
		return 0;
	case SUSPEND:
	case RESUME:
		if ((v == RESUME) != (a->state == AGENT_SUSPENDED))
			return -EBUSY;
		return ctl_suspend(a, v == SUSPEND, e);
	case TERMINATE:
		return ctl_terminate(a);
	case KILL:
		for (struct run *r = a->runs; r; r = r->next)
			if (r->state == RUN_RUNNING)
				sandbox_signal(a->rt->spawn, exec_id(r), signal_of(arg), e);
		return 0;
	case MESSAGE:
		snprintf(line, sizeof line, "%s\n", arg);
		return agent_stdin(a->rt, a, line, strlen(line), false, e) < 0 ? -e->eno : 0;
	case VERBS:
		break;
	}
	return -EINVAL;
}

int agent_ctl(struct runtime *rt, const struct actor *who, struct agent *a, const char *line,
	      size_t len, struct runtime_done done, struct err *e)
{
	enum verb v = VERBS;
	char arg[256];
	int r = parse_ctl(line, len, &v, arg, e);
	if (r == 0)
		r = runtime_authorize(rt, who, "agent.control", a->uid, a->gid, 0600, 2, e);
	if (r < 0)
		return r;
	r = do_verb(a, v, arg, e);
	if (r == -EBUSY)
		r = err_set(e, ERR_AGENT_STATE, "'%s' is not possible while agent '%s' is %s", verbs[v],
			    a->name, agent_state_name(a->state));
	if (r == 0)
		done.fn(done.arg, NULL);
	return r;
}

ssize_t agent_stdin(struct runtime *rt, struct agent *a, const char *data, size_t len, bool end,
		    struct err *e)
{
	(void)rt, (void)end;
	if (!a->main || a->stdin_fd < 0)
		return err_sys(e, ERR_AGENT_STATE, EPIPE, "agent '%s' has no process that reads", a->name);
	ssize_t n = write(a->stdin_fd, data, len);
	return n >= 0 ? n : err_sys(e, ERR_SYS_IO, errno, "stdin of agent '%s'", a->name);
}

/* ---- after a restart ----
 *   worker restarted, process lives        adopted: the spawner tells us it is started
 *   worker restarted, process ended        its end is told and recorded
 *   worker restarted, start never arrived  the run is queued again
 *   daemon restarted                       every process was ended: runs end with SCHED_001; persistent
 *                                          agents start again (lifecycle.enable_auto_recovery)        */

static void open_stdin_again(struct agent *a)
{
	char path[4096];
	agent_dir(a, path, sizeof path);
	snprintf(path + strlen(path), sizeof path - strlen(path), "/stdin");
	a->stdin_fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

static void settle(struct agent *a)
{
	struct runtime *rt = a->rt;
	for (struct run *r = a->runs, *next; r; r = next) {
		next = r->next;
		if (r->state == RUN_DONE)
			continue;
		if (r->pid && rt->resumed && kill(r->pid, 0) == 0) { /* the resync corrects this */
			rt->running++;
			a->active++;
			a->queued--;
			rt->memory_mb_used += r->held_mb = a->spec->limits.memory_mb;
			rt->cpu_used += r->held_cpu = a->spec->limits.cpu_cores;
			r->state = RUN_RUNNING;
			arm_timeout(r);
			if (r->main)
				open_stdin_again(a);
			continue;
		}
		r->state = RUN_QUEUED;
		run_done(r, &(struct sandbox_result){.end = END_LOST});
	}
	a->main = a->main && a->main->state == RUN_DONE ? NULL : a->main;
	if (a->active)
		return;
	bool was_up = a->state == AGENT_RUNNING || a->state == AGENT_WAITING ||
		      a->state == AGENT_SUSPENDED;
	if (a->state == AGENT_TERMINATING)
		agent_move(a, AGENT_TERMINATED, NULL);
	if (a->state == AGENT_CREATED)
		agent_move(a, AGENT_INITIALIZING, NULL);
	if (a->state == AGENT_INITIALIZING)
		agent_move(a, AGENT_READY, NULL);
	if (was_up)
		agent_move(a, AGENT_READY, "the daemon was restarted");
	if (a->spec->mode == MODE_SCHEDULED ||
	    (was_up && config_bool(rt->config, "lifecycle.enable_auto_recovery")))
		agent_start(a);
}

void exec_after_restart(struct runtime *rt)
{
	for (size_t i = 0; i < rt->agents_n; i++)
		settle(rt->agents[i]);
	if (rt->spawn)
		spawn_client_resync(rt->spawn, NULL, NULL);
	sched_kick(rt);
}
