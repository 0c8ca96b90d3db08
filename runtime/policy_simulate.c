/* SPDX-License-Identifier: MIT */
/* policy_simulate.c - recorded decisions made once more by another set. L2; any thread. */
#include "runtime/policy_simulate.h"

#include <inttypes.h>
#include <string.h>

#include "runtime/runtime_i.h"

struct simulation {
	const struct policy_set *set;
	struct buf *out;
	struct policy_simulated *ret;
};

/* The request that was decided; false: the record is not of that shape, a later version's. */
static bool request_of(const struct journal_record *rec, const struct value *body, struct policy_request *q)
{
	const char *type = value_get_text(body, "resource_type"), *op = value_get_text(body, "operation");
	const struct value *serial = value_get(body, rec->type == REC_APPROVAL_ASKED ? "agent_serial" : "serial");
	bool agents = serial && serial->type == VALUE_INT && serial->integer > 0;
	*q = (struct policy_request){.resource = value_get_text(body, "resource"),
				     .agent = agents ? rec->object : NULL,
				     .tier = value_get_text(body, "tier"),
				     .time_s = (int64_t)(rec->time_ms / 1000)};
	return type && op && q->resource && policy_type_find(type, &q->type) == 0 && policy_op_find(op, &q->op) == 0;
}

/* What of no rule speaks is denied to who acts from a view alone. */
static void decide(const struct simulation *m, const struct journal_record *rec, const struct policy_request *q,
		   struct policy_decision *ret)
{
	policy_decide(m->set, q, ret);
	if (!ret->rule && !rec->view)
		ret->effect = POLICY_ALLOW;
}

static void say(const struct simulation *m, const struct journal_record *rec, const struct value *body,
		const struct policy_request *q, const char *was, const struct policy_decision *now)
{
	buf_printf(m->out, "%" PRIu64 " ", rec->seq);
	if (q->agent)
		buf_printf(m->out, "agent %s", q->agent);
	else if (rec->view)
		buf_printf(m->out, "view %u", rec->view);
	else
		buf_printf(m->out, "uid %u", rec->uid);
	buf_printf(m->out, " %s %s %s: %s (%s) -> %s (%s)\n", policy_op_word(q->op), policy_type_word(q->type), q->resource, was,
		   value_get_text(body, "rule"), policy_effect_word(now->effect),
		   now->rule ? now->rule : "no_match");
}

static int see(void *arg, const struct journal_record *rec)
{
	struct simulation *m = arg;
	struct value *body = NULL;
	struct policy_request q;
	struct policy_decision now;
	if (rec->type != REC_DECISION && rec->type != REC_APPROVAL_ASKED)
		return 0;
	int r = value_parse(VALUE_JSON, rec->body, rec->body_len, &body, NULL, NULL);
	const char *was = value_get_text(body, "effect");
	if (r == 0 && rec->type == REC_APPROVAL_ASKED)
		was = policy_effect_word(POLICY_ESCALATE);
	if (r == 0 && was && request_of(rec, body, &q)) {
		m->ret->decisions++;
		decide(m, rec, &q, &now);
		if (strcmp(was, policy_effect_word(now.effect)) != 0) {
			m->ret->differ++;
			say(m, rec, body, &q, was, &now);
		}
	}
	value_free(body);
	return m->out->fail;
}

int policy_simulate(const char *journal_dir, const struct policy_set *s, struct buf *out, struct policy_simulated *ret,
		    struct err *e)
{
	struct journal_stat st;
	struct simulation m = {s, out, ret};
	*ret = (struct policy_simulated){0};
	return journal_scan(journal_dir, see, &m, &st, e);
}
