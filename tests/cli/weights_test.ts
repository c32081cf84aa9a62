/** Weights in the forms that people have them in: what predicts as transformers does, and what is refused. */

import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { writeAll } from "../../config/whole_file.ts";
import { Place, testWithCore, trainedPlace } from "../support.ts";

const golden = new URL("../golden/weights/", import.meta.url).pathname;

/** A place with a copy of a golden model in `model`. */
function goldenPlace(name: string): Place {
  const place = new Place();
  Deno.mkdirSync(`${place.path}/model`);
  for (const { name: file } of Deno.readDirSync(`${golden}${name}`)) {
    Deno.copyFileSync(`${golden}${name}/${file}`, `${place.path}/model/${file}`);
  }
  return place;
}

const read = (path: string) => JSON.parse(Deno.readTextFileSync(path));
const edit = (path: string, change: (json: Record<string, unknown>) => object) =>
  Deno.writeTextFileSync(path, JSON.stringify(change(read(path))));

async function predictions(place: Place, lines: string[], ...flags: string[]) {
  const { code, stdout, stderr } = await place.cloze(["predict", "--json", ...flags], { input: lines.join("\n") });
  assertEquals(code, 0, stderr);
  return { answers: stdout.trim().split("\n").map((line) => JSON.parse(line)), stderr };
}

testWithCore("a model in PyTorch's shards, dtypes and older names predicts as transformers does", async () => {
  using place = goldenPlace("masked_lm");
  const { words, lines, probabilities } = read(`${golden}masked_lm/expected.json`);
  const { answers } = await predictions(place, lines, "--model", "model", "--top-k", "5");
  for (const [i, { masks }] of answers.entries()) {
    for (const [k, answer] of masks.entries()) {
      for (const { token, probability } of answer) {
        assertAlmostEquals(probability, probabilities[i][k][words.indexOf(token)], 1e-5);
      }
    }
  }
  // The same through extend-vocab, which writes one safetensors file.
  const extended = await place.cloze([
    "extend-vocab",
    "--model",
    "model",
    "--special-token",
    "[X]",
    "--output",
    "more",
  ]);
  assertEquals(extended.code, 0, extended.stderr);
  assert(Deno.statSync(`${place.path}/more/model.safetensors`).isFile);
  const again = await predictions(place, lines, "--model", "more", "--targets", words.slice(5, 10).join(","));
  const targets = await predictions(place, lines, "--model", "model", "--targets", words.slice(5, 10).join(","));
  for (const [i, { masks }] of again.answers.entries()) {
    for (const [k, answer] of masks.entries()) {
      const order = targets.answers[i].masks[k].map(({ token }: { token: string }) => token);
      assertEquals(answer.map(({ token }: { token: string }) => token), order);
    }
  }
});

testWithCore("predict gives the values of a regression as transformers' pipeline does", async () => {
  using place = goldenPlace("regression");
  const { lines, values } = read(`${golden}regression/expected.json`);
  const { answers } = await predictions(place, lines, "--model", "model");
  for (const [i, answer] of answers.entries()) {
    assertEquals(answer.values.map(({ label }: { label: string }) => label), ["warmth", "length"]);
    for (const { label, value } of answer.values) assertAlmostEquals(value, values[i][label], 1e-5);
  }
  const plain = await place.cloze(["predict", "--model", "model"], { input: `${lines[1]}\n` });
  assertEquals(
    plain.stdout.replace(/-?\d+\.\d+/g, (digits) => Number(digits).toFixed(3)),
    "warmth 0.403  length 1.886\td\n",
  );
  const refused = await place.cloze(["predict", "--model", "model", "--top-k", "1"], { input: "d\n" });
  assertEquals(refused.code, 2);
  assertStringIncludes(refused.stderr, "--top-k is for answers that have a probability");
});

