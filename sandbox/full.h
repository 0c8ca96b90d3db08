/* SPDX-License-Identifier: MIT */
/* full.h - a whole network for a box, by slirp4netns: a process outside makes the connections that a program inside asks
 * its interface for, but to no loopback of this machine. L1; single-threaded. */
#pragma once

#include "sandbox/sandbox.h"

#define FULL_RESOLVER "10.0.2.3" /* inside: the machine's resolver */

/* Can one be had here? 0, or -EACCES SEC_001 naming what is missing. */
int full_available(struct err *e);
/* Give the network namespace of process `box` an interface. Waits until it is there. The pid of who serves it, which ends
 * when the writing end of *ret_hold is closed, or -errno. */
pid_t full_start(pid_t box, int *ret_hold, uint32_t mark, struct err *e);
