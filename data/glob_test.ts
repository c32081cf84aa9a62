import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ClozeError } from "../config/cloze_error.ts";
import { expandBraces, glob, hasGlob, pathMatcher } from "./glob.ts";

const hasBash = await new Deno.Command("bash", { args: ["-c", "[[ ${BASH_VERSINFO[0]} -ge 5 ]]"] }).output()
  .then(({ success }) => success, () => false);

const TREE = [
  "a",
  "b",
  "ab",
  "abc",
  "a.txt",
  "b.txt",
  "ab.jsonl.gz",
  "B.TXT",
  ".hidden.txt",
  "a b",
  "a-b",
  "a]b",
  "a[b",
  "a{b}",
  "a*b",
  "a^b",
  "a!b",
  "1.txt",
  "02.txt",
  "10.txt",
  "가.txt",
  "d/a.txt",
  "d/.dot",
  "d/e/a.txt",
  "d/e/b.csv",
  "d/e/f/c.txt",
  "d/.git/a.txt",
  "de/a.txt",
  "de/ab/abc.txt",
  ".h/a.txt",
];

/** Runs with a folder that has the tree in it, and links. */
async function withTree(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const path of TREE) {
      await Deno.mkdir(`${folder}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${folder}/${path}`, "");
    }
    await Deno.symlink("d", `${folder}/link`);
    await Deno.symlink("../de", `${folder}/d/link`);
    await Deno.symlink("nowhere", `${folder}/broken.txt`);
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const CHOSEN = [
  "*",
  "?",
  "*.txt",
  "[!a]*",
  "[^a]*",
  "[a-c]",
  "[c-a]",
  "[c-ab]",
  "[]a]*",
  "[!]a]*",
  "a[]]b",
  "a[[]b",
  "a[!-]b",
  "a[-^]b",
  "a[a^-]b",
  "[[:digit:]]*",
  "[[:upper:][:digit:]]*",
  "[![:alpha:]]*",
  "**",
  "**/",
  "d/**",
  "d/**/",
  "**/*.txt",
  "**/a.txt",
  "**/**/a.txt",
  "d/**/e/**/*.txt",
  "a**",
  "**.txt",
  "*/**",
  ".*",
  ".*/*",
  "*/.*",
  ".h/*",
  "[.]h/*",
  "\\.h/*",
  "a\\*b",
  "a\\*b*",
  "a\\{b\\}",
  "a\\{*",
  "a{b}*",
  "{a,b}",
  "{a,b}.txt",
  "{a,b,}*",
  "a{,b,bc}",
  "{a,{b,ab}}.txt",
  "{d,{de,x}/ab}/*.txt",
  "{a,b",
  "a,b}*",
  "{}*",
  "{{a,b}*",
  "{a,b}}*",
  "{1..3}.txt",
  "{01..10}.txt",
  "{10..1..3}.txt",
  "{a..c}.txt",
  "{c..a}",
  "{*.txt,*.gz}",
  "[{a,b}]",
  "가*",
  "?.txt",
  "link/*",
  "*/link/*",
  "**/link/*",
  "**/link/**",
  "./*.txt",
  "d/../*.txt",
  "*/../*.txt",
  "d//*.txt",
  "nothing*",
  "broken*",
];

