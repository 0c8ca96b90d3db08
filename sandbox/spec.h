/* SPDX-License-Identifier: MIT */
/* spec.h - checks on a spec before anything starts. L1; any thread. */
#pragma once

#include <limits.h>

#include "sandbox/sandbox.h"

/* Can any driver of this tier run here, with all of its layers unless degraded? 0, or -EPERM SEC_002 with the reason. */
int sandbox_tier_available(enum sandbox_tier tier, bool degraded, struct err *e);

/* The best driver of this tier that can run here, or that of this name (NULL: any), with all of its layers unless
 * degraded. 0, or -EPERM SEC_002 with the reason why there is none. ret may be NULL. */
int sandbox_driver_find(enum sandbox_tier tier, const char *name, bool degraded,
			const struct sandbox_driver **ret, struct err *e);

/* Can d give its programs this network here? 0, or -EACCES SEC_001 with the reason. */
int sandbox_network_available(const struct sandbox_driver *d, enum sandbox_network n, struct err *e);

/* Where d stands in sandbox_drivers. */
uint32_t sandbox_driver_number(const struct sandbox_driver *d);
/* How many there are. */
#define SANDBOX_DRIVERS 8u

/* Check all of s; program gets the resolved path of what will be executed. argv[0] is a path,
 * taken from s->cwd when it is relative, or a name that is looked up in the PATH of s->envp; entries of s->allow are absolute paths or names in the
 * system's PATH, and allow the file they lead to under all of its names (so one name of a program that acts
 * by its name, like busybox, allows all of it). -EPERM SEC_002 (tier), -EACCES SEC_001 (allow-list),
 * SPAWN_001 with -ENOENT (no such program), -EACCES (cannot be executed). */
int sandbox_spec_check(enum sandbox_tier tier, const struct sandbox_spec *s, char program[PATH_MAX],
		       struct err *e);
