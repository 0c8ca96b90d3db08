/* SPDX-License-Identifier: MIT */
/* fuzz_vm.c - what comes out of a microVM: any bytes are frames within what was sent, or refused. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sandbox/vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vm_reader in;
	static int fd = -1;
	struct vm_frame f;
	const char *body;
	volatile char sum = 0;
	if (fd < 0)
		fd = memfd_create("guest", MFD_CLOEXEC);
	in.have = in.done = 0;
	if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	for (int r = 0; r >= 0 && vm_reader_fill(&in, fd) > 0;)
		while ((r = vm_reader_next(&in, &f, &body)) > 0) {
			if (body < in.data || body + f.len > in.data + in.have || f.len > VM_WINDOW)
				abort();
			for (uint32_t i = 0; i < f.len; i++)
				sum = (char)(sum + body[i]);
		}
	return 0;
}
