/* SPDX-License-Identifier: MIT */
/* agent.c - commands on agents: create, change, rename, give away, delete; and their application. L2;
 * loop thread only. */
#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/parse.h"
#include "runtime/runtime_i.h"
#include "sandbox/spec.h"

/* ---- checks ---- */

static int check_tier(const struct runtime *rt, const struct agent_spec *s, struct err *e)
{
	if (s->tier != TIER_NONE)
		return sandbox_tier_available(s->tier, s->allow_degraded, e);
	if (config_bool(rt->config, "security.allow_native_execution"))
		return 0;
	return err_set(e, ERR_SEC_VIOLATION,
		       "tier None is switched off; set security.allow_native_execution = true (or "
		       "SYMBIONT_ALLOW_NATIVE_EXECUTION=true) where agents may run without a wall");
}

struct agent_spec_place agent_place(const struct runtime *rt)
{
	struct agent_spec_place place = {
		.tier = TIER_1,
		.runtime = config_str(rt->config, "native_execution.default_executable"),
		.max_restarts = (unsigned)config_u64(rt->config, "lifecycle.max_restart_attempts"),
	};
	sandbox_tier_parse(config_str(rt->config, "security.default_sandbox_tier"), &place.tier);
	return place;
}

/* Everything that can be wrong with a spec in this place. *ret is the caller's. */
static int check(const struct runtime *rt, const char *file, const char *text, size_t len,
		 struct agent_spec **ret, bool *unfinished, struct err *e)
{
	enum value_format f;
	struct agent_spec_place place = agent_place(rt);
	bool more = false;
	if (value_format_of(file, &f) < 0)
		return err_set(e, ERR_AGENT_NAME,
			       "'%s' is not a spec's name: NAME.yaml, .yml, .json or .toml", file);
	autofree char *name = strndup(file, (size_t)(strrchr(file, '.') - file));
	if (!name)
		return err_set(e, ERR_SYS_MEMORY, "no memory for a spec");
	place.name = name;
	int r = agent_spec_read(f, text, len, &place, ret, &more, e);
	if (r == 0 && (r = check_tier(rt, *ret, e)) < 0) {
		more = !(*ret)->tier_given && !(*ret)->closed; /* a tier may still follow */
		agent_spec_free(take_ptr(*ret));
	}
	if (unfinished)
		*unfinished = more;
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

static int may_change(struct runtime *rt, const struct actor *who, const struct agent *a, const char *action,
		      struct err *e)
{
	return runtime_authorize(rt, who, action, a->name, a->uid, a->gid, a->mode_bits & 0700, W_OK,
				 e);
}

/* ---- create and change ---- */

static void new_id(char out[static 37])
{
	unsigned char b[16];
	randombytes_buf(b, sizeof b);
	b[6] = (b[6] & 0x0f) | 0x40; /* RFC 9562, version 4 */
	b[8] = (b[8] & 0x3f) | 0x80;
	char hex[33];
	sodium_bin2hex(hex, sizeof hex, b, sizeof b);
	snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

static int may_put(struct runtime *rt, const struct actor *who, const char *file, struct agent *a,
		   bool excl, struct err *e)
{
	if (rt->stopping)
		return err_set(e, ERR_SYS_STOPPING, "the daemon is stopping");
	if (a && excl)
		return err_set(e, ERR_AGENT_EXISTS, "agent '%s' exists", a->name);
	if (a && strcmp(a->file, file) != 0)
		return err_set(e, ERR_AGENT_EXISTS, "agent '%s' exists, its spec is '%s'", a->name,
			       a->file);
	if (a)
		return runtime_authorize(rt, who, "agent.create", a->name, a->uid, a->gid, a->mode_bits, W_OK, e);
	if (rt->count >= config_u64(rt->config, "lifecycle.max_agents"))
		return err_set(e, ERR_RESOURCE_SHORT,
			       "lifecycle.max_agents: %zu agents exist; remove some or raise it",
			       rt->count);
	autofree char *name = strndup(file, (size_t)(strrchr(file, '.') - file));
	return runtime_authorize(rt, who, "agent.create", name, who->uid, who->gid, 0600, W_OK, e);
}

/* A new text for an agent that exists: a process that runs goes on with the new one. */
static void after_change(struct agent *a, bool text_changed)
{
	if (a->state == AGENT_FAILED && agent_move(a, AGENT_INITIALIZING, "spec changed") == 0)
		agent_move(a, AGENT_READY, NULL);
	if (a->live && a->live->process && text_changed) {
		a->live->restart_wanted = a->mode == MODE_PERSISTENT;
		agent_end_all(a, ERR_SCHED_ENDED, "its spec was changed");
		return;
	}
	agent_begin(a);
}

int agent_put(struct runtime *rt, const struct actor *who, const char *file, const char *text,
	      size_t len, bool excl, struct runtime_done done, struct err *e)
{
	struct agent_spec *s = NULL;
	char id[37];
	const char *dot = strrchr(file, '.');
	if (!dot || !name_ok(file, (size_t)(dot - file)))
		return err_set(e, ERR_AGENT_NAME, "'%s' is not a spec's name: NAME.yaml with letters, "
			       "digits, '.', '_' and '-'", file);
	struct agent *a = agent_find(rt, file, (size_t)(dot - file));
	int r = check(rt, file, text, len, &s, NULL, e);
	if (r == 0)
		r = may_put(rt, who, file, a, excl, e);
	if (r < 0) {
		agent_spec_free(s);
		return r;
	}
	autofree char *copy = strndup(text, len);
	autofree char *name = strndup(file, (size_t)(dot - file));
	if (!copy || !name) {
		agent_spec_free(s);
		return err_set(e, ERR_SYS_MEMORY, "no memory for the spec");
	}
	new_id(id);
	bool changed = a && strcmp(a->text, copy) != 0;
	struct facts f = {.type = REC_PUT,
			  .object = name,
			  .serial = a ? a->serial : rt->serial_last + 1,
			  .file = file,
			  .id = s->id ? s->id : a ? a->id : id,
			  .uid = a ? a->uid : who->uid,
			  .gid = a ? a->gid : who->gid,
			  .mode = a ? a->mode_bits : 0644,
			  .fresh = !a,
			  .tier = sandbox_tier_name(s->tier),
			  .text = copy,
			  .spec = s};
	r = record(rt, who, &f, done, e);
	if (r == 0 && (a = agent_by_serial(rt, f.serial))) {
		if (f.fresh)
			agent_begin(a);
		else
			after_change(a, changed);
	}
	return r;
}

static void derive(struct agent *a, const struct agent_spec *s)
{
	a->mode = (uint8_t)s->mode;
	a->tier = (uint8_t)s->tier;
	a->priority = (uint8_t)s->priority;
	a->interval_ms = s->interval_ms;
	free(a->topic);
	a->topic = s->topic ? strdup(s->topic) : NULL;
}

void agent_apply_put(struct runtime *rt, const struct facts *f)
{
	struct agent *a = agent_by_serial(rt, f->serial);
	struct agent_spec *parsed = NULL;
	struct err e = {0};
	char *text = strdup(f->text ? f->text : "");
	if (!text || (!a && !(a = agent_add(rt, f->serial, f->file))))
		abort(); /* journalled; memory that differs from the journal must not serve */
	agent_spec_drop(a);
	free(a->text);
	a->text = text;
	a->text_len = (uint32_t)strlen(text);
	if (f->id != a->id) /* an update without an id of its own names the agent's */
		snprintf(a->id, sizeof a->id, "%s", f->id ? f->id : "");
	a->uid = f->uid;
	a->gid = f->gid;
	a->mode_bits = (uint16_t)f->mode;
	a->mtime_ms = f->time_ms;
	free(take_ptr(a->limits)); /* the spec rules again */
	if (f->fresh) {
		/* A checked spec is all that initialization asks for: Created and Initializing pass
		 * within this one act. */
		a->state = AGENT_READY;
		a->created_ms = a->ctime_ms = f->time_ms;
		a->created_seq = f->seq;
	}
	enum sandbox_tier tier = agent_place(rt).tier; /* as it was when the spec left it out */
	if (f->tier)
		sandbox_tier_parse(f->tier, &tier);
	a->tier = (uint8_t)tier;
	if (f->spec || agent_spec_of(a, &parsed, &e) == 0) {
		derive(a, f->spec ? f->spec : parsed);
	} else { /* replay of a text that this version refuses: kept, not run */
		a->state = AGENT_FAILED;
		agent_set_error(a, &e);
	}
	agent_spec_free(parsed);
	agent_topics_update(a);
}

/* ---- delete, rename, owner, limits ---- */

int agent_delete(struct runtime *rt, const struct actor *who, struct agent *a,
		 struct runtime_done done, struct err *e)
{
	int r = may_change(rt, who, a, "agent.delete", e);
	struct facts f = {.type = REC_DELETE, .object = a->name, .serial = a->serial};
	autofree char *name = strdup(a->name); /* applying frees the agent's */
	f.object = name ? name : "";
	return r < 0 ? r : record(rt, who, &f, done, e);
}

void agent_apply_delete(struct agent *a)
{
	struct runtime *rt = a->rt;
	char dir[AGENT_DIR_MAX], key[40];
	store_agent_key(a->serial, key);
	store_forget(rt, key);
	for (size_t i = 0; a->live && i < a->live->runs_n; i++) {
		store_run_key(a->serial, a->live->runs[i]->number, key);
		store_forget(rt, key);
	}
	approvals_withdraw(rt, a->serial, 0);
	memory_agent_gone(rt, a->serial);
	files_agent_gone(rt, a->serial, rt->replaying ? 0 : journal_last_seq(rt->journal));
	agent_dir(a, dir);
	agent_remove(a);
	trash(rt, dir);
	queue_fill(rt);
}

int agent_rename(struct runtime *rt, const struct actor *who, struct agent *a, const char *new_file,
		 bool replace, struct runtime_done done, struct err *e)
{
	struct agent_spec *s = NULL;
	const char *dot = strrchr(new_file, '.');
	if (!dot || !name_ok(new_file, (size_t)(dot - new_file)))
		return err_set(e, ERR_AGENT_NAME, "'%s' is not a spec's name", new_file);
	struct agent *there = agent_find(rt, new_file, (size_t)(dot - new_file));
	int r = may_change(rt, who, a, "agent.control", e);
	if (r == 0 && a->live && a->live->running)
		r = err_set(e, ERR_AGENT_STATE, "agent '%s' is running; `echo stop > ctl` first",
			    a->name);
	if (r == 0 && there && there != a && (!replace || strcmp(there->file, new_file) != 0))
		r = err_set(e, ERR_AGENT_EXISTS, "agent '%s' exists, its spec is '%s'", there->name,
			    there->file);
	if (r == 0 && there && there != a)
		r = may_change(rt, who, there, "agent.delete", e);
	if (r == 0) /* another suffix may be another format; a name in the text must be the file's */
		r = check(rt, new_file, a->text, a->text_len, &s, NULL, e);
	agent_spec_free(s);
	autofree char *name = strdup(a->name);
	struct facts f = {.type = REC_RENAME, .object = name, .serial = a->serial, .file = new_file};
	return r < 0 ? r : record(rt, who, &f, done, e);
}

void agent_apply_rename(struct agent *a, const char *file)
{
	const char *dot = strrchr(file, '.');
	struct agent *there = agent_find(a->rt, file, dot ? (size_t)(dot - file) : strlen(file));
	if (there && there != a)
		agent_apply_delete(there);
	if (agent_set_file(a, file) < 0)
		abort(); /* journalled; see agent_apply_put */
}

int agent_chown(struct runtime *rt, const struct actor *who, struct agent *a, uid_t uid, gid_t gid,
		mode_t mode, struct runtime_done done, struct err *e)
{
	int r = may_change(rt, who, a, "agent.control", e);
	uid = uid == (uid_t)-1 ? a->uid : uid;
	gid = gid == (gid_t)-1 ? a->gid : gid;
	mode = mode == (mode_t)-1 ? a->mode_bits : mode & 0777;
	if (r == 0 && who->uid != 0 && (uid != a->uid || (gid != a->gid && gid != who->gid)))
		r = err_set(e, ERR_FS_MODE, "only root may give an agent away");
	if (r == 0 && uid == a->uid && gid == a->gid && mode == a->mode_bits) {
		done.fn(done.arg, NULL);
		return 0;
	}
	struct facts f = {.type = REC_CHOWN, .object = a->name, .serial = a->serial, .uid = uid,
			  .gid = gid, .mode = mode};
	return r < 0 ? r : record(rt, who, &f, done, e);
}

int agent_set_limit(struct runtime *rt, const struct actor *who, struct agent *a, const char *key,
		    const char *text, struct runtime_done done, struct err *e)
{
	struct agent_limits trial = {0};
	int r = runtime_authorize(rt, who, "agent.control", a->name, a->uid, a->gid, 0600, W_OK, e);
	if (r == 0)
		r = agent_limit_set(&trial, key, text, e);
	struct facts f = {.type = REC_LIMIT, .object = a->name, .serial = a->serial, .key = key,
			  .value = text};
	if (r == 0)
		r = record(rt, who, &f, done, e);
	if (r == 0)
		limits_changed(a);
	return r;
}
