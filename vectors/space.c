/* SPDX-License-Identifier: MIT */
/* space.c - address space that becomes memory from its start on, and so never moves. L1; any thread. */
#include <errno.h>
#include <sys/mman.h>

#include "vectors/vec_i.h"

#define STEP	(1ul << 20)
#define HUGE	(2ul << 20)
#define HUGE_AT (16ul << 20) /* committed bytes from which on pages of 2 MiB pay */

int space_reserve(struct space *s, size_t bytes, struct err *e)
{
	bytes = (bytes + 2 * HUGE - 1) / HUGE * HUGE;
	char *p = mmap(NULL, bytes + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return err_sys(e, ERR_VDB_FAILED, errno, "cannot reserve %zu MiB of address space; set a smaller max_rows", bytes >> 20);
	char *base = (char *)(((uintptr_t)p + HUGE - 1) / HUGE * HUGE);
	if (base > p)
		munmap(p, (size_t)(base - p));
	if (p + HUGE > base)
		munmap(base + bytes, (size_t)(p + HUGE - base));
	s->base = base;
	s->reserved = bytes;
	atomic_set(&s->committed, 0);
	return 0;
}

int space_commit(struct space *s, size_t bytes, struct err *e)
{
	size_t have = atomic_get(&s->committed);
	if (bytes <= have)
		return 0;
	size_t want = have + have / 4 > bytes ? have + have / 4 : bytes; /* few calls, few mappings */
	want = (want + STEP - 1) / STEP * STEP;
	if (want >= HUGE_AT)
		want = (want + HUGE - 1) / HUGE * HUGE;
	if (want > s->reserved)
		want = s->reserved;
	if (bytes > want || mprotect(s->base + have, want - have, PROT_READ | PROT_WRITE) < 0)
		return err_sys(e, ERR_VDB_FAILED, ENOMEM, "no memory for %zu MiB of the index", want >> 20);
	if (want >= HUGE_AT)
		madvise(s->base, want, MADV_HUGEPAGE); /* only makes it faster */
	atomic_set(&s->committed, want);
	return 0;
}

void space_done(struct space *s)
{
	if (s->base)
		munmap(s->base, s->reserved);
	s->base = NULL;
}
