/* SPDX-License-Identifier: MIT */
/* fuse_handle.c - the numbers by which the kernel names open files. L3; loop thread only. */
#include <stdlib.h>

#include "fs/fuse_i.h"

static int grow(struct fuse_front *f)
{
	uint32_t cap = f->handle_cap ? f->handle_cap * 2 : 64;
	struct fuse_handle **p = realloc(f->handles, cap * sizeof(*p));
	if (!p)
		return -1;
	for (uint32_t i = f->handle_cap; i < cap; i++)
		p[i] = NULL;
	f->handles = p;
	f->handle_cap = cap;
	return 0;
}

uint64_t fuse_handle_add(struct fuse_front *f, struct handle *h)
{
	uint32_t i = f->free_hint;
	while (i < f->handle_count && f->handles[i])
		i++;
	if (i == FUSE_HANDLES_MAX || (i == f->handle_cap && grow(f) < 0))
		return 0;
	struct fuse_handle *entry = calloc(1, sizeof(*entry));
	if (!entry)
		return 0;
	if (i == f->handle_count)
		f->handle_count++;
	f->free_hint = i + 1;
	entry->h = h;
	entry->index = i;
	entry->generation = (uint32_t)(clock_mono_ns() >> 10) | 1;
	f->handles[i] = entry;
	return (uint64_t)entry->generation << 32 | (i + 1);
}

struct fuse_handle *fuse_handle_entry(struct fuse_front *f, uint64_t fh)
{
	uint32_t i = (uint32_t)fh - 1;
	if (i >= f->handle_count || !f->handles[i] || f->handles[i]->generation != fh >> 32)
		return NULL;
	return f->handles[i];
}

struct fuse_handle *fuse_handle_by_old(struct fuse_front *f, uint64_t old_fh)
{
	for (uint32_t i = 0; i < f->handle_count; i++)
		if (f->handles[i] && f->handles[i]->old_fh == old_fh)
			return f->handles[i];
	return NULL;
}

struct handle *fuse_handle_get(struct fuse_front *f, uint64_t fh)
{
	struct fuse_handle *entry = fuse_handle_entry(f, fh);
	return entry ? entry->h : NULL;
}

void fuse_handle_drop(struct fuse_front *f, struct fuse_handle *entry)
{
	f->handles[entry->index] = NULL;
	if (entry->index < f->free_hint)
		f->free_hint = entry->index;
	handle_release(entry->h);
	if (entry->poll)
		fuse_pollhandle_destroy(entry->poll);
	free(entry);
}
