/** What `cloze predict FILE…` and `cloze evaluate --sentences` read: the same as `--data`, one thing after the other. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { testWithCore, trainedPlace } from "../support.ts";

const encode = (text: string) => new TextEncoder().encode(text);

testWithCore("predict and evaluate --sentences read what --data reads", async (t) => {
  using place = await trainedPlace(60);
  const write = (name: string, content: string | Uint8Array) =>
    Deno.writeFileSync(`${place.path}/${name}`, typeof content === "string" ? encode(content) : content);
  const predict = async (args: string[], input = "") => {
    const run = await place.cloze(["predict", "--model", "model", "--json", "--top-k", "1", ...args], { input });
    const inputs = run.stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line).input);
    return { ...run, inputs };
  };
  const sentence = (animal: string) => `The [MASK] sees the ${animal}.`;
  write("a.txt", `${sentence("dog")}\n\n${sentence("cat")}\n`);
  write("b.txt.gz", gzipSync(`${sentence("bird")}\n`));
  write("c.txt.zst", zstdCompressSync(encode(`${sentence("cow")}\r\n`)));
  write("d.jsonl", `${JSON.stringify({ text: sentence("fox") })}\n${JSON.stringify({ text: 5 })}\n{"text": ""}\n`);
  write("e.csv", `id,body\n1,"${sentence("hen")}"\n`);
  write("f.txt", new Uint8Array([...encode(`${sentence("pig")}\n`), 0xFF, 10, ...encode(`${sentence("ant")}\n`)]));
  write("g.dat", JSON.stringify({ text: sentence("bee") }) + "\n");
  Deno.mkdirSync(`${place.path}/folder`);
  write("folder/h.txt", `${sentence("owl")}\n`);

  await t.step("plain and compressed files, globs, and standard input among them, in order", async () => {
    const { code, inputs } = await predict(["b.txt.gz", "-", "c.txt.zst", "[a].txt"], `${sentence("rat")}\n`);
    assertEquals(inputs, ["bird", "rat", "cow", "dog", "cat"].map(sentence));
    assertEquals(code, 0);
  });

  await t.step("what cannot be read does not stop the next, and is named", async () => {
    const { code, inputs, stderr } = await predict(["missing.txt", "folder", "f.txt", "b.txt.gz"]);
    assertEquals(inputs, ["pig", "ant", "bird"].map(sentence));
    assertEquals(code, 1);
    assertStringIncludes(stderr, "the data file missing.txt does not exist");
    assertStringIncludes(stderr, "folder is a folder, not a file");
    assertStringIncludes(stderr, "f.txt: line 2: it is not UTF-8 text");
  });

  await t.step("a file without text is named, if it was asked for by name; standard input may be empty", async () => {
    Deno.mkdirSync(`${place.path}/some`);
    write("some/none.txt", "\n \n");
    write("some/one.txt", `${sentence("emu")}\n`);
    write("none.csv", "text\n");
    for (const name of ["some/none.txt", "none.csv"]) {
      const { code, inputs, stderr } = await predict([name, "b.txt.gz"]);
      assertEquals([code, inputs], [1, [sentence("bird")]]);
      assertStringIncludes(stderr, `error: ${name} has no text in it\nhint: give a file that has`);
    }
    const glob = await predict(["some/*"]);
    assertEquals([glob.code, glob.inputs], [0, [sentence("emu")]], glob.stderr);
    assertEquals((await predict([], "")).code, 0);
  });

  await t.step("a compressed file that is cut off, after what could be read", async () => {
    write("cut.txt.gz", gzipSync(`${sentence("dog")}\n`.repeat(20_000)).subarray(0, -6));
    const { code, inputs, stderr } = await predict(["cut.txt.gz", "a.txt"]);
    assertEquals(code, 1);
    assertStringIncludes(stderr, "cut.txt.gz is a broken gzip file");
    assertEquals(inputs.slice(-2), ["dog", "cat"].map(sentence));
  });

  await t.step("records, by the flags that say how they are read", async () => {
    const jsonl = await predict(["d.jsonl", "a.txt"]);
    assertEquals(jsonl.inputs, ["fox", "dog", "cat"].map(sentence));
    assertEquals(jsonl.code, 1);
    assertStringIncludes(jsonl.stderr, 'd.jsonl: line 2: it has a number in "text"');
    const csv = await predict(["e.csv", "--text-column", "body"]);
    assertEquals([csv.code, csv.inputs], [0, [sentence("hen")]]);
    place.file("few.csv", `text,id\n${sentence("hen")},1\nx\n${sentence("pig")},2\n`);
    place.file("cut.jsonl", `{"text": "${sentence("hen")}"}\n{"text": `);
    for (const [file, message] of [["few.csv", "line 3 has 1 field"], ["cut.jsonl", "line 2 is not JSON"]]) {
      const { code, inputs, stderr } = await predict([file]);
      assertEquals([code, inputs], [1, [sentence("hen")]], "those before the one that is none are answered");
      assertStringIncludes(stderr, message);
    }
    const unknown = await predict(["g.dat"]);
    assertStringIncludes(unknown.stderr, "it looks like JSON Lines");
    const given = await predict(["g.dat", "--format", "jsonl"]);
    assertEquals([given.code, given.inputs], [0, [sentence("bee")]]);
  });

  await t.step("flags that apply to nothing are refused, and --on-invalid is heeded", async () => {
    const useless = await predict(["a.txt", "--text-column", "body"]);
    assertEquals(useless.code, 2);
    assertStringIncludes(useless.stderr, "--text-column is for tables and JSON records, but there is a.txt");
    const stdin = await predict(["--format", "jsonl"], "{}\n");
    assertEquals(stdin.code, 2);
    assertStringIncludes(stdin.stderr, "--format says how files are read");
    const skipped = await predict(["f.txt", "--on-invalid", "skip"]);
    assertEquals([skipped.code, skipped.inputs], [0, ["pig", "ant"].map(sentence)]);
    assertStringIncludes(skipped.stderr, "f.txt: 1 not valid UTF-8");
  });

  await t.step("a named pipe, which is read once", async () => {
    const pipe = `${place.path}/pipe`;
    if (!(await new Deno.Command("mkfifo", { args: [pipe] }).output()).success) return;
    const writing = Deno.writeTextFile(pipe, `${sentence("elk")}\n`);
    const { code, inputs } = await predict(["pipe"]);
    await writing;
    assertEquals([code, inputs], [0, [sentence("elk")]]);
  });

  await t.step("evaluate --sentences scores lines of files, folders and records", async () => {
    const args = [
      "evaluate",
      "--model",
      "model",
      "--sentences",
      "--data",
      "folder",
      "b.txt.gz",
      "missing.txt",
      "d.jsonl",
    ];
    const { code, stdout, stderr } = await place.cloze(args);
    assertEquals(stdout.trim().split("\n").map((line) => line.split("\t")[2]), ["owl", "bird", "fox"].map(sentence));
    assertEquals(code, 1);
    assertStringIncludes(stderr, "missing.txt does not exist");
    const idle = await place.cloze([...args, "--exclude", "*.md"]);
    assertEquals(idle.code, 2);
    const some = await place.cloze([
      "evaluate",
      "--model",
      "model",
      "--sentences",
      "folder",
      "a.txt",
      "--exclude",
      "h*",
    ]);
    assert(some.code === 1 && some.stdout.split("\n").length === 3, some.stderr); // the folder has no other file
  });
});
