/* SPDX-License-Identifier: MIT */
/* defaults.h - the text of policies/defaults/baseline.yaml, as the build has put it in. L1; any thread. */
#pragma once

#include <stddef.h>

#define POLICY_DEFAULTS_FILE "baseline.yaml"
extern const char policy_defaults[];
extern const size_t policy_defaults_len;
