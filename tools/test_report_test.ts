import { assertEquals } from "@std/assert";
import { parseDenoReport, parseRustReport } from "./test_report.ts";

const JUNIT = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="6" failures="2" errors="0" time="0.010">
    <testsuite name="./a_test.ts" tests="6" disabled="2" errors="0" failures="2">
        <testcase name="one" classname="./a_test.ts" time="0.003" line="1" col="6">
            <failure message="1 test step failed">1 test step failed.</failure>
        </testcase>
        <testcase name="two (skipped: no CUDA device)" classname="./a_test.ts" time="0.000" line="2" col="6">
            <skipped/>
        </testcase>
        <testcase name="1 &gt; 2 is &lt;false&gt;" classname="./a_test.ts" time="0.000" line="3" col="6">
        </testcase>
    </testsuite>
    <testsuite name="./b_test.ts" tests="3" disabled="1" errors="0" failures="1">
        <testcase name="one &gt; inner" classname="./a_test.ts" time="0.000" line="1" col="39">
        </testcase>
        <testcase name="one &gt; bad" classname="./a_test.ts" time="0.001" line="1" col="70">
            <failure message="Uncaught">Error: x &lt;b&gt;</failure>
        </testcase>
        <testcase name="one &gt; inner &gt; left out" classname="./a_test.ts" time="0.000" line="1" col="132">
            <skipped/>
        </testcase>
    </testsuite>
</testsuites>`;

Deno.test("parseDenoReport counts tests, not their steps, and names what is skipped", () => {
  assertEquals(parseDenoReport(JUNIT, 1), {
    passed: 1,
    failed: 1,
    skipped: ["two (skipped: no CUDA device)", "one > inner > left out"],
  });
});

Deno.test("parseDenoReport counts a run without results, or with an exit code alone, as failed", () => {
  assertEquals(parseDenoReport("", 0), {
    passed: 0,
    failed: 1,
    skipped: [],
    crashed: "ended without results (exit code 0)",
  });
  const passing = `<testsuite name="a"><testcase name="one"></testcase></testsuite>`;
  assertEquals(parseDenoReport(passing, 0), { passed: 1, failed: 0, skipped: [] });
  assertEquals(parseDenoReport(passing, 1).failed, 1);
});

const CARGO = `
running 3 tests
test ops::a ... ok
test ops::b ... ignored, needs a CUDA device
test gpu::f32::c (skipped: no CUDA device) ... ignored
test ops::c ... ok

test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s


running 1 test
test crosses ... FAILED

test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s

running 0 tests

test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
`;

Deno.test("parseRustReport sums all test programs and keeps the reasons", () => {
  assertEquals(parseRustReport(CARGO, 101), {
    passed: 2,
    failed: 1,
    skipped: ["ops::b (needs a CUDA device)", "gpu::f32::c (no CUDA device)"],
  });
});

Deno.test("parseRustReport counts a program that dies, and a build that fails, as failed", () => {
  const killed = CARGO.replace("0 passed; 1 failed", "1 passed; 0 failed") + "\nrunning 7 tests\ntest x ... ok\n";
  assertEquals(parseRustReport(killed, 101), {
    passed: 3,
    failed: 1,
    skipped: ["ops::b (needs a CUDA device)", "gpu::f32::c (no CUDA device)"],
    crashed: "1 of 4 test programs ended without results",
  });
  assertEquals(parseRustReport("", 101).failed, 1);
});
