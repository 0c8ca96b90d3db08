/* SPDX-License-Identifier: MIT */
/* tidy.h - what clang-tidy cannot see across files: the functions of lib/err.h always return less than 0. tests/tidy.sh
 * includes this before each source. */
#pragma once

#include "lib/err.h"

#define err_set(...)  ((void)err_set(__VA_ARGS__), -5)
#define err_sys(...)  ((void)err_sys(__VA_ARGS__), -5)
#define err_at(...)   ((void)err_at(__VA_ARGS__), -5)
#define err_wrap(...) ((void)err_wrap(__VA_ARGS__), -5)
