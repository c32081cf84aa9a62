/** `cloze embed` as people run it: lines in, vectors out. */

import { assert, assertAlmostEquals, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { testWithCore, trainedPlace } from "../support.ts";

interface Line {
  input: string;
  embedding: number[];
  truncated: boolean;
  unknown: number;
}

const parsed = (text: string): Line[] => text.trimEnd().split("\n").map((line) => JSON.parse(line));

/** The numbers of a .npy of f32 in two dimensions, row by row. */
function npy(bytes: Uint8Array<ArrayBuffer>): number[][] {
  assertEquals([...bytes.subarray(0, 8)], [0x93, 78, 85, 77, 80, 89, 1, 0]);
  const begin = 10 + bytes[8] + 256 * bytes[9];
  assertEquals(begin % 64, 0);
  const head = new TextDecoder().decode(bytes.subarray(10, begin));
  const [, rows, width] = head.match(/^\{'descr': '<f4', 'fortran_order': False, 'shape': \((\d+), (\d+)\), \} *\n$/)!;
  return rowsOf(bytes.subarray(begin), Number(rows), Number(width));
}

function rowsOf(bytes: Uint8Array<ArrayBuffer>, rows: number, width: number): number[][] {
  assertEquals(bytes.length, 4 * rows * width);
  const numbers = new Float32Array(bytes.slice().buffer);
  return Array.from({ length: rows }, (_, i) => [...numbers.subarray(i * width, (i + 1) * width)]);
}

testWithCore("embed gives every line a vector", async (t) => {
  using place = await trainedPlace(20);
  const embed = (args: string[], input?: string | Uint8Array) =>
    place.cloze(["embed", "--model", "model", ...args], input === undefined ? {} : { input });
  const text = "The cat sees the dog.\n\nEvery 고양이 likes a bird at night.\n";
  place.file("lines.txt", text);

  await t.step("as JSON lines, an empty line among them, the same alone as among others", async () => {
    const { code, stdout, stderr } = await embed([], text);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, "1 line of 3 had nothing in it");
    const lines = parsed(stdout);
    assertEquals(lines.map(({ input }) => input), text.split("\n").slice(0, 3));
    for (const { embedding } of lines) assertEquals(embedding.length, 32);
    const [alone] = parsed((await embed([], "The cat sees the dog.\n")).stdout);
    alone.embedding.forEach((x, i) => assertAlmostEquals(x, lines[0].embedding[i], 1e-5));
    assert(alone.embedding.some((x, i) => Math.abs(x - lines[2].embedding[i]) > 1e-3), "texts differ");
  });

  await t.step("as .npy, .safetensors and .jsonl with the same numbers, of length 1 if asked for", async () => {
    for (const output of ["v.npy", "v.safetensors", "v.jsonl"]) {
      const { code, stdout, stderr } = await embed(["lines.txt", "--output", output, "--normalize"]);
      assertEquals([code, stdout], [0, ""], stderr);
      assertMatch(stderr, /wrote .*: 3 vectors of 32/);
    }
    const lines = parsed(Deno.readTextFileSync(`${place.path}/v.jsonl`)).map(({ embedding }) =>
      embedding.map(Math.fround)
    );
    assertEquals(npy(Deno.readFileSync(`${place.path}/v.npy`)), lines);
    const bytes = Deno.readFileSync(`${place.path}/v.safetensors`);
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    const head = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
    assertEquals(head.embeddings, { dtype: "F32", shape: [3, 32], data_offsets: [0, 384] });
    assertEquals(head.__metadata__, { format: "cloze", pooling: "mean", normalize: "true" });
    assertEquals(rowsOf(bytes.subarray(8 + length), 3, 32), lines);
    for (const row of lines) assertAlmostEquals(Math.hypot(...row), 1, 1e-5);
  });

  await t.step("of the first token if asked for, and of a model without any head", async () => {
    const [mean] = parsed((await embed([], text)).stdout);
    const [cls] = parsed((await embed(["--pooling", "cls"], text)).stdout);
    assert(cls.embedding.some((x, i) => Math.abs(x - mean.embedding[i]) > 1e-3));
    await Deno.mkdir(`${place.path}/bare`);
    for (const name of ["model.safetensors", "tokenizer.json", "tokenizer_config.json"]) {
      Deno.copyFileSync(`${place.path}/model/${name}`, `${place.path}/bare/${name}`);
    }
    const config = JSON.parse(Deno.readTextFileSync(`${place.path}/model/config.json`));
    place.file("bare/config.json", JSON.stringify({ ...config, architectures: ["BertModel"] }));
    const bare = await place.cloze(["embed", "--model", "bare"], { input: text });
    assertEquals(bare.code, 0, bare.stderr);
    assertEquals(parsed(bare.stdout)[0], mean);
  });

  await t.step("of the beginning of a line that is too long, and says so", async () => {
    const { code, stdout, stderr } = await embed([], "The cat sees the dog. ".repeat(100) + "\n");
    assertEquals([code, parsed(stdout)[0].truncated], [0, true]);
    assertStringIncludes(stderr, "1 line of 1 is longer than the model takes");
  });

  await t.step("and refuses what would not be an array of lines, leaving no file", async () => {
    const bad = new Uint8Array([...new TextEncoder().encode("The cat.\n"), 0xff, 10]);
    const goesOn = await embed([], bad);
    assertEquals([goesOn.code, parsed(goesOn.stdout).length], [1, 1]);
    assertStringIncludes(goesOn.stderr, "line 2: it is not UTF-8");
    const array = await embed(["--output", "bad.npy"], bad);
    assertEquals(array.code, 1);
    assertStringIncludes(array.stderr, "line 2: it is not UTF-8");
    assert(![...Deno.readDirSync(place.path)].some(({ name }) => name.includes("bad.npy")));
    const cases: [string[], number, string][] = [
      [["--output", "v.csv"], 2, "has to end in .jsonl, .npy or .safetensors"],
      [["--output", "v.npy"], 1, "v.npy exists"],
      [["--force"], 2, "--force is for --output"],
      [["--pooling", "max"], 2, "has to be one of mean, cls"],
      [["nowhere.txt", "--output", "n.npy"], 1, "nowhere.txt"],
    ];
    for (const [args, code, part] of cases) {
      const refused = await embed(args, text);
      assertEquals(refused.code, code, refused.stderr);
      assertStringIncludes(refused.stderr, part);
    }
    assertEquals((await embed(["lines.txt", "--output", "v.npy", "--force"])).code, 0);
  });
});

testWithCore("embed of a left-to-right model has no first token to take", async () => {
  using place = await trainedPlace(1);
  const config = JSON.parse(Deno.readTextFileSync(`${place.path}/model/config.json`));
  place.file("model/config.json", JSON.stringify({ ...config, architectures: ["BertLMHeadModel"], is_decoder: true }));
  Deno.removeSync(`${place.path}/model/SHA256SUMS`);
  const refused = await place.cloze(["embed", "--model", "model", "--pooling", "cls"], { input: "The cat.\n" });
  assertEquals(refused.code, 1);
  assertStringIncludes(refused.stderr, "whose first token sees only itself");
  assertEquals((await place.cloze(["embed", "--model", "model"], { input: "The cat.\n" })).code, 0);
});
