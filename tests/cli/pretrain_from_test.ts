/** `pretrain --from`: going on with a model that exists. */

import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import { rateShare } from "../../config/from_defaults.ts";
import { PRESET_TRAINING } from "../../config/run_config.ts";
import { type Place, smallText, testWithCore, trainedPlace } from "../support.ts";

const bytes = (place: Place, path: string) => Deno.readFileSync(`${place.path}/${path}`);
const text = (place: Place, path: string) => Deno.readTextFileSync(`${place.path}/${path}`);
const json = (place: Place, path: string) => JSON.parse(text(place, path));

/** Metrics of a kind. */
// deno-lint-ignore no-explicit-any
function metrics(place: Place, run: string, kind: string): any[] {
  return text(place, `${run}/metrics.jsonl`).trim().split("\n").map((line) => JSON.parse(line))
    .filter((line) => line.kind === kind);
}

/** Runs a command that has to succeed. */
async function good(place: Place, args: string[], input?: string): Promise<{ stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await place.cloze(args, input === undefined ? {} : { input });
  assertEquals(code, 0, stderr);
  return { stdout, stderr };
}

/** Text in the words of the small text, but with other words beside each other. */
function newText(documents = 120): string {
  const things = ["night", "bird", "likes", "dog", "고양이", "horse"];
  const out = [];
  for (let i = 0; i < documents; i++) {
    const pick = (k: number) => things[(i * 5 + k * 3) % things.length];
    out.push(`The ${pick(0)} at ${pick(1)} likes the ${pick(2)}.`, `Every ${pick(3)} sees a ${pick(4)} at night.`, "");
  }
  return out.join("\n");
}

/** A trained model in `model`, another text, and what goes on with it. */
async function placeToGoOn(): Promise<Place> {
  const place = await trainedPlace(20);
  place.file("new.txt", newText());
  place.file("new.valid.txt", newText(60).replaceAll("sees", "hears"));
  place.file("old.valid.txt", smallText(10).replaceAll("night", "bird"));
  return place;
}

const SIZES = ["--batch-tokens", "256", "--max-sequence-length", "32", "--dtype", "f32"];
const GO_ON = ["pretrain", "--from", "model", "--data", "new.txt", "--valid", "new.valid.txt", ...SIZES];

