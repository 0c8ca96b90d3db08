/* SPDX-License-Identifier: MIT */
/* rows_rag.c - the files of rag/. L3; loop thread only. */
#include "runtime/rag.h"

#include "fs/node.h"

static int stats_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	(void)e;
	return rag_render_stats(c->rt, out);
}

static void answered(void *arg, struct buf *text, const struct err *e)
{
	fs_answer_later(arg, text->data, text->len, e);
}

static int query_ask(const struct fs_ctx *c, const char *q, size_t len, struct fs_later *l, struct err *e)
{
	return rag_ask(c->rt, &c->who, 0, q, len, false, (struct rag_done){answered, l}, e);
}

static int query_json_ask(const struct fs_ctx *c, const char *q, size_t len, struct fs_later *l, struct err *e)
{
	return rag_ask(c->rt, &c->who, 0, q, len, true, (struct rag_done){answered, l}, e);
}

static int query_check(const struct fs_ctx *c, const char *q, size_t len, struct err *e)
{
	(void)c;
	return rag_check(q, len, e);
}

extern const struct fs_node fs_nodes_rag[];
/* clang-format off */
const struct fs_node fs_nodes_rag[] = {
	{.path = "rag/docs/{folder}", .mode = 0755, .kind = FS_DIR, .action = "rag.change",
	 .doc = "a folder of documents; mkdir, mv and cp -r work"},
	{.path = "rag/docs/{file}", .mode = 0644, .kind = FS_FILE, .action = "rag.change",
	 .doc = "a document: text that questions are answered from"},
	{.path = "rag/query", .mode = 0666, .kind = FS_CALL, .action = "rag.query",
	 .ask_later = query_ask, .check = query_check,
	 .doc = "write a question, read its answer from the documents, with file:line of each passage"},
	{.path = "rag/query.json", .mode = 0666, .kind = FS_CALL, .action = "rag.query",
	 .ask_later = query_json_ask, .check = query_check,
	 .doc = "the same as JSON: answer, citations with text and score, milliseconds of each step"},
	{.path = "rag/query.d", .mode = 0777, .kind = FS_DIR,
	 .doc = "named exchanges: echo QUESTION > query.d/NAME; cat query.d/NAME"},
	{.path = "rag/query.d/{call}", .mode = 0600, .kind = FS_CALL, .action = "rag.query",
	 .ask_later = query_ask, .check = query_check, .doc = "one named exchange"},
	{.path = "rag/stats", .mode = 0444, .kind = FS_RENDERED, .action = "rag.read",
	 .read = stats_read, .doc = "documents, passages, what is pending, what could not be read and why"},
	{.path = NULL},
};
/* clang-format on */
