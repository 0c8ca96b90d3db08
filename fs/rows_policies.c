/* SPDX-License-Identifier: MIT */
/* rows_policies.c - the files of policies/. L3; loop thread only. */
#include "fs/store.h"

extern const struct fs_node fs_nodes_policies[];
/* clang-format off */
const struct fs_node fs_nodes_policies[] = {
	{.path = "policies/{spec}", .mode = 0644, .kind = FS_STORE, .action = "policy.change",
	 .store = &fs_store_policies,
	 .doc = "a policy file (.yaml .yml .json .toml): writing it changes what is decided from then on"},
	{.path = NULL},
};
/* clang-format on */
