/* SPDX-License-Identifier: MIT */
/* image_cpio.c - writes a cpio archive of the form "newc". L4. */
#include <string.h>

#include "image.h"

static void put(struct cpio *c, const void *data, size_t len)
{
	fwrite(data, 1, len, c->f);
	c->written += len;
}

static void pad(struct cpio *c)
{
	put(c, "\0\0\0", (4 - c->written % 4) % 4);
}

void cpio_add(struct cpio *c, const char *path, unsigned mode, const char *data, size_t len)
{
	char head[111];
	size_t name = strlen(path) + 1;
	snprintf(head, sizeof head, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", ++c->inode, mode, 0u, 0u, 1u, 0u,
		 (unsigned)len, 0u, 0u, 0u, 0u, (unsigned)name, 0u);
	put(c, head, 110);
	put(c, path, name);
	pad(c);
	put(c, data, len);
	pad(c);
}

void cpio_end(struct cpio *c)
{
	cpio_add(c, "TRAILER!!!", 0, "", 0);
}
