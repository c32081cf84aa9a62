/** Reads what `deno test --junit-path` and `cargo test` report. Called by run_tests.ts; runs nothing itself. */

/** What a suite came to. */
export interface Report {
  passed: number;
  failed: number;
  /** Names of the tests that were left out, with their reasons. */
  skipped: string[];
  /** Why the numbers are not the whole truth. */
  crashed?: string;
}

const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|apos);/g, (_, name) => ENTITIES[name]);
}

/** A suite that says that it failed, or says nothing, has failed, even if no test is named. */
function withCrash(report: Report, code: number): Report {
  if (report.failed > 0) return report;
  const empty = report.passed + report.skipped.length === 0;
  if (code === 0 && !empty && report.crashed === undefined) return report;
  const crashed = report.crashed ??
    (empty ? `ended without results (exit code ${code})` : `exit code ${code} without a failed test`);
  return { ...report, failed: 1, crashed };
}

/** Counts the tests of a JUnit file. Steps count with their test, except that a skipped step is named. */
export function parseDenoReport(xml: string, code: number): Report {
  const report: Report = { passed: 0, failed: 0, skipped: [] };
  // A step may stand in another suite than its test.
  const cases = [...xml.matchAll(/<testcase name="([^"]*)"[^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g)]
    .map(([, name, content = ""]) => ({
      name: unescapeXml(name),
      failed: /<(?:failure|error)\b/.test(content),
      skipped: /<skipped\b/.test(content),
    }));
  const names = new Set(cases.map(({ name }) => name));
  const isStep = (name: string) => {
    for (let at = name.indexOf(" > "); at >= 0; at = name.indexOf(" > ", at + 1)) {
      if (names.has(name.slice(0, at))) return true;
    }
    return false;
  };
  for (const { name, failed, skipped } of cases) {
    if (skipped) report.skipped.push(name);
    else if (isStep(name)) continue;
    else if (failed) report.failed++;
    else report.passed++;
  }
  return withCrash(report, code);
}

/** Sums the results of all test programs that cargo runs. */
export function parseRustReport(text: string, code: number): Report {
  const report: Report = { passed: 0, failed: 0, skipped: [] };
  let started = 0, ended = 0;
  for (const line of text.split("\n")) {
    const result = /^test result: \S+ (\d+) passed; (\d+) failed;/.exec(line);
    // Tests of a device, which decide at run time, have the reason in their names: `name (skipped: why)`.
    const decided = /^test (\S+) \(skipped: (.*)\) \.\.\. ignored$/.exec(line);
    const ignored = decided ?? /^test (\S+)(?: - .*?)?\s+\.\.\. ignored(?:, (.*))?$/.exec(line);
    if (/^running \d+ tests?$/.test(line)) started++;
    else if (ignored !== null) report.skipped.push(`${ignored[1]} (${ignored[2] ?? "no reason is given"})`);
    else if (result !== null) {
      ended++;
      report.passed += Number(result[1]);
      report.failed += Number(result[2]);
    }
  }
  if (started > ended) {
    report.failed += started - ended;
    report.crashed = `${started - ended} of ${started} test programs ended without results`;
  }
  return withCrash(report, code);
}
