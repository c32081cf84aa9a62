import { assertEquals } from "@std/assert";
import { parseArgs } from "@std/cli/parse-args";

// Runs against whichever @std/cli is resolved: the real one where JSR answers, the stand-in elsewhere.

Deno.test("parseArgs coerces, collects, negates, splits and keeps what it should", () => {
  const cases: [string[], Parameters<typeof parseArgs>[1], Record<string, unknown>][] = [
    [["--n", "3", "x", "4"], {}, { _: ["x", 4], n: 3 }],
    [["--n=0x10", "--m", "-5"], {}, { _: [], n: 16, m: -5 }],
    [["--n", "007"], { string: ["n"] }, { _: [], n: "007" }],
    [["1", "2"], { string: ["_"] }, { _: ["1", "2"] }],
    [["--a", "--b", "c"], { boolean: ["b"] }, { _: ["c"], a: true, b: true }],
    [[], { boolean: ["b"] }, { _: [], b: false }],
    [["--a", "1", "--a", "2"], { collect: ["a"] }, { _: [], a: [1, 2] }],
    [["--a", "1", "--a", "2"], {}, { _: [], a: 2 }],
    [["--no-c"], { boolean: ["c"], negatable: ["c"], default: { c: true } }, { _: [], c: false }],
    [["-abc"], {}, { _: [], a: true, b: true, c: true }],
    [["-n5"], {}, { _: [], n: 5 }],
    [["-h"], { boolean: ["help"], alias: { help: "h" } }, { _: [], h: true, help: true }],
    [["--a.b.c", "1"], {}, { _: [], a: { b: { c: 1 } } }],
    [["--s"], { string: ["s"] }, { _: [], s: "" }],
    [["--x", "1", "--", "--y"], { "--": true }, { _: [], x: 1, "--": ["--y"] }],
    [["--x", "1", "--", "--y"], {}, { _: ["--y"], x: 1 }],
    [["a", "--x"], { stopEarly: true }, { _: ["a", "--x"] }],
    [["--x="], { string: ["x"] }, { _: [], x: "" }],
  ];
  for (const [args, options, expected] of cases) {
    assertEquals({ ...parseArgs(args, options) } as Record<string, unknown>, expected, JSON.stringify(args));
  }
});

Deno.test("parseArgs tells of what is not declared", () => {
  const unknown: string[] = [];
  parseArgs(["--known", "1", "--other=2", "word"], {
    string: ["known"],
    unknown: (arg) => {
      unknown.push(arg);
      return false;
    },
  });
  assertEquals(unknown, ["--other=2", "word"]);
});
