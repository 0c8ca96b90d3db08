/* SPDX-License-Identifier: MIT */
/* profiles.c - sandbox profiles as documents, and what bounds a run: its profile's limits in a sandbox,
 * native_execution's where there is none. L2; loop thread only. */
#include "runtime/profiles.h"

#include <errno.h>
#include <string.h>

#include "lib/parse.h"
#include "runtime/runtime_i.h"

/* ---- the documents ---- */

static size_t stem(const char *file)
{
	const char *dot = strrchr(file, '.');
	return dot ? (size_t)(dot - file) : strlen(file);
}

static bool is_named(const char *file, const char *name)
{
	size_t n = stem(file);
	return strncmp(file, name, n) == 0 && !name[n];
}

static int read_document(const char *file, const char *text, size_t len, struct sandbox_profile *ret, bool *unfinished,
			 struct err *e)
{
	enum value_format f;
	int r = value_format_of(file, &f);
	if (r < 0)
		return err_set(e, ERR_SEC_PROFILE, "'%s' is not a sandbox profile's name", file);
	r = sandbox_profile_read(f, text, len, ret, unfinished, e);
	if (r < 0)
		err_wrap(e, "%s", file);
	return r;
}

/* One name, one profile. */
static int check_name(struct runtime *rt, const struct document_change *c, struct err *e)
{
	char name[NAME_LEN_MAX + 1];
	const struct documents *d = &rt->documents[DOCUMENT_PROFILE];
	snprintf(name, sizeof name, "%.*s", (int)stem(c->put), c->put);
	if (sandbox_profile_builtin(name))
		return err_set(e, ERR_SEC_PROFILE, "%s: the profile '%s' is built in; give yours another name", c->put, name);
	for (size_t i = 0; i < d->n; i++) {
		const char *file = d->files[i]->file;
		if (is_named(file, name) && strcmp(file, c->put) != 0 && !(c->without && strcmp(file, c->without) == 0))
			return err_set(e, ERR_SEC_PROFILE, "%s: the profile '%s' is %s already", c->put, name, file);
	}
	return 0;
}

static int check(struct runtime *rt, const char *file, const char *text, size_t len, bool *unfinished, struct err *e)
{
	int r = check_name(rt, &(struct document_change){.put = file}, e);
	return r < 0 ? r : read_document(file, text, len, &(struct sandbox_profile){0}, unfinished, e);
}

static int prepare(struct runtime *rt, const struct document_change *c, struct err *e)
{
	int r = c->put ? check_name(rt, c, e) : 0;
	return r < 0 || !c->put ? r : read_document(c->put, c->text, c->len, &(struct sandbox_profile){0}, NULL, e);
}

static void nothing(struct runtime *rt)
{
	(void)rt; /* it is read when a run starts */
}

const struct document_type document_profile = {
	.noun = "sandbox profile",
	.key = "b/",
	.action = "profile.change",
	.put = REC_PROFILE_PUT,
	.invalid = ERR_SEC_PROFILE,
	.most = PROFILE_FILES_MAX,
	.check = check,
	.prepare = prepare,
	.abandon = nothing,
	.changed = nothing,
};

int profile_get(struct runtime *rt, const char *name, struct sandbox_profile *ret, struct err *e)
{
	const struct sandbox_profile *p = sandbox_profile_builtin(name);
	const struct documents *d = &rt->documents[DOCUMENT_PROFILE];
	if (p) {
		*ret = *p;
		return 0;
	}
	for (size_t i = 0; i < d->n; i++) {
		const struct document *f = d->files[i];
		if (is_named(f->file, name))
			return read_document(f->file, f->text, f->text_len, ret, NULL, e);
	}
	return err_set(e, ERR_SEC_VIOLATION, "there is no sandbox profile '%s'; secure and standard are built in, others are "
		       "files sandbox/profiles/NAME.yaml", name);
}

int profile_render_builtin(const char *name, struct buf *out)
{
	return sandbox_profile_render(sandbox_profile_builtin(name), out);
}

/* ---- what bounds a run ---- */

static void native_bounds(const struct config *c, struct run_bounds *ret)
{
	ret->limits = (struct sandbox_limits){
		.memory_bytes = config_u64(c, "native_execution.max_memory_mb") << 20,
		.cpu_millis = (uint32_t)(config_real(c, "native_execution.max_cpu_cores") * 1000),
		.cpu_seconds = (uint32_t)config_u64(c, "native_execution.max_cpu_seconds"),
		.pids = (uint32_t)config_u64(c, "native_execution.max_processes"),
		.file_bytes = config_u64(c, "native_execution.max_output_mb") << 20,
	};
	ret->execution_ms = config_u64(c, "native_execution.max_execution_time_seconds") * 1000;
	ret->apply = ret->apply && config_bool(c, "native_execution.enforce_resource_limits");
	snprintf(ret->by, sizeof ret->by, "native_execution.");
	ret->pids_key = "max_processes";
	ret->file_key = "max_output_mb";
}

int run_bounds(struct runtime *rt, const struct agent_spec *s, struct run_bounds *ret, struct err *e)
{
	struct sandbox_profile p;
	const char *name = s && s->profile ? s->profile : SANDBOX_PROFILE_DEFAULT;
	*ret = (struct run_bounds){.apply = config_bool(rt->config, "resource.enforcement_enabled")};
	if (s && s->tier == TIER_NONE) {
		native_bounds(rt->config, ret);
		return 0;
	}
	int r = s ? profile_get(rt, name, &p, e) : -ENOENT;
	if (r < 0)
		p = *sandbox_profile_builtin("secure");
	ret->limits = p.limits;
	ret->execution_ms = p.execution_ms;
	ret->no_temp = p.no_temp;
	snprintf(ret->by, sizeof ret->by, "profile %.48s: ", name);
	ret->pids_key = "max_child_processes";
	ret->file_key = "max_file_size_mb";
	return r;
}

int run_profile_check(struct runtime *rt, const struct agent_spec *s, const char *cwd, struct err *e)
{
	struct sandbox_profile p;
	if (!s->profile)
		return 0;
	int r = profile_get(rt, s->profile, &p, e);
	if (r == 0)
		r = sandbox_profile_cwd(&p, cwd, e);
	if (r == 0 && !s->allow_degraded && !config_bool(rt->config, "resource.enforcement_enabled"))
		r = err_set(e, ERR_SEC_TIER, "resource.enforcement_enabled is off, and its profile '%s' is to be enforced",
			    s->profile);
	if (r == 0 && !s->allow_degraded)
		r = sandbox_profile_enforceable(&p, &rt->caps, e);
	return r;
}
