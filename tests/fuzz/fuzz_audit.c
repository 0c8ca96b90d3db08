/* SPDX-License-Identifier: MIT */
/* fuzz_audit.c - what somebody else may have written of an audit trail: keys, checkpoints, lines, proofs, questions. The first
 * byte says which. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/audit_trail.h"
#include "runtime/audit_verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char public_key[] = "vm/symbi+3073d2c6+AcBI0N/GfWkF69KagbkQIydvy8S42Rrzw0y57XJfEGFw";

static const struct note_public *key(void)
{
	static struct note_public k;
	if (!k.name[0] && note_public_parse(public_key, sizeof public_key - 1, &k, NULL) < 0)
		abort();
	return &k;
}

static void proof(const char *text, size_t len)
{
	struct buf out;
	buf_init(&out, 4096);
	audit_proof_check(text, len, key(), NULL, &out, NULL);
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t seq;
	unsigned char prev[MERKLE_HASH];
	struct checkpoint c;
	struct note_public k;
	struct audit_question q;
	if (size == 0)
		return 0;
	const char *text = (const char *)data + 1;
	size_t len = size - 1;
	switch (data[0] % 5) {
	case 0: note_public_parse(text, len, &k, NULL); break;
	case 1:
		if (checkpoint_len(text, len) > len)
			abort();
		if (checkpoint_read(text, len, key(), &c, NULL) == 0 && !checkpoint_has(text, len, key()))
			abort();
		break;
	case 2: trail_line_read(text, len, &seq, prev); break;
	case 3: proof(text, len); break;
	case 4: audit_question_parse(text, len, &q, NULL); break;
	}
	return 0;
}
