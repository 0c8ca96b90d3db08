/* SPDX-License-Identifier: MIT */
/* test_crc32c.c - published vectors, and the CPU's instruction against the portable code. */
#include <stdlib.h>

#include "lib/crc32c.h"
#include "tests/support/check.h"

/* RFC 3720, appendix B.4. */
static void the_vectors_of_the_rfc(void **state)
{
	(void)state;
	unsigned char data[32] = {0};
	assert_int_equal(crc32c(data, 32), 0x8a9136aa);
	memset(data, 0xff, 32);
	assert_int_equal(crc32c(data, 32), 0x62a8ab43);
	for (unsigned i = 0; i < 32; i++)
		data[i] = (unsigned char)i;
	assert_int_equal(crc32c(data, 32), 0x46dd794e);
	for (unsigned i = 0; i < 32; i++)
		data[i] = (unsigned char)(31 - i);
	assert_int_equal(crc32c(data, 32), 0x113fdb5c);
	assert_int_equal(crc32c("123456789", 9), 0xe3069283);
	assert_int_equal(crc32c("", 0), 0);
}

static void both_versions_agree_at_every_length_and_alignment(void **state)
{
	(void)state;
	unsigned char data[300];
	unsigned seed = 9;
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (unsigned char)rand_r(&seed);
	for (size_t from = 0; from < 9; from++)
		for (size_t len = 0; from + len <= sizeof data; len++)
			assert_int_equal(crc32c(data + from, len),
					 crc32c_portable(data + from, len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_vectors_of_the_rfc),
		cmocka_unit_test(both_versions_agree_at_every_length_and_alignment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
