/* SPDX-License-Identifier: MIT */
/* fuzz_spawn.c - the spawner's messages: any bytes are a request that is refused, or one whose strings are
 * all within what was sent. */
#include <stdlib.h>
#include <string.h>

#include "sandbox/spawn_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spawn_req q;
	if (size < 1)
		return 0;
	unsigned nfds = data[0] % (SPAWN_FDS + 2);
	data++, size--;
	memset(&q, 0, sizeof q);
	memcpy(&q, data, size < sizeof q ? size : sizeof q);
	if (spawn_req_check(&q, size, nfds) < 0)
		return 0;
	if (q.op != SPAWN_START || q.flags & SPAWN_TEXT)
		return 0;
	/* exact sizes, so that a byte too many is seen */
	char *text = malloc(q.text_len ? q.text_len : 1);
	char **out = malloc(((size_t)q.argc + q.envc + SPAWN_FIXED + 2) * sizeof *out);
	if (!text || !out)
		abort();
	memcpy(text, data + sizeof q, q.text_len);
	if (spawn_text_split(text, q.text_len, q.argc, q.envc, out) == 0) {
		size_t total = 0;
		for (size_t i = 0; i < (size_t)q.argc + q.envc + SPAWN_FIXED + 2; i++)
			if (out[i])
				total += strlen(out[i]) + 1;
		if (total != q.text_len || out[SPAWN_FIXED + q.argc] || out[SPAWN_FIXED + 1 + q.argc + q.envc])
			abort();
	}
	free(out);
	free(text);
	return 0;
}
