#!/bin/bash
# symbi policy: the example and its cases, what is refused and how, and the words of a request.
# shellcheck source=tests/cmd/lib.sh
. "$(dirname "$0")/lib.sh"
example=examples/policies/access_policies.yaml

expect 0 policy check $example
has "$out" "ok, 3 rules, version "
same "$(symbi policy check $example; echo "$out")" "$out" # the same text, the same version
expect 0 policy test $example --cases examples/policies/cases.yaml
same "$out" "10 as expected, 0 not"

expect 0 policy explain $example --operation Read --resource /tmp/a
same "$out" "matches Allow default_file_access (access_policies.yaml:3)
decision Allow default_file_access"
quiet=1 expect 1 policy explain $example --operation Read --resource /etc/passwd
same "$out" "decision Deny no_match"
quiet=1 expect 1 policy explain $example --type Network --operation Connect --resource x.example --address 127.0.0.2
has "$out" "decision Deny network_restrictions"
expect 1 policy explain $example --operation Read --resource /tmp/../etc
has "$err" "POLICY_003"
expect 1 policy explain $example --operation Reed --resource /tmp
has "$err" "no operation"

sed 's/effect: "Deny"/effect: "Forbid"/' $example >"$dir/bad.yaml"
expect 1 policy check "$dir/bad.yaml"
has "$err" "POLICY_002 bad.yaml:17: 'Forbid' is no effect"
cp $example "$dir/again.yaml"
expect 1 policy check $example "$dir/again.yaml"
has "$err" "stands at access_policies.yaml:3 already"
expect 1 policy check "$dir/none.yaml"

echo '- {operation: Read, resource: /tmp/a, expect: Deny}' >"$dir/cases.yaml"
quiet=1 expect 1 policy test $example --cases "$dir/cases.yaml"
same "$out" "cases.yaml:1: Read /tmp/a: Allow by default_file_access, expected Deny
0 as expected, 1 not"
echo '- {operation: Read, resource: /tmp/a, expects: Deny}' >"$dir/cases.yaml"
expect 1 policy test $example --cases "$dir/cases.yaml"
has "$err" "cases.yaml:1: 'expects'"
expect 2 policy
expect 2 policy decide $example
expect 2 policy test $example

# ---- another set ----
expect 0 policy diff $example --from $example
same "$out" ""
sed -e 's/priority: 200/priority: 201/' $example >"$dir/other.yaml"
quiet=1 expect 1 policy diff "$dir/other.yaml" --from $example
has "$out" "~ Deny"
same "$(wc -l <<<"$out")" 1
printf 'version: "1.0"\npolicies: []\n' >"$dir/none.yaml"
quiet=1 expect 1 policy diff "$dir/none.yaml" --from $example
has "$out" "- Deny"
quiet=1 expect 1 policy diff $example --from "$dir/none.yaml"
has "$out" "+ Deny"
expect 2 policy diff $example

# ---- the set that is shipped ----
shipped=${TEST_SOURCE_DIR:-$(dirname "$0")/../..}/policies/defaults
expect 0 policy check "$shipped/baseline.yaml"
expect 0 policy test "$shipped/baseline.yaml" --cases "$shipped/cases.yaml"
has "$out" "13 as expected, 0 not"
