/* SPDX-License-Identifier: MIT */
/* fuse_handle.c - the numbers by which the kernel names open files. L3; loop thread only. */
#include <stdlib.h>

#include "fs/fuse_i.h"

static uint32_t place_of_number(uint64_t number)
{
	return (uint32_t)number - 1;
}

/* Room for place; new places come as free entries. */
static int grow(struct fuse_front *f, uint32_t place)
{
	uint32_t cap = f->handle_cap ? f->handle_cap : 64;
	while (cap <= place)
		cap *= 2;
	struct fuse_handle **p = realloc(f->handles, cap * sizeof(struct fuse_handle *));
	if (!p)
		return -1;
	f->handles = p;
	f->handle_cap = cap;
	return 0;
}

static struct fuse_handle *new_place(struct fuse_front *f)
{
	uint32_t i = f->handle_count;
	struct fuse_handle *entry = i < FUSE_HANDLES_MAX ? calloc(1, sizeof *entry) : NULL;
	if (!entry || (i >= f->handle_cap && grow(f, i) < 0)) {
		free(entry);
		return NULL;
	}
	entry->front = f;
	entry->number = i + 1;
	f->handles[f->handle_count++] = entry;
	return entry;
}

struct fuse_handle *fuse_handle_add(struct fuse_front *f, struct handle *h)
{
	struct fuse_handle *entry = f->free;
	if (entry)
		f->free = entry->next;
	else if (!(entry = new_place(f)))
		return NULL;
	uint64_t generation = (uint32_t)(clock_mono_ns() >> 10) | 1;
	entry->h = h;
	entry->number = generation << 32 | (uint32_t)entry->number;
	handle_set_number(h, entry->number, f->request);
	return entry;
}

void fuse_handle_adopt(void *front, struct handle *h, uint64_t number)
{
	struct fuse_front *f = front;
	uint32_t place = place_of_number(number);
	while (f->handle_count <= place)
		if (!new_place(f))
			abort(); /* its file would be lost without a word; the next worker may have memory */
	f->handles[place]->h = h;
	f->handles[place]->number = number;
}

void fuse_handle_adopted(struct fuse_front *f)
{
	for (uint32_t i = f->handle_count; i-- > 0;)
		if (!f->handles[i]->h) {
			f->handles[i]->next = f->free;
			f->free = f->handles[i];
		}
}

struct fuse_handle *fuse_handle_of(struct fuse_front *f, uint64_t number)
{
	uint32_t i = place_of_number(number);
	return i < f->handle_count && f->handles[i]->h && f->handles[i]->number == number
		       ? f->handles[i]
		       : NULL;
}

struct fuse_handle *fuse_handle_opened_by(struct fuse_front *f, uint64_t request)
{
	for (uint32_t i = 0; request && i < f->handle_count; i++)
		if (f->handles[i]->h && handle_opened_by(f->handles[i]->h) == request)
			return f->handles[i];
	return NULL;
}

void fuse_handle_drop(struct fuse_front *f, struct fuse_handle *entry)
{
	struct handle *h = entry->h;
	entry->h = NULL;
	entry->next = f->free;
	f->free = entry;
	handle_close(h, f->request, f->again);
}
