/* SPDX-License-Identifier: MIT */
/* store.c - the materialised state: agents and their kept runs in LMDB, written in batches together with
 * the journal sequence that they include; at a start the journal's tail is replayed on top. L2; loop
 * thread only (the writing is on the store's own thread). */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "runtime/runtime_i.h"

#define STORE_MAP_BYTES (1ull << 30)
#define REPLAY_MAX	1000  /* records at a start, before what they changed is written at once */
#define DIRTY_MAX	20000 /* agents, before a commit does not wait for its time */

struct saved_agent {
	uint32_t uid, gid, mode_bits, state, mode, tier, priority, runs_total, runs_failed, has_dir;
	uint64_t mtime_ms, ctime_ms, created_ms, created_seq, interval_ms, cpu_ns, wall_ns, memory_peak;
	const char *file, *id, *text, *error, *topic, *limits;
};

struct saved_run {
	uint32_t process, done, started, code;
	int64_t pid, exit_code, eno;
	uint64_t queued_ms, started_ms, done_ms, wall_ns, cpu_ns, memory;
	const char *message;
};

#define A(member, kind) {#member, kind, offsetof(struct saved_agent, member)}
#define R(member, kind) {#member, kind, offsetof(struct saved_run, member)}

/* A field's place in its table is on disk for ever: append only. */
static const struct field agent_fields[] = {
	A(uid, FIELD_U32), A(gid, FIELD_U32), A(mode_bits, FIELD_U32), A(state, FIELD_U32),
	A(mode, FIELD_U32), A(tier, FIELD_U32), A(priority, FIELD_U32), A(runs_total, FIELD_U32),
	A(runs_failed, FIELD_U32), A(has_dir, FIELD_U32), A(mtime_ms, FIELD_U64),
	A(ctime_ms, FIELD_U64), A(created_ms, FIELD_U64), A(created_seq, FIELD_U64),
	A(interval_ms, FIELD_U64), A(cpu_ns, FIELD_U64), A(wall_ns, FIELD_U64),
	A(memory_peak, FIELD_U64), A(file, FIELD_STR), A(id, FIELD_STR), A(text, FIELD_STR),
	A(error, FIELD_STR), A(topic, FIELD_STR), A(limits, FIELD_STR),
};
static const struct field run_fields[] = {
	R(process, FIELD_U32), R(done, FIELD_U32), R(started, FIELD_U32), R(code, FIELD_U32),
	R(pid, FIELD_I64), R(exit_code, FIELD_I64), R(eno, FIELD_I64),
	R(queued_ms, FIELD_U64), R(started_ms, FIELD_U64), R(done_ms, FIELD_U64),
	R(wall_ns, FIELD_U64), R(cpu_ns, FIELD_U64), R(memory, FIELD_U64), R(message, FIELD_STR),
};

void store_agent_key(uint32_t serial, char out[40])
{
	snprintf(out, 40, "a/%08x", serial);
}

void store_run_key(uint32_t serial, uint32_t run, char out[40])
{
	snprintf(out, 40, "r/%08x/%08x", serial, run);
}

/* ---- writing ---- */

static int limits_text(const struct agent_limits *l, struct buf *out)
{
	for (const char *const *k = agent_limit_keys; *k; k++) {
		buf_printf(out, "%s=", *k);
		agent_limit_get(l, *k, out); /* ends its line */
	}
	return out->fail;
}

static int put_agent(struct kv *kv, const struct agent *a, struct err *e)
{
	char key[40];
	autobuf struct buf limits, b;
	buf_init(&limits, 4096);
	buf_init(&b, 4u << 20);
	if (a->limits)
		limits_text(a->limits, &limits);
	struct saved_agent s = {.uid = a->uid,
				.gid = a->gid,
				.mode_bits = a->mode_bits,
				.state = a->state,
				.mode = a->mode,
				.tier = a->tier,
				.priority = a->priority,
				.runs_total = a->runs_total,
				.runs_failed = a->runs_failed,
				.has_dir = a->has_dir,
				.mtime_ms = a->mtime_ms,
				.ctime_ms = a->ctime_ms,
				.created_ms = a->created_ms,
				.created_seq = a->created_seq,
				.interval_ms = a->interval_ms,
				.cpu_ns = a->cpu_ns,
				.wall_ns = a->wall_ns,
				.memory_peak = a->memory_peak,
				.file = a->file,
				.id = a->id,
				.text = a->text,
				.error = a->error,
				.topic = a->topic,
				.limits = a->limits ? limits.data : NULL};
	int r = fields_pack(agent_fields, ARRAY_LEN(agent_fields), &s, &b);
	store_agent_key(a->serial, key);
	return r < 0 ? r : kv_put(kv, key, b.data, b.len, e);
}

