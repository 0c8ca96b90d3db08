/* SPDX-License-Identifier: MIT */
/* record.c - the one write path: a record in the journal, then the same apply that replays it. L2; loop
 * thread only. */
#include <errno.h>
#include <string.h>

#include "lib/metric.h"
#include "runtime/runtime_i.h"

const struct actor actor_self;
static void nobody(void *arg, const struct err *e)
{
	(void)arg, (void)e;
}
const struct runtime_done done_nobody = {nobody, NULL};

static void apply_put(struct runtime *rt, const struct journal_record *rec, json_t *b)
{
	const char *file, *id, *text;
	size_t len;
	int serial, uid, gid, mode;
	struct agent *a = agent_find(rt, rec->object, strlen(rec->object));
	struct agent_spec *spec = NULL;
	enum value_format f = VALUE_YAML;
	if (json_unpack(b, "{s:s,s:s,s:s%,s:i,s:i,s:i,s:i}", "file", &file, "id", &id, "text", &text,
			&len, "serial", &serial, "uid", &uid, "gid", &gid, "mode", &mode) != 0)
		return;
	bool fresh = !a;
	if (!a && !(a = agent_add(rt, rec->object, (uint32_t)serial)))
		return;
	value_format_of(file, &f);
	agent_spec_parse(f, text, len, TIER_1, &spec, NULL, NULL);
	agent_spec_free(a->spec);
	a->spec = spec;
	free(a->file);
	a->file = strdup(file);
	free(a->text);
	a->text = memcpy(malloc(len + 1), text, len + 1);
	a->text_len = len;
	snprintf(a->id, sizeof a->id, "%s", id);
	a->uid = (uid_t)uid;
	a->gid = (gid_t)gid;
	a->mode = (mode_t)mode;
	a->mtime_ms = rec->time_ms;
	if (fresh)
		a->ctime_ms = rec->time_ms;
	event_emit(rt, rec->seq, rec->time_ms, fresh ? "agent.created" : "agent.updated", a, NULL);
}

static void apply_state(struct runtime *rt, const struct journal_record *rec, struct agent *a,
			json_t *b)
{
	const char *why = json_string_value(json_object_get(b, "why"));
	char type[40] = "agent.", line[300];
	a->state = (enum agent_state)json_integer_value(json_object_get(b, "state"));
	a->ctime_ms = rec->time_ms;
	const char *name = agent_state_name(a->state);
	for (size_t i = 0; name[i]; i++)
		type[6 + i] = (char)(name[i] | 0x20), type[7 + i] = 0;
	event_emit(rt, rec->seq, rec->time_ms, type, a, b);
	metric_add(METRIC_AGENT_TRANSITIONS, 1);
	if (!rt->replaying) {
		snprintf(line, sizeof line, "%s%s%s", name, why ? ": " : "", why ? why : "");
		agent_log(a, line);
	}
}

static void apply_run(struct runtime *rt, const struct journal_record *rec, struct agent *a,
		      json_t *b)
{
	uint32_t n = (uint32_t)json_integer_value(json_object_get(b, "run"));
	struct run *r = run_find(rt, a, n);
	if (rec->type == REC_RUN_QUEUED && !r) {
		r = run_add(a, n, json_is_true(json_object_get(b, "main")));
		if (r)
			r->queued_ms = rec->time_ms;
	} else if (rec->type == REC_RUN_STARTED && r) {
		r->state = RUN_RUNNING;
		r->started_ms = rec->time_ms;
		r->pid = (pid_t)json_integer_value(json_object_get(b, "pid"));
	} else if (rec->type == REC_RUN_DONE && r) {
		const char *msg = json_string_value(json_object_get(b, "error"));
		const char *code = json_string_value(json_object_get(b, "code"));
		r->done_ms = rec->time_ms;
		r->result.code = (int)json_integer_value(json_object_get(b, "exit"));
		r->result.cpu_ns = (uint64_t)json_integer_value(json_object_get(b, "cpu_ns"));
		r->result.wall_ns = (uint64_t)json_integer_value(json_object_get(b, "wall_ns"));
		r->result.memory_peak_bytes =
			(uint64_t)json_integer_value(json_object_get(b, "memory_peak"));
		if (code && msg)
			err_set(&r->failure, err_code_find(code), "%s", msg);
		run_apply_done(r);
	}
	static const char *const types[] = {"run.queued", "run.started", "run.done"};
	event_emit(rt, rec->seq, rec->time_ms, types[rec->type - REC_RUN_QUEUED], a, b);
}

