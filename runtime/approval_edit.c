/* SPDX-License-Identifier: MIT */
/* approval_edit.c - the arguments of a run that waits for an approval: shown in full, written anew by who may decide, given to
 * the run when it starts. L2; loop thread only. */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "runtime/runtime_i.h"

#define EDIT_MAX    (64u << 10) /* bytes of the list */
#define SHOWN_ARG   200		/* of one argument in a request */
#define SHOWN_ALL   2000

/* ---- lists of arguments ---- */

static void add_json(const char *const *argv, struct buf *out)
{
	buf_adds(out, "[");
	for (size_t i = 0; argv && argv[i]; i++) {
		buf_adds(out, i ? "," : "");
		buf_json_string(out, argv[i], strlen(argv[i]));
	}
	buf_adds(out, "]");
}

/* The digest of all of it, so that two lists that look alike where they are cut are none the less two. */
static void add_digest(const char *const *argv, struct buf *out)
{
	unsigned char sum[crypto_hash_sha256_BYTES];
	char hex[2 * sizeof sum + 1];
	crypto_hash_sha256_state st;
	crypto_hash_sha256_init(&st);
	for (size_t i = 0; argv[i]; i++)
		crypto_hash_sha256_update(&st, (const unsigned char *)argv[i], strlen(argv[i]) + 1);
	crypto_hash_sha256_final(&st, sum);
	buf_printf(out, ",\"cut here; sha256:%s\"", sodium_bin2hex(hex, sizeof hex, sum, sizeof sum));
}

void approval_arguments(const char *const *argv, struct buf *out)
{
	bool cut = false;
	buf_adds(out, "[");
	for (size_t i = 0; argv && argv[i] && !cut; i++) {
		size_t n = strnlen(argv[i], SHOWN_ARG + 1);
		buf_adds(out, i ? "," : "");
		buf_json_string(out, argv[i], n > SHOWN_ARG ? SHOWN_ARG : n);
		cut = n > SHOWN_ARG || (out->len > SHOWN_ALL && argv[i + 1]);
	}
	if (cut)
		add_digest(argv, out);
	buf_adds(out, "]");
}

static int no_list(struct err *e, const char *what)
{
	return err_set(e, ERR_APPROVAL_DECISION, "%s: write the arguments as one line of JSON, [\"PROGRAM\",\"ARGUMENT\",...]", what);
}

static int check_list(const struct value *v, struct err *e)
{
	if (v->type != VALUE_LIST || !v->list.n)
		return no_list(e, "it is no list of texts");
	if (v->list.n > AGENT_ARGS_MAX)
		return err_set(e, ERR_APPROVAL_DECISION, "at most %d arguments", AGENT_ARGS_MAX);
	for (size_t i = 0; i < v->list.n; i++) {
		const struct value *a = &v->list.items[i];
		if (a->type != VALUE_STRING || memchr(a->string.data, 0, a->string.len))
			return no_list(e, "an argument is no text");
	}
	return v->list.items[0].string.len ? 0 : no_list(e, "the program is empty");
}

/* *ret: a NULL-ended list in one piece that the caller frees. */
static int read_list(const char *text, size_t len, const char ***ret, struct err *e)
{
	struct value *v = NULL;
	if (len > EDIT_MAX)
		return err_set(e, ERR_APPROVAL_DECISION, "the arguments have at most %u bytes", EDIT_MAX);
	int r = value_parse(VALUE_JSON, text, len, &v, NULL, NULL) < 0 ? no_list(e, "it is no JSON") : check_list(v, e);
	size_t n = r == 0 ? v->list.n : 0, bytes = (n + 1) * sizeof(char *);
	for (size_t i = 0; i < n; i++)
		bytes += v->list.items[i].string.len + 1;
	*ret = r == 0 ? calloc(1, bytes) : NULL;
	if (r == 0 && !*ret)
		r = err_set(e, ERR_SYS_MEMORY, "no memory for the arguments");
	char *at = r == 0 ? (char *)(*ret + n + 1) : NULL;
	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct value *a = &v->list.items[i];
		(*ret)[i] = memcpy(at, a->string.data, a->string.len + 1);
		at += a->string.len + 1;
	}
	value_free(v);
	return r;
}

