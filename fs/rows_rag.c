/* SPDX-License-Identifier: MIT */
/* rows_rag.c - the files of rag/. L3; loop thread only. */
#include "fs/node.h"

extern const struct fs_node fs_nodes_rag[];
/* clang-format off */
const struct fs_node fs_nodes_rag[] = {
	{.path = "rag/docs/{folder}", .mode = 0755, .kind = FS_DIR, .action = "rag.change",
	 .doc = "a folder of documents; mkdir, mv and cp -r work"},
	{.path = "rag/docs/{file}", .mode = 0644, .kind = FS_FILE, .action = "rag.change",
	 .doc = "a document: text that queries are answered from"},
	{.path = NULL},
};
/* clang-format on */
