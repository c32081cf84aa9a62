/** From files of every kind to batches: what is read, what `inspect` shows and writes, what a crash leaves. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { type Place, SMALL_RUN, smallPlace, smallText, testWithCore, until } from "../support.ts";

/** A place with the small text in every format, and a tokenizer for it. */
async function placeOfFormats(): Promise<Place> {
  const place = smallPlace();
  const documents = smallText().trim().split("\n\n").map((document) => document.trim());
  const records = documents.map((text) => JSON.stringify({ body: text })).join("\n");
  const cells = documents.map((text) => `"${text.replaceAll('"', '""')}"`);
  place.file("a.jsonl", records);
  place.file("a.jsonl.zst", zstdCompressSync(new TextEncoder().encode(records)));
  place.file("a.csv", ["id,body", ...cells.map((cell, i) => `${i},${cell}`)].join("\r\n"));
  place.file("a.txt.gz", gzipSync(new TextEncoder().encode(smallText())));
  const { code, stderr } = await place.cloze([
    "train-tokenizer",
    "--data",
    "text.txt",
    "--output",
    "tokenizer",
    "--vocab-size",
    "150",
  ]);
  assertEquals(code, 0, stderr);
  assertStringIncludes(stderr, "read 400 lines, 92.5% of them repeated");
  return place;
}

interface Tensors {
  metadata: Record<string, string>;
  batches: Record<string, number[]>[];
}

function readSafetensors(path: string): Tensors {
  const bytes = Deno.readFileSync(path);
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const { __metadata__: metadata, ...tensors } = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const batches: Tensors["batches"] = [];
  for (
    const [name, { data_offsets: [from, to] }] of Object.entries(tensors as Record<string, { data_offsets: number[] }>)
  ) {
    const [number, array] = name.split(".");
    (batches[Number(number)] ??= {})[array] = [
      ...new Int32Array(bytes.slice(8 + length + from, 8 + length + to).buffer),
    ];
  }
  return { metadata, batches };
}

Deno.test("the same documents give the same batches from text, JSONL, CSV, compressed files and standard input", async () => {
  using place = await placeOfFormats();
  const inspect = async (args: string[], input = "") => {
    const { code, stdout, stderr } = await place.cloze(
      ["inspect", "--tokenizer", "tokenizer", "--json", "--batches", "3", "--batch-tokens", "256", ...args],
      { input },
    );
    assertEquals(code, 0, stderr);
    return stdout;
  };
  const expected = await inspect(["--data", "text.txt"]);
  assert(expected.trim().split("\n").length > 10);
  for (
    const args of [["a.jsonl", "--text-field", "body"], ["a.jsonl.zst", "--text-field", "body"], ["a.txt.gz"]].concat([
      ["a.csv", "--text-column", "body"],
      ["a.csv", "--text-column", "body", "--threads", "1"],
    ])
  ) assertEquals(await inspect(["--data", ...args]), expected, args.join(" "));
  assertEquals(await inspect(["--data", "-"], smallText()), expected);
  assertEquals(
    await inspect(
      ["--data", "-", "--format", "jsonl", "--text-field", "body"],
      Deno.readTextFileSync(`${place.path}/a.jsonl`),
    ),
    expected,
  );
});