static void apply(struct runtime *rt, const struct journal_record *rec, json_t *b)
{
	struct agent *a = agent_find(rt, rec->object, strlen(rec->object));
	const char *to = json_string_value(json_object_get(b, "to"));
	if (rec->type == REC_AGENT_PUT)
		apply_put(rt, rec, b);
	if (!a)
		return;
	switch ((enum record_type)rec->type) {
	case REC_AGENT_PUT:
		break;
	case REC_AGENT_DELETE:
		event_emit(rt, rec->seq, rec->time_ms, "agent.deleted", a, NULL);
		agent_drop(a);
		break;
	case REC_AGENT_RENAME: {
		const char *dot = strrchr(to, '.');
		struct agent *old = agent_find(rt, to, (size_t)(dot - to));
		if (old && old != a)
			agent_drop(old);
		map_del(&rt->by_name, a->name);
		free(a->name);
		free(a->file);
		a->name = strndup(to, (size_t)(dot - to));
		a->file = strdup(to);
		map_put(&rt->by_name, a->name, a);
		event_emit(rt, rec->seq, rec->time_ms, "agent.renamed", a, b);
		break;
	}
	case REC_AGENT_ATTR:
		a->uid = (uid_t)json_integer_value(json_object_get(b, "uid"));
		a->gid = (gid_t)json_integer_value(json_object_get(b, "gid"));
		a->mode = (mode_t)json_integer_value(json_object_get(b, "mode"));
		event_emit(rt, rec->seq, rec->time_ms, "agent.owner", a, b);
		break;
	case REC_AGENT_STATE:
		apply_state(rt, rec, a, b);
		break;
	case REC_AGENT_LIMIT:
		if (a->spec)
			agent_limit_set(&a->spec->limits,
					json_string_value(json_object_get(b, "key")),
					json_string_value(json_object_get(b, "value")), NULL);
		event_emit(rt, rec->seq, rec->time_ms, "agent.limit", a, b);
		break;
	case REC_RUN_QUEUED:
	case REC_RUN_STARTED:
	case REC_RUN_DONE:
		apply_run(rt, rec, a, b);
		break;
	}
}

int record_replay(void *arg, const struct journal_record *rec)
{
	json_t *b = json_loadb(rec->body, rec->body_len, 0, NULL);
	if (!b)
		return -EUCLEAN;
	apply(arg, rec, b);
	json_decref(b);
	return 0;
}

struct pending_done {
	struct journal_ack ack;
	struct runtime_done done;
};

static void acked(struct journal_ack *ack, uint64_t seq, int r)
{
	(void)seq;
	struct pending_done *p = container_of(ack, struct pending_done, ack);
	struct err e;
	if (r < 0)
		err_sys(&e, ERR_JOURNAL_IO, -r, "the journal could not be written");
	p->done.fn(p->done.arg, r < 0 ? &e : NULL);
	free(p);
}

static enum journal_class class_of(struct runtime *rt, enum record_type type)
{
	switch (type) {
	case REC_AGENT_STATE:
		return strcmp(config_str(rt->config, "journal.transitions"), "safe") == 0
			       ? JOURNAL_SAFE
			       : JOURNAL_FAST;
	case REC_RUN_QUEUED:
	case REC_RUN_STARTED:
	case REC_RUN_DONE:
		return JOURNAL_FAST;
	case REC_AGENT_PUT:
	case REC_AGENT_DELETE:
	case REC_AGENT_RENAME:
	case REC_AGENT_ATTR:
	case REC_AGENT_LIMIT:
		break;
	}
	return JOURNAL_SAFE;
}

int record(struct runtime *rt, const struct actor *who, enum record_type type, const char *object,
	   json_t *body, struct runtime_done done, struct err *e)
{
	char name[JOURNAL_NAME_MAX + 1];
	snprintf(name, sizeof name, "%s", object); /* applying may free the caller's */
	autofree char *text = json_dumps(body, JSON_COMPACT);
	struct pending_done *p = calloc(1, sizeof *p);
	if (!text || !p) {
		free(p);
		json_decref(body);
		return err_set(e, ERR_SYS_MEMORY, "no memory for a record");
	}
	p->ack.done = acked;
	p->done = done;
	struct journal_record rec = {.type = (uint16_t)type,
				     .uid = who->uid,
				     .pid = (uint32_t)who->pid,
				     .view = who->view,
				     .object = name,
				     .body = text,
				     .body_len = strlen(text)};
	int r = journal_append(rt->journal, &rec, class_of(rt, type), &p->ack, e);
	if (r < 0)
		free(p);
	else
		apply(rt, &rec, body);
	json_decref(body);
	return r;
}
