/* SPDX-License-Identifier: MIT */
/* fail_alloc.h - makes the n-th allocation of the calling thread fail, also one that a library makes.
 * Include in the one source of a test program: its definitions stand before those of the C library. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FAIL_ALLOC_REAL(name) __interceptor_##name
#else
#define FAIL_ALLOC_REAL(name) __libc_##name
#endif
void *FAIL_ALLOC_REAL(malloc)(size_t);
void *FAIL_ALLOC_REAL(calloc)(size_t, size_t);
void *FAIL_ALLOC_REAL(realloc)(void *, size_t);

/* The thread sanitizer allocates before it can follow anything. */
#define FAIL_ALLOC_UNSEEN __attribute__((no_sanitize_thread))

static _Thread_local int fail_alloc_in; /* allocations until one fails; 0: none does */
static _Thread_local bool fail_alloc_fired;

/* The n-th allocation from now on fails, those behind it do not. */
static inline void fail_alloc_arm(int n)
{
	fail_alloc_fired = false;
	fail_alloc_in = n;
}

/* Stop; whether it came to the failure. */
static inline bool fail_alloc_disarm(void)
{
	fail_alloc_in = 0;
	return fail_alloc_fired;
}

FAIL_ALLOC_UNSEEN static bool fail_alloc_now(void)
{
	if (fail_alloc_in == 0 || --fail_alloc_in > 0)
		return false;
	fail_alloc_fired = true;
	errno = ENOMEM;
	return true;
}

FAIL_ALLOC_UNSEEN void *malloc(size_t n)
{
	return fail_alloc_now() ? NULL : FAIL_ALLOC_REAL(malloc)(n);
}

FAIL_ALLOC_UNSEEN void *calloc(size_t n, size_t size)
{
	return fail_alloc_now() ? NULL : FAIL_ALLOC_REAL(calloc)(n, size);
}

FAIL_ALLOC_UNSEEN void *realloc(void *p, size_t n)
{
	return fail_alloc_now() ? NULL : FAIL_ALLOC_REAL(realloc)(p, n);
}