Deno.test("flags that say how text is read apply to something that is given, or are refused", async () => {
  using place = smallPlace();
  place.file("a.csv", "text\nx\n");
  place.file("a.dat", "text\nx\n");
  place.file("a.jsonl", '{"text": "x"}\n');
  const train = ["train-tokenizer", "--output", "t", "--force", "--data"];
  const cases: [string[], string][] = [
    [
      [...train, "text.txt", "--text-column", "body"],
      "--text-column is for tables and JSON records, but there is text.txt",
    ],
    [
      [...train, "-", "--text-field", "body"],
      "--text-field is for tables and JSON records, but there is standard input",
    ],
    [[...train, "a.jsonl", "--delimiter", "tab"], "--delimiter is for .csv and .tsv files, but there is a.jsonl"],
    [[...train, "text.txt", "--quoting", "none"], "--quoting is for .csv and .tsv files"],
    [[...train, "a.csv", "a.jsonl", "--format", "csv"], "--format is for files whose names do not tell"],
    [[...train, "a.csv", "--delimiter", "ab"], "has to be one character"],
    [[...train, "a.csv", "--text-column", "a", "--text-field", "b"], "give one of them"],
    [["pretrain", "--text-column", "body"], "no text is given"],
    [["bench", "--on-invalid", "skip"], "no text is given"],
    [["extend-vocab", "--model", "m", "--output", "o", "--tokens", "f", "--format", "csv"], "no text is given"],
    [
      ["finetune", "--model", "m", "--train", "a.jsonl", "--valid", "a.jsonl", "--output", "o"].concat(
        "--delimiter",
        ";",
      ),
      "--delimiter",
    ],
  ];
  for (const [args, part] of cases) {
    const { code, stderr } = await place.cloze(args);
    assertEquals(code, 2, `${args.join(" ")}: ${stderr}`);
    assertStringIncludes(stderr, part);
  }
  for (const args of [["a.dat", "--format", "csv"], ["a.csv", "text.txt", "--text-column", "text"]]) {
    const { code, stderr } = await place.cloze([...train, ...args]);
    assertEquals(code, 0, stderr);
  }
});

Deno.test("standard input is plain text unless --format says what it is", async () => {
  using place = smallPlace();
  const train = ["train-tokenizer", "--output", "t", "--force", "--data", "-"];
  const inputs = { jsonl: '{"text": "a b"}\n{"text": "b"}\n', json: '[{"text": "a b"}]', csv: "id,text\n1,a b\n2,b\n" };
  for (const [format, input] of Object.entries(inputs)) {
    const refused = await place.cloze(train, { input });
    assertEquals(refused.code, 1, refused.stderr);
    assertStringIncludes(refused.stderr, "standard input is not plain text");
    assertStringIncludes(refused.stderr, `--format ${format}`);
    const read = await place.cloze([...train, "--format", format], { input });
    assertEquals(read.code, 0, read.stderr);
    const asText = await place.cloze([...train, "--format", "text"], { input });
    assertEquals(asText.code, 0, asText.stderr);
  }
  const packed = await place.cloze([...train, "--format", "jsonl"], { input: gzipSync(inputs.jsonl) });
  assertEquals(packed.code, 1, packed.stderr);
  assertMatch(packed.stderr, /standard input is compressed: .*\nhint: .*gzip -dc FILE \|/);
  const parquet = await Deno.readFile(new URL("../golden/text-snappy.parquet", import.meta.url));
  place.file("a.dat", parquet);
  const { code, stderr } = await place.cloze([
    "train-tokenizer",
    "--output",
    "p",
    "--data",
    "a.dat",
    "--format",
    "parquet",
  ]);
  assertEquals(code, 0, stderr);
});

Deno.test("what is left out of a table is counted and said", async () => {
  using place = smallPlace();
  place.file("a.csv", "id;text\n1;a b\n2;a;b\n3\n4;b a\n");
  place.file("a.tsv", 'text\tid\n"a b\t1\na "b" b\t2\nb"\t3\n');
  const train = ["train-tokenizer", "--output", "t", "--force", "--data", "a.csv", "a.tsv"];
  const refused = await place.cloze(train);
  assertEquals(refused.code, 1);
  assertStringIncludes(refused.stderr, "a.csv: line 3 has 3 fields; expected 2, as the first line has");
  const { code, stderr } = await place.cloze([...train, "--on-invalid", "skip"]);
  assertEquals(code, 0, stderr);
  assertStringIncludes(
    stderr,
    "read 5 lines, 2 left out for too many or too few fields, quotes read as text in 1 .tsv file",
  );
  const inspected = await place.cloze(["inspect", "--data", "a.csv", "--tokenizer", "t", "--on-invalid", "skip"]);
  assertEquals(inspected.code, 0, inspected.stderr);
  assertStringIncludes(inspected.stderr, "the text: 2 left out for too many or too few fields");
});

