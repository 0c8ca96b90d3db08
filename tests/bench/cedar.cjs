// SPDX-License-Identifier: MIT
// cedar.cjs - the questions of bench_policy asked of Cedar's own evaluator (@cedar-policy/cedar-wasm), policies parsed before.
// usage: node cedar.cjs MODULE RULES < lines "PATH AGENT"; prints "ALLOWED MEDIAN_US P99_US".
const [, , module_dir, count] = process.argv;
const cedar = require(module_dir);
const rules = Number(count);
const text = [];
for (let i = 0; i < rules; i++) {
  const who = i % 10 === 9 ? ` && principal == Agent::"a${i % 100}"` : "";
  text.push(`${i % 5 ? "permit" : "forbid"}(principal, action in [Action::"Read", Action::"Write"], resource)
    when { resource.path like "/data/team${i % 97}/p${i}/*"${who} };`);
}
const parsed = cedar.preparsePolicySet("bench", { staticPolicies: text.join("\n") });
if (parsed.type !== "success") {
  console.error(JSON.stringify(parsed));
  process.exit(1);
}
const asked = require("fs").readFileSync(0, "utf8").trim().split("\n").map((l) => l.split(" "));
const ask = ([path, agent]) => {
  const answer = cedar.statefulIsAuthorized({
    principal: { type: "Agent", id: agent },
    action: { type: "Action", id: "Read" },
    resource: { type: "File", id: "f" },
    context: {},
    preparsedPolicySetId: "bench",
    validateRequest: false,
    entities: [{ uid: { type: "File", id: "f" }, attrs: { path }, parents: [] }],
  });
  if (answer.type !== "success") {
    console.error(JSON.stringify(answer));
    process.exit(1);
  }
  return answer.response.decision === "allow";
};
const until = process.hrtime.bigint() + 1000000000n; // as long as its code gets faster
for (let i = 0; process.hrtime.bigint() < until; i++) ask(asked[i % asked.length]);
let allowed = 0;
const us = asked.map((q) => {
  const begin = process.hrtime.bigint();
  allowed += ask(q) ? 1 : 0;
  return Number(process.hrtime.bigint() - begin) / 1000;
});
us.sort((a, b) => a - b);
console.log(allowed, us[Math.floor(us.length / 2)], us[Math.min(us.length - 1, Math.floor(us.length * 0.99))]);
