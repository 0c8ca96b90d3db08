/* SPDX-License-Identifier: MIT */
/* policy_ask.c - the active set is asked: what an act is in the words of policies, who is asked about, what becomes of
 * the decision. L2; loop thread only.
 *
 * A person at the host acts by owner and mode, and rules can only take from that: what no rule speaks of is allowed.
 * Who acts from within a view is an agent, and has only what a rule gives. root and the daemon's own user are not
 * asked: they own the files that would forbid it, and must be able to mend them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/metric.h"
#include "runtime/runtime_i.h"

static const struct act {
	const char *action;
	enum policy_type type;
	enum policy_op op, reading; /* reading: when nothing is to be written */
	const char *prefix, *whole; /* of the object's name; the name without an object */
} acts[] = {
	{"agent.create", POLICY_AGENT, POLICY_CREATE, POLICY_READ, "", "agents"},
	{"agent.control", POLICY_AGENT, POLICY_MODIFY, POLICY_MODIFY, "", "agents"},
	{"agent.delete", POLICY_AGENT, POLICY_DELETE, POLICY_DELETE, "", "agents"},
	{"agent.run", POLICY_AGENT, POLICY_EXECUTE, POLICY_EXECUTE, "", "agents"},
	{"agent.read", POLICY_AGENT, POLICY_READ, POLICY_READ, "", "agents"},
	{"agent.check", POLICY_AGENT, POLICY_READ, POLICY_READ, "", "agents"},
	{"policy.read", POLICY_CUSTOM, POLICY_READ, POLICY_READ, "", "policies"},
	{"policy.check", POLICY_CUSTOM, POLICY_READ, POLICY_READ, "", "policies"},
	{"policy.shadow", POLICY_CUSTOM, POLICY_WRITE, POLICY_READ, "policies/shadow/", "policies/shadow"},
	{"policy.change", POLICY_CUSTOM, POLICY_WRITE, POLICY_READ, "policies/", "policies"},
	{"profile.change", POLICY_CUSTOM, POLICY_WRITE, POLICY_READ, "sandbox/profiles/", "sandbox/profiles"},
	{"daemon.control", POLICY_CUSTOM, POLICY_EXECUTE, POLICY_EXECUTE, "", "daemon"},
	{"config.read", POLICY_CUSTOM, POLICY_READ, POLICY_READ, "", "config"},
	{"secret.change", POLICY_SECRET, POLICY_WRITE, POLICY_READ, "", "secrets"},
	{"rag.change", POLICY_MEMORY, POLICY_WRITE, POLICY_READ, "", "rag/docs"},
	{"rag.query", POLICY_MEMORY, POLICY_READ, POLICY_READ, "query/", "rag/query"},
	{"agent.memory", POLICY_MEMORY, POLICY_WRITE, POLICY_READ, "memory/", "memory"},
	{"agent.share", POLICY_MEMORY, POLICY_WRITE, POLICY_READ, "share/", "share"},
	{"rag.read", POLICY_MEMORY, POLICY_READ, POLICY_READ, "", "rag/stats"},
	{"approval.read", POLICY_CUSTOM, POLICY_READ, POLICY_READ, "", "approvals"},
	{"approval.decide", POLICY_CUSTOM, POLICY_EXECUTE, POLICY_READ, "approvals/", "approvals"},
	{"audit.read", POLICY_CUSTOM, POLICY_READ, POLICY_READ, "audit/", "audit"},
	{"audit.verify", POLICY_CUSTOM, POLICY_EXECUTE, POLICY_READ, "", "audit"},
	{"events.read", POLICY_CUSTOM, POLICY_READ, POLICY_READ, "", "events"},
};

struct asking {
	const struct actor *who;
	const char *action;
	struct policy_request q;
	const struct agent *agent; /* that is about to act; NULL: none */
	uint32_t run;		   /* of it */
	const struct agent_spec *spec; /* of the agent, whose command a person is to know who decides; NULL: none */
	uint64_t wait_ms;	   /* until a limit lets it */
	bool needs_rule;	   /* what no rule speaks of is denied */
	bool told;		   /* a refusal is recorded otherwise */
	const char *rule;	   /* that decided, once it has; NULL: none */
};