Deno.test("inspect shows what was masked, in plain text where it is no terminal", async () => {
  using place = await placeOfFormats();
  const show = async (...flags: string[]) => {
    const { code, stdout, stderr } = await place.cloze(
      ["inspect", "--data", "text.txt", "--tokenizer", "tokenizer", "--max-sequence-length", "32", ...flags],
    );
    assertEquals(code, 0, stderr);
    assert(!stdout.includes("\x1b"), "no colours");
    return stdout;
  };
  const text = await show();
  for (const part of ["batch 0  ", "tokens (", "% full)", "[MASK]‹", "‹kept›", "sequence 0  ", "[CLS] "]) {
    assertStringIncludes(text, part);
  }
  assertStringIncludes(await show("--pairs"), "random next");
  assert(!(await show("--mask-shares", "0/100/0")).includes("[MASK]‹t"), "everything is replaced");
  assertStringIncludes(await show("--mlm-probability", "0"), "0 chosen (0.0%)");
  for (const masking of ["word", "eojeol", "span"]) assertStringIncludes(await show("--masking", masking), "[MASK]‹");
});

Deno.test("inspect refuses flags that contradict each other, and says what is missing", async () => {
  using place = smallPlace();
  const cases: [string[], string][] = [
    [[], "no run was given"],
    [["--model", "x", "--data", "text.txt"], "either --model DIR or --data"],
    [["--data", "text.txt"], "needs --tokenizer"],
    [["--model", "x", "--seed", "1"], "--seed is given too"],
    [["--data", "text.txt", "--tokenizer", "x", "--mask-shares", "80/10"], "80/10/10"],
    [["--data", "text.txt", "--tokenizer", "x", "--mask-shares", "80/10/20"], "80/10/10"],
    [["--data", "text.txt", "--tokenizer", "x", "--masking", "words"], "did you mean word?"],
  ];
  for (const [flags, part] of cases) {
    const { code, stderr } = await place.cloze(["inspect", ...flags]);
    assertEquals(code, 2, stderr);
    assertStringIncludes(stderr, part);
  }
  const none = await place.cloze(["inspect", "--model", "nowhere"]);
  assertEquals(none.code, 1);
  assertStringIncludes(none.stderr, "run.json");
});

testWithCore(
  "inspect --export writes exactly the batches that a run saw, and those of a run with the same flags",
  async () => {
    using place = smallPlace();
    const flags = ["--masking", "word", "--mask-shares", "70/20/10", "--mlm-probability", "0.2"];
    const run = await place.cloze(["pretrain", ...SMALL_RUN, ...flags, "--output", "out", "--steps", "7"]);
    assertEquals(run.code, 0, run.stderr);
    const exported = await place.cloze(["inspect", "--model", "out", "--batches", "7", "--export", "run.safetensors"]);
    assertEquals(exported.code, 0, exported.stderr);
    const { batches, metadata } = readSafetensors(`${place.path}/run.safetensors`);
    assertEquals(batches.length, 7);
    const metrics = Deno.readTextFileSync(`${place.path}/out/metrics.jsonl`).trim().split("\n").map((line) =>
      JSON.parse(line)
    );
    const trained = metrics.filter(({ kind }) => kind === "train");
    assertEquals(trained[trained.length - 1].tokens, batches.reduce((sum, { input_ids }) => sum + input_ids.length, 0));
    assertEquals(JSON.parse(metadata.options).masking, "word");
    const again = await place.cloze(
      ["inspect", "--data", "text.txt", "--tokenizer", "out", "--batch-tokens", "256", "--max-sequence-length", "32"]
        .concat([...flags, "--batches", "7", "--export", "flags.safetensors"]),
    );
    assertEquals(again.code, 0, again.stderr);
    assertEquals(readSafetensors(`${place.path}/flags.safetensors`).batches, batches);
    const epoch = await place.cloze(["inspect", "--model", "out", "--export", "epoch.safetensors"]);
    assertEquals(epoch.code, 0, epoch.stderr);
    const all = readSafetensors(`${place.path}/epoch.safetensors`).batches;
    assertEquals(all.slice(0, 7), batches);
    const sequences = all.reduce((sum, { cu_seqlens }) => sum + cu_seqlens.length - 1, 0);
    assert(sequences > 190 && sequences <= 200, `${sequences} sequences: one of each document that is not held out`);
  },
);

