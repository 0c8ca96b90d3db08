/* SPDX-License-Identifier: MIT */
/* runtime.c - the engine as a whole: open, stop, close, authorise, the daemon's own texts and commands.
 * L2; loop thread only. */
#include "runtime/runtime.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"
#include "runtime/audit_export.h"
#include "runtime/rag.h"
#include "runtime/runtime_i.h"
#include "sandbox/spec.h"

/* ---- open ---- */

static int open_journal(struct runtime *rt, struct err *e)
{
	char dir[4096];
	snprintf(dir, sizeof dir, "%s/journal", rt->state_dir);
	struct journal_opts o = {.dir = dir,
				 .segment_bytes = config_u64(rt->config, "journal.segment_mb") << 20};
	return journal_open(&rt->journal, &o, rt->loop, kv_seq(rt->kv), record_replay, rt, e);
}

/* The signing key stands beside the state, not in the trail's directory: a copy of that is for others. */
static int open_audit(struct runtime *rt, struct err *e)
{
	char dir[4096], journal[4096], key[4096], seal[4096];
	const char *key_file = config_str(rt->config, "audit.key_file"), *to = config_str(rt->config, "audit.export");
	snprintf(dir, sizeof dir, "%s/audit", rt->state_dir);
	snprintf(journal, sizeof journal, "%s/journal", rt->state_dir);
	snprintf(key, sizeof key, "%s/audit.key", rt->state_dir);
	snprintf(seal, sizeof seal, "%s/audit.seal", rt->state_dir);
	struct audit_opts o = {.dir = dir,
			       .journal_dir = journal,
			       .key_file = *key_file ? key_file : key,
			       .seal_file = seal,
			       .export_to = to,
			       .journal = rt->journal,
			       .loop = rt->loop,
			       .every_records = config_u64(rt->config, "audit.checkpoint_records"),
			       .every_ms = config_ms(rt->config, "audit.checkpoint_interval"),
			       .type_name = record_type_name,
			       .agent_of = record_agent,
			       .redact = secrets_redact};
	int r = audit_export_check(to, e);
	return r < 0 ? r : audit_open(&rt->audit, &o, e);
}

static void say(struct runtime *rt, const char *what)
{
	struct facts f = {.type = REC_DAEMON, .object = "daemon", .why = what};
	record(rt, &actor_self, &f, done_nobody, NULL);
}

static struct runtime *make(const struct runtime_opts *o)
{
	struct runtime *rt = calloc(1, sizeof *rt);
	if (!rt)
		return NULL;
	rt->loop = o->loop;
	rt->config = o->config;
	rt->worker_restarts = o->worker_restarts;
	rt->resumed = o->resumed;
	rt->boot_ms = clock_wall_ms();
	rt->events_fd = -1;
	rt->state_dir = strdup(o->state_dir);
	rt->mount = strdup(o->mount ? o->mount : "");
	if (!rt->state_dir || !rt->mount || timers_open(&rt->timers, o->loop) < 0) {
		free(rt->state_dir);
		free(rt->mount);
		free(rt);
		return NULL;
	}
	return rt;
}

static void apply_config(struct runtime *rt)
{
	rt->transitions = strcmp(config_str(rt->config, "journal.transitions"), "safe") == 0
				  ? JOURNAL_SAFE
				  : JOURNAL_FAST;
	quota_refresh(rt);
}

