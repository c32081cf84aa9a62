/** Folders and files as someone may send them: each a good one with one thing wrong, made by `hostile.ts`. */

import type { Draw } from "./random.ts";

/** One thing that is wrong. */
export interface HostileCase {
  name: string;
  /** Which good folder it is made from. */
  base: "model" | "classifier";
  /** The command line; the folder is `target`. */
  args: string[];
  /** Makes it wrong, in the copy of the folder. */
  spoil(folder: string): Promise<void> | void;
  /** Whether the command may only refuse it or answer as for the good folder: another answer would be wrong in silence. */
  sameAnswer: boolean;
}

type Json = Record<string, unknown>;

const PREDICT = ["predict", "--model", "target", "--threads", "1"];
/** The run goes on beyond its end, so that all of its record is needed. */
const RESUME = ["pretrain", "--resume", "target", "--steps", "6", "--threads", "1"];

/** Files of the two folders, with a command that reads each. */
const FILES: [base: HostileCase["base"], file: string, args: string[]][] = [
  ["model", "config.json", PREDICT],
  ["model", "tokenizer.json", PREDICT],
  ["model", "tokenizer_config.json", PREDICT],
  ["model", "model.safetensors", PREDICT],
  ["model", "run.json", RESUME],
  ["model", "run.json", ["report", "target"]],
  ["model", "metrics.jsonl", ["report", "target"]],
  ["classifier", "config.json", PREDICT],
  ["classifier", "finetune.json", ["report", "target"]],
];

/** What stands where a file should be. */
const PLACES: Record<string, (path: string) => Promise<unknown> | unknown> = {
  "nothing": () => {},
  "an empty file": (path) => Deno.writeTextFile(path, ""),
  "a FIFO": (path) => new Deno.Command("mkfifo", { args: [path] }).output(),
  "a folder": (path) => Deno.mkdir(path),
  "a link to an endless device": (path) => Deno.symlink("/dev/zero", path),
  "a link to a terminal": (path) => Deno.symlink("/dev/tty", path),
  "a link to itself": (path) => Deno.symlink(path, path),
  "a link to nothing": (path) => Deno.symlink("/nowhere/at/all", path),
  "a file of the system that has no size": (path) => Deno.symlink("/proc/self/environ", path),
  "a file of 3 GB": (path) => hole(path, 3e9),
  "a file of 8 EB": (path) => hole(path, 2 ** 42),
  "a NUL byte": (path) => Deno.writeFile(path, new Uint8Array(1)),
  "random bytes": (path) => Deno.writeFile(path, crypto.getRandomValues(new Uint8Array(5000))),
  "UTF-16": (path) => Deno.writeFile(path, new Uint8Array(Uint16Array.from('{"a": 1}', (c) => c.charCodeAt(0)).buffer)),
};

async function hole(path: string, size: number): Promise<void> {
  await Deno.writeTextFile(path, "{");
  // A file system may not have files as large.
  await Deno.truncate(path, size).catch(() => Deno.truncate(path, 2 ** 40));
}

/** Texts that stand where JSON should be. */
const TEXTS: Record<string, string> = {
  "null": "null",
  "an array": "[]",
  "a number": "3",
  "a string": '"\\u001b[31m"',
  "an empty object": "{}",
  "half of an object": '{"architectures": ["BertForMaskedLM"',
  "a million brackets": "[".repeat(1e6),
  "a million closed brackets": "[".repeat(1e6) + "]".repeat(1e6),
  "objects in objects": '{"a":'.repeat(2e5) + "1" + "}".repeat(2e5),
  "a control character": "{\x1b[31m}",
  "many keys": JSON.stringify(Object.fromEntries(Array.from({ length: 2e5 }, (_, i) => [`k${i}`, i]))),
  "a name that all objects have": '{"__proto__": {"hidden_size": 1}, "constructor": 3, "toString": []}',
};

/** Values that stand where another one should be. */
const VALUES: unknown[] = [
  ...[null, true, false, 0, -1, 1.5, 3, 2 ** 31, 2 ** 53, 1e300, -1e300, "", "x", "\x1b[31m\u202e", "../../../etc"],
  ...[[], [null], [[[]]], {}, { a: { b: {} } }, "y".repeat(1e5), Array(1e4).fill(0)],
];

