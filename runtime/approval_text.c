/* SPDX-License-Identifier: MIT */
/* approval_text.c - what is shown of an approval, and to whom. L2; loop thread only. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "lib/parse.h"
#include "runtime/runtime_i.h"

/* ---- who ---- */

static bool is_user(const char *name, uid_t uid)
{
	uint64_t n;
	if (parse_u64(name, 0, UINT32_MAX, &n, NULL) == 0)
		return n == uid;
	const struct passwd *pw = getpwnam(name);
	return pw && pw->pw_uid == uid;
}

static bool in_group(const char *name, const struct actor *who)
{
	const struct group *g = getgrnam(name);
	struct passwd *pw;
	if (!g)
		return false;
	gid_t gid = g->gr_gid;
	if (who->gid == gid || groups_has(who->groups, gid))
		return true;
	pw = getpwuid(who->uid);
	for (char **m = pw && (g = getgrnam(name)) ? g->gr_mem : NULL; m && *m; m++)
		if (strcmp(*m, pw->pw_name) == 0)
			return true;
	return false;
}

bool approval_is_named(const struct approval *a, const struct actor *who)
{
	char list[4096];
	char *save = NULL;
	snprintf(list, sizeof list, "%s", a->to);
	for (char *name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save))
		if (name[0] == '@' ? in_group(name + 1, who) : is_user(name, who->uid))
			return true;
	return false;
}

int approval_may_see(const struct approval *a, const struct actor *who, struct err *e)
{
	bool asked = !a->agent && a->uid == who->uid && a->view == who->view;
	if (who->view == 0 && (who->uid == 0 || who->uid == geteuid()))
		return 0;
	if (asked || (who->view == 0 && approval_is_named(a, who)))
		return 0;
	return err_set(e, ERR_FS_MODE, "approval %u is for those who asked and who may decide", a->id);
}

/* ---- what ---- */

const char *approval_risk(const struct approval *a)
{
	bool strong = strcmp(a->op, "Execute") == 0 || strcmp(a->op, "Delete") == 0 || strcmp(a->type, "Secret") == 0;
	bool weak = strcmp(a->op, "Read") == 0 || strcmp(a->op, "List") == 0;
	if (strong || strcmp(a->resource, "None") == 0)
		return "high";
	return weak ? "low" : "medium";
}

#define SHOWN_MAX 24

struct shown {
	const char *key, *text;
	uint64_t number; /* where text is NULL */
};

static size_t fields_of(const struct approval *a, struct shown out[SHOWN_MAX])
{
	size_t n = 0;
#define TEXT(k, t) out[n++] = (struct shown){k, t, 0}
#define NUMBER(k, v) out[n++] = (struct shown){k, NULL, v}
	NUMBER("approval", a->id);
	TEXT("state", approval_state_word(a->state));
	if (a->agent) {
		TEXT("agent", a->object);
		NUMBER("run", a->run);
	} else if (a->view) {
		NUMBER("agent_serial", a->view);
	} else {
		NUMBER("uid", a->uid);
	}
	TEXT("action", a->action);
	TEXT("operation", a->op);
	TEXT("type", a->type);
	TEXT("resource", a->resource);
	if (*a->arguments)
		TEXT("arguments", a->arguments);
	if (*a->edited) {
		TEXT("arguments_asked", a->asked);
		NUMBER("edited_by", a->edited_by);
	}
	TEXT("risk", approval_risk(a));
	TEXT("rule", a->rule);
	TEXT("file", a->file);
	NUMBER("line", a->line);
	if (*a->reason)
		TEXT("reason", a->reason);
	TEXT("to", *a->to ? a->to : "root");
	NUMBER("asked_ms", a->asked_ms);
	NUMBER("expires_ms", a->expires_ms);
	TEXT("policy_version", a->version);
#undef TEXT
#undef NUMBER
	return n;
}

int approval_render(const struct approval *a, bool json, struct buf *out)
{
	struct shown f[SHOWN_MAX];
	size_t n = fields_of(a, f);
	for (size_t i = 0; i < n; i++) {
		if (json)
			buf_printf(out, "%s\"%s\":", i ? "," : "{", f[i].key);
		else
			buf_printf(out, "%s ", f[i].key);
		if (!f[i].text)
			buf_printf(out, "%llu", (unsigned long long)f[i].number);
		else if (json)
			buf_json_string(out, f[i].text, strlen(f[i].text));
		else
			for (const char *p = f[i].text; *p; p++) /* a line each, whatever is in it */
				buf_add(out, *p == '\n' ? " " : p, 1);
		if (!json)
			buf_adds(out, "\n");
	}
	return json ? buf_adds(out, "}\n") : out->fail;
}

int approval_render_decision(const struct approval *a, struct buf *out)
{
	buf_adds(out, approval_state_word(a->state));
	if (a->decided_ms && a->state != APPROVAL_EXPIRED)
		buf_printf(out, " by uid %u at_ms %llu", a->decided_by, (unsigned long long)a->decided_ms);
	return buf_printf(out, "%s%s\n", *a->why ? ": " : "", a->why);
}
