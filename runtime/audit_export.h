/* SPDX-License-Identifier: MIT */
/* audit_export.h - a checkpoint to where this machine's owner cannot take it back. L2; a thread that may wait. */
#pragma once

#include <stddef.h>

#include "lib/err.h"

#define AUDIT_EXPORT_MS 30000 /* a command that takes longer is killed */

/* Is that a place to export to: "", a path that begins with '/', or '|' and a command? 0 or -EINVAL CONFIG_001. */
int audit_export_check(const char *to, struct err *e);

/* Replace the file by the note, durably; or give the note to the command, which `sh -c` runs with it on standard input.
 * -errno AUDIT_003. */
int audit_export(const char *to, const char *note, size_t len, struct err *e);