/* ---- what somebody writes ---- */

int approval_edit_check(const char *text, size_t len, struct err *e)
{
	autofree const char **argv = NULL;
	return read_list(text, len, &argv, e);
}

int approval_edit(struct runtime *rt, const struct actor *who, uint32_t id, const char *text, size_t len,
		  struct runtime_done done, struct err *e)
{
	autofree const char **argv = NULL;
	autobuf struct buf json;
	buf_init(&json, 2 * EDIT_MAX + 16);
	const struct approval *a = approval_find(rt, id);
	if (!a)
		return err_set(e, ERR_FS_NOT_FOUND, "approval %u is gone", id);
	int r = read_list(text, len, &argv, e);
	if (r == 0 && !a->agent)
		r = err_sys(e, ERR_APPROVAL_DECISION, EPERM, "approval %u is for an act that its asker repeats: there are no arguments to edit", id);
	if (r == 0)
		r = approval_may_decide(rt, a, who, e);
	if (r == 0 && a->state != APPROVAL_PENDING)
		r = err_sys(e, ERR_APPROVAL_DECISION, EALREADY, "approval %u is %s already", id, approval_state_word(a->state));
	if (r < 0)
		return r;
	add_json(argv, &json);
	if (json.fail)
		return err_sys(e, ERR_RESOURCE_TOO_BIG, -json.fail, "the arguments");
	struct facts f = {.type = REC_APPROVAL_EDITED,
			  .object = a->object,
			  .serial = id,
			  .agent = a->agent,
			  .run = a->run,
			  .message = json.data};
	return record(rt, who, &f, done, e);
}

static void replace(char **text, const char *with)
{
	free(*text);
	*text = strdup(with);
	if (!*text)
		abort(); /* journalled; memory that differs from the journal must not serve */
}

void approval_apply_edit(struct approval *a, const struct facts *f)
{
	autofree const char **argv = NULL;
	autobuf struct buf shown;
	buf_init(&shown, 1u << 20);
	if (!f->message || read_list(f->message, strlen(f->message), &argv, NULL) < 0)
		return;
	approval_arguments(argv, &shown);
	if (!*a->edited)
		replace(&a->asked, a->arguments);
	replace(&a->edited, f->message);
	replace(&a->arguments, shown.fail ? "" : shown.data);
	a->edited_by = f->actor;
}

/* ---- what becomes of it ---- */

int approval_render_arguments(struct runtime *rt, const struct approval *a, struct buf *out)
{
	struct agent *agent = a->agent && !*a->edited ? agent_by_serial(rt, a->agent) : NULL;
	const struct agent_spec *s = agent ? agent_spec_get(agent, NULL) : NULL;
	if (s && a->state == APPROVAL_PENDING)
		add_json((const char *const *)s->argv, out);
	else
		buf_adds(out, *a->edited ? a->edited : a->arguments);
	return buf_adds(out, "\n");
}

int approval_edited_spec(struct runtime *rt, uint32_t agent, uint32_t run, const struct agent_spec **s,
			 struct agent_spec *room, struct err *e)
{
	const struct approvals *p = &rt->approvals;
	const struct approval *a = NULL;
	const char **argv;
	for (size_t i = p->n; i-- > 0 && !a;)
		if (p->list[i]->agent == agent && p->list[i]->run == run && *p->list[i]->edited)
			a = p->list[i];
	room->argv = NULL;
	int r = a ? read_list(a->edited, strlen(a->edited), &argv, e) : 0;
	if (!a || r < 0)
		return r;
	size_t n = 0;
	while (argv[n])
		n++;
	*room = **s;
	room->argv = (char **)(void *)argv;
	if (room->code_arg >= n || (room->code_arg && *argv[room->code_arg]))
		room->code_arg = 0; /* the place of the code has something else now */
	*s = room;
	return 0;
}
