/* SPDX-License-Identifier: MIT */
/* rows_audit.c - the files of audit/. L3; loop thread only. */
#include <limits.h>
#include <string.h>

#include "fs/tree_i.h"
#include "runtime/audit.h"
#include "runtime/note.h"

#define AGENT_LINES_MAX (4u << 20) /* bytes of by-agent/NAME: the newest lines that fit */

static int log_file(const struct fs_ctx *c, char *out, size_t cap, struct err *e)
{
	(void)e;
	return audit_path(runtime_audit(c->rt), "log", out, cap);
}

static int checkpoints_file(const struct fs_ctx *c, char *out, size_t cap, struct err *e)
{
	(void)e;
	return audit_path(runtime_audit(c->rt), "checkpoints", out, cap);
}

static int head_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	(void)e;
	return audit_render_head(runtime_audit(c->rt), out);
}

static int key_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	(void)e;
	return audit_render_key(runtime_audit(c->rt), out);
}

static int seal_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	struct note_public k;
	char path[PATH_MAX];
	int r = audit_path(runtime_audit(c->rt), "seal.pub", path, sizeof path);
	r = r < 0 ? err_sys(e, ERR_AUDIT_IO, -r, "seal.pub") : note_public_read(path, &k, e);
	if (r == 0)
		note_public_text(&k, out);
	return r < 0 ? r : out->fail;
}

static int verify_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	(void)e;
	return audit_render_verify(runtime_audit(c->rt), out);
}

static int verify_check(const struct fs_ctx *c, const char *data, size_t len, struct err *e)
{
	(void)c;
	return len == 3 && memcmp(data, "now", 3) == 0
		       ? 0
		       : err_set(e, ERR_AUDIT_ASK, "'%.*s': write `now`", (int)(len < 40 ? len : 40), data);
}

static int verify_write(const struct fs_ctx *c, const char *data, size_t len, struct runtime_done done, struct err *e)
{
	(void)data, (void)len;
	return audit_verify(runtime_audit(c->rt), done, e);
}

static int proof_ask(const struct fs_ctx *c, const char *q, size_t len, struct buf *out, struct err *e)
{
	return audit_prove(runtime_audit(c->rt), q, len, out, e);
}

static int agent_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	autobuf struct buf lines;
	buf_init(&lines, AGENT_LINES_MAX);
	int r = audit_render_agent(runtime_audit(c->rt), (uint32_t)agent_serial(c->agent), &lines, e);
	return r < 0 ? r : buf_add(out, lines.data, lines.len);
}

extern const struct fs_node fs_nodes_audit[];
/* clang-format off */
const struct fs_node fs_nodes_audit[] = {
	/* heads before the log, so that a copy in this order has what they sign */
	{.path = "audit/checkpoints", .mode = 0444, .kind = FS_LOG, .action = "audit.read",
	 .file = checkpoints_file, .doc = "every signed head of the log's Merkle tree"},
	{.path = "audit/head", .mode = 0444, .kind = FS_RENDERED, .action = "audit.read",
	 .read = head_read, .doc = "the newest signed head; keep a copy on another machine"},
	{.path = "audit/key.pub", .mode = 0444, .kind = FS_RENDERED, .action = "audit.read",
	 .read = key_read, .doc = "the key that checks heads"},
	{.path = "audit/seal.pub", .mode = 0444, .kind = FS_RENDERED, .action = "audit.read",
	 .read = seal_read, .doc = "the key that the seals of heads begin with; keep a copy on another machine"},
	{.path = "audit/log", .mode = 0400, .kind = FS_LOG, .action = "audit.read",
	 .file = log_file, .doc = "the journal's records, one JSON object per line, each with the hash of the one before; tail -f works"},
	{.path = "audit/verify", .mode = 0644, .kind = FS_VALUE, .action = "audit.verify",
	 .read = verify_read, .write = verify_write, .check = verify_check,
	 .doc = "write `now`: all of the log is checked, the write fails when it is not right; read: the last result"},
	{.path = "audit/proof", .mode = 0600, .kind = FS_CALL, .action = "audit.read",
	 .ask = proof_ask, .doc = "write SEQ, read the proof that this record is signed; OLD NEW: that the log only grew"},
	{.path = "audit/by-agent/{agent}", .mode = 0400, .kind = FS_RENDERED, .action = "audit.read",
	 .read = agent_read, .doc = "the newest lines of the log that are about the agent, or what it did"},
	{.path = NULL},
};
/* clang-format on */
