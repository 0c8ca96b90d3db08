/* SPDX-License-Identifier: MIT */
/* rows_root.c - the top of the tree, wait/ and sandbox/. L3; loop thread only. */
#include <errno.h>
#include <string.h>

#include "fs/store.h"
#include "fs/tree_i.h"
#include "lib/metric.h"
#include "runtime/profiles.h"

static int readme_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	(void)c, (void)e;
	return tree_render_readme(out);
}

static int view_readme_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	(void)c, (void)e;
	return tree_render_view_readme(out);
}

static int status_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	(void)e;
	return runtime_render_status(c->rt, out);
}

static int version_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	(void)c, (void)e;
	return buf_adds(out, "symbi " SYMBI_VERSION "\n");
}

static int health_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	(void)e;
	return runtime_render_health(c->rt, out);
}

static int metrics_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	(void)c, (void)e;
	return metric_render(out);
}

static int config_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	(void)e;
	return config_render(runtime_config(c->rt), out);
}

static int ctl_write(const struct fs_ctx *c, const char *data, size_t len, struct runtime_done done,
		     struct err *e)
{
	return runtime_ctl(c->rt, &c->who, data, len, done, e);
}

static int ctl_check(const struct fs_ctx *c, const char *data, size_t len, struct err *e)
{
	(void)c;
	return runtime_ctl_check(data, len, e);
}

static int events_file(const struct fs_ctx *c, char *out, size_t cap, struct err *e)
{
	(void)e;
	return runtime_events_path(c->rt, out, cap);
}

static int errors_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	(void)e;
	return errors_render(c->rt, &c->who, out);
}

static int tiers_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	(void)e;
	return runtime_render_tiers(c->rt, out);
}

static int secure_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	(void)c, (void)e;
	return profile_render_builtin("secure", out);
}

static int standard_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	(void)c, (void)e;
	return profile_render_builtin("standard", out);
}

/* clang-format off */
const struct fs_node fs_nodes_root[] = {
	{.path = "README", .mode = 0444, .kind = FS_RENDERED, .action = "tree.read",
	 .read = readme_read, .fixed = true, .doc = "what the files here are"},
	{.path = "status", .mode = 0444, .kind = FS_RENDERED, .action = "tree.read",
	 .read = status_read, .doc = "the daemon: key value lines, and what of the limits is enforced"},
	{.path = "version", .mode = 0444, .kind = FS_RENDERED, .action = "tree.read",
	 .read = version_read, .fixed = true, .doc = "name and version"},
	{.path = "health", .mode = 0444, .kind = FS_RENDERED, .action = "tree.read",
	 .read = health_read, .doc = "ok, or what is wrong"},
	{.path = "metrics", .mode = 0444, .kind = FS_RENDERED, .action = "tree.read",
	 .read = metrics_read, .doc = "counters in Prometheus text format"},
	{.path = "config", .mode = 0444, .kind = FS_RENDERED, .action = "config.read",
	 .read = config_read, .doc = "every setting, its effective value and where it came from"},
	{.path = "ctl", .mode = 0200, .kind = FS_LINES, .action = "daemon.control",
	 .write = ctl_write, .check = ctl_check, .doc = "one command per line: stop, reload, log LEVEL, rotate secrets"},
	{.path = "events", .mode = 0444, .kind = FS_LOG, .action = "events.read",
	 .file = events_file, .doc = "everything that happens, one JSON object per line; tail -f works"},
	{.path = "errors", .mode = 0444, .kind = FS_RENDERED, .action = "tree.read",
	 .read = errors_read, .view = "errors", .doc = "your own failed operations with their reason, newest last"},
	{.path = "wait", .mode = 0755, .kind = FS_DIR, .view = "wait",
	 .doc = "files whose reads wait for what happens next"},
	{.path = "wait/events", .mode = 0444, .kind = FS_STREAM, .action = "events.read", .view = "wait/events",
	 .doc = "the events from now on, in a view those about its agent; reads wait, poll(2) works"},
	{.path = "wait/agents/{agent}", .mode = 0444, .kind = FS_STREAM, .action = "agent.read",
	 .view = "wait/state", .states = true,
	 .doc = "waits for the agent's next state, gives it, ends"},
	{.path = "sandbox/tiers", .mode = 0444, .kind = FS_RENDERED, .action = "tree.read",
	 .read = tiers_read, .doc = "which tiers can be had here, and why the others cannot"},
	{.path = "sandbox/profiles/secure.yaml", .mode = 0444, .kind = FS_RENDERED, .action = "tree.read",
	 .read = secure_read, .fixed = true, .doc = "a sandbox profile: tight limits"},
	{.path = "sandbox/profiles/standard.yaml", .mode = 0444, .kind = FS_RENDERED, .action = "tree.read",
	 .read = standard_read, .fixed = true, .doc = "the sandbox profile of agents that name none"},
	{.path = "sandbox/profiles/{spec}", .mode = 0644, .kind = FS_STORE, .action = "profile.change",
	 .store = &fs_store_profiles,
	 .doc = "a sandbox profile of your own (.yaml .yml .json .toml), for the starts after it is written"},
	{.path = VIEWS, .mode = 0700, .kind = FS_DIR,
	 .doc = "what each agent sees as /symbi in its sandbox"},
	{.path = VIEWS "/{agent}", .mode = 0500, .kind = FS_DIR,
	 .doc = "open to the agent and root; who comes by here is the agent"},
	{.path = VIEWS "/{agent}/README", .mode = 0400, .kind = FS_RENDERED, .action = "tree.read",
	 .read = view_readme_read, .fixed = true, .doc = "what an agent can do here"},
	{.path = NULL},
};
/* clang-format on */

