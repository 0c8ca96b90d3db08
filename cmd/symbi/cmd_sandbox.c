/* SPDX-License-Identifier: MIT */
/* cmd_sandbox.c - run one program in a sandbox: by a spawner of its own, which starts it as it starts agents. L4. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "lib/loop.h"
#include "lib/mem.h"
#include "lib/parse.h"
#include "sandbox/profile.h"

#define EXIT_SIGNAL 128
#define UID_FIRST   0x6f000000u /* with our pid: of nobody else while we live; agents' are above */
#define ID          1           /* of the one start */
#define OWN_VARS    4

static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

struct boxed {
	const char *driver, *tier_name, *network, *dir, *memory, *cpu, *processes, *agent, *profile_name;
	struct where where; /* of the daemon of that agent, of a profile that has a name */
	bool degraded;
	char **argv;
	/* checked */
	enum sandbox_tier tier;
	struct sandbox_profile profile;
	bool no_temp;
	struct sandbox_limits limits;
	uv_timer_t timer;
	bool timed_out;
	char state[32], cwd[PATH_MAX], view[PATH_MAX + 300];
	int cwd_fd; /* 0: go by cwd */
	uid_t uid;
	pid_t spawner;
	struct loop loop;
	uv_signal_t signals[ARRAY_LEN(passed_on)];
	struct spawn_client *client;
	struct sandbox_result result;
	bool lost;
};

/* ---- its profile ---- */

/* Of the tree, in whatever format it is there; the last failure when it is in none. */
static int read_from_tree(struct boxed *b, const char *name, char path[static PATH_MAX], struct buf *text, struct err *e)
{
	static const char *const suffixes[] = {"yaml", "yml", "json", "toml"};
	int r = where_find(&b->where, e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(suffixes); i++) {
		snprintf(path, PATH_MAX, "sandbox/profiles/%s.%s", name, suffixes[i]);
		buf_clear(text);
		int n = where_read(&b->where, path, text, e);
		if (n != -ENOENT)
			return n;
	}
	return r < 0 ? r : err_set(e, ERR_SEC_VIOLATION, "there is no such profile");
}

/* A name, built in or of a file in the tree; or a path with a '/'. */
static int read_profile(struct boxed *b, struct err *e)
{
	char path[PATH_MAX];
	enum value_format f = VALUE_YAML;
	const char *name = b->profile_name;
	const struct sandbox_profile *p = sandbox_profile_builtin(name);
	autobuf struct buf text;
	buf_init(&text, VALUE_TEXT_MAX);
	if (p) {
		b->profile = *p;
		return 0;
	}
	snprintf(path, sizeof path, "%s", name);
	int r = strchr(name, '/')		? say_slurp(path, VALUE_TEXT_MAX, &text, e)
		: name_ok(name, strlen(name)) ? read_from_tree(b, name, path, &text, e)
					      : err_set(e, ERR_SEC_PROFILE, "neither a profile's name nor a path with '/'");
	if (r == 0 && value_format_of(path, &f) < 0)
		r = err_set(e, ERR_SEC_PROFILE, "a profile's file ends in .yaml, .yml, .json or .toml");
	if (r == 0)
		r = sandbox_profile_read(f, text.data, text.len, &b->profile, NULL, e);
	return r < 0 ? err_wrap(e, "--profile %s", name) : 0;
}

static uint64_t less(uint64_t a, uint64_t b) /* 0: no limit */
{
	return !b || (a && a < b) ? a : b;
}

/* The command's limits can only make a profile's narrower. What cannot be enforced is refused. */
static int take_profile(struct boxed *b, struct err *e)
{
	struct sandbox_caps caps;
	struct sandbox_limits l;
	if (!b->profile_name)
		return 0;
	int r = read_profile(b, e);
	if (r == 0 && b->dir)
		r = sandbox_profile_cwd(&b->profile, b->cwd, e);
	if (r == 0 && !b->degraded) {
		sandbox_caps_probe(&caps);
		r = sandbox_profile_enforceable(&b->profile, &caps, e);
	}
	l = b->profile.limits;
	l.memory_bytes = less(b->limits.memory_bytes, l.memory_bytes);
	l.cpu_millis = (uint32_t)less(b->limits.cpu_millis, l.cpu_millis);
	l.pids = (uint32_t)less(b->limits.pids, l.pids);
	b->limits = l;
	b->no_temp = b->profile.no_temp;
	return r;
}

/* ---- the words of the command ---- */

