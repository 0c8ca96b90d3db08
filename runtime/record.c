/* SPDX-License-Identifier: MIT */
/* record.c - the one write path: a record in the journal, then the same apply that replays it. L2; loop
 * thread only. */
#include <errno.h>
#include <jansson.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/parse.h"
#include "runtime/runtime_i.h"

const struct actor actor_self;

static void nobody(void *arg, const struct err *e)
{
	(void)arg, (void)e;
}
const struct runtime_done done_nobody = {nobody, NULL};

/* ---- what each type of record says ---- */

#define FIELD(name, kind, member)                                                                  \
	static const struct field name = {#member, kind, offsetof(struct facts, member)}
FIELD(serial, FIELD_U32, serial);
FIELD(file, FIELD_STR, file);
FIELD(id, FIELD_STR, id);
FIELD(uid, FIELD_U32, uid);
FIELD(gid, FIELD_U32, gid);
FIELD(mode, FIELD_U32, mode);
FIELD(fresh, FIELD_BOOL, fresh);
FIELD(tier, FIELD_STR, tier);
FIELD(text, FIELD_STR, text);
FIELD(key, FIELD_STR, key);
FIELD(value, FIELD_STR, value);
FIELD(state, FIELD_STATE, state);
FIELD(why, FIELD_STR, why);
FIELD(run, FIELD_U32, run);
FIELD(process, FIELD_BOOL, process);
FIELD(pid, FIELD_I64, pid);
FIELD(code, FIELD_STR, code);
FIELD(eno, FIELD_I64, eno);
FIELD(message, FIELD_STR, message);
FIELD(wall_ns, FIELD_U64, wall_ns);
FIELD(cpu_ns, FIELD_U64, cpu_ns);
FIELD(memory, FIELD_U64, memory);
FIELD(command, FIELD_STR, command);
FIELD(action, FIELD_STR, action);
FIELD(resource_type, FIELD_STR, resource_type);
FIELD(operation, FIELD_STR, operation);
FIELD(resource, FIELD_STR, resource);
FIELD(effect, FIELD_STR, effect);
FIELD(rule, FIELD_STR, rule);
FIELD(line, FIELD_U32, line);
FIELD(policy_version, FIELD_STR, policy_version);
FIELD(address, FIELD_STR, address);
FIELD(missed, FIELD_U32, missed);
FIELD(parent, FIELD_U32, parent);
FIELD(content, FIELD_U64, content);
FIELD(size, FIELD_U64, size);
FIELD(digest, FIELD_STR, digest);
FIELD(expires_ms, FIELD_U64, expires_ms);
static const struct field secret = {"secret", FIELD_U32, offsetof(struct facts, serial)},
			  generation = {"generation", FIELD_U64, offsetof(struct facts, content)},
			  folder = {"folder", FIELD_BOOL, offsetof(struct facts, process)};
static const struct field would = {"would", FIELD_STR, offsetof(struct facts, value)},
			  would_rule = {"would_rule", FIELD_STR, offsetof(struct facts, key)};
static const struct field approval = {"approval", FIELD_U32, offsetof(struct facts, serial)},
			  for_agent = {"agent_serial", FIELD_U32, offsetof(struct facts, agent)},
			  for_uid = {"for_uid", FIELD_U32, offsetof(struct facts, uid)},
			  for_view = {"for_view", FIELD_U32, offsetof(struct facts, view)},
			  arguments = {"arguments", FIELD_STR, offsetof(struct facts, message)},
			  reason = {"reason", FIELD_STR, offsetof(struct facts, why)},
			  to = {"to", FIELD_STR, offsetof(struct facts, value)},
			  decision = {"state", FIELD_STR, offsetof(struct facts, value)};
static const struct field entry = {"entry", FIELD_U32, offsetof(struct facts, parent)},
			  share_number = {"share", FIELD_U32, offsetof(struct facts, parent)},
			  share_file = {"file_serial", FIELD_U32, offsetof(struct facts, run)},
			  share_with = {"with", FIELD_U32, offsetof(struct facts, agent)},
			  share_level = {"level", FIELD_STR, offsetof(struct facts, value)},
			  share_path = {"path", FIELD_STR, offsetof(struct facts, resource)},
			  importance = {"importance", FIELD_U32, offsetof(struct facts, missed)};
static const struct field exit_code = {"exit", FIELD_I64, offsetof(struct facts, exit_code)};

/* `text` stands last and stays out of the event feed. */
static const struct type {
	const char *event;
	const struct field *fields[20];
	bool fast; /* survives kill -9, not a power cut */
	bool ends; /* stops or removes: goes on when the disk is full */
} types[REC_TYPE_COUNT] = {
	[REC_PUT] = {"agent.updated",
		     {&serial, &file, &id, &uid, &gid, &mode, &fresh, &tier, &text},
		     false,
		     false},
	[REC_DELETE] = {"agent.deleted", {&serial}, false, true},
	[REC_RENAME] = {"agent.renamed", {&serial, &file}, false, false},
	[REC_CHOWN] = {"agent.owner", {&serial, &uid, &gid, &mode}, false, false},
	[REC_LIMIT] = {"agent.limit", {&serial, &key, &value}, false, false},
	[REC_STATE] = {"agent.state", {&serial, &state, &why}, true, true},
	[REC_RUN] = {"run.queued", {&serial, &run, &process}, true, false},
	[REC_RUN_STARTED] = {"run.started", {&serial, &run, &pid}, true, false},
	[REC_RUN_DONE] = {"run.done",
			  {&serial, &run, &exit_code, &code, &eno, &message, &wall_ns, &cpu_ns,
			   &memory},
			  true,
			  true},
	[REC_CTL] = {"agent.ctl", {&serial, &command}, true, true},
	[REC_DAEMON] = {"daemon", {&why}, true, true},
	[REC_STORE] = {NULL, {NULL}, false, true},
	[REC_POLICY_PUT] = {"policy.updated", {&serial, &uid, &gid, &mode, &fresh, &text}, false, false},
	[REC_POLICY_DELETE] = {"policy.deleted", {&serial}, false, true},
	[REC_POLICY_RENAME] = {"policy.renamed", {&serial, &file}, false, false},
	[REC_POLICY_CHOWN] = {"policy.owner", {&serial, &uid, &gid, &mode}, false, false},
	[REC_PROFILE_PUT] = {"profile.updated", {&serial, &uid, &gid, &mode, &fresh, &text}, false, false},
	[REC_PROFILE_DELETE] = {"profile.deleted", {&serial}, false, true},
	[REC_PROFILE_RENAME] = {"profile.renamed", {&serial, &file}, false, false},
	[REC_PROFILE_CHOWN] = {"profile.owner", {&serial, &uid, &gid, &mode}, false, false},
	[REC_SHADOW_PUT] = {"shadow.updated", {&serial, &uid, &gid, &mode, &fresh, &text}, false, false},
	[REC_SHADOW_DELETE] = {"shadow.deleted", {&serial}, false, true},
	[REC_SHADOW_RENAME] = {"shadow.renamed", {&serial, &file}, false, false},
	[REC_SHADOW_CHOWN] = {"shadow.owner", {&serial, &uid, &gid, &mode}, false, false},
	[REC_SHADOW_DIFFERS] = {"policy.shadow",
				{&serial, &action, &tier, &resource_type, &operation, &resource, &effect, &rule, &would, &would_rule, &file,
				 &line, &policy_version, &missed},
				true,
				false},
	[REC_FILE_PUT] = {"file.updated",
			  {&serial, &parent, &file, &uid, &gid, &mode, &fresh, &content, &size, &digest},
			  false,
			  false},
	[REC_FILE_DELETE] = {"file.deleted", {&serial}, false, true},
	[REC_FILE_RENAME] = {"file.renamed", {&serial, &parent, &file}, false, false},
	[REC_FILE_CHOWN] = {"file.owner", {&serial, &uid, &gid, &mode}, false, false},
	[REC_DECISION] = {"policy.decision",
			  {&serial, &action, &tier, &resource_type, &operation, &resource, &effect, &rule, &file, &line,
			   &policy_version},
			  true,
			  false},
	[REC_CONNECT] = {"agent.connect",
			 {&serial, &run, &resource, &effect, &rule, &address, &message, &missed},
			 true,
			 false},
	[REC_APPROVAL_ASKED] = {"approval.asked",
				{&approval, &for_agent, &run, &for_uid, &for_view, &action, &tier, &resource_type, &operation,
				 &resource, &arguments, &rule, &file, &line, &policy_version, &reason, &to, &expires_ms},
				false,
				false},
	[REC_APPROVAL_DECIDED] = {"approval.decided", {&approval, &for_agent, &run, &decision, &why}, false, true},
	[REC_APPROVAL_EDITED] = {"approval.edited", {&approval, &for_agent, &run, &arguments}, false, false},
	[REC_SECRET_PUT] = {"secret.updated",
			    {&secret, &for_agent, &parent, &folder, &uid, &gid, &fresh, &generation, &size, &text},
			    false,
			    false},
	[REC_SECRET_REWRAPPED] = {"secret.rewrapped", {&secret, &for_agent, &generation, &text}, false, false},
	[REC_SECRET_DELETE] = {"secret.deleted", {&secret, &for_agent}, false, true},
	[REC_SECRET_READ] = {"secret.read", {&secret, &for_agent, &generation}, true, false},
	[REC_MEMORY_PUT] = {"memory.written", {&serial, &entry, &key, &importance, &text}, false, false},
	[REC_MEMORY_DROP] = {"memory.forgotten", {&serial, &entry, &key, &why}, false, true},
	[REC_SHARE] = {"knowledge.shared", {&serial, &share_number, &share_file, &share_path, &share_with, &share_level}, false, false},
	[REC_UNSHARE] = {"knowledge.unshared", {&serial, &share_number, &share_file, &share_path, &share_with}, false, true},
	[REC_SHARE_SHOWN] = {"knowledge.shown", {&serial, &share_number, &share_file, &share_with}, true, false},
	[REC_APPROVAL_USED] = {"approval.used", {&approval, &for_agent, &run, &decision}, true, false},
};

/* ---- apply ---- */

static const char *const document_words[DOCUMENT_KINDS] = {"policy", "profile", "shadow"};

/* As the feed has it: `uid` is there who acted, as in every line of it. */
static const struct field *shown_as(const struct field *f)
{
	static const struct field owner = {"owner", FIELD_U32, offsetof(struct facts, uid)},
				  group = {"group", FIELD_U32, offsetof(struct facts, gid)};
	return f == &uid ? &owner : f == &gid ? &group : f;
}

static void emit(struct runtime *rt, const struct facts *f, struct agent *a, uid_t actor)
{
	const struct type *t = &types[f->type];
	const struct field *shown[ARRAY_LEN(t->fields) + 1] = {0};
	char type[48];
	autobuf struct buf more;
	buf_init(&more, EVENT_LINE_MAX);
	for (size_t i = 0, n = 0; i < ARRAY_LEN(t->fields) && t->fields[i]; i++)
		if (t->fields[i] != &text && t->fields[i] != &serial && t->fields[i] != &parent && t->fields[i] != &share_file && t->fields[i] != &content)
			shown[n++] = shown_as(t->fields[i]);
	buf_printf(&more, ",\"uid\":%u", actor);
	enum document_kind k = documents_of_record(f->type);
	if (secrets_is_record(f->type)) {
		buf_adds(&more, ",\"name\":");
		buf_json_string(&more, f->object, strlen(f->object));
	}
	if (k != DOCUMENT_KINDS) {
		buf_printf(&more, ",\"%s\":", document_words[k]);
		buf_json_string(&more, f->object, strlen(f->object));
	}
	if (files_is_record(f->type)) {
		buf_adds(&more, ",\"path\":");
		buf_json_string(&more, f->object, strlen(f->object));
	}
	fields_json(shown, f, &more);
	if (more.fail)
		buf_clear(&more); /* a command or reason too long for the feed; the journal has it */
	snprintf(type, sizeof type, "%s", t->event);
	if (f->type == REC_PUT && f->fresh) {
		snprintf(type, sizeof type, "agent.created");
	} else if (f->type == REC_FILE_PUT && f->fresh) {
		snprintf(type, sizeof type, "file.created");
	} else if (k != DOCUMENT_KINDS && strstr(type, ".updated") && f->fresh) {
		snprintf(type, sizeof type, "%s.created", document_words[k]);
	} else if (f->type == REC_STATE) {
		snprintf(type, sizeof type, "agent.%s", agent_state_name((enum agent_state)f->state));
		for (char *p = type + 6; *p; p++)
			*p |= 0x20;
	}
	event_emit(rt, f, a, type, more.data);
}

static void apply(struct runtime *rt, struct facts *f, uid_t actor)
{
	enum document_kind k = documents_of_record(f->type);
	if (k != DOCUMENT_KINDS) {
		documents_apply(rt, k, f);
		emit(rt, f, NULL, actor);
		return;
	}
	if (files_is_record(f->type)) {
		files_apply(rt, f);
		emit(rt, f, NULL, actor);
		return;
	}
	if (secrets_is_record(f->type)) {
		secrets_apply(rt, f);
		emit(rt, f, f->agent ? agent_by_serial(rt, f->agent) : NULL, actor);
		return;
	}
	if (approvals_is_record(f->type)) {
		f->actor = actor;
		approvals_apply(rt, f);
		emit(rt, f, f->agent ? agent_by_serial(rt, f->agent) : NULL, actor);
		return;
	}
	struct agent *a = f->serial ? agent_by_serial(rt, f->serial) : NULL;
	if (memory_is_record(f->type)) {
		memory_apply(rt, f);
		if (a)
			emit(rt, f, a, actor);
		return;
	}
	if (f->type == REC_PUT) {
		agent_apply_put(rt, f);
		a = agent_by_serial(rt, f->serial);
	}
	if (!types[f->type].event || (!a && f->type != REC_DAEMON && f->type != REC_DECISION && f->type != REC_SHADOW_DIFFERS))
		return; /* of no interest to others; about an agent that was deleted since */
	if (f->type == REC_DELETE)
		emit(rt, f, a, actor);
	switch (f->type) {
	case REC_PUT:
	case REC_CTL:
	case REC_DAEMON:
	case REC_STORE:
	case REC_DECISION:
	case REC_CONNECT:
	case REC_POLICY_PUT:
	case REC_POLICY_DELETE:
	case REC_POLICY_RENAME:
	case REC_POLICY_CHOWN:
	case REC_PROFILE_PUT:
	case REC_PROFILE_DELETE:
	case REC_PROFILE_RENAME:
	case REC_PROFILE_CHOWN:
	case REC_FILE_PUT:
	case REC_FILE_DELETE:
	case REC_FILE_RENAME:
	case REC_FILE_CHOWN:
	case REC_APPROVAL_ASKED:
	case REC_APPROVAL_DECIDED:
	case REC_APPROVAL_USED:
	case REC_APPROVAL_EDITED:
	case REC_SHADOW_PUT:
	case REC_SHADOW_DELETE:
	case REC_SHADOW_RENAME:
	case REC_SHADOW_CHOWN:
	case REC_SHADOW_DIFFERS:
	case REC_SECRET_PUT:
	case REC_SECRET_DELETE:
	case REC_SECRET_READ:
	case REC_MEMORY_PUT:
	case REC_MEMORY_DROP:
	case REC_SHARE:
	case REC_UNSHARE:
	case REC_SHARE_SHOWN:
	case REC_SECRET_REWRAPPED:
	case REC_TYPE_COUNT:
		break;
	case REC_DELETE:
		agent_apply_delete(a);
		return;
	case REC_RENAME:
		agent_apply_rename(a, f->file);
		break;
	case REC_CHOWN:
		a->uid = f->uid;
		a->gid = f->gid;
		a->mode_bits = (uint16_t)f->mode;
		break;
	case REC_LIMIT:
		if (!a->limits) {
			struct agent_spec *s = NULL;
			a->limits = calloc(1, sizeof *a->limits);
			if (a->limits && agent_spec_of(a, &s, NULL) == 0)
				*a->limits = s->limits;
			agent_spec_free(s);
		}
		if (a->limits)
			agent_limit_set(a->limits, f->key, f->value, NULL);
		break;
	case REC_STATE:
		agent_apply_state(a, f);
		break;
	case REC_RUN:
		run_apply_queued(a, f);
		break;
	case REC_RUN_STARTED:
		run_apply_started(a, f);
		break;
	case REC_RUN_DONE:
		run_apply_done(a, f);
		break;
	}
	if (a && f->type != REC_DECISION && f->type != REC_CONNECT && f->type != REC_SHADOW_DIFFERS)
		store_dirty(a);
	emit(rt, f, a, actor);
}

const char *record_type_name(uint16_t type)
{
	return type == REC_STORE ? "store.saved" : type < REC_TYPE_COUNT && types[type].event ? types[type].event : "unknown";
}

/* The number in a body that begins with this, or 0. */
static uint32_t number_behind(const struct journal_record *rec, const char *begin)
{
	char number[12] = "";
	size_t n = 0, skip = strlen(begin);
	if (rec->body_len <= skip || memcmp(rec->body, begin, skip) != 0)
		return 0;
	for (const char *p = rec->body + skip; n < sizeof number - 1 && *p >= '0' && *p <= '9'; p++)
		number[n++] = *p;
	return (uint32_t)parse_leading_u64(number);
}

/* An agent's records begin with its serial; those of documents with theirs, which are no agents. Who acts from a view
 * is the agent of that. */
uint32_t record_agent(const struct journal_record *rec)
{
	uint32_t about = 0;
	char begin[64];
	if (secrets_is_record(rec->type)) {
		about = rec->view;
	} else if (approvals_is_record(rec->type)) {
		snprintf(begin, sizeof begin, "{\"v\":1,\"approval\":%u,\"agent_serial\":",
			 number_behind(rec, "{\"v\":1,\"approval\":"));
		about = number_behind(rec, begin);
	} else if (rec->type < REC_TYPE_COUNT && types[rec->type].fields[0] == &serial &&
		   documents_of_record(rec->type) == DOCUMENT_KINDS && !files_is_record(rec->type)) {
		about = number_behind(rec, "{\"v\":1,\"serial\":");
	}
	return about ? about : rec->view;
}

int record_replay(void *arg, const struct journal_record *rec)
{
	struct runtime *rt = arg;
	struct facts f = {.type = (enum record_type)rec->type,
			  .seq = rec->seq,
			  .time_ms = rec->time_ms,
			  .object = rec->object};
	if (rec->type == 0 || rec->type >= REC_TYPE_COUNT)
		return 0; /* a kind that this version does not act on, such as a checkpoint */
	json_t *body = json_loadb(rec->body, rec->body_len, 0, NULL);
	if (!body)
		return -EUCLEAN;
	fields_from_json(types[f.type].fields, body, &f);
	/* Requests of another mount have other numbers. */
	if (rt->resumed)
		runtime_note_req(rt, (uint64_t)json_integer_value(json_object_get(body, "req")),
				 f.type == REC_RUN ? f.run : 0);
	apply(rt, &f, rec->uid);
	json_decref(body);
	return 0;
}

/* ---- record ---- */

struct pending_done {
	struct journal_ack ack;
	struct runtime *rt;
	struct runtime_done done;
};

static void acked(struct journal_ack *ack, uint64_t seq, int r)
{
	(void)seq;
	struct pending_done *p = container_of(ack, struct pending_done, ack);
	struct err e;
	events_publish(p->rt);
	audit_poke(p->rt->audit);
	if (r < 0)
		err_sys(&e, ERR_JOURNAL_IO, -r, "the journal could not be written");
	p->done.fn(p->done.arg, r < 0 ? &e : NULL);
	free(p);
}

static enum journal_class class_of(const struct runtime *rt, const struct facts *f)
{
	if (f->type == REC_STATE)
		return rt->transitions;
	/* Who makes a file is answered at once; the record of its first text makes this one durable too. */
	if (f->type == REC_FILE_PUT && f->fresh && S_ISREG(f->mode))
		return JOURNAL_FAST;
	return types[f->type].fast ? JOURNAL_FAST : JOURNAL_SAFE;
}

static int append(struct runtime *rt, const struct actor *who, struct facts *f, const struct buf *body,
		  struct runtime_done done, bool *ret_done, struct err *e)
{
	enum journal_class c = class_of(rt, f);
	struct pending_done *p = NULL;
	struct journal_record rec = {.type = (uint16_t)f->type,
				     .uid = who->uid,
				     .pid = (uint32_t)who->pid,
				     .view = who->view,
				     .object = f->object ? f->object : "",
				     .body = body->data,
				     .body_len = body->len,
				     .may_use_reserve = types[f->type].ends};
	if (c == JOURNAL_SAFE) {
		p = calloc(1, sizeof *p);
		if (!p)
			return err_set(e, ERR_SYS_MEMORY, "no memory for a record");
		*p = (struct pending_done){.ack.done = acked, .rt = rt, .done = done};
	}
	int r = journal_append(rt->journal, &rec, c, p ? &p->ack : NULL, e);
	if (r < 0)
		free(p);
	f->seq = rec.seq;
	f->time_ms = rec.time_ms;
	*ret_done = c == JOURNAL_FAST;
	if (*ret_done)
		audit_poke(rt->audit);
	return r;
}

int record(struct runtime *rt, const struct actor *who, struct facts *f, struct runtime_done done,
	   struct err *e)
{
	bool at_once = false;
	autobuf struct buf body;
	buf_init(&body, JOURNAL_BODY_MAX);
	buf_printf(&body, "{\"v\":1");
	fields_json(types[f->type].fields, f, &body);
	if (who->req)
		buf_printf(&body, ",\"req\":%llu", (unsigned long long)who->req);
	buf_adds(&body, "}");
	int r = body.fail ? err_sys(e, ERR_RESOURCE_TOO_BIG, -body.fail, "record about '%s'",
				    f->object ? f->object : "")
			  : append(rt, who, f, &body, done, &at_once, e);
	if (r == 0) {
		runtime_note_req(rt, who->req, f->type == REC_RUN ? f->run : 0);
		apply(rt, f, who->uid);
	}
	agent_spec_free(take_ptr(f->spec));
	if (at_once)
		done.fn(done.arg, NULL);
	return r;
}