/* ---- what is journalled ---- */

static int note(struct runtime *rt, const struct asking *k, const struct policy_decision *d, struct err *e)
{
	struct actor who = *k->who;
	who.req = 0; /* the act is not done by its decision: when the request comes again it is decided again */
	struct facts f = {.type = REC_DECISION,
			  .object = k->agent ? k->agent->name : "",
			  .serial = k->agent ? k->agent->serial : 0,
			  .action = k->action,
			  .tier = k->q.tier,
			  .resource_type = policy_type_word(k->q.type),
			  .operation = policy_op_word(k->q.op),
			  .resource = k->q.resource,
			  .effect = policy_effect_word(d->effect),
			  .rule = d->rule ? d->rule : "no_match",
			  .file = d->file,
			  .line = d->line,
			  .policy_version = rt->policies.active ? policy_set_version(rt->policies.active) : "none"};
	return record(rt, &who, &f, done_nobody, e);
}

static int refuse(struct runtime *rt, const struct asking *k, const struct policy_decision *d, struct err *e)
{
	rt->policies.denied++;
	metric_add(METRIC_POLICY_DENIED, 1);
	if (!k->told)
		note(rt, k, d, NULL); /* refused it is also where that cannot be written */
	const char *op = policy_op_word(k->q.op), *what = k->q.resource;
	if (!rt->policies.active)
		return err_set(e, ERR_POLICY_DENIED, "%s of '%s': the stored policies do not load, only root may act (%.200s)",
			       op, what, rt->policies.why.msg);
	if (!d->rule)
		return err_set(e, ERR_POLICY_DENIED, "%s of '%s': no rule allows it", op, what);
	if (d->effect == POLICY_LIMIT)
		return err_set(e, ERR_POLICY_RATE, "%s of '%s': more often than rule '%s' (%s:%u) lets; again in %llu ms", op, what, d->rule,
			       d->file, d->line, (unsigned long long)k->wait_ms);
	return err_set(e, ERR_POLICY_DENIED, "%s of '%s': rule '%s' (%s:%u) denies it%s%.120s", op, what, d->rule, d->file,
		       d->line, d->reason ? ": " : "", d->reason ? d->reason : "");
}

/* ---- the decision ---- */

static int escalate(struct runtime *rt, const struct asking *k, const struct policy_decision *d, struct err *e)
{
	autobuf struct buf arguments;
	buf_init(&arguments, 1u << 20);
	if (k->spec)
		approval_arguments((const char *const *)k->spec->argv, &arguments);
	struct approval_ask q = {.who = k->who,
				 .agent = k->agent,
				 .run = k->run,
				 .action = k->action,
				 .tier = k->q.tier,
				 .type = policy_type_word(k->q.type),
				 .op = policy_op_word(k->q.op),
				 .resource = k->q.resource,
				 .arguments = k->spec ? arguments.data : "",
				 .d = d,
				 .version = policy_set_version(rt->policies.active)};
	rt->policies.escalated++;
	return approvals_ask(rt, &q, e);
}

/* Within the rate of the rule, which is counted for each agent, or user of the host? */
static bool in_rate(struct runtime *rt, struct asking *k, const struct policy_decision *d)
{
	char asker[160];
	if (k->q.agent)
		snprintf(asker, sizeof asker, "agent %s", k->q.agent);
	else
		snprintf(asker, sizeof asker, "uid %u view %u", k->who->uid, k->who->view);
	return rate_take(&rt->policies.rates, d->rule, asker, d->rate, clock_mono_ns() / 1000000, &k->wait_ms);
}