static int read_words(const struct command *c, struct boxed *b)
{
	struct err e;
	uint64_t n;
	double cores;
	b->tier = TIER_1;
	if (b->tier_name && sandbox_tier_parse(b->tier_name, &b->tier) < 0)
		return opts_wrong(c, "--tier '%s'; one of None, Tier1, Tier2, Tier3", b->tier_name);
	if (b->network && strcmp(b->network, "None") != 0)
		return opts_wrong(c, "--network '%s'; sandboxes of this build have None", b->network);
	if (b->agent && b->tier == TIER_NONE)
		return opts_wrong(c, "tier None has the machine's files, and no view");
	if (b->agent && (!name_ok(b->agent, strlen(b->agent))))
		return opts_wrong(c, "--view '%s' is no agent's name", b->agent);
	if (b->network && b->tier == TIER_NONE)
		return opts_wrong(c, "tier None has the machine's network");
	if (b->profile_name && b->tier == TIER_NONE)
		return opts_wrong(c, "--profile is for a tier that has a sandbox, not for None");
	if (b->memory && parse_u64(b->memory, 1, 16777216, &n, &e) < 0)
		return opts_wrong(c, "--max-memory wants megabytes: %s", e.msg);
	b->limits.memory_bytes = b->memory ? n << 20 : 0;
	if (b->cpu && parse_double(b->cpu, 0.01, 4096, &cores, &e) < 0)
		return opts_wrong(c, "--max-cpu wants a number of cores: %s", e.msg);
	b->limits.cpu_millis = b->cpu ? (uint32_t)(cores * 1000) : 0;
	if (b->processes && parse_u64(b->processes, 1, 4194304, &n, &e) < 0)
		return opts_wrong(c, "--max-processes wants their number: %s", e.msg);
	b->limits.pids = b->processes ? (uint32_t)n : 0;
	return 0;
}

/* ---- where it works ---- */

/* In the view of an agent it is that agent, as whom its view belongs to. */
static int find_view(struct boxed *b, struct err *e)
{
	struct stat st;
	int r = where_find(&b->where, e);
	if (r < 0)
		return r;
	snprintf(b->view, sizeof b->view, "%s/views/%s", b->where.at.mount, b->agent);
	if (stat(b->view, &st) < 0)
		return err_sys(e, ERR_AGENT_NOT_FOUND, errno, "the view of '%s', '%s'", b->agent, b->view);
	if (geteuid() == 0)
		b->uid = st.st_uid;
	return 0;
}

static int make_place(struct boxed *b, struct err *e)
{
	struct stat st;
	snprintf(b->state, sizeof b->state, "/tmp/symbi-run-XXXXXX");
	b->uid = geteuid() == 0 && b->tier != TIER_NONE ? UID_FIRST + (uid_t)getpid() : (uid_t)-1;
	int r = b->agent ? find_view(b, e) : 0;
	if (r < 0)
		return r;
	if (b->dir) {
		if (!realpath(b->dir, b->cwd) || stat(b->cwd, &st) < 0)
			return err_sys(e, ERR_SYS_IO, errno, "--dir '%s'", b->dir);
		if (!S_ISDIR(st.st_mode))
			return err_sys(e, ERR_SYS_IO, ENOTDIR, "--dir '%s'", b->dir);
	}
	if (!mkdtemp(b->state)) {
		int eno = errno;
		b->state[0] = 0;
		return err_sys(e, ERR_SYS_IO, eno, "a directory in /tmp");
	}
	if (b->dir)
		return 0;
	snprintf(b->cwd, sizeof b->cwd, "%s/" SPAWN_WORK, b->state);
	int fd = sandbox_workdir(b->state, SPAWN_WORK, b->uid, (gid_t)b->uid, e);
	b->cwd_fd = fd < 0 ? 0 : fd;
	return fd < 0 ? fd : 0;
}

/* ---- what is told of it ---- */

static void on_started(void *arg, uint64_t id, pid_t pid, const struct sandbox_layers *l)
{
	(void)arg, (void)id, (void)pid, (void)l;
}

static void on_ended(void *arg, uint64_t id, const struct sandbox_result *r)
{
	struct boxed *b = arg;
	b->result = *r;
	sandbox_ack(b->client, id, NULL);
	loop_stop(&b->loop);
}

static void on_lost(void *arg)
{
	struct boxed *b = arg;
	b->lost = true;
	loop_stop(&b->loop);
}

static void on_signal(uv_signal_t *s, int sig)
{
	struct boxed *b = s->data;
	sandbox_signal(b->client, ID, sig, NULL);
}

/* ---- running it ---- */

static int start(struct boxed *b, struct err *e)
{
	const char *term = getenv("TERM");
	char home[PATH_MAX + 8], terminal[80];
	const char *env[OWN_VARS + 1] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", home};
	snprintf(home, sizeof home, "HOME=%s", b->cwd);
	if (term && snprintf(terminal, sizeof terminal, "TERM=%s", term) < (int)sizeof terminal)
		env[3] = terminal;
	struct sandbox_spec s = {
		.id = ID,
		.owner = "run",
		.argv = (const char *const *)b->argv,
		.envp = env,
		.cwd = b->cwd,
		.cwd_fd = b->cwd_fd,
		.stdin_fd = STDIN_FILENO,
		.stdout_fd = STDOUT_FILENO,
		.stderr_fd = STDERR_FILENO,
		.uid = b->uid,
		.view = b->agent ? b->view : NULL,
		.gid = (gid_t)b->uid,
		.limits = b->limits,
		.enforce = true,
		.allow_degraded = b->degraded,
		.driver = b->driver,
		.no_temp = b->no_temp,
	};
	return sandbox_start(b->client, b->tier, &s, e);
}

