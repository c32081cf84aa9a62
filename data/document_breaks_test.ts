import { assert, assertEquals, assertRejects } from "@std/assert";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { CORPUS_DEFAULTS, type CorpusConfig } from "../config/batch_config.ts";
import { ClozeError } from "../config/cloze_error.ts";
import { bertWords, VocabularyTrainer, WordPieceTokenizer } from "../tokenizer/mod.ts";
import { planUnits, readDocuments } from "./corpus.ts";
import { CorpusReport } from "./corpus_report.ts";
import { countWords } from "./count_words.ts";
import { hasNoBreaks } from "./document_breaks.ts";
import { prepareShards } from "./prepare.ts";

const encode = (text: string) => new TextEncoder().encode(text);

async function withFiles(
  files: Record<string, string | Uint8Array>,
  run: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, content] of Object.entries(files)) {
      await Deno.writeFile(`${folder}/${name}`, typeof content === "string" ? encode(content) : content);
    }
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const lines = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => `line ${from + i} of a text\n`).join("");

Deno.test("hasNoBreaks looks at the whole file: a blank line counts between lines with text, wherever it is", async () => {
  const long = lines(20_000); // more than a chunk
  const cases: Record<string, [content: string | Uint8Array, expected: boolean]> = {
    "none.txt": [long, true],
    "none-at-end.txt": ["a\nb", true],
    "end.txt": ["a\nb\n\n\n", true],
    "start.txt": ["\n\n \na\nb\n", true],
    "mark.txt": ["\uFEFF\n\na\n", true],
    "mark-break.txt": ["\uFEFFa\n\nb\n", false],
    "late.txt": [`${long}\nlast`, false],
    "white.txt": [`${long} \t \r\nlast`, false],
    "crlf.txt": ["a\r\n\r\nb\r\n", false],
    "crlf-none.txt": ["a\r\nb\r\n", true],
    "ideographic.txt": ["a\n\u3000\nb\n", true],
    "empty.txt": ["", true],
    "late.txt.gz": [gzipSync(`${long}\nlast`), false],
    "none.txt.gz": [gzipSync(long), true],
    "late.txt.zst": [zstdCompressSync(encode(`${long}\nlast`)), false],
    "latin1.txt": [Uint8Array.of(0xE9, 10, 10, 0xE9, 10), false],
  };
  for (let spaces = 0; spaces < 3; spaces++) { // where chunks of 256 KiB meet
    cases[`edge${spaces}.txt`] = [`${"x".repeat((1 << 18) - 2 + spaces)}\n\ny`, false];
  }
  await withFiles(
    Object.fromEntries(Object.entries(cases).map(([name, [content]]) => [name, content])),
    async (folder) => {
      for (const [name, [, expected]] of Object.entries(cases)) {
        assertEquals(await hasNoBreaks(`${folder}/${name}`), expected, name);
      }
    },
  );
});

Deno.test("documents are the same whether words are counted first, in shards and as text, for any number of workers", async () => {
  // The only break comes late; the plain file has several units.
  const without = lines(1000), late = `${lines(20_000)}\n${without}`;
  const files = {
    "a.txt": `${`${"long ".repeat(40)}\n`.repeat(30_000)}\n${without}`,
    "b.txt.gz": gzipSync(late),
    "c.txt": without,
    "d.txt.zst": zstdCompressSync(encode(without)),
    "e.txt": "one\n\ntwo\nthree\n",
  };
  const trainer = new VocabularyTrainer();
  trainer.add("line of a text 0123456789 one two three long long");
  const tokenizer = new WordPieceTokenizer(trainer.train(100));
  await withFiles(files, async (folder) => {
    const paths = Object.keys(files).map((name) => `${folder}/${name}`);
    assert((await planUnits(paths)).length > paths.length);
    const found: number[] = [];
    const prepared = async (threads: number, config: CorpusConfig, name: string) => {
      const { train, heldOut } = await prepareShards(`${folder}/${name}`, { files: paths, config }, tokenizer, {
        threads,
      });
      found.push(train.header.documents + heldOut.header.documents);
      assertEquals(train.header.corpus?.documents, found[found.length - 1]);
      train[Symbol.dispose]();
      heldOut[Symbol.dispose]();
    };
    await prepared(1, CORPUS_DEFAULTS, "1");
    await prepared(3, CORPUS_DEFAULTS, "3");
    for (const threads of [1, 3]) {
      const { report } = await countWords({ files: paths, config: CORPUS_DEFAULTS }, { words: bertWords(), threads });
      found.push(report.documents);
    }
    await prepared(2, CORPUS_DEFAULTS, "counted");
    const report = new CorpusReport();
    for await (const _ of readDocuments(paths, CORPUS_DEFAULTS, report));
    found.push(report.documents);
    // Documents of more than a megabyte are cut, as the first of the first file is.
    const separated = (await Array.fromAsync(readDocuments([paths[0]]))).length;
    assert(separated > 2 && separated < 10);
    assertEquals(found, found.map(() => separated + 2 + 2000 + 2));
  });
});

