/* SPDX-License-Identifier: MIT */
/* test_policy_rate.c - token buckets: what they give, when they refill, and how many there may be. */
#include "runtime/policy_rate.h"
#include "tests/support/check.h"

#include <stdio.h>

static const struct policy_rate three_a_minute = {.per_ms = 3.0 / 60000, .burst = 3};

static void a_bucket_gives_its_burst_and_then_what_flows_in(void **state)
{
	(void)state;
	struct rates r = {0};
	uint64_t wait, now = 1000;
	for (int i = 0; i < 3; i++)
		assert_true(rate_take(&r, "rule", "a", &three_a_minute, now, &wait));
	assert_false(rate_take(&r, "rule", "a", &three_a_minute, now, &wait));
	assert_in_range(wait, 20000, 20001);
	assert_false(rate_take(&r, "rule", "a", &three_a_minute, now + 19999, &wait));
	assert_true(rate_take(&r, "rule", "a", &three_a_minute, now + 20001, &wait));
	assert_false(rate_take(&r, "rule", "a", &three_a_minute, now + 20001, &wait));
	/* However long nobody asks, there are no more than the burst. */
	for (int i = 0; i < 3; i++)
		assert_true(rate_take(&r, "rule", "a", &three_a_minute, now + 100000000, &wait));
	assert_false(rate_take(&r, "rule", "a", &three_a_minute, now + 100000000, &wait));
	rates_clear(&r);
}

static void each_rule_and_asker_has_one_of_its_own(void **state)
{
	(void)state;
	struct rates r = {0};
	uint64_t wait;
	for (int i = 0; i < 3; i++)
		assert_true(rate_take(&r, "rule", "a", &three_a_minute, 0, &wait));
	assert_false(rate_take(&r, "rule", "a", &three_a_minute, 0, &wait));
	assert_true(rate_take(&r, "rule", "b", &three_a_minute, 0, &wait));
	assert_true(rate_take(&r, "other", "a", &three_a_minute, 0, &wait));
	rates_clear(&r);
}

static void a_rule_that_was_changed_holds_at_once(void **state)
{
	(void)state;
	struct rates r = {0};
	uint64_t wait;
	struct policy_rate one = {.per_ms = 1.0 / 60000, .burst = 1}, many = {.per_ms = 1, .burst = 1000};
	for (int i = 0; i < 100; i++)
		assert_true(rate_take(&r, "rule", "a", &many, 0, &wait));
	assert_true(rate_take(&r, "rule", "a", &one, 0, &wait)); /* of the 900 that are left one stays */
	assert_false(rate_take(&r, "rule", "a", &one, 0, &wait));
	rates_clear(&r);
}

static void too_many_askers_are_refused_until_buckets_are_full_again(void **state)
{
	(void)state;
	struct rates r = {0};
	uint64_t wait;
	char who[32];
	for (int i = 0; i < RATES_MAX; i++) {
		snprintf(who, sizeof who, "agent %d", i);
		assert_true(rate_take(&r, "rule", who, &three_a_minute, 0, &wait));
	}
	assert_false(rate_take(&r, "rule", "one more", &three_a_minute, 0, &wait));
	assert_int_equal(wait, 0);
	assert_true(rate_take(&r, "rule", "agent 1", &three_a_minute, 0, &wait)); /* who is known goes on */
	assert_true(rate_take(&r, "rule", "one more", &three_a_minute, 50000, &wait));
	assert_in_range(r.n, 1, 3);
	rates_clear(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bucket_gives_its_burst_and_then_what_flows_in),
		cmocka_unit_test(each_rule_and_asker_has_one_of_its_own),
		cmocka_unit_test(a_rule_that_was_changed_holds_at_once),
		cmocka_unit_test(too_many_askers_are_refused_until_buckets_are_full_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