/** Patterns put together at random, the same ones each time. Without `**/ /`, after which bash follows some links. */;
function generated(count: number): string[] {
  const pieces = ["a", "b", "d", "e", ".", ".txt", "*", "*", "?", "**", "/", "/", "**/", "[a-d]", "[!b]", "[^.]"];
  pieces.push("[]b]", "{a,b}", "{d,de}", "{,.txt}", "{a,{b,d}}", "\\*", "\\[", "\\a", "-", "[b-]", "가", "[[:alpha:]]");
  let state = 1;
  const random = (n: number) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % 65521 % n;
  return Array.from(
    { length: count },
    () => Array.from({ length: 1 + random(6) }, () => pieces[random(pieces.length)]).join("").replace(/\/+/g, "/"),
  ).filter((pattern) => !expandBraces(pattern).some((word) => word === "" || word.startsWith("/")));
}

Deno.test({
  name: `glob finds what bash finds, for chosen and generated patterns${hasBash ? "" : " (skipped: no bash 5)"}`,
  ignore: !hasBash,
  fn: () =>
    withTree(async (folder) => {
      const patterns = [...CHOSEN, ...generated(1500)].filter(hasGlob);
      const lines = patterns.map((pattern, i) =>
        `for f in ${pattern}; do [ -e "$f" ] || [ -L "$f" ] && printf '%s\\t%s\\n' ${i} "$f"; done`
      );
      const script = `shopt -s globstar nullglob\ncd ${folder}\n${lines.join("\n")}\n`;
      const { stdout, stderr } = await new Deno.Command("bash", {
        args: ["-c", script],
        env: { LC_ALL: "C.UTF-8" },
      }).output();
      assertEquals(new TextDecoder().decode(stderr), "");
      const theirs = patterns.map(() => new Set<string>());
      for (const line of new TextDecoder().decode(stdout).split("\n").slice(0, -1)) {
        const [i, path] = line.split("\t");
        theirs[Number(i)].add(plain(path));
      }
      const differences: unknown[] = [];
      let same = 0;
      for (const [i, pattern] of patterns.entries()) {
        const ours = (await glob(pattern, folder)).map((path) => plain(path.slice(folder.length + 1)));
        if (new Set(ours).symmetricDifference(theirs[i]).size === 0) same++;
        else differences.push({ pattern, ours, theirs: [...theirs[i]].sort() });
      }
      assertEquals(differences, []);
      assert(same > 800, `${same} patterns`);
    }),
});

/** Without what says nothing: a slash at the end, doubled slashes, and `.`. */
const plain = (path: string) => path.replace(/\/+/g, "/").replace(/^(\.\/)+|(?<=\/)\.\/|\/$/g, "");

Deno.test("glob names a bracket that is not closed, and a pattern's own backslashes are none", async () => {
  await withTree(async (folder) => {
    for (const pattern of ["[ab", "d/[a/b]", "[!", "[]", "a[\\]", "[[:digit:]"]) {
      const error = await assertRejects(() => glob(pattern, folder), ClozeError, "bracket that is not closed");
      assertEquals(error.hint, "close it with ], or write \\[ for the character itself");
    }
    assertEquals(await glob("a\\[b", folder), [`${folder}/a[b`]);
    assertEquals(await glob(`${folder}/d/*.txt`, "/"), [`${folder}/d/a.txt`]);
  });
});

Deno.test("expandBraces refuses braces that stand for too many names", () => {
  assertEquals(expandBraces("a{b,c{d,}}"), ["ab", "acd", "ac"]);
  assertThrows(() => expandBraces("{1..100000000}"), ClozeError, "more than");
  assertThrows(() => expandBraces("{1..100}{1..100}{1..100}"), ClozeError, "more than");
});

Deno.test("pathMatcher tests the last name, or the whole path where the pattern has a slash", () => {
  const cases: [pattern: string, path: string, expected: boolean][] = [
    ["*.txt", "a/b.txt", true],
    ["*.txt", ".b.txt", true],
    ["b*", "a/b/c.txt", false],
    ["a/*.txt", "a/b.txt", true],
    ["a/*.txt", "x/a/b.txt", false],
    ["**/a/*.txt", "x/a/b.txt", true],
    ["**/a/*.txt", "a/b.txt", true],
    ["a/**", "a/b/c", true],
    ["{x,a}/b", "a/b", true],
    ["drafts/", "x/drafts", true],
    ["[!a]", "x/b", true],
    ["a\\*", "a*", true],
    ["a\\*", "ab", false],
  ];
  for (const [pattern, path, expected] of cases) {
    assertEquals(pathMatcher(pattern)(path), expected, `${pattern} ${path}`);
  }
});
