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
#include "image.h"
#include "lib/loop.h"
#include "lib/mem.h"
#include "lib/parse.h"
#include "sandbox/net_rules.h"
#include "sandbox/profile.h"

#define EXIT_SIGNAL 128
#define UID_FIRST   0x6f000000u /* with our pid: of nobody else while we live; agents' are above */
#define ID          1           /* of the one start */
#define OWN_VARS    4
#define PROXY_VARS  8

static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

struct boxed {
	const char *driver, *image, *tier_name, *network, *allow, *dir, *memory, *cpu, *processes, *agent, *profile_name;
	struct where where; /* of the daemon of that agent, of a profile that has a name */
	bool degraded;
	char **argv;
	/* checked */
	enum sandbox_tier tier;
	struct sandbox_profile profile;
	bool no_temp;
	enum sandbox_network mode;
	char destinations[2 * SANDBOX_DESTINATIONS_MAX];
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
	l.net_bytes_per_s = b->profile.limits.net_bytes_per_s;
	b->limits = l;
	b->no_temp = b->profile.no_temp;
	return r;
}

/* ---- its network ---- */

/* --allow HOST:PORT,... as rules, a line each. */
static int read_allowed(const struct command *c, const char *allow, struct buf *list)
{
	char rule[300];
	struct err e;
	for (const char *p = allow; p && *p; p += strcspn(p, ","), p += *p == ',') {
		char normal[NET_RULE_TEXT];
		snprintf(rule, sizeof rule, "%.*s", (int)strcspn(p, ","), p);
		if (net_rule_normal(rule, normal, &e) < 0)
			return opts_wrong(c, "--allow: %s", e.msg);
		buf_printf(list, "%s\n", normal);
	}
	return list->fail ? opts_wrong(c, "--allow is too long") : 0;
}

/* What the command says, narrowed by its profile, or the profile's. */
static int take_network(const struct command *c, struct boxed *b)
{
	enum sandbox_network said = b->profile_name ? b->profile.network : NETWORK_NONE;
	autobuf struct buf list, both;
	buf_init(&list, SANDBOX_DESTINATIONS_MAX - 1);
	buf_init(&both, sizeof b->destinations - 1);
	if (b->network)
		sandbox_network_parse(b->network, &said);
	if (b->allow && !b->network && !b->profile_name)
		said = NETWORK_RESTRICTED;
	int r = read_allowed(c, b->allow, &list);
	if (r == 0 && list.len && said != NETWORK_RESTRICTED)
		r = opts_wrong(c, "--allow is for --network Restricted");
	if (r != 0)
		return r;
	enum sandbox_network most = b->profile_name ? b->profile.network : NETWORK_FULL;
	if (said > most)
		return opts_wrong(c, "--network %s is more than its profile's %s", sandbox_network_name(said),
				  sandbox_network_name(most));
	sandbox_network_join(most, b->profile.destinations, said, list.data, &b->mode, &both);
	memcpy(b->destinations, both.data, both.len + 1);
	return 0;
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
	if (b->network && sandbox_network_parse(b->network, &(enum sandbox_network){0}) < 0)
		return opts_wrong(c, "--network '%s'; one of None, Restricted, Full", b->network);
	if (b->agent && b->tier == TIER_NONE)
		return opts_wrong(c, "tier None has the machine's files, and no view");
	if (b->agent && (!name_ok(b->agent, strlen(b->agent))))
		return opts_wrong(c, "--view '%s' is no agent's name", b->agent);
	if ((b->network || b->allow) && b->tier == TIER_NONE)
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

/* What was refused, so that who runs it need not guess why it fails. */
static void on_connect(void *arg, uint64_t id, const struct sandbox_connect *m)
{
	struct net_host h = {0};
	char to[NET_TARGET_TEXT];
	(void)arg, (void)id;
	snprintf(h.name, sizeof h.name, "%s", m->host);
	net_target_text(&h, m->port, to);
	if (!m->number && !m->allowed)
		fprintf(stderr, "symbi: SEC_001 connection to %s refused: %s\n", to, m->why);
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
	size_t n = OWN_VARS - 1;
	const char *env[OWN_VARS + PROXY_VARS + 1] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", home};
	snprintf(home, sizeof home, "HOME=%s", b->cwd);
	if (term && snprintf(terminal, sizeof terminal, "TERM=%s", term) < (int)sizeof terminal)
		env[n++] = terminal;
	for (size_t i = 0; b->mode == NETWORK_RESTRICTED && sandbox_proxy_env[i]; i++)
		env[n++] = sandbox_proxy_env[i];
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
		.image = b->image,
		.network = b->mode,
		.destinations = b->destinations,
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
	static const struct sandbox_events events = {
		.started = on_started, .ended = on_ended, .connects = on_connect, .lost = on_lost};
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

static void discard(const struct boxed *b)
{
	if (b->state[0] && access(b->state, F_OK) == 0) { /* it never started, or was killed */
		spawn_server_cleanup(b->state, NULL);
		spawn_server_discard(b->state);
	}
}

static int run(struct boxed *b, struct err *e)
{
	int r = 0;
	int sock = r < 0 ? r : spawn_server_start(b->state, NULL, true, &b->spawner, e);
	if (sock >= 0) {
		r = serve(b, sock, e);
		waitpid(b->spawner, NULL, 0); /* what was started is gone then, and the directory with it */
	} else {
		r = sock;
	}
	if (r == 0 && b->lost)
		r = err_set(e, ERR_SPAWN_LOST, "the spawner of this run ended, and the program with it");
	discard(b);
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
	return r->code < EXIT_SIGNAL ? EXIT_SIGNAL + r->code : r->code; /* a shell has said it already */
}

int cmd_sandbox(const struct command *c, int argc, char **argv)
{
	struct boxed b = {0};
	struct err e = {0};
	const struct opt none[] = {{NULL, NULL, NULL}};
	const struct opt opts[] = {{"tier", &b.tier_name, NULL}, {"driver", &b.driver, NULL}, {"image", &b.image, NULL},         {"network", &b.network, NULL}, {"allow", &b.allow, NULL},
				   {"dir", &b.dir, NULL},                {"max-memory", &b.memory, NULL},
				   {"profile", &b.profile_name, NULL},
				   {"max-cpu", &b.cpu, NULL},            {"max-processes", &b.processes, NULL},
				   {"view", &b.agent, NULL},             {"mount", &b.where.mount, NULL},
				   WHERE_SOCKET_OPTS(b.where),
				   {"allow-degraded", NULL, &b.degraded}, {NULL, NULL, NULL}};
	int at = opts_read(c, argc, argv, none, 1, OPTS_COMMAND);
	if (at < 0)
		return CLI_USAGE;
	if (strcmp(argv[at], "image") == 0)
		return sandbox_image(c, argc - at, argv + at);
	if (strcmp(argv[at], "run") != 0)
		return opts_wrong(c, "'%s' is not known; `symbi sandbox run` and `symbi sandbox image build` are", argv[at]);
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
	if (make_place(&b, &e) < 0 || take_profile(&b, &e) < 0) {
		discard(&b);
		return say_failed(&e);
	}
	if (take_network(c, &b) != 0) {
		discard(&b);
		return CLI_USAGE;
	}
	return run(&b, &e) < 0 ? say_failed(&e) : status_of(&b);
}
