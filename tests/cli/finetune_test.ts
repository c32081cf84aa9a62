/** `cloze finetune` as people run it, and `predict` on what comes out. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { buildCandle, type Place, testWithCore, trainedPlace, until } from "../support.ts";

/** A class that one word tells: which animal it is. */
function labeled(from: number, count: number): string {
  const animals = ["cat", "dog", "horse"], verbs = ["sees", "hears", "likes", "follows"];
  const rows = Array.from({ length: count }, (_, i) => {
    const k = from + i;
    return `The ${animals[k % 3]} ${verbs[k % 4]} the bird at night.\t${animals[k % 3]}`;
  });
  return ["text\tlabel", ...rows, ""].join("\n");
}

async function labeledPlace(): Promise<Place> {
  const place = await trainedPlace(60);
  place.file("train.tsv", labeled(0, 240));
  place.file("valid.tsv", labeled(1000, 60));
  return place;
}

const FLAGS = ["finetune", "--model", "model", "--train", "train.tsv", "--valid", "valid.tsv"];
const QUICK = ["--learning-rate", "1e-3", "--epochs", "50"];

function metrics(place: Place, run: string): Record<string, number | string>[] {
  return Deno.readTextFileSync(`${place.path}/${run}/metrics.jsonl`).trim().split("\n").map((line) => JSON.parse(line));
}

testWithCore("finetune makes a classifier that predict uses", async (t) => {
  using place = await labeledPlace();
  const { code, stderr } = await place.cloze([...FLAGS, ...QUICK, "--output", "classifier"]);
  assertEquals(code, 0, stderr);
  for (const word of ["new: bert.pooler, classifier", "macro-F1", "95% interval"]) assertStringIncludes(stderr, word);

  await t.step("and leaves a Hugging Face folder and metrics", () => {
    const config = JSON.parse(Deno.readTextFileSync(`${place.path}/classifier/config.json`));
    assertEquals(config.architectures, ["BertForSequenceClassification"]);
    assertEquals(config.id2label, { "0": "cat", "1": "dog", "2": "horse" });
    assertEquals(config.label2id, { cat: 0, dog: 1, horse: 2 });
    const lines = metrics(place, "classifier");
    const last = lines.filter((line) => line.kind === "classification");
    assertEquals(last.map((line) => line.split), [...Array(50).fill("valid"), "train"]);
    assert(Number(last[49].accuracy) > 0.95 && Number(last[49].macro_f1) > 0.95, JSON.stringify(last[49]));
    assertEquals([lines.at(-1)!.kind, lines.at(-1)!.step], ["end", 400]);
  });

  await t.step("and a report, as a page and as text", async () => {
    const page = Deno.readTextFileSync(`${place.path}/classifier/report.html`);
    for (const part of ["It learned: ", "is … answered as", "It ran to its end", "train.tsv"]) {
      assertStringIncludes(page, part);
    }
    const told = await place.cloze(["report", "classifier", "--text"]);
    assertEquals(told.code, 0, told.stderr);
    assertStringIncludes(told.stdout, "loss over 400 updates");
    const mixed = await place.cloze(["report", "classifier", "model", "--output", "both.html"]);
    assertEquals(mixed.code, 2, mixed.stderr);
    assertStringIncludes(mixed.stderr, "cannot be shown side by side");
  });

  await t.step("for lines, as text and as JSON", async () => {
    const input = "The horse sees the bird.\n\nThe dog likes the bird.\n";
    const plain = await place.cloze(["predict", "--model", "classifier"], { input });
    assertEquals(plain.code, 0, plain.stderr);
    assertEquals(plain.stdout.trim().split("\n").map((line) => line.split(" ")[0]), ["horse", "dog"]);
    const json = await place.cloze(["predict", "--model", "classifier", "--json"], { input });
    const [first] = json.stdout.trim().split("\n").map((line) => JSON.parse(line));
    assertEquals([first.input, first.labels[0].label, first.truncated], ["The horse sees the bird.", "horse", false]);
    const total = first.labels.reduce((sum: number, { probability }: { probability: number }) => sum + probability, 0);
    assert(first.labels.length === 3 && Math.abs(total - 1) < 1e-9);
    await buildCandle();
    const candle = await place.cloze(["predict", "--model", "classifier", "--json", "--engine", "candle"], { input });
    const [other] = candle.stdout.trim().split("\n").map((line) => JSON.parse(line));
    assert(Math.abs(other.labels[0].probability - first.labels[0].probability) < 1e-4);
    const two = await place.cloze(["predict", "--model", "classifier", "--top-k", "2", "--dtype", "bf16"], { input });
    assertEquals(two.stdout.split("\n")[0].match(/\d+\.\d%/g)?.length, 2, two.stdout);
    assertEquals(two.stdout.split(" ")[0], "horse");
    const long = await place.cloze(["predict", "--model", "classifier", "--json"], { input: "cat ".repeat(100) });
    assertEquals(JSON.parse(long.stdout).truncated, true);
  });

  await t.step("that can be trained further", async () => {
    const again = [...FLAGS, "--output", "again", "--epochs", "1"].map((arg) => arg === "model" ? "classifier" : arg);
    const further = await place.cloze(again);
    assertEquals(further.code, 0, further.stderr);
    assertStringIncludes(further.stderr, "all of them from the model");
  });

  await t.step("but that neither fills blanks nor is measured on them", async () => {
    const cases: [string[], string][] = [
      [["--data", "text.txt"], "no kind of file that labels are read from"],
      [["--sentences"], "does not predict tokens"],
    ];
    for (const [args, message] of cases) {
      const refused = await place.cloze(["evaluate", "--model", "classifier", ...args]);
      assertEquals(refused.code, 1);
      assertStringIncludes(refused.stderr, message);
      assertStringIncludes(refused.stderr, "hint: ");
    }
  });
});

