/* SPDX-License-Identifier: MIT */
/* rows_memory.c - what an agent knows and remembers: agents/NAME/ knowledge/ memory/ query share. L3; loop thread only. */
#include "fs/node.h"
#include "runtime/memory.h"
#include "runtime/rag.h"

static void answered(void *arg, struct buf *text, const struct err *e)
{
	fs_answer_later(arg, text->data, text->len, e);
}

static int ask(const struct fs_ctx *c, const char *q, size_t len, bool json, struct fs_later *l, struct err *e)
{
	return rag_ask(c->rt, &c->who, (uint32_t)agent_serial(c->agent), q, len, json, (struct rag_done){answered, l}, e);
}

static int query_ask(const struct fs_ctx *c, const char *q, size_t len, struct fs_later *l, struct err *e)
{
	return ask(c, q, len, false, l, e);
}

static int query_json_ask(const struct fs_ctx *c, const char *q, size_t len, struct fs_later *l, struct err *e)
{
	return ask(c, q, len, true, l, e);
}

static int query_check(const struct fs_ctx *c, const char *q, size_t len, struct err *e)
{
	(void)c;
	return rag_check(q, len, e);
}

static int entries_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	(void)e;
	return memory_render(c->rt, c->agent, c->name, out);
}

static int entries_write(const struct fs_ctx *c, const char *line, size_t len, struct runtime_done done, struct err *e)
{
	return memory_line(c->rt, &c->who, c->agent, c->name, line, len, done, e);
}

static int entries_check(const struct fs_ctx *c, const char *line, size_t len, struct err *e)
{
	return memory_check(c->name, line, len, e);
}

static int memory_stats_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	(void)e;
	return memory_render_stats(c->rt, c->agent, out);
}

static int share_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	(void)e;
	return share_render(c->rt, c->agent, out);
}

static int share_write(const struct fs_ctx *c, const char *line, size_t len, struct runtime_done done, struct err *e)
{
	return share_line(c->rt, &c->who, c->agent, line, len, done, e);
}

static int share_line_check(const struct fs_ctx *c, const char *line, size_t len, struct err *e)
{
	(void)c;
	return share_check(line, len, e);
}

#define A "agents/{agent}/"
extern const struct fs_node fs_nodes_memory[];
/* clang-format off */
const struct fs_node fs_nodes_memory[] = {
	{.path = A "query", .mode = 0600, .kind = FS_CALL, .action = "rag.query",
	 .ask_later = query_ask, .check = query_check,
	 .doc = "write a question, read the answer from what this agent may see: rag/docs, its knowledge and memory, what is shared with it"},
	{.path = A "query.json", .mode = 0600, .kind = FS_CALL, .action = "rag.query",
	 .ask_later = query_json_ask, .check = query_check, .doc = "the same as JSON"},
	{.path = A "knowledge", .mode = 0700, .kind = FS_DIR,
	 .doc = "its documents: no other agent finds them unless they are shared"},
	{.path = A "knowledge/{folder}", .mode = 0755, .kind = FS_DIR, .action = "rag.change", .doc = "a folder of them"},
	{.path = A "knowledge/{file}", .mode = 0644, .kind = FS_FILE, .action = "rag.change", .doc = "a document"},
	{.path = A "memory", .view = "self/memory", .mode = 0700, .kind = FS_DIR, .doc = "what it remembers, a line an entry"},
	{.path = A "memory/{key}", .view = "self/memory/{key}", .mode = 0600, .kind = FS_LINES, .action = "agent.memory",
	 .keys = memory_keys, .read = entries_read, .write = entries_write, .check = entries_check,
	 .doc = "TEXT or {\"text\":...,\"importance\":0.9} remembers, -ID forgets; working: KEY VALUE sets, KEY unsets"},
	{.path = A "memory/stats", .view = "self/memory/stats", .mode = 0400, .kind = FS_RENDERED, .action = "agent.memory",
	 .read = memory_stats_read, .doc = "entries of each kind, size, and how much there may be"},
	{.path = A "share", .mode = 0600, .kind = FS_LINES, .action = "agent.share",
	 .read = share_read, .write = share_write, .check = share_line_check,
	 .doc = "share PATH AGENT LEVEL, unshare PATH AGENT: files of knowledge/ that others may find"},
	{.path = NULL},
};
/* clang-format on */