int runtime_open(struct runtime **ret, const struct runtime_opts *o, struct err *e)
{
	struct runtime *rt = make(o);
	if (!rt)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the runtime");
	apply_config(rt);
	rt->caps = (struct sandbox_caps){.why = "symbi-spawn has not answered yet"};
	int r = 0;
	if (mkdir(o->state_dir, 0700) < 0 && errno != EEXIST)
		r = err_sys(e, ERR_SYS_IO, errno, "state directory '%s'", o->state_dir);
	rt->replaying = true;
	if (r == 0)
		r = events_open(rt, e);
	if (r == 0 && o->spawn_fd >= 0)
		r = spawn_client_open(&rt->spawn, o->spawn_fd, rt->loop, &sandbox_events, rt, e);
	if (r == 0)
		r = store_open(rt, e);
	if (r == 0)
		r = open_journal(rt, e);
	if (r == 0)
		r = open_audit(rt, e);
	if (r < 0) {
		runtime_close(rt);
		return r;
	}
	bool fresh = !o->still && !journal_last_seq(rt->journal) && !kv_seq(rt->kv);
	events_cut(rt, journal_last_seq(rt->journal));
	policies_compile(rt);
	rt->replaying = false;
	approvals_start(rt);
	if (!o->still)
		secrets_start(rt);
	store_replayed(rt);
	if (!o->resumed && !o->still) {
		trash_empty(rt);
		files_sweep(rt);
	}
	if (fresh)
		policies_begin(rt);
	if (!o->still) {
		say(rt, o->resumed ? "worker restarted" : "started");
		recover(rt);
		memory_start(rt);
		rag_start(rt);
	}
	*ret = rt;
	return 0;
}

/* ---- stop and close ---- */

static void stop_now(void *arg)
{
	struct runtime *rt = arg;
	say(rt, "stopped");
	rt->stopped.fn(rt->stopped.arg, NULL);
}

void runtime_stop(struct runtime *rt, struct runtime_done done)
{
	if (rt->stopping)
		return;
	rt->stopping = true;
	rt->stopped = done;
	audit_stop_verifying(rt->audit);
	for (struct run *r = rt->active, *next; r; r = next) {
		next = r->active_next;
		run_end(r, r->process ? ERR_NONE : ERR_SYS_STOPPING, "the daemon was stopped");
	}
	uint64_t grace = config_ms(rt->config, "lifecycle.termination_timeout") + 2000;
	timer_set(&rt->timers, &rt->stop_timer, rt->tasks + rt->processes ? grace : 0, stop_now, rt);
}

void runtime_close(struct runtime *rt)
{
	if (!rt)
		return;
	if (rt->journal && !rt->replaying)
		store_close(rt);
	else
		kv_close(rt->kv);
	autofree struct rotation *rotation = secrets_rotate_stop(rt); /* until the journal is closed */
	rt->replaying = true; /* what follows is no change of state */
	spawn_client_close(rt->spawn);
	rt->spawn = NULL;
	events_close(rt);
	agents_close(rt);
	policies_close(rt);
	documents_close(rt);
	rag_stop(rt);
	files_close(rt); /* ends the work of the pool */
	rag_close(rt);
	memory_close(rt);
	approvals_close(rt);
	secrets_close(rt);
	triggers_close(rt);
	errors_close(rt);
	if (rt->audit) {
		journal_flush(rt->journal);
		audit_close(rt->audit);
		rt->audit = NULL;
	}
	journal_close(rt->journal);
	sched_done(&rt->sched);
	timers_close(&rt->timers);
	free(rt->reqs);
	free(rt->state_dir);
	free(rt->mount);
	free(rt);
}

int runtime_authorize(struct runtime *rt, const struct actor *who, const char *action, const char *object,
		      uid_t owner, gid_t group, mode_t mode, int want, struct err *e)
{
	if (who->uid == 0 || (who->uid == geteuid() && owner == geteuid()))
		return policies_ask(rt, who, action, object, want & (W_OK | X_OK), e);
	bool member = who->gid == group || groups_has(who->groups, group);
	unsigned shift = who->uid == owner ? 6 : member ? 3 : 0;
	if (((mode >> shift) & (unsigned)want) == (unsigned)want)
		return policies_ask(rt, who, action, object, want & (W_OK | X_OK), e);
	return err_set(e, ERR_FS_MODE, "uid %u may not do this (%s); the owner is uid %u", who->uid,
		       action, owner);
}

