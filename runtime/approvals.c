/* SPDX-License-Identifier: MIT */
/* approvals.c - asking for an approval, deciding on it, what follows from the decision. L2; loop thread only. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "runtime/runtime_i.h"
#include "sandbox/proctree.h"

#define SAME_ACT_NS 10000000000u /* so long the process that used an approval is about the same act */

static const char *const words[APPROVAL_STATES] = {"pending", "approved", "denied", "expired", "used", "withdrawn"};

const char *approval_state_word(enum approval_state s)
{
	return s < APPROVAL_STATES ? words[s] : "?";
}

static enum approval_state state_of(const char *word)
{
	unsigned s = 0;
	while (word && s < APPROVAL_STATES && strcmp(words[s], word) != 0)
		s++;
	return word && s < APPROVAL_STATES ? (enum approval_state)s : APPROVAL_WITHDRAWN;
}

/* ---- finding ---- */

static size_t place_of(const struct approvals *p, uint32_t id) /* first with >= id */
{
	return sorted_place(p->list, p->n, a, a->id, id);
}

static struct approval *by_id(struct runtime *rt, uint32_t id)
{
	const struct approvals *p = &rt->approvals;
	size_t i = place_of(p, id);
	return i < p->n && p->list[i]->id == id ? p->list[i] : NULL;
}

const struct approval *approval_find(struct runtime *rt, uint32_t id)
{
	return by_id(rt, id);
}

const struct approval *approval_next(struct runtime *rt, uint32_t after, bool pending)
{
	const struct approvals *p = &rt->approvals;
	for (size_t i = place_of(p, after + 1); i < p->n; i++)
		if ((p->list[i]->state == APPROVAL_PENDING) == pending)
			return p->list[i];
	return NULL;
}

uint32_t approval_of_run(struct runtime *rt, uint32_t agent, uint32_t run)
{
	const struct approvals *p = &rt->approvals;
	for (size_t i = p->n; i-- > 0;)
		if (p->list[i]->agent == agent && p->list[i]->run == run && p->list[i]->state == APPROVAL_PENDING)
			return p->list[i]->id;
	return 0;
}

/* The newest one for the same act. */
static struct approval *same_act(struct runtime *rt, const struct approval_ask *q)
{
	const struct approvals *p = &rt->approvals;
	uint32_t agent = q->agent ? q->agent->serial : 0, uid = q->agent ? 0 : q->who->uid,
		 view = q->agent ? 0 : q->who->view;
	for (size_t i = p->n; i-- > 0;) {
		struct approval *a = p->list[i];
		if (a->agent == agent && a->run == q->run && a->uid == uid && a->view == view &&
		    strcmp(a->action, q->action) == 0 && strcmp(a->type, q->type) == 0 && strcmp(a->op, q->op) == 0 &&
		    strcmp(a->resource, q->resource) == 0)
			return a;
	}
	return NULL;
}

/* ---- asking ---- */

static int record_state(struct runtime *rt, const struct actor *who, struct approval *a, enum approval_state to,
			const char *why, struct runtime_done done, struct err *e)
{
	struct facts f = {.type = to == APPROVAL_USED ? REC_APPROVAL_USED : REC_APPROVAL_DECIDED,
			  .object = a->object,
			  .serial = a->id,
			  .agent = a->agent,
			  .run = a->run,
			  .value = words[to],
			  .why = why};
	return record(rt, who, &f, done, e);
}

static int say_pending(const struct approval *a, struct err *e)
{
	return err_set(e, ERR_APPROVAL_PENDING, "%s of '%.120s' waits for approval %u, by rule '%s' (%s:%u): see approvals/pending/%u/%s",
		       a->op, a->resource, a->id, a->rule, a->file, a->line, a->id, a->agent ? "" : "; repeat it then");
}

static int say_denied(const struct approval *a, struct err *e)
{
	return err_set(e, ERR_APPROVAL_DENIED, "%s of '%.120s': approval %u was denied by uid %u%s%.120s", a->op, a->resource, a->id,
		       a->decided_by, *a->why ? ": " : "", a->why);
}

static int may_ask(struct runtime *rt, const struct approval_ask *q, struct err *e)
{
	const struct approvals *p = &rt->approvals;
	unsigned own = 0;
	for (size_t i = 0; i < p->n; i++)
		own += p->list[i]->state == APPROVAL_PENDING &&
		       (q->agent ? p->list[i]->agent == q->agent->serial
				 : !p->list[i]->agent && p->list[i]->uid == q->who->uid && p->list[i]->view == q->who->view);
	if (own >= APPROVALS_PENDING_OF_ASKER || p->pending >= APPROVALS_PENDING_MAX)
		return err_sys(e, ERR_POLICY_DENIED, EACCES, "%s of '%.120s' needs an approval, and %u wait already", q->op,
			       q->resource, own);
	return 0;
}