/** What a config.json may ask for beyond reason, or say so that the answer would be another one. */
const CONFIGS: Json[] = [
  { max_position_embeddings: 131072 },
  { max_position_embeddings: 2 ** 20 },
  { intermediate_size: 65536 },
  { hidden_size: 2 ** 17 },
  { hidden_size: 2 ** 17, num_hidden_layers: 1024, intermediate_size: 2 ** 19 },
  { vocab_size: 2 ** 28 },
  { vocab_size: 1e9 },
  { num_hidden_layers: 1024 },
  { num_hidden_layers: 0 },
  { num_attention_heads: 32 },
  { num_attention_heads: 3 },
  { type_vocab_size: 2 ** 16 },
  { layer_norm_eps: 0 },
  { layer_norm_eps: -1e-12 },
  { tie_word_embeddings: false },
  { hidden_act: "quick_gelu" },
  { hidden_act: "gelu_10" },
  { position_embedding_type: "relative_key" },
  { is_decoder: true },
  { is_decoder: "true" },
  { add_cross_attention: true },
  { is_encoder_decoder: true },
  { pruned_heads: { "0": [0] } },
  { quantization_config: { quant_method: "bitsandbytes" } },
  { architectures: ["BertForQuestionAnswering"] },
  { architectures: ["BertForSequenceClassification"] },
  { architectures: ["BertModel"] },
  { architectures: [] },
  { architectures: Array(1e5).fill("BertForMaskedLM") },
  { model_type: "roberta" },
  { model_type: "cloze_left_to_right_classifier" },
  { problem_type: "regression" },
  { pad_token_id: 1e6 },
];

const labels = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [i, `l${i}`]));

/** The same for a classifier. */
const CLASSIFIER_CONFIGS: Json[] = [
  { problem_type: "regression" },
  { problem_type: "ranking" },
  { problem_type: ["single_label_classification"] },
  { id2label: { "0": "only one" } },
  { id2label: { "1": "a", "2": "b" } },
  { id2label: { "0": "a", "1": null } },
  { id2label: { "0": "a", "1000000000": "b" } },
  { id2label: labels(3) },
  { id2label: labels(2e5) },
  { id2label: ["no", "yes"] },
  { num_labels: 1e9, id2label: undefined },
  { num_labels: -1 },
  { num_labels: 3 },
  { is_decoder: true },
  { classifier_dropout: 2 },
  { classifier_dropout: "much" },
];

/** Fields of a config.json that are numbers which a model honours: another number is another model. */
const HONOURED = new Set(["layer_norm_eps", "max_position_embeddings", "num_attention_heads", "id2label"]);

/** All cases, or those that a sample takes of each kind. */
export function hostileCases(draw: Draw, most: number, fields: Record<string, string[]>): HostileCase[] {
  const kinds = [places(), texts(), configs(), values(draw, fields), safetensors(draw), cuts(draw)];
  const all = kinds.flatMap((cases) => cases);
  if (most >= all.length) return all;
  // Of each kind as many, in another order each time.
  return kinds.flatMap((cases) => {
    const left = [...cases];
    return Array.from({ length: Math.ceil(most / kinds.length) }, () => left.splice(draw.below(left.length), 1)[0]);
  }).filter((one) => one !== undefined);
}

function replaced(file: string, make: (path: string) => Promise<unknown> | unknown) {
  return async (folder: string) => {
    const path = `${folder}/${file}`;
    await Deno.remove(path).catch(() => {});
    await make(path);
  };
}

function places(): HostileCase[] {
  return FILES.flatMap(([base, file, args]) =>
    Object.entries(PLACES).map(([what, make]) => ({
      name: `${args[0]}: ${file} is ${what}`,
      base,
      args,
      spoil: replaced(file, make),
      sameAnswer: file === "config.json" || file === "model.safetensors",
    }))
  );
}

function texts(): HostileCase[] {
  return FILES.filter(([, file]) => !file.endsWith(".safetensors")).flatMap(([base, file, args]) =>
    Object.entries(TEXTS).map(([what, text]) => ({
      name: `${args[0]}: ${file} is ${what}`,
      base,
      args,
      spoil: replaced(file, (path) => Deno.writeTextFile(path, text)),
      sameAnswer: file === "config.json",
    }))
  );
}

/** Changes fields of a JSON file; a field that becomes undefined is taken away. */
function changed(file: string, change: (json: Json) => void) {
  return async (folder: string) => {
    const path = `${folder}/${file}`;
    const json = JSON.parse(await Deno.readTextFile(path));
    delete json.checksum; // who spoils a file can make another one
    change(json);
    await Deno.writeTextFile(path, JSON.stringify(json));
  };
}

function configs(): HostileCase[] {
  const of = (base: HostileCase["base"]) => (fields: Json): HostileCase => ({
    name: `predict: config.json of a ${base} with ${JSON.stringify(fields)?.slice(0, 120)}`,
    base,
    args: PREDICT,
    spoil: changed("config.json", (json) => Object.assign(json, fields)),
    sameAnswer: !Object.keys(fields).some((field) => HONOURED.has(field)),
  });
  return [...CONFIGS.map(of("model")), ...CLASSIFIER_CONFIGS.map(of("classifier"))];
}