testWithCore("--as takes a model of an own class for one that is known", async () => {
  using place = goldenPlace("masked_lm");
  const config = `${place.path}/model/config.json`;
  const { lines } = read(`${golden}masked_lm/expected.json`);
  const { answers } = await predictions(place, lines, "--model", "model");
  const own = { model_type: "kcbert", architectures: ["KcBertForMaskedLM"], auto_map: { AutoModel: "own.KcBert" } };
  edit(config, (json) => ({ ...json, ...own }));
  const unknown = await place.cloze(["predict", "--model", "model"], { input: "a [MASK]\n" });
  assertEquals(unknown.code, 1);
  assertStringIncludes(unknown.stderr, 'model_type is "kcbert", but cloze runs "bert"');
  assertStringIncludes(unknown.stderr, "give --as");
  for (const as of ["bert", "BertForMaskedLM"]) {
    assertEquals((await predictions(place, lines, "--model", "model", "--as", as)).answers, answers);
  }
  place.file("text.txt", "a b c\nd e\n".repeat(20));
  const measured = await place.cloze(["evaluate", "--model", "model", "--as", "bert", "--data", "text.txt", "--json"]);
  assertEquals(measured.code, 0, measured.stderr);
  place.file("labeled.tsv", "text\tlabel\n" + "a b\tx\nd e\ty\n".repeat(10));
  const labeled = ["--train", "labeled.tsv", "--valid", "labeled.tsv", "--epochs", "1"];
  const tuned = await place.cloze(["finetune", "--model", "model", "--as", "bert", ...labeled, "--output", "tuned"]);
  assertEquals(tuned.code, 0, tuned.stderr);
  const from = ["--from", "model", "--as", "bert", "--data", "text.txt", "--steps", "2"];
  const gone = await place.cloze(["pretrain", ...from, "--output", "gone"]);
  assertEquals(gone.code, 0, gone.stderr);
  assertEquals((await predictions(place, lines, "--model", "gone")).answers.length, lines.length);
  edit(config, (json) => ({ ...json, architectures: ["KcBertForWhatever"] }));
  const vague = await place.cloze(["predict", "--model", "model", "--as", "bert"], { input: "a [MASK]\n" });
  assertEquals(vague.code, 2);
  assertStringIncludes(vague.stderr, "--as BertForMaskedLM");
  const other = await place.cloze(["predict", "--model", "model", "--as", "toString"], { input: "a [MASK]\n" });
  assertEquals(other.code, 2);
  assertStringIncludes(other.stderr, "names no model that cloze runs");
  // What is made from it needs no --as.
  const flags = ["--model", "model", "--as", "BertForMaskedLM", "--special-token", "[X]", "--output", "more"];
  assertEquals((await place.cloze(["extend-vocab", ...flags])).code, 0);
  assertEquals((await predictions(place, lines, "--model", "more")).answers.length, lines.length);
});

/** Parts a safetensors file into two with an index. */
function shard(folder: string): void {
  const bytes = Deno.readFileSync(`${folder}/model.safetensors`);
  const start = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const { __metadata__: _, ...tensors } = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)));
  const names = Object.keys(tensors), weight_map: Record<string, string> = {};
  for (const part of [0, 1]) {
    const file = `model-0000${part + 1}-of-00002.safetensors`, header: Record<string, unknown> = {};
    const data: Uint8Array[] = [];
    let at = 0;
    for (const name of names.filter((_, i) => i % 2 === part)) {
      const { dtype, shape, data_offsets: [from, to] } = tensors[name];
      header[name] = { dtype, shape, data_offsets: [at, at += to - from] };
      data.push(bytes.subarray(start + from, start + to));
      weight_map[name] = file;
    }
    const text = new TextEncoder().encode(JSON.stringify(header));
    const length = new Uint8Array(new BigUint64Array([BigInt(text.length)]).buffer);
    using out = Deno.openSync(`${folder}/${file}`, { write: true, createNew: true });
    for (const bytes of [length, text, ...data]) writeAll(out, bytes);
  }
  Deno.writeTextFileSync(`${folder}/model.safetensors.index.json`, JSON.stringify({ weight_map }));
  Deno.removeSync(`${folder}/model.safetensors`);
  Deno.removeSync(`${folder}/SHA256SUMS`);
}