/* The names that may decide, with commas. */
static void names_of(const struct value *to, struct buf *out)
{
	for (size_t i = 0; to && i < to->list.n; i++)
		buf_printf(out, "%s%s", i ? "," : "", to->list.items[i].string.data);
}

static void on_expiry(void *arg);

static void arm(struct approval *a)
{
	uint64_t now = clock_wall_ms();
	timer_set(&a->rt->timers, &a->timer, a->expires_ms > now ? a->expires_ms - now : 0, on_expiry, a);
}

static int make(struct runtime *rt, const struct approval_ask *q, struct err *e)
{
	autobuf struct buf to;
	buf_init(&to, 4096);
	names_of(q->d->to, &to);
	struct facts f = {.type = REC_APPROVAL_ASKED,
			  .object = q->agent ? q->agent->name : "",
			  .serial = rt->serial_last + 1,
			  .agent = q->agent ? q->agent->serial : 0,
			  .run = q->run,
			  .uid = q->agent ? 0 : q->who->uid,
			  .view = q->agent ? 0 : q->who->view,
			  .action = q->action,
			  .tier = q->tier,
			  .resource_type = q->type,
			  .operation = q->op,
			  .resource = q->resource,
			  .message = q->arguments,
			  .rule = q->d->rule,
			  .file = q->d->file,
			  .line = q->d->line,
			  .why = q->d->reason,
			  .value = to.data,
			  .policy_version = q->version,
			  .expires_ms = clock_wall_ms() + config_ms(rt->config, "approvals.timeout")};
	struct actor who = *q->who;
	who.req = 0; /* the act is not done by being asked for */
	int r = to.fail ? err_sys(e, ERR_RESOURCE_TOO_BIG, -to.fail, "`to` of rule '%s'", q->d->rule) : may_ask(rt, q, e);
	if (r == 0)
		r = record(rt, &who, &f, done_nobody, e);
	if (r < 0)
		return r;
	struct approval *a = by_id(rt, f.serial);
	arm(a);
	return say_pending(a, e);
}

/* An approval is for one act: of one run, or of one process that begins it in time. */
static int use(struct runtime *rt, struct approval *a, const struct approval_ask *q, struct err *e)
{
	struct actor who = *q->who;
	who.req = 0;
	int r = record_state(rt, &who, a, APPROVAL_USED, NULL, done_nobody, e);
	if (r < 0)
		return r;
	a->used_by = q->who->pid;
	a->used_ns = clock_mono_ns();
	return 0;
}

int approvals_ask(struct runtime *rt, const struct approval_ask *q, struct err *e)
{
	struct approval *a = same_act(rt, q);
	uint64_t now = clock_wall_ms();
	if (!a)
		return make(rt, q, e);
	bool in_time = a->agent || now < a->valid_until_ms;
	bool same = strcmp(a->arguments, q->arguments) == 0; /* what was approved is this, not what became of it since */
	switch (a->state) {
	case APPROVAL_PENDING: return say_pending(a, e);
	case APPROVAL_APPROVED:
		if (in_time && same)
			return use(rt, a, q, e);
		break;
	case APPROVAL_DENIED:
		if (in_time)
			return say_denied(a, e);
		break;
	case APPROVAL_USED:
		if ((a->agent && same) || (!a->agent && a->used_by && a->used_by == q->who->pid && clock_mono_ns() - a->used_ns < SAME_ACT_NS))
			return 0;
		break;
	case APPROVAL_EXPIRED:
		if (a->agent)
			return err_set(e, ERR_APPROVAL_EXPIRED, "approval %u: nobody decided in time", a->id);
		break;
	case APPROVAL_WITHDRAWN:
	case APPROVAL_STATES: break;
	}
	return make(rt, q, e);
}

/* ---- what follows from a decision ---- */

static void run_goes_on(struct runtime *rt, const struct approval *a)
{
	struct err e = {0};
	struct agent *agent = a->agent ? agent_by_serial(rt, a->agent) : NULL;
	struct run *r = agent ? run_find(rt, agent, a->run) : NULL;
	if (!r || !r->parked)
		return;
	if (a->state == APPROVAL_APPROVED) {
		run_unpark(r);
		run_enqueue(r);
		queue_fill(rt);
		return;
	}
	if (a->state == APPROVAL_EXPIRED)
		err_set(&e, ERR_APPROVAL_EXPIRED, "approval %u: nobody decided in time", a->id);
	else
		say_denied(a, &e);
	run_finish_with(r, e.code, e.msg);
}