static int decide(struct runtime *rt, struct asking *k, struct err *e)
{
	struct policy_decision d = {.effect = POLICY_DENY};
	rt->policies.asked++;
	k->q.time_s = time(NULL);
	if (rt->policies.active)
		policy_decide(rt->policies.active, &k->q, &d);
	k->rule = d.rule;
	if (rt->policies.active && !d.rule && !k->needs_rule)
		d.effect = POLICY_ALLOW;
	if (rt->policies.active)
		shadow_see(rt, &(struct shadow_act){k->who, k->action, k->agent, &k->q, k->needs_rule}, &d);
	bool lets = d.effect == POLICY_ALLOW || (d.effect == POLICY_LIMIT && in_rate(rt, k, &d));
	int r = lets ? 0 : d.effect == POLICY_ESCALATE ? escalate(rt, k, &d, e) : refuse(rt, k, &d, e);
	if (r < 0 || !d.audit)
		return r;
	rt->policies.audited++;
	return note(rt, k, &d, e); /* what must be recorded and cannot be does not happen */
}

/* ---- what policies know of an agent ---- */

#define PAIRS_MAX 64

static size_t pairs_of(const struct value *metadata, struct policy_pair out[PAIRS_MAX])
{
	size_t n = 0;
	for (size_t i = 0; metadata && metadata->type == VALUE_MAP && i < metadata->map.n && n < PAIRS_MAX; i++) {
		const struct value_member *m = &metadata->map.members[i];
		if (m->value.type == VALUE_STRING)
			out[n++] = (struct policy_pair){m->key, m->value.string.data};
	}
	return n;
}

/* What policies know of an agent, from its spec; pairs hold as long as q. */
static void identify(struct policy_request *q, const struct agent_spec *s, struct policy_pair pairs[PAIRS_MAX])
{
	q->tier = sandbox_tier_name(s->tier);
	q->capabilities = (const char *const *)s->capabilities;
	while (s->capabilities && s->capabilities[q->capabilities_n])
		q->capabilities_n++;
	q->metadata = pairs;
	q->metadata_n = pairs_of(s->metadata, pairs);
}

static bool is_owner(const struct actor *who)
{
	return who->view == 0 && (who->uid == 0 || who->uid == geteuid());
}

int policies_ask(struct runtime *rt, const struct actor *who, const char *action, const char *object, bool writes,
		 struct err *e)
{
	char resource[POLICY_RESOURCE_MAX];
	size_t i = 0;
	if (is_owner(who))
		return 0;
	while (i < ARRAY_LEN(acts) && strcmp(acts[i].action, action) != 0)
		i++;
	if (i == ARRAY_LEN(acts)) /* walking the tree and reading what concerns nobody */
		return 0;
	snprintf(resource, sizeof resource, "%s%s", object ? acts[i].prefix : "", object ? object : acts[i].whole);
	struct asking k = {.who = who,
			   .action = action,
			   .q = {.type = acts[i].type,
				 .op = writes ? acts[i].op : acts[i].reading,
				 .resource = resource},
			   .needs_rule = who->view != 0};
	struct agent *in = who->view ? agent_by_serial(rt, who->view) : NULL;
	struct agent_spec *s = NULL;
	struct policy_pair pairs[PAIRS_MAX];
	if (in && agent_spec_of(in, &s, NULL) == 0) {
		k.q.agent = in->name;
		identify(&k.q, s, pairs);
	}
	int r = decide(rt, &k, e);
	agent_spec_free(s);
	return r;
}

/* ---- the start of an agent ---- */

static int ask_file(struct runtime *rt, struct asking *k, const char *path, struct err *e)
{
	char normal[POLICY_RESOURCE_MAX];
	int r = policy_path_normal(path, normal, e);
	k->q.type = POLICY_FILE;
	k->q.resource = normal;
	for (enum policy_op op = POLICY_READ; r == 0 && op <= POLICY_WRITE; op++) {
		k->q.op = op;
		r = decide(rt, k, e);
	}
	return r;
}

/* What of the host's files its spec grants it, to read and to write: by the name that it has there, and by that of what is
 * opened, whatever links lead to it. */
