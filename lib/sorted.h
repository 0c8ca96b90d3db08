/* SPDX-License-Identifier: MIT */
/* sorted.h - arrays in order of a number that each element has. L0. */
#pragma once

#include <stddef.h>

/* Where in `list`, an array of n in order of NUMBER, the first element stands whose NUMBER is not below `number`; n: there is
 * none. NUMBER is an expression over the element `it`: sorted_place(l->runs, l->runs_n, r, r->number, 7). */
#define sorted_place(list, n, it, NUMBER, number)                                                                      \
	({                                                                                                                 \
		size_t lo_ = 0, hi_ = (n);                                                                                     \
		while (lo_ < hi_) {                                                                                            \
			size_t mid_ = lo_ + (hi_ - lo_) / 2;                                                                       \
			__auto_type it = (list)[mid_];                                                                             \
			if ((NUMBER) < (number))                                                                                   \
				lo_ = mid_ + 1;                                                                                        \
			else                                                                                                       \
				hi_ = mid_;                                                                                            \
		}                                                                                                              \
		lo_;                                                                                                           \
	})
