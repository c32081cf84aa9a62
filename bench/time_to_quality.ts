/**
 * How good a model is after a wall clock that begins with the process and ends with the saved folder: `cloze pretrain`, by
 * its default recipe and by `--recipe bert`, beside PyTorch's trainings of the same BERT, and of a ModernBERT of the same
 * cost, on the same text with the same vocabulary, learned before. Sides take turns, seed by seed, and `evaluate` measures all of them alike: nats a token that
 * is masked, 15% of them, of the same held-out text. Also how soon cloze was as good as each peer at its end, from its own
 * evaluations on the way (its learning rate was not near zero there, so that it is no favour).
 * Writes results/time_to_quality-NAME.json. Not part of the product.
 *
 * usage: deno run -A bench/time_to_quality.ts NAME --data TEXT… --valid TEXT [--budget 180] [--preset tiny] [--length 64]
 *          [--seeds 3] [--sides cloze,cloze-bert,trainer,trainer-fast,tuned,tuned-fast,modernbert] [--dtype bf16] [--threads N]
 *
 * A side of PyTorch has the preset's learning rate; `trainer@0.5` has half of it. `cloze/15` is a run of its own that has a
 * fifteenth of the time, its start and its text included.
 */

import { type Preset, presetConfig } from "../config/model_config.ts";
import { PRESET_TRAINING } from "../config/run_config.ts";
import { modernbert } from "../model/families/modernbert.ts";
import { readMetrics } from "../run/metrics_file.ts";
import { machine, median, peerPython } from "./peers.ts";

const values = (name: string, otherwise: string[]) => {
  const at = Deno.args.indexOf(`--${name}`);
  const rest = Deno.args.slice(at + 1), end = rest.findIndex((word) => word.startsWith("--"));
  return at < 0 ? otherwise : end < 0 ? rest : rest.slice(0, end);
};
const value = (name: string, otherwise: string) => values(name, [otherwise])[0];

/** As published, and as far as PyTorch's sides can have what the recipe `fast` has: its mean share of masks, no dropout. */
const PUBLISHED = { mlm_probability: 0.15, dropout: 0.1 }, FAST = { mlm_probability: 0.275, dropout: 0 };
const PEERS: Record<string, { way: string; mlm_probability: number; dropout: number; architecture?: string }> = {
  "trainer": { way: "trainer", ...PUBLISHED },
  "trainer-fast": { way: "trainer", ...FAST },
  "tuned": { way: "tuned", ...PUBLISHED },
  "tuned-fast": { way: "tuned", ...FAST },
  "modernbert": { way: "tuned", ...FAST, architecture: "modernbert" },
};
/** Tokens that every side is measured on: as many as a run of cloze measures itself on. */
const MEASURED = 1 << 16;
/** A malloc that keeps its memory, which PyTorch is faster with. */
const MALLOC = { GLIBC_TUNABLES: "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=4294967296" };

const [name] = Deno.args;
const texts = values("data", []), [valid] = values("valid", []);
if (name === undefined || name.startsWith("--") || texts.length === 0 || valid === undefined) {
  throw new Error("see the usage in the file's header");
}
const seconds = Number(value("budget", "180")), seeds = Number(value("seeds", "3"));
const preset = value("preset", "tiny") as Preset, length = Number(value("length", "64"));
const dtype = value("dtype", "bf16"), threads = Number(value("threads", String(navigator.hardwareConcurrency)));
const sides = value("sides", ["cloze", "cloze-bert", ...Object.keys(PEERS)].join(",")).split(",");
const folder = await Deno.makeTempDir();
const tokenizer = `${folder}/tokenizer`;
const main = new URL("../cli/main.ts", import.meta.url).pathname;

/** What came of a side with a seed. */
interface Row {
  side: string;
  seed: number;
  /** Nats a masked token, and the share of them that is right. */
  loss: number;
  accuracy: number;
  /** From the start of the process to its end. */
  seconds: number;
  steps: number;
  parameters: number;
  /** Held-out losses on the way, by seconds since the start of the process. */
  curve: [number, number][];
}

/** Runs a command of cloze and gives what it prints. */
async function cloze(args: string[]): Promise<string> {
  const command = new Deno.Command(Deno.execPath(), { args: ["run", "-A", "-q", main, ...args] });
  const { code, stdout, stderr } = await command.output();
  if (code !== 0) throw new Error(`cloze ${args.join(" ")}: ${new TextDecoder().decode(stderr).slice(-2000)}`);
  return new TextDecoder().decode(stdout);
}

/** Trains with cloze; gives the time from the start of the process. */
async function pretrain(recipe: string, seed: number, output: string, extent: string[]): Promise<number> {
  const began = performance.now();
  await cloze([
    ...["pretrain", "--data", ...texts, "--valid", valid, "--output", output, "--tokenizer", tokenizer],
    ...["--preset", preset, "--recipe", recipe, "--max-sequence-length", String(length), "--seed", String(seed)],
    ...["--dtype", dtype, "--threads", String(threads), ...extent],
  ]);
  return (performance.now() - began) / 1000;
}

/** What a run takes besides its training: to start, read the text, measure and save. Measured once, before all turns. */
async function overhead(): Promise<number> {
  return await pretrain("fast", 0, `${folder}/overhead/run`, ["--steps", "1"]);
}

