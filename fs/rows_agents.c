/* SPDX-License-Identifier: MIT */
/* rows_agents.c - the files of agents/. L3; loop thread only. */
#include <errno.h>
#include <string.h>

#include "fs/tree_i.h"

#define READ(name, expr)                                                                           \
	static int name(const struct fs_ctx *c, struct buf *out, struct err *e)                    \
	{                                                                                          \
		(void)e;                                                                           \
		return expr;                                                                       \
	}

READ(id_read, buf_printf(out, "%s\n", agent_id(c->agent)))
READ(state_read, buf_printf(out, "%s\n", agent_state_name(agent_state(c->agent))))
READ(status_read, agent_render_status(c->rt, c->agent, out))
READ(error_read, agent_render_error(c->rt, c->agent, out))
READ(tier_read, agent_render_tier(c->rt, c->agent, out))
READ(pid_read, agent_render_pid(c->rt, c->agent, out))
READ(limit_read, agent_render_limit(c->rt, c->agent, c->name, out))
READ(usage_read, agent_render_usage(c->rt, c->agent, c->name, out))
READ(log_head, agent_render_head(c->rt, c->agent, AGENT_LOG, out))
READ(events_head, agent_render_head(c->rt, c->agent, AGENT_EVENTS, out))
READ(run_status_read, run_render_status(c->rt, c->run, out))
READ(run_usage_read, run_render_usage(c->rt, c->run, out))

static int ctl_write(const struct fs_ctx *c, const char *data, size_t len, struct runtime_done done,
		     struct err *e)
{
	return agent_ctl(c->rt, &c->who, c->agent, data, len, done, e);
}

static int ctl_check(const struct fs_ctx *c, const char *data, size_t len, struct err *e)
{
	(void)c;
	return agent_ctl_check(data, len, e);
}

static int limit_write(const struct fs_ctx *c, const char *data, size_t len,
		       struct runtime_done done, struct err *e)
{
	char text[64];
	if (len >= sizeof text)
		return err_set(e, ERR_RESOURCE_LIMIT, "a limit has at most %zu characters",
			       sizeof text - 1);
	memcpy(text, data, len);
	text[len] = 0;
	return agent_set_limit(c->rt, &c->who, c->agent, c->name, text, done, e);
}

static int limit_check(const struct fs_ctx *c, const char *data, size_t len, struct err *e)
{
	struct agent_limits trial = {0};
	char text[64];
	if (len >= sizeof text)
		return err_set(e, ERR_RESOURCE_LIMIT, "a limit has at most %zu characters",
			       sizeof text - 1);
	memcpy(text, data, len);
	text[len] = 0;
	return agent_limit_set(&trial, c->name, text, e);
}

/* The same parser as for a spec, nothing created. The name of the file decides the format, and a
 * question has none: JSON when it begins like JSON, TOML when YAML and only YAML fails. */
static int check_ask(const struct fs_ctx *c, const char *q, size_t len, struct buf *out,
		     struct err *e)
{
	(void)e;
	struct err bad = {0}, other;
	size_t at = 0;
	while (at < len && (q[at] == ' ' || q[at] == '\n' || q[at] == '\t'))
		at++;
	const char *name = at < len && q[at] == '{' ? "check.json" : "check.yaml";
	int r = agent_check(c->rt, name, q, len, NULL, &bad);
	if (r < 0 && bad.code == ERR_TEXT_SYNTAX)
		if (agent_check(c->rt, "check.toml", q, len, NULL, &other) == 0)
			r = 0;
	if (r == 0)
		return buf_adds(out, "ok\n");
	if (bad.line)
		buf_printf(out, "line %u: ", bad.line);
	return buf_printf(out, "%s %s\n", err_code_name(bad.code), bad.msg);
}

#define AGENT_FILE(name, which)                                                                    \
	static int name(const struct fs_ctx *c, char *out, size_t cap, struct err *e)              \
	{                                                                                          \
		(void)e;                                                                           \
		return agent_file_path(c->rt, c->agent, which, out, cap);                          \
	}
#define RUN_FILE(name, which)                                                                      \
	static int name(const struct fs_ctx *c, char *out, size_t cap, struct err *e)              \
	{                                                                                          \
		(void)e;                                                                           \
		return run_file_path(c->rt, c->run, which, out, cap);                              \
	}

AGENT_FILE(stdout_file, AGENT_STDOUT)
AGENT_FILE(stderr_file, AGENT_STDERR)
AGENT_FILE(log_file, AGENT_LOG)
AGENT_FILE(events_file, AGENT_EVENTS)
RUN_FILE(run_input_file, RUN_INPUT)
RUN_FILE(run_output_file, RUN_OUTPUT)
RUN_FILE(run_stderr_file, RUN_STDERR)