struct deciding {
	struct runtime *rt;
	uint32_t id;
	struct runtime_done done;
};

/* It is durable: now what waits may act on it. */
static void decided(void *arg, const struct err *why)
{
	struct deciding *d = arg;
	struct approval *a = by_id(d->rt, d->id);
	if (a && !why)
		run_goes_on(d->rt, a);
	d->done.fn(d->done.arg, why);
	free(d);
}

static int decide(struct runtime *rt, const struct actor *who, struct approval *a, enum approval_state to, const char *why,
		  struct runtime_done done, struct err *e)
{
	struct deciding *d = malloc(sizeof *d);
	if (!d)
		return err_set(e, ERR_SYS_MEMORY, "no memory for a decision");
	*d = (struct deciding){rt, a->id, done};
	timer_clear(&rt->timers, &a->timer);
	int r = record_state(rt, who, a, to, why, (struct runtime_done){decided, d}, e);
	if (r < 0) {
		free(d);
		arm(a);
	}
	return r;
}

static void on_expiry(void *arg)
{
	struct approval *a = arg;
	struct runtime *rt = a->rt;
	struct err e = {0};
	if (rt->stopping || decide(rt, &actor_self, a, APPROVAL_EXPIRED, NULL, done_nobody, &e) == 0)
		return;
	log_err(LOG_LEVEL_ERROR, "approval.not_expired", &e, NULL, NULL);
	timer_set(&rt->timers, &a->timer, 1000, on_expiry, a);
}

/* ---- deciding ---- */

/* Fills *ret_why with what follows ": ", which may be empty. */
static int parse(const char *line, size_t len, enum approval_state *ret, char why[200], struct err *e)
{
	const char *colon = memchr(line, ':', len);
	size_t word = colon ? (size_t)(colon - line) : len;
	size_t skip = colon ? word + 1 : len;
	while (skip < len && line[skip] == ' ')
		skip++;
	while (word && line[word - 1] == ' ')
		word--;
	bool approve = word == 7 && memcmp(line, "approve", 7) == 0;
	if (!approve && !(word == 4 && memcmp(line, "deny", 4) == 0))
		return err_set(e, ERR_APPROVAL_DECISION, "'%.*s': write `approve` or `deny: reason`", (int)(len < 60 ? len : 60), line);
	if (len - skip >= 200)
		return err_set(e, ERR_APPROVAL_DECISION, "a reason has at most 199 bytes");
	*ret = approve ? APPROVAL_APPROVED : APPROVAL_DENIED;
	snprintf(why, 200, "%.*s", (int)(len - skip), line + skip);
	return 0;
}

int approval_decision_check(const char *line, size_t len, struct err *e)
{
	enum approval_state s;
	char why[200];
	return parse(line, len, &s, why, e);
}

struct looking {
	pid_t pid;
	bool found;
};

static void is_it(void *arg, pid_t pid)
{
	struct looking *l = arg;
	l->found |= l->pid == pid;
}

/* What an agent of tier None starts has the mount before its eyes, and perhaps the daemon's own user. */
static bool is_agents_process(struct runtime *rt, pid_t pid)
{
	struct looking l = {.pid = pid};
	for (const struct run *r = rt->active; r && pid && !l.found; r = r->active_next) {
		if (!r->pid || r->agent->tier != TIER_NONE)
			continue;
		l.found = r->pid == pid || getsid(pid) == r->pid;
		proctree_each(r->pid, is_it, &l);
	}
	return l.found;
}

int approval_may_decide(struct runtime *rt, const struct approval *a, const struct actor *who, struct err *e)
{
	bool owner = who->uid == 0 || who->uid == geteuid();
	if (who->view || is_agents_process(rt, who->pid))
		return err_sys(e, ERR_APPROVAL_DECISION, EPERM, "approval %u: an agent decides on none", a->id);
	if (!a->agent && !a->view && who->uid == a->uid)
		return err_sys(e, ERR_APPROVAL_DECISION, EPERM, "approval %u: somebody else has to decide than who asked", a->id);
	if (!owner && !approval_is_named(a, who))
		return err_sys(e, ERR_APPROVAL_DECISION, EPERM, "approval %u: uid %u is none of those that rule '%s' names: %s", a->id,
			       who->uid, a->rule, *a->to ? a->to : "root");
	return policies_ask(rt, who, "approval.decide", a->rule, true, e);
}

