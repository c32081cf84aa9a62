import { assertEquals, assertRejects } from "@std/assert";
import { ClozeError } from "../config/cloze_error.ts";
import { expandPaths, readDocuments } from "./corpus.ts";
import { and, by, object, subject, topic } from "./practice/particles.ts";
import { practiceCorpus } from "./practice/practice_corpus.ts";

async function withFiles(files: Record<string, string>, run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) {
      await Deno.mkdir(`${folder}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("readDocuments takes blank lines for document ends, or lines where there are none", async () => {
  const files = {
    "blank.txt": "\uFEFFone\r\ntwo\r\n\r\n\r\nthree\r\n",
    "lines.txt": "one\n two \nthree",
    "end.txt": "one\ntwo\n\n",
  };
  await withFiles(files, async (folder) => {
    const read = (name: string) => Array.fromAsync(readDocuments([`${folder}/${name}`]));
    assertEquals(await read("blank.txt"), [["one", "two"], ["three"]]);
    assertEquals(await read("lines.txt"), [["one"], ["two"], ["three"]]);
    assertEquals(await read("end.txt"), [["one"], ["two"]], "blank lines at the end separate nothing");
  });
});

Deno.test("readDocuments reads gzip and characters that cross a chunk", async () => {
  await withFiles({}, async (folder) => {
    const text = "가나다라마바사 아자차카타파하\n".repeat(20_000);
    const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
    await Deno.writeFile(`${folder}/a.txt.gz`, stream);
    const documents = await Array.fromAsync(readDocuments([`${folder}/a.txt.gz`]));
    assertEquals(documents.length, 20_000);
    assertEquals(new Set(documents.map(([line]) => line)), new Set(["가나다라마바사 아자차카타파하"]));
  });
});

Deno.test("expandPaths finds files, folders and globs, sorted, once each", async () => {
  await withFiles({ "a/x.txt": "x", "a/b/y.txt": "y", "a/z.md": "z", "top.txt": "t" }, async (folder) => {
    const expand = async (...paths: string[]) =>
      (await expandPaths(paths, folder)).map((path) => path.slice(folder.length + 1));
    assertEquals(await expand("a"), ["a/b/y.txt", "a/x.txt"]);
    assertEquals(await expand("a", "a/x.txt", "top.txt"), ["a/b/y.txt", "a/x.txt", "top.txt"]);
    assertEquals(await expand("a/*.txt"), ["a/x.txt"]);
    assertEquals(await expand("**/*.txt"), ["a/b/y.txt", "a/x.txt", "top.txt"]);
    assertEquals(await expand("{top,other}.txt"), ["top.txt"]);
    await assertRejects(() => expand("none.txt"), ClozeError, "does not exist");
  });
});

Deno.test("particles follow the last syllable", () => {
  assertEquals([topic("물"), topic("나무")], ["물은", "나무는"]);
  assertEquals([subject("눈"), subject("새")], ["눈이", "새가"]);
  assertEquals([object("쌀"), object("차")], ["쌀을", "차를"]);
  assertEquals([and("빵"), and("바다")], ["빵과", "바다와"]);
  assertEquals([by("기차"), by("트럭"), by("연필")], ["기차로", "트럭으로", "연필로"]);
});

Deno.test("practiceCorpus is the same for a seed, in both languages, and varied", () => {
  const documents = [...practiceCorpus(0, 2000)];
  assertEquals(documents, [...practiceCorpus(0, 2000)]);
  const sentences = documents.flat();
  assertEquals(sentences.filter((s) => /^\s|\s$|undefined| {2}|\.\./.test(s)), []);
  const korean = sentences.filter((s) => /[가-힣]/.test(s)).length / sentences.length;
  assertEquals(korean > 0.4 && korean < 0.6, true);
  assertEquals(new Set(sentences).size / sentences.length > 0.4, true);
});