#define A "agents/{agent}/"
extern const struct fs_node fs_nodes_agents[];
/* clang-format off */
const struct fs_node fs_nodes_agents[] = {
	{.path = "agents/{spec}", .mode = 0644, .kind = FS_STORE, .action = "agent.create",
	 .store = &fs_store_agents,
	 .doc = "a spec (.yaml .yml .json .toml): writing it makes or changes the agent, rm deletes it"},
	{.path = "agents/.check", .mode = 0666, .kind = FS_CALL, .action = "agent.check",
	 .ask = check_ask,
	 .doc = "write a spec, read what is wrong with it; nothing is made; not listed"},
	{.path = "agents/{agent}", .mode = 0755, .kind = FS_DIR,
	 .doc = "there as long as the spec is; rm -r deletes the agent"},
	{.path = A "id", .view = "self/id", .mode = 0444, .kind = FS_RENDERED, .action = "agent.read",
	 .read = id_read, .doc = "UUID"},
	{.path = A "state", .view = "self/state", .mode = 0444, .kind = FS_RENDERED, .action = "agent.read",
	 .read = state_read, .doc = "Created Initializing Ready Running Waiting Suspended Failed ..."},
	{.path = A "status", .view = "self/status", .mode = 0444, .kind = FS_RENDERED, .action = "agent.read",
	 .read = status_read, .doc = "key value lines: state, mode, runs, why it waits"},
	{.path = A "error", .view = "self/error", .mode = 0444, .kind = FS_RENDERED, .action = "agent.read",
	 .read = error_read, .doc = "its last failure, or empty"},
	{.path = A "tier", .view = "self/tier", .mode = 0444, .kind = FS_RENDERED, .action = "agent.read",
	 .read = tier_read, .doc = "sandbox tier"},
	{.path = A "pid", .mode = 0444, .kind = FS_RENDERED, .action = "agent.read",
	 .read = pid_read, .doc = "process id of a running persistent agent, or empty"},
	{.path = A "ctl", .mode = 0200, .kind = FS_LINES, .action = "agent.control",
	 .write = ctl_write, .check = ctl_check,
	 .doc = "start, stop, suspend, resume, restart, terminate, kill SIGNAL, message TEXT, eof"},
	{.path = A "run", .mode = 0600, .kind = FS_CALL, .action = "agent.run",
	 .doc = "write an input, read the answer of that run"},
	{.path = A "run.d", .mode = 0755, .kind = FS_DIR,
	 .doc = "named exchanges: echo INPUT > run.d/NAME; cat run.d/NAME"},
	{.path = A "run.d/{call}", .mode = 0600, .kind = FS_CALL, .action = "agent.run",
	 .doc = "one named exchange"},
	{.path = A "stdin", .mode = 0200, .kind = FS_SINK, .action = "agent.control",
	 .doc = "bytes to the standard input of a persistent agent"},
	{.path = A "stdout", .mode = 0400, .kind = FS_LOG, .action = "agent.read",
	 .file = stdout_file, .doc = "standard output of a persistent agent"},
	{.path = A "stderr", .mode = 0400, .kind = FS_LOG, .action = "agent.read",
	 .file = stderr_file, .doc = "standard error of a persistent agent"},
	{.path = A "log", .view = "self/log", .mode = 0444, .kind = FS_LOG, .action = "agent.read",
	 .file = log_file, .read = log_head, .doc = "its life, one line per fact"},
	{.path = A "events", .view = "self/events", .mode = 0444, .kind = FS_LOG, .action = "agent.read",
	 .file = events_file, .read = events_head, .doc = "the events about it, one JSON object per line"},
	{.path = A "limits", .view = "self/limits", .mode = 0755, .kind = FS_DIR, .doc = "its limits, one value per file"},
	{.path = A "limits/{key}", .view = "self/limits/{key}", .mode = 0644, .kind = FS_VALUE, .action = "agent.control",
	 .keys = agent_limit_keys, .read = limit_read, .write = limit_write, .check = limit_check,
	 .doc = "one limit; who controls the agent writes a new value"},
	{.path = A "usage", .view = "self/usage", .mode = 0755, .kind = FS_DIR, .doc = "what it uses, measured"},
	{.path = A "usage/{key}", .view = "self/usage/{key}", .mode = 0444, .kind = FS_RENDERED, .action = "agent.read",
	 .keys = agent_usage_keys, .read = usage_read, .doc = "one measure"},
	{.path = A "runs", .view = "self/runs", .mode = 0755, .kind = FS_DIR, .doc = "its kept runs, by number"},
	{.path = A "runs/{run}", .view = "self/runs/{run}", .mode = 0755, .kind = FS_DIR, .doc = "one run"},
	{.path = A "runs/{run}/input", .view = "self/runs/{run}/input", .mode = 0400, .kind = FS_LOG, .action = "agent.read",
	 .file = run_input_file, .doc = "what was asked"},
	{.path = A "runs/{run}/output", .view = "self/runs/{run}/output", .mode = 0400, .kind = FS_LOG, .action = "agent.read",
	 .file = run_output_file, .doc = "standard output"},
	{.path = A "runs/{run}/stderr", .view = "self/runs/{run}/stderr", .mode = 0400, .kind = FS_LOG, .action = "agent.read",
	 .file = run_stderr_file, .doc = "standard error"},
	{.path = A "runs/{run}/status", .view = "self/runs/{run}/status", .mode = 0444, .kind = FS_RENDERED, .action = "agent.read",
	 .read = run_status_read, .doc = "state, exit code, times"},
	{.path = A "runs/{run}/usage", .view = "self/runs/{run}/usage", .mode = 0444, .kind = FS_RENDERED, .action = "agent.read",
	 .read = run_usage_read, .doc = "what it used"},
	{.path = NULL},
};
/* clang-format on */
