/* SPDX-License-Identifier: MIT */
/* wait.h - run a loop until something happened; the ctest timeout ends what never happens. */
#pragma once

#include "lib/loop.h"

#define wait_for(loop, condition)                                                                  \
	do {                                                                                       \
		while (!loop_drain(loop) && !(condition))                                          \
			uv_run(&(loop)->uv, UV_RUN_ONCE);                                          \
	} while (!(condition))
