/* SPDX-License-Identifier: MIT */
/* check.h - cmocka with the headers that it wants before it, and those that every test needs. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
