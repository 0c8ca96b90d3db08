/* SPDX-License-Identifier: MIT */
/* naive.h - the oracle for patterns: every way is tried, by recursion over the pattern's text. Without sets and
 * backslashes. start: p stands at the beginning or behind a slash. */
#pragma once

#include <stdbool.h>
#include <string.h>

static inline bool naive_glob(const char *p, const char *s, bool start)
{
	if (!*p)
		return !*s;
	if (start && p[0] == '*' && p[1] == '*' && p[2] == '/') {
		if (naive_glob(p + 3, s, true))
			return true;
		for (; *s; s++)
			if (*s == '/' && naive_glob(p + 3, s + 1, true))
				return true;
		return false;
	}
	if (p[0] == '*' && p[1] == '*') {
		for (;; s++) {
			if (naive_glob(p + 2, s, false))
				return true;
			if (!*s)
				return false;
		}
	}
	if (p[0] == '*') {
		for (;; s++) {
			if (naive_glob(p + 1, s, false))
				return true;
			if (!*s || *s == '/')
				return false;
		}
	}
	if (p[0] == '/' && !*s && strcmp(p, "/**") == 0)
		return true;
	if (!*s || (*p == '?' ? *s == '/' : *p != *s))
		return false;
	return naive_glob(p + 1, s + 1, *p == '/');
}