struct audit *runtime_audit(struct runtime *rt)
{
	return rt->audit;
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
		   (unsigned long long)(clock_since_ms(rt->boot_ms) / 1000));
	buf_printf(out, "mount %s\nstate_dir %s\nagents %zu\nprocesses_running %u\ntasks_running %u\n",
		   rt->mount, rt->state_dir, rt->count, rt->processes, rt->tasks);
	buf_printf(out, "memory_mb_held %llu\nmemory_mb_total %llu\ncpu_cores_held %g\n",
		   (unsigned long long)rt->quota.used.memory_mb,
		   (unsigned long long)rt->quota.total.memory_mb,
		   (double)rt->quota.used.cpu_millis / 1000);
	if (rt->quota.total.cpu_millis)
		buf_printf(out, "cpu_cores_total %g\n", (double)rt->quota.total.cpu_millis / 1000);
	buf_printf(out, "journal_seq %llu\nstore_seq %llu\n",
		   (unsigned long long)journal_last_seq(rt->journal),
		   (unsigned long long)kv_seq(rt->kv));
	buf_printf(out, "policies %zu\npolicy_version %s\n", rt->documents[DOCUMENT_POLICY].n,
		   rt->policies.active ? policy_set_version(rt->policies.active) : "none");
	render_enforced(rt, false, out);
	buf_printf(out, "cgroups %s\nkill %s\nfreeze %s\n",
		   c->cgroup_version == 2 ? "v2" : c->cgroup_version == 1 ? "v1" : "none",
		   c->kill ? "cgroup" : "session", c->freeze ? "cgroup" : "signal");
	if (c->why[0])
		buf_printf(out, "why %s\n", c->why);
	return out->fail;
}

int runtime_render_health(struct runtime *rt, struct buf *out)
{
	if (rt->stopping)
		return buf_adds(out, "stopping\n");
	if (!rt->policies.active)
		return buf_printf(out, "the stored policies do not load, only root may act: %s\n", rt->policies.why.msg);
	size_t before = out->len;
	audit_render_trouble(rt->audit, out);
	if (out->len > before)
		return out->fail;
	return buf_adds(out, rt->spawn && !rt->spawn_lost ? "ok\n" : "no spawner: agents cannot be started\n");
}

static void render_drivers(enum sandbox_tier t, struct buf *out)
{
	char text[SANDBOX_LAYERS_TEXT];
	struct err e;
	for (const struct sandbox_driver *const *d = sandbox_drivers; *d; d++) {
		struct sandbox_layers l = {0};
		if ((*d)->tier != t || (*d)->available(&l, &e) < 0)
			continue;
		sandbox_layers_text(&l, l.active, text);
		buf_printf(out, " %s: %s", (*d)->name, text);
	}
}

/* A line for each that cannot, with the reason. */
static void render_missing(enum sandbox_tier t, struct buf *out)
{
	for (const struct sandbox_driver *const *d = sandbox_drivers; *d; d++) {
		struct err e = {0};
		if ((*d)->tier == t && (*d)->available(&(struct sandbox_layers){0}, &e) < 0)
			buf_printf(out, "%s.%s no %s\n", sandbox_tier_name(t), (*d)->name, e.msg);
	}
}

int runtime_render_tiers(struct runtime *rt, struct buf *out)
{
	for (int t = TIER_NONE; t <= TIER_3; t++) {
		struct err e = {0};
		int r = sandbox_tier_available((enum sandbox_tier)t, false, &e);
		if (r == 0 && t == TIER_NONE &&
		    !config_bool(rt->config, "security.allow_native_execution"))
			r = err_set(&e, ERR_SEC_VIOLATION,
				    "switched off by security.allow_native_execution");
		buf_printf(out, "%s %s", sandbox_tier_name((enum sandbox_tier)t),
			   r == 0 ? "available" : "no");
		if (r == 0)
			render_drivers((enum sandbox_tier)t, out);
		buf_printf(out, "%s%s\n", r == 0 ? "" : " ", r == 0 ? "" : e.msg);
		render_missing((enum sandbox_tier)t, out);
	}
	render_limits_by(rt, out);
	return out->fail;
}

/* ---- ctl of the daemon ---- */

#define STOP_AFTER_MS 50 /* so that who asked has closed the file before the mount goes */

static void ask_parent(void *arg)
{
	(void)arg;
	kill(getppid(), SIGTERM); /* the parent stops the worker and does not start it again */
}

struct ctl_word { /* that somebody wrote */
	const struct actor *who;
	const char *arg;
	struct runtime_done done;
};

static int word_stop(struct runtime *rt, const struct ctl_word *w, struct err *e)
{
	(void)e;
	timer_set(&rt->timers, &rt->ask_timer, STOP_AFTER_MS, ask_parent, NULL);
	w->done.fn(w->done.arg, NULL);
	return 0;
}