static int put_run(struct kv *kv, const struct run *r, struct err *e)
{
	char key[40];
	autobuf struct buf b;
	buf_init(&b, 64u << 10);
	struct saved_run s = {.process = r->process,
			      .done = r->state == RUN_DONE,
			      .started = r->started,
			      .code = r->code,
			      .pid = r->pid,
			      .exit_code = r->result.code,
			      .eno = r->eno,
			      .queued_ms = r->queued_ms,
			      .started_ms = r->started_ms,
			      .done_ms = r->done_ms,
			      .wall_ns = r->result.wall_ns,
			      .cpu_ns = r->result.cpu_ns,
			      .memory = r->result.memory_peak_bytes,
			      .message = r->message};
	int n = fields_pack(run_fields, ARRAY_LEN(run_fields), &s, &b);
	store_run_key(r->serial, r->number, key);
	return n < 0 ? n : kv_put(kv, key, b.data, b.len, e);
}

/* Serials are never used again, also when the newest agent is deleted. */
static int put_last_serial(struct runtime *rt, struct err *e)
{
	return kv_put(rt->kv, "m/serial", &rt->serial_last, sizeof rt->serial_last, e);
}

static int put_dirty(struct runtime *rt, struct err *e)
{
	int r = put_last_serial(rt, e);
	if (r == 0)
		r = reqs_save(rt, e);
	if (r == 0)
		r = documents_save(rt, e);
	if (r == 0)
		r = files_save(rt, e);
	if (r == 0)
		r = approvals_save(rt, e);
	if (r == 0)
		r = secrets_save(rt, e);
	if (r == 0)
		r = memory_save(rt, e);
	while (r == 0 && rt->dead) {
		struct dead_key *d = rt->dead;
		r = kv_del(rt->kv, d->key, e);
		rt->dead = d->next;
		free(d);
	}
	while (r == 0 && rt->dirty) {
		struct agent *a = rt->dirty;
		rt->dirty = a->dirty_next;
		rt->dirty_n--;
		a->dirty = false;
		r = put_agent(rt->kv, a, e);
		for (size_t i = 0; r == 0 && a->live && i < a->live->runs_n; i++)
			if (!a->live->runs[i]->saved) {
				r = put_run(rt->kv, a->live->runs[i], e);
				a->live->runs[i]->saved = r == 0 &&
							  a->live->runs[i]->state == RUN_DONE;
			}
		if (r < 0)
			store_dirty(a);
	}
	return r;
}

static void written(void *arg, uint64_t seq, int r)
{
	struct runtime *rt = arg;
	struct err e = {0};
	rt->store_busy = false;
	if (r < 0) {
		err_sys(&e, ERR_STORE_IO, -r, "state up to record %llu; it stays in the journal",
			(unsigned long long)seq);
		log_err(LOG_LEVEL_ERROR, "store.commit_failed", &e, NULL, NULL);
		return;
	}
	files_written(rt, seq);
	uint64_t kept = audit_kept_seq(rt->audit); /* what the trail does not have yet stays */
	if (journal_retire(rt->journal, seq < kept ? seq : kept, config_u64(rt->config, "journal.keep_mb") << 20, &e) < 0)
		log_err(LOG_LEVEL_WARN, "journal.retire_failed", &e, NULL, NULL);
}

/* The journal is on the disk up to the record that marks this state: now the state may be too. */
static void marked(void *arg, const struct err *why)
{
	struct runtime *rt = arg;
	struct err e = {0};
	(void)why; /* a journal that cannot be written ends the process */
	if (kv_commit(rt->kv, rt->store_seq, written, rt, &e) < 0) {
		rt->store_busy = false;
		log_err(LOG_LEVEL_ERROR, "store.commit_failed", &e, NULL, NULL);
	}
}

