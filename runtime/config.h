/* SPDX-License-Identifier: MIT */
/* config.h - one table of settings: name, type, range, default, help. L2; loop thread.
 *
 * Sources, later ones win: default, /etc/symbi/config.{toml,yaml}, --config FILE (repeatable),
 * environment, command line. Both seed files, runtime_config.toml and config.toml, load as they
 * stand; settings of parts that are not built yet are accepted, checked and shown. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

struct config;

int config_new(struct config **ret, struct err *e); /* all defaults */
void config_free(struct config *c);

/* Each refuses unknown names and values out of range with CONFIG_001, naming file, line, key and what
 * is accepted; nothing is changed then. */
int config_load_file(struct config *c, const char *path, struct err *e);
int config_load_env(struct config *c, char *const *envp, struct err *e);
int config_set(struct config *c, const char *key, const char *text, const char *origin, struct err *e);

/* By full key ("lifecycle.max_agents"). The key must exist and be of the kind (assert). */
const char *config_str(const struct config *c, const char *key);
uint64_t config_u64(const struct config *c, const char *key);  /* integers, sizes in bytes */
uint64_t config_ms(const struct config *c, const char *key);   /* durations */
double config_real(const struct config *c, const char *key);
bool config_bool(const struct config *c, const char *key);
const char *const *config_list(const struct config *c, const char *key); /* NULL-ended strings */

/* "key value    # origin" per setting. origin: default, file:line, env NAME. */
int config_render(const struct config *c, struct buf *out);
int config_doc(struct buf *out); /* docs/CONFIG.md */