static int word_log(struct runtime *rt, const struct ctl_word *w, struct err *e)
{
	(void)e;
	enum log_level level = LOG_LEVEL_INFO;
	log_level_parse(w->arg, &level);
	log_init(STDERR_FILENO, level, strcmp(config_str(rt->config, "logging.format"), "json") == 0);
	w->done.fn(w->done.arg, NULL);
	return 0;
}

static int word_reload(struct runtime *rt, const struct ctl_word *w, struct err *e)
{
	int r = runtime_reload(rt, e);
	if (r == 0)
		w->done.fn(w->done.arg, NULL);
	return r;
}

static int word_rotate(struct runtime *rt, const struct ctl_word *w, struct err *e)
{
	return secrets_rotate(rt, w->who, w->done, e);
}

static int check_level(const char *arg, struct err *e)
{
	enum log_level level;
	return log_level_parse(arg, &level) == 0
		       ? 0
		       : err_set(e, ERR_AGENT_CTL, "'%s' is no level; one of debug, info, warn, error",
				 arg);
}

static int check_nothing(const char *arg, struct err *e)
{
	return *arg ? err_set(e, ERR_AGENT_CTL, "nothing may follow, not '%s'", arg) : 0;
}

static int check_secrets(const char *arg, struct err *e)
{
	return strcmp(arg, "secrets") == 0 ? 0 : err_set(e, ERR_AGENT_CTL, "'%s' cannot be rotated; write `rotate secrets`", arg);
}

static const struct {
	const char *word;
	int (*check)(const char *arg, struct err *e);
	int (*run)(struct runtime *rt, const struct ctl_word *w, struct err *e);
} words[] = {
	{"stop", check_nothing, word_stop},
	{"reload", check_nothing, word_reload},
	{"log", check_level, word_log},
	{"rotate", check_secrets, word_rotate},
};

/* The row of a line, or -errno; arg is what follows the word. */
static int parse_ctl(const char *line, size_t len, char arg[64], struct err *e)
{
	const char *space = memchr(line, ' ', len);
	size_t n = space ? (size_t)(space - line) : len;
	snprintf(arg, 64, "%.*s", (int)(space ? (len - n - 1 < 63 ? len - n - 1 : 63) : 0),
		 space ? space + 1 : "");
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strlen(words[i].word) == n && memcmp(words[i].word, line, n) == 0) {
			int r = words[i].check(arg, e);
			return r < 0 ? r : (int)i;
		}
	return err_set(e, ERR_AGENT_CTL, "unknown command '%.*s'; one of stop, reload, log LEVEL, rotate secrets",
		       (int)(n < 64 ? n : 64), line);
}

int runtime_ctl_check(const char *line, size_t len, struct err *e)
{
	char arg[64];
	int r = parse_ctl(line, len, arg, e);
	return r < 0 ? r : 0;
}

int runtime_reload(struct runtime *rt, struct err *e)
{
	size_t n = 0;
	int r = config_reload(rt->config, e);
	if (r < 0) {
		log_err(LOG_LEVEL_ERROR, "config.refused", e, NULL, NULL);
		return r;
	}
	const struct config_change *c = config_changes(rt->config, &n);
	for (size_t i = 0; i < n; i++)
		log_info(c[i].needs_restart ? "config.waits_for_restart" : "config.changed", "key",
			 c[i].key, "value", c[i].value, NULL);
	for (const char *const *w = config_warnings(rt->config); *w; w++)
		log_warn("config.warning", "text", *w, NULL);
	apply_config(rt);
	say(rt, "settings reloaded");
	queue_fill(rt);
	return 0;
}

int runtime_ctl(struct runtime *rt, const struct actor *who, const char *line, size_t len,
		struct runtime_done done, struct err *e)
{
	char arg[64];
	int i = parse_ctl(line, len, arg, e);
	int r = i < 0 ? i
		      : runtime_authorize(rt, who, "daemon.control", NULL, geteuid(), getegid(), 0600, W_OK, e);
	if (r >= 0)
		r = words[i].run(rt, &(struct ctl_word){who, arg, done}, e);
	return r < 0 ? r : 0;
}