static bool is_dirty(const struct runtime *rt)
{
	return rt->dirty || rt->dead || documents_dirty(rt) || rt->files.dirty || rt->approvals.dirty || rt->secrets.dirty;
}

/* The state as of this moment goes to the store; the record behind it is the moment's mark. */
static void commit(struct runtime *rt)
{
	struct err e = {0};
	struct facts f = {.type = REC_STORE, .object = ""};
	if (rt->store_busy || !is_dirty(rt))
		return;
	int r = put_dirty(rt, &e);
	if (r == 0) {
		rt->store_busy = true;
		rt->store_seq = journal_last_seq(rt->journal) + 1;
		r = record(rt, &actor_self, &f, (struct runtime_done){marked, rt}, &e);
	}
	if (r < 0) {
		rt->store_busy = false;
		log_err(LOG_LEVEL_ERROR, "store.commit_failed", &e, NULL, NULL);
	}
}

static void on_time(void *arg)
{
	struct runtime *rt = arg;
	commit(rt);
}

void store_dirty(struct agent *a)
{
	struct runtime *rt = a->rt;
	if (!a->dirty) {
		a->dirty = true;
		a->dirty_next = rt->dirty;
		rt->dirty = a;
		rt->dirty_n++;
	}
	if (rt->dirty_n >= DIRTY_MAX && !rt->replaying)
		timer_set(&rt->timers, &rt->store_timer, 0, on_time, rt);
	else
		store_changed(rt);
}

void store_changed(struct runtime *rt)
{
	if (!rt->replaying && !rt->store_timer.place)
		timer_set(&rt->timers, &rt->store_timer,
			  config_ms(rt->config, "store.checkpoint_interval"), on_time, rt);
}

void store_replayed(struct runtime *rt)
{
	if (!is_dirty(rt))
		return;
	bool is_long = journal_last_seq(rt->journal) - kv_seq(rt->kv) > REPLAY_MAX;
	timer_set(&rt->timers, &rt->store_timer, is_long ? 0 : config_ms(rt->config, "store.checkpoint_interval"), on_time,
		  rt);
}

void store_forget(struct runtime *rt, const char *key)
{
	struct dead_key *d = calloc(1, sizeof *d);
	if (!d)
		abort(); /* a deleted agent would come back */
	snprintf(d->key, sizeof d->key, "%s", key);
	d->next = rt->dead;
	rt->dead = d;
	store_changed(rt);
}

void store_close(struct runtime *rt)
{
	if (!rt->kv)
		return;
	while (rt->store_busy) { /* a commit that is under way */
		journal_flush(rt->journal);
		uv_run(&rt->loop->uv, UV_RUN_ONCE);
		loop_drain(rt->loop);
	}
	commit(rt);
	journal_flush(rt->journal);
	loop_drain(rt->loop); /* the mark's acknowledgement asks for the commit */
	kv_close(rt->kv);
	loop_drain(rt->loop);
	rt->kv = NULL;
	for (struct dead_key *d; (d = rt->dead);) {
		rt->dead = d->next;
		free(d);
	}
}

/* ---- loading ---- */