extern const struct fs_node fs_nodes_agents[], fs_nodes_policies[], fs_nodes_audit[], fs_nodes_approvals[], fs_nodes_rag[], fs_nodes_memory[],
	fs_nodes_secrets[];
const struct fs_node *const fs_tables[] = {fs_nodes_root,  fs_nodes_agents,    fs_nodes_policies,
					   fs_nodes_audit, fs_nodes_approvals, fs_nodes_rag,      fs_nodes_memory, fs_nodes_secrets, NULL};

/* ---- what is rendered from the rows themselves ---- */

int tree_render_readme(struct buf *out)
{
	buf_adds(out, "Symbi: agents on this machine, as files.\n\n"
		      "  create   cp spec.yaml agents/NAME.yaml    (a refused text: cat errors)\n"
		      "  ask      echo QUESTION > agents/NAME/run; cat agents/NAME/run\n"
		      "  control  echo stop > agents/NAME/ctl\n"
		      "  watch    tail -f events\n"
		      "  delete   rm agents/NAME.yaml\n\n");
	for (const struct fs_node *const *table = fs_tables; *table; table++)
		for (const struct fs_node *n = *table; n->path; n++)
			buf_printf(out, "  %-28s %s\n", n->path, n->doc);
	return out->fail;
}

int tree_render_view_readme(struct buf *out)
{
	buf_adds(out, "You are an agent of Symbi. This directory is yours: it tells of you and of nobody else.\n\n"
		      "  who am I              cat self/status\n"
		      "  what may I use        head self/limits/*     (execution_timeout: one run may take so long)\n"
		      "  what do I use         head self/usage/*\n"
		      "  what happened to me   tail self/events       (one JSON object per line)\n"
		      "  my runs               ls self/runs; cat self/runs/1/output\n"
		      "  why was I refused     tail errors\n"
		      "  wait for what is next head -n 1 wait/events; cat wait/state\n\n"
		      "The files are read, not written. What has no name here is not for you.\n\n");
	for (const struct fs_node *const *table = fs_tables; *table; table++)
		for (const struct fs_node *n = *table; n->path; n++)
			if (n->view)
				buf_printf(out, "  %-28s %s\n", n->view, n->doc);
	return out->fail;
}

static const char *const kind_names[] = {
	[FS_DIR] = "directory", [FS_RENDERED] = "rendered", [FS_LOG] = "log",
	[FS_VALUE] = "value",   [FS_LINES] = "commands",    [FS_STORE] = "document",
	[FS_CALL] = "call",     [FS_STREAM] = "stream",     [FS_SINK] = "pipe",
	[FS_FILE] = "file",     [FS_SECRET] = "secret",
};

int tree_render_doc(struct buf *out)
{
	buf_adds(
		out,
		"# The tree\n\nPrinted by `symbid --print-tree` from the rows in `fs/rows_*.c`.\n\n"
		"| path | mode | kind | action | in a view | what it is |\n|-|-|-|-|-|-|\n");
	for (const struct fs_node *const *table = fs_tables; *table; table++)
		for (const struct fs_node *n = *table; n->path; n++)
			buf_printf(out, "| `%s` | %04o | %s | %s | %s%s%s | %s |\n", n->path, n->mode,
				   kind_names[n->kind], n->action ? n->action : "", n->view ? "`" : "",
				   n->view ? n->view : "", n->view ? "`" : "", n->doc);
	return out->fail;
}