testWithCore(
  "pretrain takes invalid text as it is told to, says so, and reuses the shards of a run beside it",
  async () => {
    using place = smallPlace();
    const bytes = new TextEncoder().encode(smallText());
    place.file("text.txt", new Uint8Array([...bytes, 0xFF, 10]));
    const run = (...args: string[]) => place.cloze(["pretrain", ...SMALL_RUN, "--steps", "1", ...args]);
    const refused = await run("--output", "runs/a");
    assertEquals(refused.code, 1);
    assertStringIncludes(refused.stderr, "--on-invalid");
    const first = await run("--output", "runs/b", "--on-invalid", "replace");
    assertEquals(first.code, 0, first.stderr);
    assertStringIncludes(first.stderr, "401 lines, 92.3% of them repeated, 1 not valid UTF-8");
    const second = await run("--output", "runs/c", "--on-invalid", "replace", "--seed", "5");
    assertEquals(second.code, 0, second.stderr);
    assertStringIncludes(second.stderr, "tokenized before");
  },
);

testWithCore("a run that is killed while it tokenizes leaves no shard; the next one begins anew", async () => {
  using place = smallPlace();
  place.file("text.txt", `${smallText(2000)}\n\n`.repeat(60));
  const flags = SMALL_RUN.filter((flag) => flag !== "--vocab-size" && flag !== "200");
  const { code } = await place.cloze(["train-tokenizer", "--data", "text.txt", "--output", "t", "--vocab-size", "200"]);
  assertEquals(code, 0);
  const args = ["pretrain", ...flags, "--tokenizer", "t", "--output", "out", "--steps", "1"];
  const child = place.start(args);
  await child.stdin.close();
  const parts = `${place.path}/out/data/parts.tmp`;
  await until(() => Deno.stat(parts).then(() => true, () => false));
  child.kill("SIGKILL");
  assertEquals((await child.output()).signal, "SIGKILL");
  const left = [...Deno.readDirSync(`${place.path}/out/data`)].map(({ name }) => name);
  assertEquals(left.filter((name) => name.endsWith(".shard")), [], `${left}`);
  const next = await place.cloze(args);
  assertEquals(next.code, 0, next.stderr);
  const names = [...Deno.readDirSync(`${place.path}/out/data`)].map(({ name }) => name).sort();
  assertEquals(names.filter((name) => !name.endsWith(".index")), ["files.json", "held_out.shard", "train.shard"]);
});

testWithCore("inspect shows what a run of its objective sees: pairs, or text from left to right", async () => {
  using place = smallPlace();
  for (const [objective, shown] of [["mlm+nsp", "random next"], ["clm", "left to right"]]) {
    const args = ["pretrain", ...SMALL_RUN, "--objective", objective, "--output", objective, "--steps", "2"];
    const run = await place.cloze(args);
    assertEquals(run.code, 0, run.stderr);
    const { code, stdout, stderr } = await place.cloze(["inspect", "--model", objective]);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stdout + stderr, shown);
    const exported = await place.cloze(["inspect", "--model", objective, "--batches", "2", "--export", "b", "--force"]);
    assertEquals(exported.code, 0, exported.stderr);
    for (const batch of readSafetensors(`${place.path}/b`).batches) {
      const sequences = batch.cu_seqlens.length - 1;
      assertEquals(batch.next_sentence_label?.length, objective === "clm" ? undefined : sequences);
      if (objective === "clm") assertEquals(batch.labels.length, batch.input_ids.length - sequences);
    }
  }
});
