/* SPDX-License-Identifier: MIT */
/* rows_secrets.c - the files of secrets/, in the tree and in the views of agents. L3; loop thread only. */
#include "fs/tree_i.h"
#include "runtime/secrets.h"

static int info_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	(void)e;
	return secret_render_json(c->secret, out);
}

extern const struct fs_node fs_nodes_secrets[];
/* clang-format off */
const struct fs_node fs_nodes_secrets[] = {
	{.path = "secrets", .mode = 0700, .kind = FS_DIR, .view = "secrets",
	 .doc = "secrets by name; an agent's view has those that a rule lets it read"},
	{.path = "secrets/{secrets}", .mode = 0700, .kind = FS_DIR, .action = "secret.change", .view = "secrets/{secrets}",
	 .doc = "a folder of secrets"},
	{.path = "secrets/{secret}", .mode = 0600, .kind = FS_SECRET, .action = "secret.change", .view = "secrets/{secret}",
	 .doc = "a secret: writing stores it sealed, reading opens it; each read is a record"},
	{.path = "secrets/{secret}.json", .mode = 0400, .kind = FS_RENDERED, .action = "secret.change",
	 .read = info_read, .doc = "name, generation, size and times of a secret; not listed"},
	{.path = NULL},
};
/* clang-format on */
