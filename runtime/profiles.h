/* SPDX-License-Identifier: MIT */
/* profiles.h - the sandbox profiles of an installation: the built-in ones and the documents of sandbox/profiles/. L2; loop
 * thread only. */
#pragma once

#include "runtime/documents.h"
#include "sandbox/profile.h"

#define PROFILE_FILES_MAX 1000

/* The profile of this name, a copy. 0, or -EACCES SEC_001 where there is none. */
int profile_get(struct runtime *rt, const char *name, struct sandbox_profile *ret, struct err *e);
/* A built-in one as YAML. 0 or -errno of the buffer. */
int profile_render_builtin(const char *name, struct buf *out);