int approval_decide(struct runtime *rt, const struct actor *who, uint32_t id, const char *line, size_t len,
		    struct runtime_done done, struct err *e)
{
	enum approval_state to;
	char why[200];
	struct approval *a = by_id(rt, id);
	if (!a)
		return err_set(e, ERR_FS_NOT_FOUND, "approval %u is gone", id);
	int r = parse(line, len, &to, why, e);
	if (r == 0)
		r = approval_may_decide(rt, a, who, e);
	if (r == 0 && a->state != APPROVAL_PENDING)
		r = err_sys(e, ERR_APPROVAL_DECISION, EALREADY, "approval %u is %s already", id, words[a->state]);
	return r < 0 ? r : decide(rt, who, a, to, why, done, e);
}

/* ---- apply: the same live and in replay ---- */

static char *text_of(const char *s)
{
	char *copy = strdup(s ? s : "");
	if (!copy)
		abort(); /* journalled; memory that differs from the journal must not serve */
	return copy;
}

static void apply_asked(struct runtime *rt, const struct facts *f)
{
	if (by_id(rt, f->serial))
		return;
	struct approval *a = approval_add(rt, f->serial);
	if (!a)
		abort(); /* see text_of */
	a->uid = f->uid;
	a->view = f->view;
	a->agent = f->agent;
	a->run = f->run;
	a->object = text_of(f->object);
	a->action = text_of(f->action);
	a->type = text_of(f->resource_type);
	a->op = text_of(f->operation);
	a->resource = text_of(f->resource);
	a->arguments = text_of(f->message);
	a->rule = text_of(f->rule);
	a->file = text_of(f->file);
	a->line = f->line;
	a->reason = text_of(f->why);
	a->to = text_of(f->value);
	a->version = text_of(f->policy_version);
	a->why = text_of(NULL);
	a->asked = text_of(NULL);
	a->edited = text_of(NULL);
	a->asked_ms = f->time_ms;
	a->expires_ms = f->expires_ms;
}

static void set_state(struct runtime *rt, struct approval *a, enum approval_state to)
{
	rt->approvals.pending -= a->state == APPROVAL_PENDING;
	a->state = to;
	a->dirty = rt->approvals.dirty = true;
	timer_clear(&rt->timers, &a->timer);
	store_changed(rt);
}

/* Does a run that is not started yet need what was edited? */
static bool is_awaited(struct runtime *rt, const struct approval *a)
{
	struct agent *agent = *a->edited ? agent_by_serial(rt, a->agent) : NULL;
	const struct run *r = agent ? run_find(rt, agent, a->run) : NULL;
	return r && r->state == RUN_QUEUED;
}

/* The oldest of those that are done, beyond as many as are kept. */
static void forget_oldest(struct runtime *rt)
{
	size_t keep = config_u64(rt->config, "approvals.keep"), done = rt->approvals.n - rt->approvals.pending;
	for (size_t i = 0; done > keep && i < rt->approvals.n;) {
		struct approval *a = rt->approvals.list[i];
		bool spent = a->state != APPROVAL_PENDING && a->state != APPROVAL_APPROVED && !is_awaited(rt, a);
		if (spent) {
			approval_remove(rt, a);
			done--;
		}
		i += !spent;
	}
}

bool approvals_is_record(unsigned type)
{
	return (type >= REC_APPROVAL_ASKED && type <= REC_APPROVAL_USED) || type == REC_APPROVAL_EDITED;
}

void approvals_apply(struct runtime *rt, const struct facts *f)
{
	struct approval *a = by_id(rt, f->serial);
	if (f->type == REC_APPROVAL_ASKED) {
		apply_asked(rt, f);
		return;
	}
	if (!a) /* forgotten since */
		return;
	if (f->type == REC_APPROVAL_EDITED) {
		approval_apply_edit(a, f);
		a->dirty = rt->approvals.dirty = true;
		store_changed(rt);
		return;
	}
	set_state(rt, a, state_of(f->value));
	if (f->type != REC_APPROVAL_DECIDED)
		return;
	free(a->why);
	a->why = text_of(f->why);
	a->decided_ms = f->time_ms;
	a->decided_by = f->actor;
	a->valid_until_ms = f->time_ms + config_ms(rt->config, "approvals.grant");
	forget_oldest(rt);
}

void approvals_withdraw(struct runtime *rt, uint32_t agent, uint32_t run)
{
	for (size_t i = 0; rt->approvals.pending && i < rt->approvals.n; i++) {
		struct approval *a = rt->approvals.list[i];
		if (a->agent == agent && (!run || a->run == run) && a->state == APPROVAL_PENDING)
			set_state(rt, a, APPROVAL_WITHDRAWN);
	}
}

/* ---- life ---- */

void approvals_start(struct runtime *rt)
{
	for (size_t i = 0; i < rt->approvals.n; i++)
		if (rt->approvals.list[i]->state == APPROVAL_PENDING)
			arm(rt->approvals.list[i]);
}