static int ask_grants(struct runtime *rt, struct asking *k, const struct agent_spec *s, struct err *e)
{
	char link[64], opened[POLICY_RESOURCE_MAX];
	if (!s->workdir)
		return 0;
	autoclose int fd = open(s->workdir, O_PATH | O_CLOEXEC);
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = fd < 0 ? -1 : readlink(link, opened, sizeof opened);
	if (fd >= 0 && (n < 0 || n >= (ssize_t)sizeof opened))
		return err_set(e, ERR_POLICY_RESOURCE, "workdir '%.200s': where it leads to cannot be named", s->workdir);
	opened[n < 0 ? 0 : n] = 0;
	int r = ask_file(rt, k, s->workdir, e);
	return r < 0 || n < 0 || strcmp(opened, s->workdir) == 0 ? r : ask_file(rt, k, opened, e);
}

static int may_start(struct runtime *rt, struct agent *a, const struct agent_spec *s, uint32_t run, struct err *e)
{
	struct policy_pair pairs[PAIRS_MAX];
	const struct {
		enum policy_type type;
		const char *resource;
	} asked[] = {{POLICY_AGENT, a->name},
		     {POLICY_TIER, sandbox_tier_name(s->tier)},
		     {POLICY_COMMAND, s->argv && s->argv[0] ? s->argv[0] : ""}};
	struct asking k = {.who = &actor_self,
			   .action = "agent.start",
			   .agent = a,
			   .run = run,
			   .spec = s,
			   .q = {.op = POLICY_EXECUTE, .agent = a->name}};
	identify(&k.q, s, pairs);
	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		k.q.type = asked[i].type;
		k.q.resource = asked[i].resource;
		int r = decide(rt, &k, e);
		if (r < 0)
			return r;
	}
	return ask_grants(rt, &k, s, e);
}

int policies_may_start(struct runtime *rt, struct agent *a, const struct agent_spec *s, uint32_t run, struct err *e)
{
	struct agent_spec edited;
	int r = approval_edited_spec(rt, a->serial, run, &s, &edited, e);
	if (r == 0)
		r = may_start(rt, a, s, run, e);
	free(edited.argv);
	return r;
}

int policies_may_connect(struct runtime *rt, struct agent *a, const struct agent_spec *s, const char *target,
			 const char *const *addresses, size_t n, bool listed, const char **ret_rule, struct err *e)
{
	struct policy_pair pairs[PAIRS_MAX];
	struct asking k = {.who = &actor_self,
			   .action = "agent.connect",
			   .agent = a,
			   .q = {.type = POLICY_NETWORK,
				 .op = POLICY_CONNECT,
				 .resource = target,
				 .addresses = addresses,
				 .addresses_n = n,
				 .agent = a->name},
			   .needs_rule = !listed,
			   .told = true};
	identify(&k.q, s, pairs);
	int r = decide(rt, &k, e);
	*ret_rule = k.rule;
	return r;
}

bool policies_would(struct runtime *rt, const struct agent *a, enum policy_type type, enum policy_op op, const char *resource)
{
	struct policy_pair pairs[PAIRS_MAX];
	struct policy_decision d = {.effect = POLICY_DENY};
	struct policy_request q = {.type = type, .op = op, .resource = resource, .agent = a->name, .time_s = time(NULL)};
	struct agent_spec *s = NULL;
	if (!rt->policies.active || agent_spec_of(a, &s, NULL) < 0)
		return false;
	identify(&q, s, pairs);
	policy_decide(rt->policies.active, &q, &d);
	agent_spec_free(s);
	return d.effect != POLICY_DENY;
}

/* ---- texts ---- */

int policies_render_effective(struct runtime *rt, struct buf *out)
{
	const struct policies *p = &rt->policies;
	if (!p->active)
		return buf_printf(out, "none: %s\n", p->why.msg);
	buf_printf(out, "version %s\n", policy_set_version(p->active));
	return policy_list(p->active, out);
}