Deno.test("--documents says what a document is, whatever the file looks like", async () => {
  const files = { "breaks.txt": "a\nb\n\nc\n", "lines.txt": "a\nb\nc\n", "breaks.txt.gz": gzipSync("a\nb\n\nc\n") };
  await withFiles(files, async (folder) => {
    const read = (name: string, documents?: CorpusConfig["documents"]) =>
      Array.fromAsync(
        readDocuments([`${folder}/${name}`], { ...CORPUS_DEFAULTS, ...(documents === undefined ? {} : { documents }) }),
      );
    for (const name of ["breaks.txt", "breaks.txt.gz"]) {
      assertEquals(await read(name), [["a", "b"], ["c"]]);
      assertEquals(await read(name, "lines"), [["a"], ["b"], ["c"]]);
    }
    assertEquals(await read("lines.txt"), [["a"], ["b"], ["c"]]);
    assertEquals(await read("lines.txt", "blank-lines"), [["a", "b", "c"]]);
  });
});

Deno.test("files without text are a note among others, and an error where none has any", async () => {
  const files = { "a.txt": "text\n", "b.txt": "", "c.txt": " \n\n", "d.txt.gz": gzipSync(""), "e.txt.zst": "" };
  await withFiles(files, async (folder) => {
    const paths = Object.keys(files).map((name) => `${folder}/${name}`);
    for (const threads of [1, 2]) {
      const notes: string[] = [];
      const onNote = (text: string) => notes.push(text);
      await countWords({ files: paths, config: CORPUS_DEFAULTS }, { words: bertWords(), threads, onNote });
      assertEquals(notes, [`without text: ${paths[1]} and 3 more`]);
    }
    const count = (...files: string[]) =>
      countWords({ files, config: CORPUS_DEFAULTS }, { words: bertWords(), threads: 1 });
    await assertRejects(() => count(paths[1]), ClozeError, `the data file ${paths[1]} has no text in it`);
    await assertRejects(() => count(...paths.slice(1)), ClozeError, "none of the 4 data files has text in it");
  });
});

Deno.test("onProgress is told bytes of the files, more each time, up to all of them", async () => {
  const files = { "a.txt": lines(220_000), "b.txt.gz": gzipSync(lines(20_000)) };
  await withFiles(files, async (folder) => {
    const paths = Object.keys(files).map((name) => `${folder}/${name}`);
    const size = paths.reduce((sum, path) => sum + Deno.statSync(path).size, 0);
    for (const threads of [1, 2]) {
      const seen: number[] = [];
      await countWords({ files: paths, config: CORPUS_DEFAULTS }, {
        words: bertWords(),
        threads,
        onProgress: (done, total) => {
          assertEquals(total, size);
          seen.push(done);
        },
      });
      assert(seen.length > 10 && seen.every((done, i) => i === 0 || done >= seen[i - 1]), `${seen}`);
      assert(seen[0] < size / 4 && seen[seen.length - 1] === size);
    }
  });
});