testWithCore("finetune computes in the dtype that is asked for, and records it", async () => {
  using place = await labeledPlace();
  for (const dtype of ["f32", "bf16"]) {
    const { code, stderr } = await place.cloze([...FLAGS, ...QUICK, "--output", dtype, "--dtype", dtype]);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, `${dtype}, `);
    const run = JSON.parse(Deno.readTextFileSync(`${place.path}/${dtype}/finetune.json`));
    assertEquals([run.engine.dtype, run.train.texts, run.labels.length], [dtype, 240, 3]);
    const last = metrics(place, dtype).findLast(({ split }) => split === "valid")!;
    assert(Number(last.accuracy) > 0.9, JSON.stringify(last));
  }
  const several = await place.cloze(["report", "f32", "bf16", "--output", "both.html"]);
  assertEquals(several.code, 0, several.stderr);
  assertStringIncludes(Deno.readTextFileSync(`${place.path}/both.html`), "2 classifiers side by side");
});

testWithCore("finetune gives the same weights for a seed, whatever the number of threads", async () => {
  using place = await labeledPlace();
  for (const [output, seed, threads] of [["a", "1", "1"], ["b", "1", "2"], ["c", "2", "2"]]) {
    const args = [...FLAGS, "--output", output, "--seed", seed, "--threads", threads, "--epochs", "1"];
    const { code, stderr } = await place.cloze(args);
    assertEquals(code, 0, stderr);
  }
  const [a, b, c] = ["a", "b", "c"].map((run) => Deno.readFileSync(`${place.path}/${run}/model.safetensors`));
  assertEquals(a, b);
  assert(a.length === c.length && a.some((byte, i) => byte !== c[i]));
});

/** The named tensors of a safetensors file, as bytes. */
function tensors(path: string): Map<string, Uint8Array> {
  const bytes = Deno.readFileSync(path);
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  delete header.__metadata__;
  return new Map(
    Object.entries(header as Record<string, { data_offsets: [number, number] }>).map((
      [name, { data_offsets: [from, to] }],
    ) => [name, bytes.subarray(8 + length + from, 8 + length + to)]),
  );
}

testWithCore("finetune --probe leaves the encoder as it is; --from-scratch does not start from the model", async () => {
  using place = await labeledPlace();
  const probe = await place.cloze([...FLAGS, "--probe", "--output", "probe", "--epochs", "2"]);
  assertEquals(probe.code, 0, probe.stderr);
  assertStringIncludes(probe.stderr, "the encoder stays as it is");
  const scratch = await place.cloze([...FLAGS, "--from-scratch", "--output", "scratch", "--epochs", "1"]);
  assertStringIncludes(scratch.stderr, "everything starts at random");
  const [model, probed, random] = ["model", "probe", "scratch"].map((run) =>
    tensors(`${place.path}/${run}/model.safetensors`)
  );
  for (const [name, bytes] of probed) {
    if (name.startsWith("bert.embeddings.") || name.startsWith("bert.encoder.")) assertEquals(bytes, model.get(name));
  }
  const words = "bert.embeddings.word_embeddings.weight";
  assert(random.get(words)!.some((byte, i) => byte !== model.get(words)![i]));
});

testWithCore("finetune warns of texts that are measured on and trained on, and of records without text", async () => {
  using place = await labeledPlace();
  const run = (valid: string, output: string) =>
    place.cloze([...FLAGS.slice(0, -1), valid, "--output", output, "--epochs", "1"]);
  place.file("new.tsv", labeled(1000, 60).replaceAll(" at night", ""));
  const apart = await run("new.tsv", "apart");
  assertEquals(apart.code, 0, apart.stderr);
  assert(!apart.stderr.includes("warning"), apart.stderr);
  place.file("some.tsv", Deno.readTextFileSync(`${place.path}/train.tsv`).replace(/\n[^\t]*\t/, "\n\t"));
  const same = await run("some.tsv", "same");
  assertEquals(same.code, 0, same.stderr);
  assertMatch(same.stderr, /warning: \d+\.\d% of the texts of \S*some\.tsv are texts of \S*train\.tsv, too/);
  assertMatch(same.stderr, /warning: 1 of the 240 records of \S*some\.tsv has no text/);
});

testWithCore("finetune stops at the next step on Ctrl-C, saves and exits 130", async () => {
  using place = await labeledPlace();
  const child = place.start([...FLAGS, "--output", "out", "--epochs", "9999"]);
  await child.stdin.close();
  const done = child.output();
  const path = `${place.path}/out/metrics.jsonl`;
  await until(() => Deno.readTextFile(path).then((text) => text.includes("\n"), () => false));
  child.kill("SIGINT");
  const { code, stderr } = await done;
  const text = new TextDecoder().decode(stderr);
  assertEquals(code, 130, text);
  assertStringIncludes(text, "and predicts already");
  assertStringIncludes(text, "deno run finetune --resume out");
  assertStringIncludes(Deno.readTextFileSync(`${place.path}/out/report.html`), "It was stopped before its end");
  const { code: predicted } = await place.cloze(["predict", "--model", "out"], { input: "The cat sees.\n" });
  assertEquals(predicted, 0);
});
