import { assertEquals } from "@std/assert";
import { parseArgs } from "@std/cli/parse-args";

// Runs against whichever @std/cli is resolved: the real one where JSR answers, the stand-in elsewhere.

type Case = [
  args: string,
  options: Parameters<typeof parseArgs>[1],
  expected: Record<string, unknown>,
];

/** Checks cases whose words are separated by spaces. */
function check(cases: Case[]): void {
  for (const [args, options, expected] of cases) {
    const found = {
      ...parseArgs(args.split(" ").filter((word) => word !== ""), options),
    };
    assertEquals(found as Record<string, unknown>, expected, args);
  }
}

Deno.test("parseArgs turns what looks like a number into one, unless it is declared as a string", () => {
  check([
    ["--n 3 x 4", {}, { _: ["x", 4], n: 3 }],
    ["--n=0x10 --m 1e3 --o 007 --p=-5 --q 10f", {}, {
      _: [],
      n: 16,
      m: 1000,
      o: 7,
      p: -5,
      q: "10f",
    }],
    ["--n 007", { string: ["n"] }, { _: [], n: "007" }],
    ["--n 007", { string: "m", alias: { m: "n" } }, {
      _: [],
      n: "007",
      m: "007",
    }],
    ["1 2", { string: ["_"] }, { _: ["1", "2"] }],
  ]);
  assertEquals({ ...parseArgs(["", "  "]) }, { _: ["", "  "] });
});

Deno.test("parseArgs takes the next word as a value, but none that begins with - or is empty", () => {
  check([
    ["--a b --c", {}, { _: [], a: "b", c: true }],
    ["--n -5", { string: ["n"], unknown: () => false }, { _: [], n: "" }],
    ["--s", { string: ["s"] }, { _: [], s: "" }],
    ["--s --t", { string: ["s"] }, { _: [], s: "", t: true }],
    ["--s=", { string: ["s"] }, { _: [], "s=": true }],
    ["--s=a=b", {}, { _: [], s: "a=b" }],
    ["-n -", {}, { _: [], n: "-" }],
    ["-", {}, { _: ["-"] }],
  ]);
  assertEquals(
    { ...parseArgs(["--s", ""], { string: ["s", "_"] }) } as unknown,
    { _: [""], s: "" },
  );
});

Deno.test("parseArgs reads switches", () => {
  check([
    ["--a --b c", { boolean: ["b"] }, { _: ["c"], a: true, b: true }],
    ["", { boolean: ["b"] }, { _: [], b: false }],
    ["--b false --c=false --d=yes", { boolean: ["b", "c", "d"] }, {
      _: [],
      b: false,
      c: false,
      d: true,
    }],
    ["--x y -p 5 --z=w", { boolean: true }, {
      _: ["y"],
      x: true,
      p: 5,
      z: "w",
    }],
    ["--no-c", { boolean: ["c"], negatable: ["c"], default: { c: true } }, {
      _: [],
      c: false,
    }],
    ["--no-c --c", { boolean: ["c"], negatable: ["c"] }, { _: [], c: true }],
    ["--no-c", {}, { _: [], "no-c": true }],
    ["--no-c", { negatable: "cc", alias: { cc: "c" } }, {
      _: [],
      c: false,
      cc: false,
    }],
    ["-h x", { boolean: ["help"], alias: { help: "h" } }, {
      _: ["x"],
      h: true,
      help: true,
    }],
    ["-t true", { boolean: "t" }, { _: [], t: true }],
  ]);
});

Deno.test("parseArgs splits single letters", () => {
  check([
    ["-abc", {}, { _: [], a: true, b: true, c: true }],
    ["-abc d", {}, { _: [], a: true, b: true, c: "d" }],
    ["-n5 -m=6 -o=a=b", {}, { _: [], n: 5, m: 6, o: "a=b" }],
    ["-ab7", {}, { _: [], a: "b7" }],
    ["-xyz/a/b", {}, { _: [], x: true, y: true, z: "/a/b" }],
    ["-I/a/b", {}, { _: [], I: "/a/b" }],
    ["-f-", {}, { _: [], f: "-" }],
    ["-e==", {}, { _: [], e: "=" }],
    ["-art", { string: ["a", "t"] }, { _: [], a: "", r: true, t: "" }],
    ["-123 456", {}, { _: [], 1: true, 2: true, 3: 456 }],
  ]);
});

Deno.test("parseArgs collects, nests and fills in", () => {
  check([
    ["--a 1 --a 2", { collect: ["a"] }, { _: [], a: [1, 2] }],
    ["--a 1 --a 2", {}, { _: [], a: 2 }],
    ["", { collect: ["a"], string: ["a"] }, { _: [], a: [] }],
    ["", { collect: ["a"] }, { _: [] }],
    ["-a 1 --all 2", { collect: "all", alias: { all: "a" } }, {
      _: [],
      a: [1, 2],
      all: [1, 2],
    }],
    ["--a.b.c 1 --a.d", {}, { _: [], a: { b: { c: 1 }, d: true } }],
    ["--a.b 1", { default: { "a.b": 2, "a.c": 3 } }, {
      _: [],
      a: { b: 1, c: 3 },
    }],
    ["", { default: { a: 1 }, alias: { a: "b" } }, { _: [], a: 1, b: 1 }],
  ]);
});

Deno.test("parseArgs leaves what follows -- alone, and with stopEarly what follows the first word", () => {
  check([
    ["--x 1 -- --y", { "--": true }, { _: [], x: 1, "--": ["--y"] }],
    ["--x 1 -- --y 2", {}, { _: ["--y", "2"], x: 1 }],
    ["--x a --y", { stopEarly: true, boolean: ["x"] }, {
      _: ["a", "--y"],
      x: true,
    }],
  ]);
});

Deno.test("parseArgs tells of what is not declared, and of nothing else", () => {
  const calls: unknown[][] = [];
  const args = [
    "--known",
    "1",
    "--both=3",
    "--gathered=4",
    "-a",
    "--other=2",
    "--no-way",
    "word",
    "-x",
  ];
  const found = parseArgs(args, {
    string: ["known"],
    collect: ["gathered"],
    alias: { both: "a" },
    unknown: (...call) => {
      calls.push(call);
      return false;
    },
  });
  assertEquals(calls, [["--other=2", "other", "2"], [
    "--no-way",
    "no-way",
    "word",
  ], ["-x", "x", true]]);
  assertEquals({ ...found } as unknown, {
    _: [],
    known: "1",
    both: true,
    a: true,
    gathered: [4],
  });
});