/** A safetensors file without the tensors of some names. */
function without(file: Uint8Array, beginning: string): Uint8Array {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
  let end = 0;
  const parts: Uint8Array[] = [], kept: Record<string, unknown> = {};
  for (const [name, tensor] of Object.entries<{ data_offsets: [number, number] }>(header)) {
    if (name === "__metadata__" || name.startsWith(beginning)) continue;
    const [from, to] = tensor.data_offsets;
    parts.push(file.subarray(8 + length + from, 8 + length + to));
    kept[name] = { ...tensor, data_offsets: [end, end += to - from] };
  }
  const head = new TextEncoder().encode(JSON.stringify(kept).padEnd(length));
  const out = new Uint8Array(8 + head.length + end);
  new DataView(out.buffer).setBigUint64(0, BigInt(head.length), true);
  out.set(head, 8);
  let at = 8 + head.length;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

testWithCore(
  "pretrain --from keeps config and tokenizer as they are, and begins where evaluate says the model is",
  async () => {
    using place = await placeToGoOn();
    // As another program would have written it.
    const config = `{"of": "another program", ${text(place, "model/config.json").trim().slice(1)}`;
    place.file("model/config.json", config);
    Deno.removeSync(`${place.path}/model/SHA256SUMS`);
    const { stderr } = await good(place, [...GO_ON, "--reference", "old.valid.txt", "--steps", "20", "--output", "on"]);
    assertEquals(text(place, "on/config.json"), config);
    for (const name of ["tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"]) {
      assertEquals(text(place, `on/${name}`), text(place, `model/${name}`), name);
    }
    const { from, training } = json(place, "on/run.json");
    assertEquals(from.path, Deno.realPathSync(`${place.path}/model`));
    assertEquals(from.sha256, createHash("sha256").update(bytes(place, "model/model.safetensors")).digest("hex"));
    assertEquals([training.extent, training.warmup_ratio], [{ steps: 20 }, 0.1]);

    const [first] = metrics(place, "on", "evaluation");
    const [{ unigram }] = metrics(place, "on", "start");
    const share = rateShare(1 - first.loss / unigram.loss);
    assertEquals(training.learning_rate, Number((share * PRESET_TRAINING.tiny.learning_rate).toPrecision(2)));
    assertStringIncludes(stderr, `${Math.round(100 * share)}% of that from scratch`);
    const measured = async (model: string, data: string) => {
      const flags = ["--max-sequence-length", "32", "--json"];
      return JSON.parse((await good(place, ["evaluate", "--model", model, "--data", data, ...flags])).stdout);
    };
    const [own, other] = [await measured("model", "new.valid.txt"), await measured("model", "old.valid.txt")];
    assertEquals(first.step, 0);
    assertAlmostEquals(first.loss, own.loss, 1e-9);
    assertAlmostEquals(first.reference.loss, other.loss, 1e-9);
    assertEquals(first.scripts.map(({ name }: { name: string }) => name).includes("Hangul"), true);
    const last = metrics(place, "on", "evaluation").at(-1);
    assert(last.loss < first.loss);
    assertAlmostEquals(last.loss, (await measured("on", "new.valid.txt")).loss, 1e-6);

    const by = (now: number, before: number) => `${now < before ? "−" : "+"}${Math.abs(now - before).toFixed(3)}`;
    const said = `your text ${by(last.loss, first.loss)} nats, the reference ${
      by(last.reference.loss, first.reference.loss)
    }`;
    assertStringIncludes(stderr, said);
    for (const part of ["fit ", "tokens a word", "Hangul", "4 pieces or more"]) assertStringIncludes(stderr, part);
    const page = text(place, "on/report.html");
    for (const part of [said, "Before and after", "the old model"]) assertStringIncludes(page, part);

    // Everything else takes the new model as any other.
    const again = await good(place, [...GO_ON, "--reference", "old.valid.txt", "--steps", "20", "--output", "on"]);
    assertStringIncludes(again.stderr, "is finished");
    await good(place, ["predict", "--model", "on"], "A [MASK] sees every dog.\n");
    await good(place, ["inspect", "--model", "on"]);
    await good(place, ["extend-vocab", "--model", "on", "--special-token", "[NEW]", "--output", "larger"]);
    place.file("valid.tsv", "text\tlabel\nA dog hears.\tone\nThe cat sees.\ttwo\n");
    place.file("labeled.tsv", "text\tlabel\n" + "A dog sees.\tone\nThe cat hears.\ttwo\n".repeat(8));
    const flags = ["--train", "labeled.tsv", "--valid", "valid.tsv", "--epochs", "1"];
    await good(place, ["finetune", "--model", "on", ...flags, "--output", "classifier"]);
  },
);

testWithCore(
  "pretrain --from that was stopped ends with the same bits, without the model it began with and its texts",
  async () => {
    using place = await placeToGoOn();
    const flags = [...GO_ON, "--replay", "text.txt:20%", "--reference", "old.valid.txt", "--steps", "12"];
    await good(place, [...flags, "--output", "on", "--save-every", "4", "--keep-checkpoints", "3"]);
    const weights = bytes(place, "on/model.safetensors");
    const shown = await good(place, ["inspect", "--model", "on", "--batches", "3", "--json"]);
    assertStringIncludes(shown.stdout, "follows", "what is shown has the other text in it, too");
    for (const name of ["checkpoints/step-8", "checkpoints/step-12", "model.safetensors"]) {
      Deno.removeSync(`${place.path}/on/${name}`, { recursive: true });
    }
    for (const name of ["model", "new.txt", "text.txt", "old.valid.txt"]) {
      Deno.renameSync(`${place.path}/${name}`, `${place.path}/away-${name}`);
    }
    const refused = await place.cloze([...flags, "--output", "on"]);
    assertEquals(refused.code, 1);
    assertStringIncludes(refused.stderr, "pretrain --resume on");
    await good(place, ["pretrain", "--resume", "on", "--threads", "1"]);
    assertEquals(bytes(place, "on/model.safetensors"), weights);
    const { position } = json(place, "on/checkpoints/step-12/training_state.json");
    assert(position.replay.owed <= 0 && position.replay.owed > -32, JSON.stringify(position));

    // Without a checkpoint it would have to begin again, and needs the model.
    Deno.removeSync(`${place.path}/on/checkpoints`, { recursive: true });
    const lost = await place.cloze(["pretrain", "--resume", "on"]);
    assertEquals(lost.code, 1);
    assertStringIncludes(lost.stderr, "there is no model in");
  },
);

testWithCore("pretrain --from makes the heads that a model lacks, and says so", async () => {
  using place = await placeToGoOn();
  const config = json(place, "model/config.json");
  Deno.removeSync(`${place.path}/model/SHA256SUMS`);
  place.file("model/config.json", JSON.stringify({ ...config, architectures: ["BertModel"], torch_dtype: "float16" }));
  place.file("model/model.safetensors", without(bytes(place, "model/model.safetensors"), "cls."));
  const bare = await good(place, [...GO_ON, "--steps", "2", "--output", "bare"]);
  assertStringIncludes(bare.stderr, "its head on tokens");
  assertEquals(json(place, "bare/config.json"), {
    ...config,
    architectures: ["BertForMaskedLM"],
    torch_dtype: "float32",
  });
  const pairs = await good(place, [
    ...["pretrain", "--from", "bare", "--data", "new.txt", ...SIZES, "--steps", "2", "--output", "pairs"],
    ...["--objective", "mlm+nsp", "--replay", "text.txt:30%"],
  ]);
  assertStringIncludes(pairs.stderr, "its head on sentence pairs");
  assert(metrics(place, "pairs", "evaluation").at(-1).nsp_pairs > 0);
  const back = ["pretrain", "--from", "pairs", "--data", "new.txt", ...SIZES, "--steps", "2"];
  assertEquals(json(place, "pairs/config.json").architectures, ["BertForPreTraining"]);
  await good(place, [...back, "--output", "kept"]);
  assertEquals(json(place, "kept/run.json").training.objective, "mlm+nsp", "its own task, where none is asked for");
  const left = await good(place, [...back, "--objective", "mlm", "--output", "left"]);
  assertStringIncludes(left.stderr, "left out: its head on sentence pairs");
});

testWithCore("pretrain --from --extend adds tokens and trains their rows alone for the first tenth", async () => {
  using place = await placeToGoOn();
  place.file("new.txt", newText().replaceAll("likes", "nightlikes").replaceAll("bird", "birdhorse"));
  const flags = [...GO_ON, "--extend", "5", "--steps", "20", "--output", "on"];
  const { stderr } = await good(place, [...flags, "--save-every", "1", "--keep-checkpoints", "100"]);
  const size = json(place, "model/config.json").vocab_size;
  assertStringIncludes(stderr, "5 new tokens");
  assertEquals(json(place, "on/config.json").vocab_size, size + 5);
  assertEquals(json(place, "on/run.json").from.vocabulary, size);
  /** A tensor's numbers at some step. */
  const tensor = (step: number, name: string) => {
    const folder = step === 0 ? "on/data/extended" : `on/checkpoints/step-${step}`;
    const file = bytes(place, `${folder}/model.safetensors`);
    const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
    const [from, to] = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)))[name].data_offsets;
    return new Float32Array(file.slice(8 + length + from, 8 + length + to).buffer);
  };
  const words = "bert.embeddings.word_embeddings.weight", dense = "bert.encoder.layer.0.output.dense.weight";
  const old = (step: number) => tensor(step, words).slice(0, 32 * size);
  assertEquals(old(2), old(0), "rows of the model's own tokens");
  assertEquals(tensor(2, dense), tensor(0, dense));
  assert(tensor(2, words).slice(32 * size).some((x, i) => x !== tensor(0, words)[32 * size + i]), "new rows learn");
  assert(old(3).some((x, i) => x !== old(2)[i]) && tensor(3, dense).some((x, i) => x !== tensor(2, dense)[i]));

  // Stopped while they were trained alone, it goes on with the same bits.
  const weights = bytes(place, "on/model.safetensors");
  for (let step = 2; step <= 20; step++) {
    Deno.removeSync(`${place.path}/on/checkpoints/step-${step}`, { recursive: true });
  }
  Deno.removeSync(`${place.path}/on/data/extended`, { recursive: true });
  await good(place, flags);
  assertEquals(bytes(place, "on/model.safetensors"), weights);
});