int policies_render_stats(struct runtime *rt, struct buf *out)
{
	const struct policies *p = &rt->policies;
	buf_printf(out, "version %s\nfiles %zu\nrules %zu\n", p->active ? policy_set_version(p->active) : "none",
		   rt->documents[DOCUMENT_POLICY].n,
		   p->active ? policy_set_rules(p->active) : 0);
	return buf_printf(out, "loads %llu\nloads_refused %llu\nloaded_ms %llu\ndecisions %llu\ndenied %llu\nescalated %llu\naudited %llu\n",
			  (unsigned long long)p->loads, (unsigned long long)p->refused,
			  (unsigned long long)p->loaded_ms, (unsigned long long)p->asked,
			  (unsigned long long)p->denied, (unsigned long long)p->escalated,
			  (unsigned long long)p->audited);
}

static void answer_text(const struct policy_decision *d, const char *version, struct buf *out)
{
	buf_printf(out, "effect %s\nrule %s\n", policy_effect_word(d->effect), d->rule ? d->rule : "no_match");
	if (d->rule)
		buf_printf(out, "at %s:%u\n", d->file, d->line);
	if (d->reason)
		buf_printf(out, "reason %s\n", d->reason);
	buf_printf(out, "audit %s\nversion %s\n", d->audit ? "yes" : "no", version);
}

static void answer_json(const struct policy_decision *d, const char *version, struct buf *out)
{
	const char *rule = d->rule ? d->rule : "no_match";
	buf_printf(out, "{\"effect\":\"%s\",\"rule\":", policy_effect_word(d->effect));
	buf_json_string(out, rule, strlen(rule));
	if (d->rule) {
		buf_adds(out, ",\"file\":");
		buf_json_string(out, d->file, strlen(d->file));
		buf_printf(out, ",\"line\":%u", d->line);
	}
	if (d->reason) {
		buf_adds(out, ",\"reason\":");
		buf_json_string(out, d->reason, strlen(d->reason));
	}
	buf_printf(out, ",\"audit\":%s,\"version\":\"%s\"}\n", d->audit ? "true" : "false", version);
}

/* The request that w says, of an agent that exists with what its spec says; *ret_spec is to be freed in any case. */
static int request_of(struct runtime *rt, const struct policy_words *w, struct policy_asked *ret, struct policy_pair pairs[PAIRS_MAX],
		      struct agent_spec **ret_spec, struct err *e)
{
	int r = policy_asked_make(ret, w, e);
	const struct agent *a = r == 0 && w->agent ? agent_find(rt, w->agent, strlen(w->agent)) : NULL;
	if (a && agent_spec_of(a, ret_spec, NULL) == 0)
		identify(&ret->q, *ret_spec, pairs);
	if (r == 0 && w->tier)
		ret->q.tier = w->tier;
	return r;
}

int policies_check(struct runtime *rt, const struct policy_words *w, bool json, struct buf *out, struct err *e)
{
	struct policy_asked asked;
	struct policy_pair pairs[PAIRS_MAX];
	struct policy_decision d = {.effect = POLICY_DENY};
	struct agent_spec *s = NULL;
	int r = request_of(rt, w, &asked, pairs, &s, e);
	if (r == 0 && rt->policies.active)
		policy_decide(rt->policies.active, &asked.q, &d);
	if (r == 0)
		(json ? answer_json : answer_text)(
			&d, rt->policies.active ? policy_set_version(rt->policies.active) : "none", out);
	agent_spec_free(s);
	return r < 0 ? r : out->fail;
}

int policies_explain(struct runtime *rt, const struct policy_words *w, struct buf *out, struct err *e)
{
	struct policy_asked asked;
	struct policy_pair pairs[PAIRS_MAX];
	struct agent_spec *s = NULL;
	int r = request_of(rt, w, &asked, pairs, &s, e);
	if (r == 0 && !rt->policies.active)
		r = err_set(e, ERR_POLICY_INVALID, "the stored policies do not load: %.300s", rt->policies.why.msg);
	if (r == 0)
		r = policy_explain(rt->policies.active, &asked.q, out);
	agent_spec_free(s);
	return r;
}
