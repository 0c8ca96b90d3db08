/* SPDX-License-Identifier: MIT */
/* rows_approvals.c - the files of approvals/. L3; loop thread only. */
#include "fs/tree_i.h"
#include "runtime/approvals.h"

static int request_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	int r = approval_may_see(c->approval, &c->who, e);
	return r < 0 ? r : approval_render(c->approval, false, out);
}

static int request_json_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	int r = approval_may_see(c->approval, &c->who, e);
	return r < 0 ? r : approval_render(c->approval, true, out);
}

static int arguments_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	int r = approval_may_see(c->approval, &c->who, e);
	return r < 0 ? r : approval_render_arguments(c->rt, c->approval, out);
}

static int arguments_check(const struct fs_ctx *c, const char *data, size_t len, struct err *e)
{
	(void)c;
	return approval_edit_check(data, len, e);
}

static int arguments_write(const struct fs_ctx *c, const char *data, size_t len, struct runtime_done done, struct err *e)
{
	return approval_edit(c->rt, &c->who, c->approval->id, data, len, done, e);
}

static int decision_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	int r = approval_may_see(c->approval, &c->who, e);
	return r < 0 ? r : approval_render_decision(c->approval, out);
}

static int decision_check(const struct fs_ctx *c, const char *data, size_t len, struct err *e)
{
	(void)c;
	return approval_decision_check(data, len, e);
}

static int decision_write(const struct fs_ctx *c, const char *data, size_t len, struct runtime_done done, struct err *e)
{
	return approval_decide(c->rt, &c->who, c->approval->id, data, len, done, e);
}

extern const struct fs_node fs_nodes_approvals[];
/* clang-format off */
const struct fs_node fs_nodes_approvals[] = {
	{.path = "approvals/pending/{approval}/request", .mode = 0444, .kind = FS_RENDERED, .action = "approval.read",
	 .read = request_read, .doc = "who wants what, with which arguments, by which rule it waits, and who may decide"},
	{.path = "approvals/pending/{approval}/request.json", .mode = 0444, .kind = FS_RENDERED, .action = "approval.read",
	 .read = request_json_read, .doc = "the same in JSON"},
	{.path = "approvals/pending/{approval}/arguments", .mode = 0666, .kind = FS_VALUE, .action = "approval.read",
	 .read = arguments_read, .write = arguments_write, .check = arguments_check,
	 .doc = "what the run is to be started with, a line of JSON; who may decide may write another before approving"},
	{.path = "approvals/pending/{approval}/decision", .mode = 0666, .kind = FS_VALUE, .action = "approval.read",
	 .read = decision_read, .write = decision_write, .check = decision_check,
	 .doc = "write `approve` or `deny: reason`; whom the rule names may, never who asked"},
	{.path = "approvals/done/{approval}/request", .mode = 0444, .kind = FS_RENDERED, .action = "approval.read",
	 .read = request_read, .doc = "what was asked"},
	{.path = "approvals/done/{approval}/request.json", .mode = 0444, .kind = FS_RENDERED, .action = "approval.read",
	 .read = request_json_read, .doc = "the same in JSON"},
	{.path = "approvals/done/{approval}/arguments", .mode = 0444, .kind = FS_RENDERED, .action = "approval.read",
	 .read = arguments_read, .doc = "with which arguments"},
	{.path = "approvals/done/{approval}/decision", .mode = 0444, .kind = FS_RENDERED, .action = "approval.read",
	 .read = decision_read, .doc = "approved, denied, used, expired or withdrawn; by whom, when and why"},
	{.path = "wait/approvals", .mode = 0444, .kind = FS_STREAM, .action = "events.read", .only = "approval.",
	 .doc = "approvals as they are asked for, decided on and used; reads wait, poll(2) works"},
	{.path = NULL},
};
/* clang-format on */
