/* SPDX-License-Identifier: MIT */
/* mem.h - ownership helpers: cleanup attributes and moves. L0; any thread. */
#pragma once

#include <stdlib.h>
#include <unistd.h>

static inline void mem_autofree(void *p)
{
	free(*(void **)p);
}

static inline void mem_autoclose(int *fd)
{
	if (*fd >= 0)
		close(*fd); /* never retried on EINTR: on Linux the descriptor is gone */
}

/* autofree char *p = ...;  freed when it leaves scope, unless taken. */
#define autofree __attribute__((cleanup(mem_autofree)))
/* autoclose int fd = ...;  closed when it leaves scope, unless taken. */
#define autoclose __attribute__((cleanup(mem_autoclose)))

/* Move: yields the value and leaves NULL / -1 behind. */
#define take_ptr(p)                                                                                \
	({                                                                                         \
		__typeof__(p) taken_ = (p);                                                        \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	})

static inline int take_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))