testWithCore("shards predict as the whole does, and each fault of theirs is named", async (t) => {
  using place = await trainedPlace();
  const model = `${place.path}/model`, lines = ["The [MASK] sees the dog."];
  const whole = await predictions(place, lines, "--model", "model");
  shard(model);
  assertEquals((await predictions(place, lines, "--model", "model")).answers, whole.answers);
  const refused = async (name: string, ...parts: string[]) => {
    await t.step(name, async () => {
      const { code, stdout, stderr } = await place.cloze(["predict", "--model", "model"], { input: lines[0] });
      assertEquals([code, stdout], [1, ""], stderr);
      for (const part of ["hint: ", ...parts]) assertStringIncludes(stderr, part);
    });
  };
  const index = `${model}/model.safetensors.index.json`, second = `${model}/model-00002-of-00002.safetensors`;
  const [good, bytes] = [Deno.readTextFileSync(index), Deno.readFileSync(second)];
  const map = JSON.parse(good).weight_map, [name] = Object.keys(map);

  Deno.removeSync(second);
  await refused("a shard is missing", "model-00002-of-00002.safetensors is missing", "index.json says that it holds");
  Deno.writeFileSync(second, bytes.subarray(0, bytes.length - 100));
  await refused("a shard is cut off", "model-00002-of-00002.safetensors is not a whole safetensors file");
  Deno.writeFileSync(second, bytes);
  for (const outside of ["../x.safetensors", "/etc/hosts", "sub/x.safetensors"]) {
    Deno.writeTextFileSync(index, JSON.stringify({ weight_map: { ...map, [name]: outside } }));
    await refused(`the index names ${outside}`, outside, "no file beside it");
  }
  Deno.writeTextFileSync(
    index,
    JSON.stringify({ weight_map: { ...map, "bert.extra": "model-00002-of-00002.safetensors" } }),
  );
  await refused("the index names a tensor that is not there", "bert.extra is in model-00002", "not there");
  Deno.writeTextFileSync(index, good);
  Deno.writeTextFileSync(`${model}/adapter_config.json`, "{}");
  await refused("an adapter is there", "adapter_config.json", "merge it");
  Deno.removeSync(`${model}/adapter_config.json`);
  for (const file of [index, second, `${model}/model-00001-of-00002.safetensors`]) Deno.removeSync(file);
  await refused("there are none", "has no model.safetensors, and no pytorch_model.bin");
  Deno.writeTextFileSync(`${model}/tf_model.h5`, "");
  await refused("there are TensorFlow's", "transformers 4");
  Deno.copyFileSync(`${golden}module.bin`, `${model}/pytorch_model.bin`);
  await refused("a pickle holds code", "torch.nn.modules.linear.Linear", "nothing was run");
});

testWithCore("a model answers without tensors of a head that is not known, and says so", async () => {
  using place = await trainedPlace();
  const path = `${place.path}/model/model.safetensors`, bytes = Deno.readFileSync(path);
  const start = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)));
  Deno.removeSync(`${place.path}/model/SHA256SUMS`);
  const add = (name: string) => {
    const end = bytes.length - start;
    const text = new TextEncoder().encode(
      JSON.stringify({ ...header, [name]: { dtype: "F32", shape: [1], data_offsets: [end, end + 4] } }),
    );
    const length = new Uint8Array(new BigUint64Array([BigInt(text.length)]).buffer);
    const file = new Uint8Array(8 + text.length + end + 4);
    file.set(length);
    file.set(text, 8);
    file.set(bytes.subarray(start), 8 + text.length);
    Deno.writeFileSync(path, file);
  };
  add("crf.transitions");
  const { stderr } = await predictions(place, ["The [MASK] sees."], "--model", "model");
  assertStringIncludes(stderr, "not used: crf.transitions");
  add("bert.pooler.dense.bias");
  assert(!(await predictions(place, ["The [MASK] sees."], "--model", "model")).stderr.includes("not used"));
  add("bert.encoder.layer.2.output.dense.bias");
  const refused = await place.cloze(["predict", "--model", "model"], { input: "The [MASK] sees.\n" });
  assertEquals(refused.code, 1);
  assertStringIncludes(refused.stderr, "has no tensor bert.encoder.layer.2.output.dense.bias");
});