/** A side of cloze. Each run has a folder of its own: one beside it would find its text tokenized. */
async function ours(side: string, seed: number, spent: number) {
  const output = `${folder}/${side.replace("/", "-")}-${seed}/run`;
  const [name, part = "1"] = side.split("/");
  const budget = Math.max(1, Math.floor(seconds / Number(part) - spent));
  const took = await pretrain(name === "cloze" ? "fast" : "bert", seed, output, ["--budget", `${budget}s`]);
  const lines = await readMetrics(`${output}/metrics.jsonl`);
  const curve = lines.flatMap((line) =>
    line.kind === "evaluation" ? [[took - budget + line.elapsed_ms / 1000, line.loss] as [number, number]] : []
  );
  const parameters = lines.find((line) => line.kind === "start")?.engine.parameter_count ?? 0;
  return { output, seconds: took, steps: lines.at(-1)?.step ?? 0, parameters, curve };
}

/** A model of PyTorch: the same BERT, or the ModernBERT whose presets cost a token about as much. */
function peerConfig(architecture: string | undefined, vocab_size: number) {
  const config = presetConfig(preset, vocab_size);
  if (architecture !== "modernbert") return config;
  const { hidden_size, num_attention_heads, pad_token_id, num_hidden_layers: layers } = config;
  const shape = modernbert.shape!(layers, hidden_size);
  return { model_type: "modernbert", vocab_size, hidden_size, num_attention_heads, pad_token_id, ...shape };
}

/** A side of PyTorch: its name, and `@` the share of the preset's learning rate. */
async function peer(side: string, seed: number) {
  const [name, share = "1"] = side.split("@");
  const { architecture, ...way } = PEERS[name];
  const output = `${folder}/${side}-${seed}`;
  const { vocab_size } = JSON.parse(await Deno.readTextFile(`${folder}/overhead/run/config.json`));
  const { learning_rate, batch_tokens } = PRESET_TRAINING[preset];
  const began = Date.now() / 1000;
  const request = {
    ...{ ...way, began, seconds, files: texts, tokenizer, config: peerConfig(architecture, vocab_size) },
    ...{ max_sequence_length: length, learning_rate: learning_rate * Number(share), batch_tokens },
    ...{ bf16: dtype === "bf16", threads, seed, output },
  };
  const args = [new URL("peers/time_to_quality.py", import.meta.url).pathname, JSON.stringify(request)];
  const { code, stdout, stderr } = await new Deno.Command(await peerPython(), { args, env: MALLOC }).output();
  if (code !== 0) throw new Error(`${side}: ${new TextDecoder().decode(stderr).slice(-2000)}`);
  const took = Date.now() / 1000 - began;
  for (const file of ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]) {
    await Deno.copyFile(`${tokenizer}/${file}`, `${output}/${file}`);
  }
  const { steps, parameters, ...versions } = JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1)!);
  return { output, seconds: took, steps, parameters, curve: [], versions };
}

/** When a curve reaches a loss, in seconds, in a straight line between its points. */
function reaches(curve: [number, number][], loss: number): number | undefined {
  const i = curve.findIndex((point) => point[1] <= loss);
  if (i <= 0) return curve[i]?.[0];
  const [[t0, y0], [t1, y1]] = [curve[i - 1], curve[i]];
  return t0 + (t1 - t0) * (y0 - loss) / (y0 - y1);
}

await cloze(["train-tokenizer", "--data", ...texts, "--vocab-size", "8000", "--output", tokenizer]);
const spent = await overhead();
const rows: Row[] = [];
let versions = {};
for (let seed = 0; seed < seeds; seed++) {
  for (const side of sides) {
    const { output, ...made } = side.split("@")[0] in PEERS ? await peer(side, seed) : await ours(side, seed, spent);
    if ("versions" in made) versions = made.versions;
    const measured = ["--max-tokens", String(MEASURED), "--max-sequence-length", String(length), "--json"];
    const { loss, accuracy } = JSON.parse(await cloze(["evaluate", "--model", output, "--data", valid, ...measured]));
    const { seconds, steps, parameters, curve } = made;
    const row = { side, seed, loss, accuracy, seconds, steps, parameters, curve };
    rows.push(row);
    console.log(
      `${side} ${seed}: ${loss.toFixed(3)} nats, ${(100 * accuracy).toFixed(1)}%, ${row.steps} steps, ${
        row.seconds.toFixed(0)
      } s`,
    );
  }
}
const table = sides.map((side) => {
  const own = rows.filter((row) => row.side === side);
  const loss = median(own.map((row) => row.loss));
  const reached = rows.filter((row) => row.side === "cloze").map(({ curve }) => reaches(curve, loss));
  return {
    side,
    loss,
    least: Math.min(...own.map((row) => row.loss)),
    most: Math.max(...own.map((row) => row.loss)),
    accuracy: median(own.map((row) => row.accuracy)),
    steps: median(own.map((row) => row.steps)),
    cloze_reached_it_after_s: reached.length === 0 || reached.includes(undefined) ? null : median(reached as number[]),
  };
});
console.table(table);
await Deno.remove(folder, { recursive: true });
const command = `deno run -A bench/time_to_quality.ts ${Deno.args.map((x) => x.replace(/^.*\//, "")).join(" ")}`;
const result = { command, machine: await machine(), threads, dtype, seconds, overhead_s: spent, versions, table, rows };
await Deno.writeTextFile(
  `${import.meta.dirname}/results/time_to_quality-${name}.json`,
  JSON.stringify(result, null, 2) + "\n",
);