static void on_time(uv_timer_t *t)
{
	struct boxed *b = t->data;
	b->timed_out = true;
	sandbox_kill(b->client, ID, NULL);
}

static void pass_signals_on(struct boxed *b)
{
	for (size_t i = 0; i < ARRAY_LEN(passed_on); i++) {
		uv_signal_init(&b->loop.uv, &b->signals[i]);
		b->signals[i].data = b;
		uv_signal_start(&b->signals[i], on_signal, passed_on[i]);
	}
}

/* With a loop and a client; sock is the client's from now on. */
static int serve(struct boxed *b, int sock, struct err *e)
{
	static const struct sandbox_events events = {.started = on_started, .ended = on_ended, .lost = on_lost};
	int r = loop_init(&b->loop, e);
	if (r < 0) {
		close(sock);
		return r;
	}
	r = spawn_client_open(&b->client, sock, &b->loop, &events, b, e);
	if (r < 0)
		close(sock);
	if (r == 0) {
		pass_signals_on(b);
		r = start(b, e);
	}
	uv_timer_init(&b->loop.uv, &b->timer);
	b->timer.data = b;
	if (r == 0 && b->profile.execution_ms)
		uv_timer_start(&b->timer, on_time, b->profile.execution_ms, 0);
	if (r == 0)
		loop_run(&b->loop);
	spawn_client_close(b->client);
	loop_done(&b->loop);
	return r;
}

static int run(struct boxed *b, struct err *e)
{
	int r = make_place(b, e);
	if (r == 0)
		r = take_profile(b, e);
	int sock = r < 0 ? r : spawn_server_start(b->state, NULL, true, &b->spawner, e);
	if (sock >= 0) {
		r = serve(b, sock, e);
		waitpid(b->spawner, NULL, 0); /* what was started is gone then, and the directory with it */
	} else {
		r = sock;
	}
	if (r == 0 && b->lost)
		r = err_set(e, ERR_SPAWN_LOST, "the spawner of this run ended, and the program with it");
	if (b->state[0] && access(b->state, F_OK) == 0) { /* it never started, or was killed */
		spawn_server_cleanup(b->state, NULL);
		spawn_server_discard(b->state);
	}
	return r;
}

static int status_of(const struct boxed *b)
{
	const struct sandbox_result *r = &b->result;
	if (b->timed_out)
		fprintf(stderr, "symbi: SCHED_002 it ran longer than its profile's max_execution_time_seconds\n");
	switch (r->end) {
	case END_EXITED: return r->code;
	case END_MEMORY:
		fprintf(stderr, "symbi: RESOURCE_001 it used more memory than %s\n",
			b->memory ? "--max-memory" : "its profile's max_memory_mb");
		break;
	case END_START_FAILED: return say_failed(&r->err);
	case END_SIGNALED:
	case END_KILLED:
	case END_FILE_SIZE:
	case END_CPU_TIME:
	case END_LOST: break;
	}
	return EXIT_SIGNAL + r->code;
}

int cmd_sandbox(const struct command *c, int argc, char **argv)
{
	struct boxed b = {0};
	struct err e = {0};
	const struct opt none[] = {{NULL, NULL, NULL}};
	const struct opt opts[] = {{"tier", &b.tier_name, NULL}, {"driver", &b.driver, NULL},         {"network", &b.network, NULL},
				   {"dir", &b.dir, NULL},                {"max-memory", &b.memory, NULL},
				   {"profile", &b.profile_name, NULL},
				   {"max-cpu", &b.cpu, NULL},            {"max-processes", &b.processes, NULL},
				   {"view", &b.agent, NULL},             {"mount", &b.where.mount, NULL},
				   WHERE_SOCKET_OPTS(b.where),
				   {"allow-degraded", NULL, &b.degraded}, {NULL, NULL, NULL}};
	int at = opts_read(c, argc, argv, none, 1, OPTS_COMMAND);
	if (at < 0)
		return CLI_USAGE;
	if (strcmp(argv[at], "run") != 0)
		return opts_wrong(c, "'%s' is not known; `symbi sandbox run` is", argv[at]);
	argc -= at;
	argv += at;
	at = opts_read(c, argc, argv, opts, 1, OPTS_COMMAND);
	if (at < 0)
		return CLI_USAGE;
	b.argv = argv + at;
	if (read_words(c, &b) != 0)
		return CLI_USAGE;
	while (fcntl(STDIN_FILENO, F_GETFD) < 0 || fcntl(STDOUT_FILENO, F_GETFD) < 0 || fcntl(STDERR_FILENO, F_GETFD) < 0)
		if (open("/dev/null", O_RDWR) < 0) /* else something of ours would be its stream */
			return CLI_FAILED;
	return run(&b, &e) < 0 ? say_failed(&e) : status_of(&b);
}
