/* SPDX-License-Identifier: MIT */
/* launch.c - a run's process: its directory, streams, environment and limits; its timeouts; what the
 * spawner says of it. L2; loop thread only. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/metric.h"
#include "lib/parse.h"
#include "runtime/profiles.h"
#include "runtime/rag_i.h"
#include "runtime/runtime_i.h"

#define OWN_VARS    6
#define PROXY_VARS  8 /* sandbox_proxy_env */
#define OWN_VAR_MAX 4300 /* HOME with a path */

/* ---- where it runs and what it is given ---- */

/* The owner's, so that a program may open its /dev/stdout; the directory above stays closed. */
static int open_out(const struct agent *a, const char *path)
{
	uid_t uid;
	gid_t gid;
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	run_ids(a, (enum sandbox_tier)a->tier, &uid, &gid);
	if (fd >= 0 && uid != (uid_t)-1 && fchown(fd, uid, gid) < 0)
		close(take_fd(&fd));
	return fd;
}

static void stdin_path(const struct agent *a, char out[AGENT_DIR_MAX + 16])
{
	agent_dir(a, out);
	snprintf(out + strlen(out), 16, "/stdin");
}

void stdin_open(struct agent *a)
{
	char path[AGENT_DIR_MAX + 16];
	struct agent_live *l = agent_live(a);
	stdin_path(a, path);
	if (l->stdin_fd < 0)
		l->stdin_fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

void stdin_close(struct agent *a)
{
	if (a->live && a->live->stdin_fd >= 0)
		close(a->live->stdin_fd);
	if (a->live)
		a->live->stdin_fd = -1;
}

/* The spawner holds a writing end too (see start), so that a worker's death is no end of file. */
static int open_fifo(struct agent *a)
{
	char path[AGENT_DIR_MAX + 16];
	stdin_path(a, path);
	stdin_close(a);
	unlink(path); /* bytes that its predecessor did not read are not for it */
	if (mkfifo(path, 0600) < 0)
		return -1;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -1;
	fcntl(fd, F_SETFL, 0);
	stdin_open(a); /* there must be a reader first */
	return fd;
}

static int open_streams(struct run *r, int fds[4], struct err *e)
{
	struct runtime *rt = r->rt;
	struct agent *a = r->agent;
	char path[AGENT_DIR_MAX + 32];
	agent_dir_make(a);
	if (r->process) {
		fds[0] = open_fifo(a);
		agent_file_path(rt, a, AGENT_STDOUT, path, sizeof path);
		fds[1] = open_out(a, path);
		agent_file_path(rt, a, AGENT_STDERR, path, sizeof path);
		fds[2] = open_out(a, path);
	} else {
		run_file_path(rt, r, RUN_INPUT, path, sizeof path);
		fds[0] = open(path, O_RDONLY | O_CLOEXEC);
		run_file_path(rt, r, RUN_OUTPUT, path, sizeof path);
		fds[1] = open_out(a, path);
		run_file_path(rt, r, RUN_STDERR, path, sizeof path);
		fds[2] = open_out(a, path);
	}
	if (fds[0] < 0 || fds[1] < 0 || fds[2] < 0)
		return err_sys(e, ERR_SYS_IO, errno, "streams of run %u of agent '%s'", r->number,
			       a->name);
	return 0;
}

static uint64_t less(uint64_t a, uint64_t b) /* 0: no limit */
{
	return !b || (a && a < b) ? a : b;
}

static struct sandbox_limits limits_of(const struct run_bounds *b, const struct agent_limits *l)
{
	struct sandbox_limits ret = b->limits;
	ret.memory_bytes = less(l->memory_mb << 20, ret.memory_bytes);
	ret.cpu_millis = (uint32_t)less((uint64_t)(l->cpu_cores * 1000), ret.cpu_millis);
	ret.disk_bytes_per_s = less(l->disk_io_mbps * 1000000, ret.disk_bytes_per_s);
	ret.net_bytes_per_s = less(l->network_io_mbps * 1000000 / 8, ret.net_bytes_per_s);
	return ret;
}

static struct run_bounds bounds_of(struct agent *a)
{
	struct run_bounds b;
	run_bounds(a->rt, agent_spec_get(a, NULL), &b, NULL);
	return b;
}

void limits_changed(struct agent *a)
{
	if (a->live && a->live->running) {
		struct agent_limits l = agent_limits_of(a);
		struct run_bounds b = bounds_of(a);
		struct sandbox_limits sl = limits_of(&b, &l);
		for (size_t i = 0; i < a->live->runs_n; i++)
			if (a->live->runs[i]->active)
				sandbox_set_limits(a->rt->spawn, run_id(a->live->runs[i]), &sl, NULL);
	}
	queue_changed(a);
}

/* The i-th variable that the daemon gives; false behind the last. */
static bool own_variable(const struct run *r, const char *cwd, size_t i, char out[static OWN_VAR_MAX])
{
	switch (i) {
	case 0: return snprintf(out, OWN_VAR_MAX, "PATH=/usr/local/bin:/usr/bin:/bin");
	case 1: return snprintf(out, OWN_VAR_MAX, "HOME=%s", cwd);
	case 2: return snprintf(out, OWN_VAR_MAX, "LANG=C.UTF-8");
	case 3: return snprintf(out, OWN_VAR_MAX, "SYMBI_AGENT=%s", r->agent->name);
	case 4: return snprintf(out, OWN_VAR_MAX, "SYMBI_AGENT_ID=%s", r->agent->id);
	case 5: return snprintf(out, OWN_VAR_MAX, "SYMBI_RUN=%u", r->number);
	}
	return false;
}

static bool has_variable(char *const *env, const char *variable)
{
	size_t n = strcspn(variable, "=") + 1;
	while (env && *env && strncmp(*env, variable, n) != 0)
		env++;
	return env && *env;
}

/* The daemon's variables, but for those that the spec gives itself, and the spec's. */
static void environment(const struct run *r, const struct agent_spec *s, const char *cwd, enum sandbox_network network,
			char (*vars)[OWN_VAR_MAX], const char **env)
{
	size_t n = 0;
	for (size_t i = 0; i < OWN_VARS && own_variable(r, cwd, i, vars[n]); i++)
		if (!has_variable(s->env, vars[n])) {
			env[n] = vars[n];
			n++;
		}
	for (size_t i = 0; network == NETWORK_RESTRICTED && sandbox_proxy_env[i]; i++)
		if (!has_variable(s->env, sandbox_proxy_env[i]))
			env[n++] = sandbox_proxy_env[i];
	for (char **p = s->env; p && *p; p++)
		env[n++] = *p;
	env[n] = NULL;
}

static size_t count(char *const *list)
{
	size_t n = 0;
	while (list && list[n])
		n++;
	return n;
}

static int start(struct run *r, const struct agent_spec *s, const char *cwd, const int fds[4],
		 struct err *e)
{
	struct agent *a = r->agent;
	const struct config *c = r->rt->config;
	struct agent_limits l = agent_limits_of(a);
	char vars[OWN_VARS][OWN_VAR_MAX], code[4300], view[4300];
	size_t argc = count(s->argv);
	autofree const char **env = calloc(count(s->env) + OWN_VARS + PROXY_VARS + 1, sizeof *env);
	autofree const char **argv = calloc(argc + 1, sizeof *argv);
	if (!env || !argv)
		return err_set(e, ERR_SYS_MEMORY, "no memory for a start");
	memcpy(argv, s->argv, argc * sizeof *argv);
	if (s->code_arg) {
		int wrote = run_code(a, s, code, sizeof code, e);
		if (wrote < 0)
			return wrote;
		argv[s->code_arg] = code;
	}
	uid_t uid;
	gid_t gid;
	struct run_bounds b;
	enum sandbox_network network;
	autobuf struct buf destinations;
	buf_init(&destinations, 2 * SANDBOX_DESTINATIONS_MAX);
	int n = run_bounds(r->rt, s, &b, e);
	if (n == 0)
		n = run_network(r->rt, s, &network, &destinations, e);
	if (n < 0)
		return n;
	environment(r, s, cwd, network, vars, env);
	run_ids(a, s->tier, &uid, &gid);
	snprintf(view, sizeof view, "%s/views/%s", r->rt->mount, a->name);
	struct sandbox_spec spec = {
		.id = run_id(r),
		.owner = a->name,
		.argv = argv,
		.envp = env,
		.cwd = cwd,
		.cwd_fd = fds[3] > 0 ? fds[3] : 0,
		.allow = s->tier == TIER_NONE
				 ? config_list(c, "native_execution.allowed_executables")
				 : NULL, /* the box says what is there */
		.stdin_fd = fds[0],
		.hold_fd = r->process ? a->live->stdin_fd : 0,
		.stdout_fd = fds[1],
		.stderr_fd = fds[2],
		.uid = uid,
		.gid = gid,
		.view = s->tier != TIER_NONE && *r->rt->mount ? view : NULL,
		.limits = limits_of(&b, &l),
		.enforce = b.apply,
		.no_temp = b.no_temp,
		.allow_degraded = s->allow_degraded,
		.driver = s->driver ? s->driver->name : NULL,
		.image = s->image,
		.network = network,
		.destinations = destinations.data,
		.ask_connects = network == NETWORK_RESTRICTED,
	};
	return sandbox_start(r->rt->spawn, s->tier, &spec, e);
}

static void init_timeout(void *arg)
{
	run_end(arg, ERR_SCHED_TIMEOUT, "lifecycle.initialization_timeout: it was not started in time");
}

int run_may_start(struct run *r, struct err *e)
{
	const struct agent_spec *s = agent_spec_get(r->agent, e);
	return s ? policies_may_start(r->rt, r->agent, s, r->number, e) : -EINVAL;
}

int run_launch(struct run *r, struct err *e)
{
	struct runtime *rt = r->rt;
	const struct agent_spec *s = agent_spec_get(r->agent, e);
	struct agent_spec edited = {.argv = NULL};
	char cwd[4200];
	int fds[4] = {-1, -1, -1, -1};
	int ret = s ? approval_edited_spec(rt, r->agent->serial, r->number, &s, &edited, e) : -EINVAL;
	if (ret == 0)
		ret = run_cwd(r->agent, s, cwd, sizeof cwd, &fds[3], e);
	if (ret == 0)
		ret = run_profile_check(rt, s, cwd, e);
	if (ret == 0)
		ret = open_streams(r, fds, e);
	if (ret == 0)
		ret = start(r, s, cwd, fds, e);
	for (int i = 0; i < 4; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(edited.argv);
	if (ret < 0)
		return ret;
	timer_set(&rt->timers, &r->timer, config_ms(rt->config, "lifecycle.initialization_timeout"),
		  init_timeout, r);
	health_start(rt);
	metric_add(METRIC_RUNS_STARTED, 1);
	return 0;
}

/* ---- time limits and ending ---- */

static void execution_timeout(void *arg)
{
	struct run *r = arg;
	char why[sizeof r->end_why], t[32];
	struct agent_limits l = agent_limits_of(r->agent);
	struct run_bounds b = bounds_of(r->agent);
	uint64_t ms = less(l.execution_timeout_ms, b.execution_ms);
	format_duration_ms(ms, t);
	bool own = ms == l.execution_timeout_ms;
	snprintf(why, sizeof why, "%s%s of %s exceeded", own ? "" : b.by,
		 own ? "execution_timeout" : "max_execution_time_seconds", t);
	run_end(r, ERR_SCHED_TIMEOUT, why);
}

void run_arm(struct run *r)
{
	timer_clear(&r->rt->timers, &r->timer);
	if (r->process) /* a persistent agent runs until it is stopped */
		return;
	struct run_bounds b = bounds_of(r->agent);
	uint64_t ms = less(agent_limits_of(r->agent).execution_timeout_ms, b.execution_ms);
	if (!ms) /* neither has one */
		return;
	uint64_t ran = r->started_ms ? clock_since_ms(r->started_ms) : 0;
	timer_set(&r->rt->timers, &r->timer, ran < ms ? ms - ran : 0, execution_timeout, r);
}

static void kill_now(void *arg)
{
	struct run *r = arg;
	sandbox_kill(r->rt->spawn, run_id(r), NULL);
}

void run_end(struct run *r, enum err_code code, const char *why)
{
	struct runtime *rt = r->rt;
	if (r->state == RUN_DONE)
		return;
	if (!r->active) { /* it never ran */
		run_finish_with(r, code, why);
		return;
	}
	if (!r->asked_end) {
		r->asked_end = true;
		r->end_code = code;
		snprintf(r->end_why, sizeof r->end_why, "%s", why);
	}
	if (r->frozen) /* a frozen process hears no signal */
		run_freeze(r, false);
	sandbox_signal(rt->spawn, run_id(r), SIGTERM, NULL);
	timer_set(&rt->timers, &r->timer, config_ms(rt->config, "lifecycle.termination_timeout"),
		  kill_now, r);
}

/* While it is frozen its time does not run. */
void run_freeze(struct run *r, bool frozen)
{
	uint64_t now = clock_mono_ns() / 1000000;
	struct rt_timer *t = &r->timer;
	if (r->frozen == frozen)
		return;
	r->frozen = frozen;
	sandbox_freeze(r->rt->spawn, run_id(r), frozen, NULL);
	if (frozen) {
		r->time_left_ms = t->place ? (t->at_ms > now ? t->at_ms - now : 0) + 1 : 0;
		timer_clear(&r->rt->timers, t);
	} else if (r->time_left_ms && !r->asked_end) {
		timer_set(&r->rt->timers, t, r->time_left_ms - 1, t->fn, r);
	}
	r->busy_ms = clock_mono_ns() / 1000000;
}

/* ---- what the spawner says ---- */

static struct run *run_of(struct runtime *rt, uint64_t id)
{
	struct agent *a = agent_by_serial(rt, id >> 32);
	return a ? run_find(rt, a, (uint32_t)id) : NULL;
}

static void on_started(void *arg, uint64_t id, pid_t pid, const struct sandbox_layers *l)
{
	struct runtime *rt = arg;
	if (rag_pdf_is_mine(id))
		return;
	struct run *r = run_of(rt, id);
	if (!r || r->state == RUN_DONE) { /* deleted meanwhile */
		sandbox_kill(rt->spawn, id, NULL);
		return;
	}
	if (r->adopting) {
		r->adopting = false;
		run_hold(r);
	}
	struct facts f = {.type = REC_RUN_STARTED, .object = r->agent->name, .serial = r->serial,
			  .run = r->number, .pid = pid};
	if (!r->started || r->pid != pid)
		record(rt, &actor_self, &f, done_nobody, NULL);
	r->started = true;
	r->pid = pid;
	agent_live(r->agent)->layers = *l;
	r->busy_ms = clock_mono_ns() / 1000000;
	if (r->asked_end)
		return;
	run_arm(r);
	if (r->agent->state == AGENT_SUSPENDED)
		run_freeze(r, true);
	else
		agent_settle(r->agent);
}

/* Did it fail with a file of its output as large as it may be? */
static bool filled_its_output(const struct run *r, const struct sandbox_result *result)
{
	if (result->end != END_EXITED || result->code == 0)
		return false;
	struct run_bounds b = bounds_of(r->agent);
	return b.apply && b.limits.file_bytes && output_largest(r) >= b.limits.file_bytes;
}

static void on_ended(void *arg, uint64_t id, const struct sandbox_result *result)
{
	struct runtime *rt = arg;
	if (rag_pdf_is_mine(id)) {
		rag_pdf_ended(rt, id, result);
		return;
	}
	struct run *r = run_of(rt, id);
	if (r && r->state != RUN_DONE) {
		if (r->adopting) {
			r->adopting = false;
			run_hold(r);
		}
		struct sandbox_result judged = *result;
		if (filled_its_output(r, result)) /* it ignored SIGXFSZ and said so by its exit code */
			judged.end = END_FILE_SIZE;
		run_finish(r, &judged);
	}
	sandbox_ack(rt->spawn, id, NULL); /* after its record: the spawner remembers until then */
	queue_fill(rt);
	if (rt->stopping && rt->tasks + rt->processes == 0 && rt->stop_timer.place)
		timer_set(&rt->timers, &rt->stop_timer, 0, rt->stop_timer.fn, rt);
}

/* The parent ends what the spawner ran, starts another one and this worker anew; what becomes of the runs
 * is decided there (recover.c), with the agents' states as they are now. */
static void on_lost(void *arg)
{
	struct runtime *rt = arg;
	log_error("spawn.lost", NULL);
	rt->spawn_lost = true;
}

static void on_measured(void *arg, uint64_t id, const struct sandbox_usage *u)
{
	struct runtime *rt = arg;
	struct run *r = run_of(rt, id);
	if (r && r->active)
		health_measured(rt, r, u);
}

static void on_connect(void *arg, uint64_t id, const struct sandbox_connect *c)
{
	struct runtime *rt = arg;
	struct run *r = run_of(rt, id);
	if (r && r->agent)
		run_connect(rt, r, c);
	else if (c->number)
		sandbox_answer(rt->spawn, id, c->number, false, NULL, "its agent was deleted", NULL);
}

static void on_caps(void *arg, const struct sandbox_caps *c)
{
	((struct runtime *)arg)->caps = *c;
}

const struct sandbox_events sandbox_events = {.started = on_started,
					      .ended = on_ended,
					      .lost = on_lost,
					      .measured = on_measured,
					      .connects = on_connect,
					      .caps = on_caps};
