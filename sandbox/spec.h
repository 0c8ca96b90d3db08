/* SPDX-License-Identifier: MIT */
/* spec.h - checks on a spec before anything starts. L1; any thread. */
#pragma once

#include <limits.h>

#include "sandbox/sandbox.h"

/* Can any driver of this tier run here? 0, or -EPERM SEC_002 with the reason. */
int sandbox_tier_available(enum sandbox_tier tier, struct err *e);

/* Check all of s; program gets the resolved path of what will be executed. -EPERM SEC_002 (tier),
 * -EACCES SEC_001 (allow-list), -ENOENT SPAWN_001 (no such program). */
int sandbox_spec_check(enum sandbox_tier tier, const struct sandbox_spec *s, char program[PATH_MAX],
		       struct err *e);
