import { assert, assertEquals, assertRejects } from "@std/assert";
import { gzipSync } from "node:zlib";
import { ClozeError } from "../config/cloze_error.ts";
import { expandPaths, type FindOptions } from "./find_files.ts";

const hasFifos = Deno.build.os !== "windows";

type Expand = (...paths: string[]) => Promise<string[]>;

/** Runs with a folder of files; a value that begins with `-> ` is a link, `|` a named pipe. */
async function withFiles(
  files: Record<string, string | Uint8Array>,
  run: (expand: Expand, notes: string[], folder: string, options: FindOptions) => Promise<void>,
): Promise<void> {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    for (const [name, content] of Object.entries(files)) {
      const path = `${folder}/${name}`;
      await Deno.mkdir(path.replace(/\/[^/]*$/, ""), { recursive: true });
      if (typeof content !== "string") await Deno.writeFile(path, content);
      else if (content.startsWith("-> ")) await Deno.symlink(content.slice(3), path);
      else if (content === "|") await new Deno.Command("mkfifo", { args: [path] }).output();
      else await Deno.writeTextFile(path, content);
    }
    const notes: string[] = [];
    const options: FindOptions = { onNote: (text) => notes.push(text.replaceAll(`${folder}/`, "")) };
    const expand = async (...paths: string[]) =>
      (await expandPaths(paths, folder, options)).map((path) => path.slice(folder.length + 1));
    await run(expand, notes, folder, options);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("expandPaths finds files, folders and globs, sorted, once each", async () => {
  const files = {
    "a/x.txt": "x",
    "a/b/y.jsonl.zst": "y",
    "a/z.md": "z",
    "a/w.PARQUET": "w",
    "top.txt": "t",
    "odd[1].txt": "o",
    "odd1.txt": "o",
  };
  await withFiles(files, async (expand, _notes, folder) => {
    assertEquals(await expand("a"), ["a/b/y.jsonl.zst", "a/w.PARQUET", "a/x.txt"]);
    assertEquals(await expand("a", "a/x.txt", "a", "top.txt"), [
      "a/b/y.jsonl.zst",
      "a/w.PARQUET",
      "a/x.txt",
      "top.txt",
    ]);
    assertEquals(await expand("a/*.txt"), ["a/x.txt"]);
    assertEquals(await expand("**/*.txt"), ["a/x.txt", "odd1.txt", "odd[1].txt", "top.txt"]);
    assertEquals(await expand("{top,other}.txt"), ["top.txt"]);
    assertEquals(await expand("odd[1].txt"), ["odd[1].txt"], "a path that exists is itself");
    assertEquals(await expand("odd\\[1\\].txt"), ["odd[1].txt"]);
    assertEquals(await expand("[a]"), ["a/b/y.jsonl.zst", "a/w.PARQUET", "a/x.txt"], "a folder that matches is read");
    await assertRejects(() => expand("none.txt"), ClozeError, "does not exist");
    await assertRejects(() => expand("none*.txt"), ClozeError, "no file matches");
    await assertRejects(() => expand("[top.txt"), ClozeError, "bracket that is not closed");
    await assertRejects(() => expandPaths(["/dev/null"], folder), ClozeError, "is a device, not a file");
  });
});

Deno.test("expandPaths leaves files of unknown endings, and hidden ones, out of a folder, and counts them", async () => {
  const files = {
    "c/a.txt": "a",
    "c/b.pdf": "%PDF-1.5",
    "c/d/c.pdf": "%PDF-1.5",
    "c/e.docx": "x",
    "c/README": "x",
    "c/.hidden.txt": "x",
    "c/.git/x.txt": "x",
    "c/lost.txt": "-> nowhere",
    "only/a.pdf": "x",
    "empty/.a": "x",
  };
  await withFiles(files, async (expand, notes) => {
    assertEquals(await expand("c"), ["c/a.txt"]);
    assertEquals(notes.splice(0), [
      "left out of c: 2 hidden, 2 .pdf, 1 without an ending, 1 .docx, 1 broken link (c/lost.txt)",
    ]);
    assertEquals(await expand("c/.hidden.txt"), ["c/.hidden.txt"], "unless it is named");
    assertEquals(await expand("c/.git"), ["c/.git/x.txt"]);
    const error = await assertRejects(() => expand("only"), ClozeError, "the folder only has no .txt");
    assert(error.hint?.startsWith("it has 1 .pdf"));
    assertEquals(await expand("c/a.txt", "only"), ["c/a.txt"]);
    assertEquals(notes.splice(0), ["without text: the folder only"], "elsewhere there is some");
    await assertRejects(() => expand("c/lost.txt"), ClozeError, "is a link to nowhere, which does not exist");
    await assertRejects(() => expand("c/*.txt"), ClozeError, "c/lost.txt is a link to what does not exist");
  });
});

Deno.test("expandPaths follows links, ends at loops, and takes a file once however it is reached", async () => {
  const files = {
    "c/a.txt": "a",
    "c/b.txt": "-> a.txt",
    "c/up": "-> ..",
    "c/me": "-> .",
    "c/more": "-> ../elsewhere",
    "elsewhere/x.txt": "x",
    "elsewhere/back": "-> ../c",
    "named": "-> elsewhere/x.txt",
    "loop": "-> loop",
  };
  await withFiles(files, async (expand, _notes, folder) => {
    assertEquals(await expand("c"), ["c/a.txt", "c/more/x.txt"]);
    assertEquals(await expand("c/b.txt", "c/a.txt"), ["c/a.txt"]);
    assertEquals(await expand("named"), ["elsewhere/x.txt"], "what a link leads to says what it is");
    await assertRejects(() => expand("loop"), ClozeError, `could not read ${folder}/loop`);
  });
});

Deno.test("expandPaths leaves out what --exclude names, by name or by path, and refuses one that names nothing", async () => {
  const files = {
    "c/a.txt": "a",
    "c/a.tmp.txt": "a",
    "c/drafts/b.txt": "b",
    "c/d/drafts/b.txt": "b",
    "c/d/e.txt": "e",
  };
  await withFiles(files, async (_expand, _notes, folder) => {
    const excluding = async (exclude: string[], ...paths: string[]) =>
      (await expandPaths(paths, folder, { exclude })).map((path) => path.slice(folder.length + 1));
    assertEquals(await excluding(["*.tmp.txt", "drafts"], "c"), ["c/a.txt", "c/d/e.txt"]);
    assertEquals(await excluding(["drafts/*"], "c"), ["c/a.tmp.txt", "c/a.txt", "c/d/drafts/b.txt", "c/d/e.txt"]);
    assertEquals(await excluding(["**/drafts/**", "a*"], "c"), ["c/d/e.txt"]);
    assertEquals(await excluding(["*.tmp.*"], "c/*.txt"), ["c/a.txt"], "of a glob");
    assertEquals(await excluding(["*.tmp.*"], "c/a.tmp.txt", "c/a.txt"), ["c/a.txt"], "of what the shell expanded");
    await assertRejects(() => excluding(["*.pdf"], "c"), ClozeError, "--exclude *.pdf excludes nothing");
    await assertRejects(
      () => excluding(["a.*"], "c/a.txt"),
      ClozeError,
      "--exclude a.* leaves nothing of what is given",
    );
    await assertRejects(() => excluding(["[a"], "c"), ClozeError, "bracket that is not closed");
  });
});

Deno.test("expandPaths reads a named file without a known ending as plain text only if it has no other structure", async () => {
  const files: Record<string, string | Uint8Array> = {
    "a.md": "# Title\n\nText, with a comma.\n",
    "notes": "[1] a footnote\n[2] another\n{curly}\n",
    "poem.text": "one, two,\nthree, four,\nfive\n",
    "mask.dat": "[MASK] falls.\n",
  };
  const refused: Record<string, [content: string | Uint8Array, looks: string]> = {
    "lines.dat": ['{"text": "a"}\n{"text": "b"}\n', "JSON Lines"],
    "array.dat": ['[\n {"text": "a"},\n {"text": "b"}\n]\n', "JSON"],
    "numbers.dat": ["[1, 2, 3]\n", "JSON"],
    "pretty.dat": ['{\n  "text": "a"\n}\n', "JSON"],
    "table.dat": ["id,text\n1,one\n2,two\n", "a table (CSV)"],
    "tabs": ["text\tlabel\none\t1\ntwo\t0\n", "a table (TSV)"],
    "semicolon.export": ["id;text\n1;one\n2;two\n", "a table (CSV)"],
    "page.html": ["<!DOCTYPE html>\n<html>", "HTML"],
    "dump.xml": ['<?xml version="1.0"?>\n<a/>', "XML"],
    "old.rtf": ["{\\rtf1 text}", "RTF"],
    "paper.pdf": ["%PDF-1.7\n", "a PDF"],
    "a.docx": ["PK\x03\x04rest", "a zip archive"],
    "wide.unknown": [Uint8Array.of(0xFF, 0xFE, 97, 0), "UTF-16"],
    "packed": [gzipSync("text"), "a gzip file"],
    "nul.bin": ["a\0b", "a binary file"],
    "p.pq": ["PAR1\0\0", "a Parquet file"],
    "data.db": ["SQLite format 3\0", "an SQLite database"],
    "inner.gz": [gzipSync('{"text": "a"}\n'), "JSON Lines"],
  };
  for (const [name, [content]] of Object.entries(refused)) files[name] = content;
  await withFiles(files, async (expand, notes) => {
    assertEquals(await expand("a.md"), ["a.md"]);
    assertEquals(notes.splice(0), ["a.md: read as plain text"]);
    assertEquals(await expand("a.md", "notes", "poem.text", "mask.dat"), ["a.md", "mask.dat", "notes", "poem.text"]);
    assertEquals(notes, ["a.md and 3 more without a known ending: read as plain text"]);
    for (const [name, [, looks]] of Object.entries(refused)) {
      const error = await assertRejects(() => expand(name), ClozeError, `it looks like ${looks}`);
      assert(error.message.includes(name) && error.hint !== undefined, name);
    }
  });
});

Deno.test("expandPaths takes no folder of a model or a tokenizer for text", async () => {
  const vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n";
  const files = {
    "runs/mine/vocab.txt": vocabulary,
    "runs/mine/tokenizer.json": "{}",
    "runs/bare/vocab.txt": vocabulary,
    "runs/new/run.json": '{"cloze_version": "1"}',
    "runs/new/notes.txt": "x",
    "runs/other/run.json": '{"speed": 3}',
    "runs/other/notes.txt": "x",
    "runs/shards/train.shard": "x",
    "bert/config.json": "{}",
    "bert/vocab.txt": "a\nb\n",
  };
  await withFiles(files, async (expand, notes) => {
    await assertRejects(() => expand("runs/mine"), ClozeError, "is a model's or a tokenizer's (it has tokenizer.json)");
    await assertRejects(() => expand("bert"), ClozeError, "it has vocab.txt and config.json");
    await assertRejects(() => expand("runs/bare"), ClozeError, "it has vocab.txt");
    await assertRejects(() => expand("runs/*"), ClozeError, "is a model's or a tokenizer's");
    assertEquals(await expand("runs"), ["runs/other/notes.txt", "runs/other/run.json"]);
    assertEquals(notes, ["left out of runs: 4 folder of a model or tokenizer (bare with vocab.txt, …)"]);
    await assertRejects(() => expand("runs/*/*.txt"), ClozeError, "is a tokenizer's vocabulary, not text");
  });
});

Deno.test({
  name: `expandPaths refuses named pipes by name, named or found; read once, they can be given${
    hasFifos ? "" : " (skipped: Windows)"
  }`,
  ignore: !hasFifos,
  fn: () =>
    withFiles({ "c/a.txt": "a", "c/pipe.txt": "|", "d/.pipe": "|", "d/a.txt": "a" }, async (expand, _n, folder) => {
      for (const path of ["c/pipe.txt", "c", "c/*"]) {
        const error = await assertRejects(() => expand(path), ClozeError, "a FIFO (a named pipe), not a file");
        assert(error.message.includes("c/pipe.txt"));
        assertEquals(error.hint?.includes("--exclude pipe.txt"), path === "c", "what is named is not left out");
      }
      assertEquals(await expand("d"), ["d/a.txt"], "a hidden one is left out");
      assertEquals(await expandPaths(["c/pipe.txt"], folder, { once: true }), [`${folder}/c/pipe.txt`]);
      await assertRejects(
        () => expandPaths(["c"], folder, { folders: false }),
        ClozeError,
        "c is a folder, not a file",
      );
    }),
});

const isRoot = hasFifos && Deno.uid() === 0;

Deno.test({
  name: `expandPaths names a folder that may not be read${isRoot ? " (skipped: root may read all)" : ""}`,
  ignore: isRoot || !hasFifos,
  fn: () =>
    withFiles({ "c/a.txt": "a", "c/d/b.txt": "b" }, async (expand, _notes, folder) => {
      await Deno.chmod(`${folder}/c/d`, 0);
      try {
        await assertRejects(() => expand("c"), ClozeError, `${folder}/c/d: permission denied`);
      } finally {
        await Deno.chmod(`${folder}/c/d`, 0o700);
      }
    }),
});