/** Every field of every JSON file, with some of the values. */
function values(draw: Draw, fields: Record<string, string[]>): HostileCase[] {
  return FILES.filter(([, file]) => file.endsWith(".json")).flatMap(([base, file, args]) =>
    (fields[`${base}/${file}`] ?? []).flatMap((path) => {
      const chosen = [undefined, draw.pick(VALUES), draw.pick(VALUES), draw.pick(VALUES)];
      return chosen.map((value): HostileCase => ({
        name: `${args[0]}: ${path} of ${file} is ${JSON.stringify(value)?.slice(0, 60) ?? "missing"}`,
        base,
        args,
        spoil: changed(file, (json) => put(json, path.split("/"), value)),
        sameAnswer: file === "config.json" && !HONOURED.has(path.split("/")[0]) && value !== undefined,
      }));
    })
  );
}

function put(json: Json, [first, ...rest]: string[], value: unknown): void {
  if (rest.length === 0) json[first] = value;
  else put(json[first] as Json, rest, value);
}

/** Paths of the fields of an object, two deep; of many fields that are alike, the first ones. */
export function fieldsOf(json: Json, prefix = "", depth = 2): string[] {
  return Object.entries(json).slice(0, 40).flatMap(([name, value]) => {
    const inner = typeof value === "object" && value !== null && !Array.isArray(value) && depth > 1
      ? fieldsOf(value as Json, `${prefix}${name}/`, depth - 1).slice(0, 12)
      : [];
    return [`${prefix}${name}`, ...inner];
  }).filter((path) => !path.includes("//"));
}

/** Headers of safetensors that lie. */
function safetensors(draw: Draw): HostileCase[] {
  const header = (json: string, length = json.length, body = 0) => {
    const bytes = new Uint8Array(8 + json.length + body);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
    bytes.set(new TextEncoder().encode(json), 8);
    return bytes;
  };
  const tensor = (shape: unknown, offsets: unknown, dtype = "F32") =>
    JSON.stringify({ "bert.embeddings.word_embeddings.weight": { dtype, shape, data_offsets: offsets } });
  const files: Record<string, Uint8Array> = {
    "a header longer than the file": header("{}", 1e12),
    "a header of 2^63": new Uint8Array([...Array(7).fill(0xff), 0x7f, 0x7b]),
    "an empty header": header("{}"),
    "a header that is no JSON": header("{{{{"),
    "a nested header": header('{"a":'.repeat(1e5)),
    "a shape beyond 2^64": header(tensor([2 ** 40, 2 ** 40], [0, 4]), undefined, 4),
    "negative offsets": header(tensor([1], [-4, 0]), undefined, 4),
    "offsets that cross": header(tensor([1], [4, 0]), undefined, 4),
    "an unknown dtype": header(tensor([1], [0, 4], "F128"), undefined, 4),
    "a tensor of nothing": header(tensor([0], [0, 0])),
    "no other tensor": header(tensor([1], [0, 4]), undefined, 4),
  };
  const bytes = (what: string, change: (old: Uint8Array) => Uint8Array): HostileCase => ({
    name: `predict: model.safetensors ${what}`,
    base: "model",
    args: PREDICT,
    spoil: async (folder) => {
      const path = `${folder}/model.safetensors`;
      await Deno.writeFile(path, change(await Deno.readFile(path)));
    },
    sameAnswer: false,
  });
  const flip = (old: Uint8Array) => {
    const at = draw.below(Math.min(old.length, 4000)); // of the header
    const copy = old.slice();
    copy[at] ^= 1 << draw.below(8);
    return copy;
  };
  return [
    ...Object.entries(files).map(([what, file]) => bytes(`has ${what}`, () => file)),
    ...Array.from({ length: 20 }, (_, i) => bytes(`has a bit of its header flipped (${i})`, flip)),
    ...[0.1, 0.5, 0.9, 0.999].map((share) => bytes(`is cut at ${share}`, (old) => old.slice(0, share * old.length))),
    bytes("is followed by more", (old) => Uint8Array.from([...old, 0, 0, 0, 0])),
  ];
}

/** Text files cut off somewhere. */
function cuts(draw: Draw): HostileCase[] {
  return FILES.filter(([, file]) => !file.endsWith(".safetensors")).flatMap(([base, file, args]) =>
    [1, 2, 3].map((i): HostileCase => ({
      name: `${args[0]}: ${file} is cut off (${i})`,
      base,
      args,
      spoil: async (folder) => {
        const path = `${folder}/${file}`;
        const old = await Deno.readFile(path);
        await Deno.writeFile(path, old.slice(0, draw.below(old.length)));
      },
      sameAnswer: file === "config.json",
    }))
  );
}