static void load_limits(struct agent *a, const char *text)
{
	autofree char *copy = strdup(text);
	char *save = NULL;
	a->limits = calloc(1, sizeof *a->limits);
	for (char *line = copy && a->limits ? strtok_r(copy, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *eq = strchr(line, '=');
		if (!eq)
			continue;
		*eq = 0;
		agent_limit_set(a->limits, line, eq + 1, NULL);
	}
}

static char *copy_of(const char *s)
{
	return s ? strdup(s) : NULL;
}

static int load_agent(void *arg, const char *key, const void *data, size_t len)
{
	struct runtime *rt = arg;
	struct saved_agent s = {0};
	unsigned serial;
	if (sscanf(key, "a/%8x", &serial) != 1 ||
	    fields_unpack(agent_fields, ARRAY_LEN(agent_fields), data, len, &s) < 0 || !s.file || !s.id)
		return -EUCLEAN;
	struct agent *a = agent_add(rt, serial, s.file);
	if (!a)
		return -ENOMEM;
	a->uid = s.uid;
	a->gid = s.gid;
	a->mode_bits = (uint16_t)s.mode_bits;
	a->state = (uint8_t)(s.state < AGENT_STATE_COUNT ? s.state : AGENT_FAILED);
	a->mode = (uint8_t)s.mode;
	a->tier = (uint8_t)s.tier;
	a->priority = (uint8_t)s.priority;
	a->runs_total = s.runs_total;
	a->runs_failed = s.runs_failed;
	a->has_dir = s.has_dir;
	a->mtime_ms = s.mtime_ms;
	a->ctime_ms = s.ctime_ms;
	a->created_ms = s.created_ms;
	a->created_seq = s.created_seq;
	a->interval_ms = s.interval_ms;
	a->cpu_ns = s.cpu_ns;
	a->wall_ns = s.wall_ns;
	a->memory_peak = s.memory_peak;
	snprintf(a->id, sizeof a->id, "%s", s.id);
	a->text = strdup(s.text ? s.text : "");
	a->text_len = a->text ? (uint32_t)strlen(a->text) : 0;
	a->error = copy_of(s.error);
	a->topic = copy_of(s.topic);
	if (s.limits)
		load_limits(a, s.limits);
	agent_topics_update(a);
	return a->text ? 0 : -ENOMEM;
}

static int load_run(void *arg, const char *key, const void *data, size_t len)
{
	struct runtime *rt = arg;
	struct saved_run s = {0};
	unsigned serial, number;
	if (sscanf(key, "r/%8x/%8x", &serial, &number) != 2 ||
	    fields_unpack(run_fields, ARRAY_LEN(run_fields), data, len, &s) < 0)
		return -EUCLEAN;
	struct agent *a = agent_by_serial(rt, serial);
	struct run *r = a ? run_make(a, number, s.process, s.queued_ms) : NULL;
	if (!a)
		return 0;
	if (!r)
		return -ENOMEM;
	r->state = s.done ? RUN_DONE : RUN_QUEUED;
	r->started = s.started;
	r->code = (enum err_code)(s.code < ERR_CODE_COUNT ? s.code : ERR_AGENT_FAILED);
	r->eno = (int)s.eno;
	r->pid = (pid_t)s.pid;
	r->started_ms = s.started_ms;
	r->done_ms = s.done_ms;
	r->result.code = (int)s.exit_code;
	r->result.wall_ns = s.wall_ns;
	r->result.cpu_ns = s.cpu_ns;
	r->result.memory_peak_bytes = s.memory;
	r->message = copy_of(s.message);
	r->saved = s.done;
	return 0;
}

static int load_last_serial(void *arg, const void *data, size_t len)
{
	struct runtime *rt = arg;
	uint32_t n = 0;
	if (len != sizeof n)
		return -EUCLEAN;
	memcpy(&n, data, sizeof n);
	rt->serial_last = n;
	return 0;
}

int store_open(struct runtime *rt, struct err *e)
{
	char dir[4096];
	snprintf(dir, sizeof dir, "%s/store", rt->state_dir);
	int r = kv_open(&rt->kv, dir, STORE_MAP_BYTES, rt->loop, e);
	if (r == 0 && kv_get(rt->kv, "m/serial", load_last_serial, rt, NULL) == -EUCLEAN)
		r = -EUCLEAN;
	if (r == 0 && rt->resumed) /* requests of another mount have other numbers */
		r = reqs_load(rt);
	if (r == 0)
		r = kv_each(rt->kv, "a/", load_agent, rt, e);
	if (r == 0)
		r = kv_each(rt->kv, "r/", load_run, rt, e);
	if (r == 0)
		r = documents_load(rt, e);
	if (r == 0)
		r = files_load(rt, e);
	if (r == 0)
		r = approvals_load(rt, e);
	if (r == 0)
		r = secrets_load(rt, e);
	if (r == 0)
		r = memory_load(rt, e);
	if (r == -EUCLEAN)
		return err_set(e, ERR_STORE_IO,
			       "the state in '%s' cannot be read; move that directory aside: it is made "
			       "anew from the journal while the journal is whole", dir);
	return r;
}
