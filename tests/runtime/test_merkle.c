/* SPDX-License-Identifier: MIT */
/* test_merkle.c - the tree against a plain recursion over RFC 6962's definition, and its known heads. */
#include <errno.h>
#include <sodium.h>

#include "runtime/merkle.h"
#include "tests/support/check.h"

#define LEAVES 70

static unsigned char leaves[LEAVES][MERKLE_HASH];

/* MTH(D[from, to)) as the RFC has it. */
static void plain(unsigned from, unsigned to, unsigned char out[MERKLE_HASH])
{
	unsigned k = 1;
	unsigned char left[MERKLE_HASH], right[MERKLE_HASH];
	if (to - from == 1) {
		memcpy(out, leaves[from], MERKLE_HASH);
		return;
	}
	while (k * 2 < to - from)
		k *= 2;
	plain(from, from + k, left);
	plain(from + k, to, right);
	merkle_node(left, right, out);
}

static int setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LEAVES; i++)
		merkle_leaf(&i, sizeof i, leaves[i]);
	return 0;
}

static int in_buf(void *arg, uint64_t at, unsigned char out[MERKLE_HASH])
{
	const struct buf *b = arg;
	if (at >= b->len / MERKLE_HASH)
		return -EIO;
	memcpy(out, b->data + at * MERKLE_HASH, MERKLE_HASH);
	return 0;
}

static void grow(struct merkle *m, struct buf *store, unsigned n)
{
	*m = (struct merkle){0};
	buf_clear(store);
	for (unsigned i = 0; i < n; i++)
		merkle_add(m, leaves[i], store);
}

static void assert_hex(const unsigned char hash[MERKLE_HASH], const char *want)
{
	char hex[2 * MERKLE_HASH + 1];
	assert_string_equal(sodium_bin2hex(hex, sizeof hex, hash, MERKLE_HASH), want);
}

/* The vectors of the Certificate Transparency reference (8 leaves). */
static void the_heads_of_the_reference_are_met(void **state)
{
	(void)state;
	static const struct {
		const char *hex;
		const char *root;
	} v[] = {
		{"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
		{"00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
		{"10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
		{"2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
		{"3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
		{"40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
		{"5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
		{"606162636465666768696a6b6c6d6e6f", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
	};
	struct merkle m = {0};
	unsigned char root[MERKLE_HASH], data[16], leaf[MERKLE_HASH];
	merkle_root(&m, root);
	assert_hex(root, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
		size_t n = 0;
		sodium_hex2bin(data, sizeof data, v[i].hex, strlen(v[i].hex), NULL, &n, NULL);
		merkle_leaf(data, n, leaf);
		merkle_add(&m, leaf, NULL);
		merkle_root(&m, root);
		assert_hex(root, v[i].root);
	}
}

static void every_size_has_the_head_of_the_definition(void **state)
{
	(void)state;
	struct merkle m, again;
	unsigned char a[MERKLE_HASH], b[MERKLE_HASH];
	struct buf store;
	buf_init(&store, 1 << 20);
	for (unsigned n = 1; n <= LEAVES; n++) {
		grow(&m, &store, n);
		plain(0, n, a);
		merkle_root(&m, b);
		assert_memory_equal(a, b, MERKLE_HASH);
		assert_int_equal(store.len, merkle_stored_count(n) * MERKLE_HASH);
		assert_int_equal(merkle_load(&again, n, in_buf, &store), 0);
		merkle_root(&again, b);
		assert_memory_equal(a, b, MERKLE_HASH);
	}
	buf_done(&store);
}

static void a_proof_holds_for_its_leaf_and_for_no_other(void **state)
{
	(void)state;
	struct merkle m;
	struct merkle_proof p;
	unsigned char root[MERKLE_HASH];
	struct buf store;
	buf_init(&store, 1 << 20);
	for (unsigned n = 1; n <= LEAVES; n++) {
		grow(&m, &store, n);
		merkle_root(&m, root);
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(merkle_prove_leaf(&p, i, n, in_buf, &store), 0);
			assert_true(merkle_leaf_ok(&p, leaves[i], i, n, root));
			assert_false(merkle_leaf_ok(&p, leaves[(i + 1) % LEAVES], i, n, root));
			if (n > 1)
				assert_false(merkle_leaf_ok(&p, leaves[i], (i + 1) % n, n, root));
			for (unsigned h = 0; h < p.n; h++) {
				p.hash[h][7] ^= 1;
				assert_false(merkle_leaf_ok(&p, leaves[i], i, n, root));
				p.hash[h][7] ^= 1;
			}
			p.n++;
			memset(p.hash[p.n - 1], 0, MERKLE_HASH);
			assert_false(merkle_leaf_ok(&p, leaves[i], i, n, root));
		}
		assert_int_equal(merkle_prove_leaf(&p, n, n, in_buf, &store), -EINVAL);
	}
	buf_done(&store);
}

static void growth_is_proved_for_every_pair_of_sizes_and_a_fork_is_not(void **state)
{
	(void)state;
	struct merkle m;
	struct merkle_proof p;
	unsigned char roots[LEAVES + 1][MERKLE_HASH];
	struct buf store;
	buf_init(&store, 1 << 20);
	for (unsigned n = 1; n <= LEAVES; n++)
		plain(0, n, roots[n]);
	grow(&m, &store, LEAVES);
	for (unsigned n = 1; n <= LEAVES; n++)
		for (unsigned old = 1; old <= n; old++) {
			assert_int_equal(merkle_prove_growth(&p, old, n, in_buf, &store), 0);
			assert_true(merkle_growth_ok(&p, old, roots[old], n, roots[n]));
			unsigned char other[MERKLE_HASH];
			memcpy(other, roots[old], sizeof other);
			other[0] ^= 1;
			assert_false(merkle_growth_ok(&p, old, other, n, roots[n]));
			if (old > 1)
				assert_false(merkle_growth_ok(&p, old, roots[old - 1], n, roots[n]));
			for (unsigned h = 0; h < p.n; h++) {
				p.hash[h][31] ^= 0x80;
				assert_false(merkle_growth_ok(&p, old, roots[old], n, roots[n]));
				p.hash[h][31] ^= 0x80;
			}
		}
	assert_int_equal(merkle_prove_growth(&p, 0, 5, in_buf, &store), -EINVAL);
	assert_int_equal(merkle_prove_growth(&p, 6, 5, in_buf, &store), -EINVAL);
	buf_done(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_heads_of_the_reference_are_met),
		cmocka_unit_test(every_size_has_the_head_of_the_definition),
		cmocka_unit_test(a_proof_holds_for_its_leaf_and_for_no_other),
		cmocka_unit_test(growth_is_proved_for_every_pair_of_sizes_and_a_fork_is_not),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
