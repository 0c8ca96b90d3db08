/* SPDX-License-Identifier: MIT */
/* footprint.h - a process that is about to wait for long gives back what it does not need. L0. */
#pragma once

/* Drop the pages of program text and constants from this process's page tables, and give free pages of the heap back.
 * The former stay in the page cache and come back when they are touched, a microsecond each; pages of data, relocated
 * ones among them, are not dropped. Costs a millisecond. Any thread, while none loads or unloads a library. */
void footprint_trim(void);
