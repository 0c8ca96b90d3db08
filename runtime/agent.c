/* SPDX-License-Identifier: MIT */
/* agent.c - agents by name and serial: create, change, rename, delete, find. L2; loop thread only. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/metric.h"
#include "lib/parse.h"
#include "runtime/runtime_i.h"
#include "sandbox/spec.h"

void agent_dir(const struct agent *a, char *out, size_t cap)
{
	snprintf(out, cap, "%s/agents/%u", a->rt->state_dir, a->serial);
}

struct agent *agent_add(struct runtime *rt, const char *name, uint32_t serial)
{
	if (rt->agents_n == rt->agents_cap) {
		size_t cap = rt->agents_cap ? rt->agents_cap * 2 : 64;
		struct agent **p = realloc(rt->agents, cap * sizeof(struct agent *));
		if (!p)
			return NULL;
		rt->agents = p;
		rt->agents_cap = cap;
	}
	struct agent *a = calloc(1, sizeof *a);
	if (!a || !(a->name = strdup(name))) {
		free(a);
		return NULL;
	}
	a->rt = rt;
	a->serial = serial;
	a->runs_end = &a->runs;
	a->next_run = 1;
	a->stdin_fd = -1;
	map_put(&rt->by_name, a->name, a);
	rt->agents[rt->agents_n++] = a; /* serials only grow */
	rt->live++;
	if (serial >= rt->next_serial)
		rt->next_serial = serial + 1;
	metric_set(METRIC_AGENTS, (int64_t)rt->live);
	if (!rt->replaying) {
		char dir[4096];
		snprintf(dir, sizeof dir, "%s/agents", rt->state_dir);
		mkdir(dir, 0711);
		agent_dir(a, dir, sizeof dir);
		mkdir(dir, 0711);
	}
	return a;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static size_t index_of(const struct runtime *rt, uint64_t serial)
{
	size_t lo = 0, hi = rt->agents_n;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (rt->agents[mid]->serial < serial)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void agent_drop(struct agent *a)
{
	struct runtime *rt = a->rt;
	char dir[4096];
	agent_dir(a, dir, sizeof dir);
	while (a->runs) {
		struct run *r = a->runs;
		if (r->state == RUN_RUNNING && !rt->replaying) {
			sandbox_kill(rt->spawn, (uint64_t)a->serial << 32 | r->number, NULL);
			rt->running--;
			rt->memory_mb_used -= r->held_mb;
			rt->cpu_used -= r->held_cpu;
		}
		if (r->state != RUN_DONE) {
			err_set(&r->failure, ERR_AGENT_NOT_FOUND, "the agent was deleted");
			r->state = RUN_DONE;
			while (r->waiters) {
				struct run_waiter *w = r->waiters;
				run_wait_cancel(w);
				w->fn(w, r);
			}
		}
		run_remove(r);
	}
	if (!rt->replaying)
		nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	size_t i = index_of(rt, a->serial);
	memmove(&rt->agents[i], &rt->agents[i + 1], (--rt->agents_n - i) * sizeof(struct agent *));
	map_del(&rt->by_name, a->name);
	rt->live--;
	metric_set(METRIC_AGENTS, (int64_t)rt->live);
	timer_free(a->timer);
	if (a->stdin_fd >= 0)
		close(a->stdin_fd);
	agent_spec_free(a->spec);
	free(a->name);
	free(a->file);
	free(a->text);
	free(a);
}

/* ---- finding ---- */

struct agent *agent_find(struct runtime *rt, const char *name, size_t len)
{
	return map_get(&rt->by_name, name, len);
}

struct agent *agent_by_serial(struct runtime *rt, uint64_t serial)
{
	size_t i = index_of(rt, serial);
	return i < rt->agents_n && rt->agents[i]->serial == serial ? rt->agents[i] : NULL;
}

struct agent *agent_next(struct runtime *rt, uint64_t after)
{
	size_t i = index_of(rt, after + 1);
	return i < rt->agents_n ? rt->agents[i] : NULL;
}

size_t agent_count(const struct runtime *rt)
{
	return rt->live;
}

const char *agent_name(const struct agent *a)
{
	return a->name;
}

const char *agent_file_name(const struct agent *a)
{
	return a->file;
}

uint64_t agent_serial(const struct agent *a)
{
	return a->serial;
}

const char *agent_id(const struct agent *a)
{
	return a->id;
}

enum agent_state agent_state(const struct agent *a)
{
	return a->state;
}

uid_t agent_uid(const struct agent *a)
{
	return a->uid;
}

gid_t agent_gid(const struct agent *a)
{
	return a->gid;
}

mode_t agent_mode_bits(const struct agent *a)
{
	return a->mode;
}

uint64_t agent_mtime_ms(const struct agent *a)
{
	return a->mtime_ms;
}

uint64_t agent_ctime_ms(const struct agent *a)
{
	return a->ctime_ms;
}

size_t agent_text_len(const struct agent *a)
{
	return a->text_len;
}

int agent_text(struct runtime *rt, struct agent *a, struct buf *out, struct err *e)
{
	(void)rt;
	return buf_add(out, a->text, a->text_len) < 0 ? err_set(e, ERR_SYS_MEMORY, "no memory") : 0;
}

/* ---- commands ---- */

/* Everything that can be wrong with a spec in this place. */
static int check(struct runtime *rt, const char *file, const char *text, size_t len,
		 struct agent_spec **ret, bool *unfinished, struct err *e)
{
	enum value_format f;
	enum sandbox_tier tier = TIER_1;
	bool more = false;
	sandbox_tier_parse(config_str(rt->config, "security.default_sandbox_tier"), &tier);
	if (value_format_of(file, &f) < 0)
		return err_set(e, ERR_AGENT_NAME, "'%s' is not a spec's name: NAME.yaml, .yml, .json or "
			       ".toml", file);
	int r = agent_spec_parse(f, text, len, tier, ret, &more, e);
	if (unfinished)
		*unfinished = more;
	if (r < 0)
		return r;
	struct agent_spec *s = *ret;
	if (s->name && strncmp(s->name, file, (size_t)(strrchr(file, '.') - file)) != 0)
		r = err_set(e, ERR_AGENT_NAME, "the spec's name '%s' is not the file's, '%s'", s->name,
			    file);
	else if (s->tier != TIER_NONE)
		r = sandbox_tier_available(s->tier, e);
	else if (!config_bool(rt->config, "security.allow_native_execution"))
		r = err_set(e, ERR_SEC_VIOLATION,
			    "tier None is switched off; set security.allow_native_execution = true "
			    "(or SYMBIONT_ALLOW_NATIVE_EXECUTION=true) where agents may run without a "
			    "wall");
	if (r < 0) {
		/* A tier may still follow in what is not written yet. */
		if (unfinished)
			*unfinished = !s->tier_given && f != VALUE_JSON;
		agent_spec_free(take_ptr(*ret));
	}
	return r;
}

int agent_check(struct runtime *rt, const char *file_name, const char *text, size_t len,
		bool *unfinished, struct err *e)
{
	struct agent_spec *s = NULL;
	int r = check(rt, file_name, text, len, &s, unfinished, e);
	agent_spec_free(s);
	return r;
}

static void new_id(char out[static 37])
{
	unsigned char b[16];
	randombytes_buf(b, sizeof b);
	b[6] = (b[6] & 0x0f) | 0x40; /* RFC 9562, version 4 */
	b[8] = (b[8] & 0x3f) | 0x80;
	snprintf(out, 37,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
}

int agent_put(struct runtime *rt, const struct actor *who, const char *file, const char *text,
	      size_t len, bool excl, struct runtime_done done, struct err *e)
{
	struct agent_spec *s = NULL;
	char id[37], name[NAME_LEN_MAX + 1];
	const char *dot = strrchr(file, '.');
	if (!dot || !name_ok(file, (size_t)(dot - file)))
		return err_set(e, ERR_AGENT_NAME, "'%s' is not a spec's name", file);
	snprintf(name, sizeof name, "%.*s", (int)(dot - file), file);
	struct agent *a = agent_find(rt, name, strlen(name));
	int r = check(rt, file, text, len, &s, NULL, e);
	if (r == 0 && rt->stopping)
		r = err_set(e, ERR_SYS_STOPPING, "the daemon is stopping");
	if (r == 0 && a && excl)
		r = err_set(e, ERR_AGENT_EXISTS, "agent '%s' exists", name);
	else if (r == 0 && a && strcmp(a->file, file) != 0)
		r = err_set(e, ERR_AGENT_EXISTS, "agent '%s' exists, its spec is '%s'", name, a->file);
	else if (r == 0 && a)
		r = runtime_authorize(rt, who, "agent.create", a->uid, a->gid, a->mode, 2, e);
	else if (r == 0 && rt->live >= config_u64(rt->config, "lifecycle.max_agents"))
		r = err_set(e, ERR_RESOURCE_SHORT, "lifecycle.max_agents: %zu agents exist", rt->live);
	if (r < 0) {
		agent_spec_free(s);
		return r;
	}
	new_id(id);
	json_t *b = json_pack("{s:s,s:s,s:s%,s:i,s:i,s:i,s:i}", "file", file, "id",
			      a ? a->id : s->id ? s->id : id, "text", text, len, "serial",
			      a ? a->serial : rt->next_serial, "uid", a ? a->uid : who->uid, "gid",
			      a ? a->gid : who->gid, "mode", a ? a->mode : 0644);
	agent_spec_free(s);
	if (!b)
		return err_set(e, ERR_TEXT_SYNTAX, "the text is not UTF-8");
	r = record(rt, who, REC_AGENT_PUT, name, b, done, e);
	if (r == 0 && !a) {
		a = agent_find(rt, name, strlen(name));
		agent_move(a, AGENT_INITIALIZING, NULL);
		agent_move(a, AGENT_READY, NULL);
	}
	if (r == 0)
		agent_start(a);
	return r;
}

static int may_change(struct runtime *rt, const struct actor *who, const struct agent *a,
		      struct err *e)
{
	return runtime_authorize(rt, who, "agent.control", a->uid, a->gid, a->mode & 0700, 2, e);
}

int agent_delete(struct runtime *rt, const struct actor *who, struct agent *a,
		 struct runtime_done done, struct err *e)
{
	int r = may_change(rt, who, a, e);
	return r < 0 ? r : record(rt, who, REC_AGENT_DELETE, a->name, json_object(), done, e);
}

int agent_rename(struct runtime *rt, const struct actor *who, struct agent *a, const char *new_file,
		 bool replace, struct runtime_done done, struct err *e)
{
	const char *dot = strrchr(new_file, '.');
	struct agent_spec *s = NULL;
	struct agent *there = agent_find(rt, new_file, (size_t)(dot - new_file));
	int r = may_change(rt, who, a, e);
	if (r == 0 && a->active)
		r = err_set(e, ERR_AGENT_STATE, "agent '%s' is running; stop it first", a->name);
	if (r == 0 && there && there != a && !replace)
		r = err_set(e, ERR_AGENT_EXISTS, "'%s' exists", new_file);
	if (r == 0 && there && there != a)
		r = may_change(rt, who, there, e);
	if (r == 0) /* another suffix may be another format */
		r = check(rt, new_file, a->text, a->text_len, &s, NULL, e);
	agent_spec_free(s);
	return r < 0 ? r : record(rt, who, REC_AGENT_RENAME, a->name,
				  json_pack("{s:s}", "to", new_file), done, e);
}

int agent_chown(struct runtime *rt, const struct actor *who, struct agent *a, uid_t uid, gid_t gid,
		mode_t mode, struct runtime_done done, struct err *e)
{
	int r = may_change(rt, who, a, e);
	uid = uid == (uid_t)-1 ? a->uid : uid;
	gid = gid == (gid_t)-1 ? a->gid : gid;
	mode = mode == (mode_t)-1 ? a->mode : mode & 0777;
	if (r == 0 && who->uid != 0 && (uid != a->uid || (gid != a->gid && gid != who->gid)))
		r = err_set(e, ERR_FS_MODE, "only root may give an agent away");
	if (r == 0 && uid == a->uid && gid == a->gid && mode == a->mode) {
		done.fn(done.arg, NULL);
		return 0;
	}
	return r < 0 ? r : record(rt, who, REC_AGENT_ATTR, a->name,
				  json_pack("{s:i,s:i,s:i}", "uid", uid, "gid", gid, "mode", mode),
				  done, e);
}

int agent_set_limit(struct runtime *rt, const struct actor *who, struct agent *a, const char *key,
		    const char *text, struct runtime_done done, struct err *e)
{
	struct agent_limits trial = a->spec->limits;
	int r = agent_limit_set(&trial, key, text, e);
	return r < 0 ? r : record(rt, who, REC_AGENT_LIMIT, a->name,
				  json_pack("{s:s,s:s}", "key", key, "value", text), done, e);
}

/* ---- texts and files ---- */

int agent_file_path(struct runtime *rt, struct agent *a, enum agent_file f, char *out, size_t cap)
{
	static const char *const names[] = {"stdout", "stderr", "log", "events"};
	snprintf(out, cap, "%s/agents/%u/%s", rt->state_dir, a->serial, names[f]);
	return 0;
}

void agent_log(struct agent *a, const char *text)
{
	char path[4096], line[600], when[32];
	time_t now = time(NULL);
	struct tm tm;
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	agent_file_path(a->rt, a, AGENT_LOG, path, sizeof path);
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	int n = snprintf(line, sizeof line, "%s %.500s\n", when, text);
	if (fd >= 0 && write(fd, line, (size_t)n) < 0)
		return; /* a full disk; the journal has the fact */
}

void agent_set_error(struct agent *a, const struct err *e)
{
	snprintf(a->error, sizeof a->error, "%s %s", err_code_name(e->code), e->msg);
	agent_log(a, a->error);
}

int agent_render_error(struct runtime *rt, struct agent *a, struct buf *out)
{
	(void)rt;
	return a->error[0] ? buf_printf(out, "%s\n", a->error) : 0;
}

int agent_render_tier(struct runtime *rt, struct agent *a, struct buf *out)
{
	(void)rt;
	return buf_printf(out, "%s\n", sandbox_tier_name(a->spec->tier));
}

int agent_render_pid(struct runtime *rt, struct agent *a, struct buf *out)
{
	(void)rt;
	return a->main && a->main->pid ? buf_printf(out, "%d\n", a->main->pid) : 0;
}

int agent_render_limit(struct runtime *rt, struct agent *a, const char *key, struct buf *out)
{
	(void)rt;
	return agent_limit_get(&a->spec->limits, key, out);
}

const char *const agent_usage_keys[] = {"cpu_seconds", "wall_seconds", "memory_peak_mb",
					"runs_total",  "runs_failed",  NULL};

int agent_render_usage(struct runtime *rt, struct agent *a, const char *key, struct buf *out)
{
	(void)rt;
	double cpu = 0, wall = 0, peak = 0;
	unsigned failed = 0;
	for (struct run *r = a->runs; r; r = r->next) {
		cpu += (double)r->result.cpu_ns / 1e9;
		wall += (double)r->result.wall_ns / 1e9;
		double mb = (double)r->result.memory_peak_bytes / 1048576;
		peak = mb > peak ? mb : peak;
		failed += r->failure.code != ERR_NONE;
	}
	if (strcmp(key, "runs_total") == 0)
		return buf_printf(out, "%u\n", a->next_run - 1);
	if (strcmp(key, "runs_failed") == 0)
		return buf_printf(out, "%u\n", failed);
	double v = strcmp(key, "cpu_seconds") == 0 ? cpu : strcmp(key, "wall_seconds") == 0 ? wall : peak;
	return buf_printf(out, "%.3f\n", v);
}

int agent_render_status(struct runtime *rt, struct agent *a, struct buf *out)
{
	buf_printf(out, "name %s\nid %s\nstate %s\nmode %s\ntier %s\npriority %s\n", a->name, a->id,
		   agent_state_name(a->state), agent_mode_name(a->spec->mode),
		   sandbox_tier_name(a->spec->tier), agent_priority_name(a->spec->priority));
	if (a->main && a->main->pid)
		buf_printf(out, "pid %d\n", a->main->pid);
	buf_printf(out, "owner %u\nruns_total %u\nruns_running %u\nruns_queued %u\nrestarts %u\n",
		   a->uid, a->next_run - 1, a->active, a->queued, a->restarts);
	for (struct run *r = a->runs; r; r = r->next)
		if (r->state == RUN_QUEUED && r->waits_for[0]) {
			buf_printf(out, "waits_for %s\n", r->waits_for);
			break;
		}
	buf_printf(out, "enforced rlimits%s%s%s\n", rt->caps.memory ? " memory" : "",
		   rt->caps.cpu ? " cpu" : "", rt->caps.pids ? " pids" : "");
	if (a->error[0])
		buf_printf(out, "error %s\n", a->error);
	return out->fail;
}
