/**
 * `cloze pretrain` on real text against the bare step. The command runs as it is; every half second, between two of its
 * updates, the same engine is fed for half a second with batches that the command made before, one call after the other and
 * nothing else. Turns that short, in one process, because the machine's speed drifts by more than is to be measured.
 * What counts for the command is everything that it does from one turn to the next; evaluations and checkpoints are
 * measured apart, in a run of their own. Writes results/pretrain.json. Not part of the product.
 *
 * usage: deno run -A bench/pretrain.ts TEXT… [--turns 40] [--case tiny,128,bf16]…
 */

import { run } from "../cli/commands/pretrain/command.ts";
import type { PretrainOptions } from "../cli/commands/pretrain/flags.ts";
import type { Batch } from "../config/batch.ts";
import { Engine } from "../ffi/mod.ts";
import { readMetrics } from "../run/metrics_file.ts";
import { copyOf } from "../training/update.ts";
import { machine, median } from "./peers.ts";

/** Preset, longest sequence, dtype. */
const CASES = ["tiny,128,bf16", "mini,64,bf16", "mini,128,bf16"];
const VOCAB_SIZE = 8192;
/** Batches that the bare step goes round in. */
const BATCHES = 64;
const TURN_MS = 500;
const WARM_UP_TURNS = 2;
/** Budget of the run whose evaluations and checkpoints are measured. */
const WHOLE_RUN_MS = 30_000;

/** Takes turns with the program, from inside: `update` of every engine does not return before the bare step had its turn. */
class Turns {
  readonly program: number[] = [];
  readonly bare: number[] = [];
  readonly #batches: Batch[] = [];
  readonly #turns: number;
  readonly #restore: () => void;
  #next = 0;
  #tokens = 0;
  #began = 0;

  constructor(turns: number) {
    this.#turns = turns;
    const { forwardBackward, update } = Engine.prototype;
    this.#restore = () => void Object.assign(Engine.prototype, { forwardBackward, update });
    const seen = (batch: Batch) => {
      this.#tokens += batch.input_ids.length;
      if (this.#batches.length < BATCHES && batch.labels.length > 0) this.#batches.push(copyOf(batch));
    };
    const takeTurns = async (engine: Engine, learningRate: number, step: number) => {
      const elapsed = performance.now() - this.#began;
      if (this.#began > 0 && elapsed < TURN_MS) return;
      if (this.#began > 0 && this.#batches.length === BATCHES) {
        this.program.push(1000 * this.#tokens / elapsed);
        const began = performance.now();
        let tokens = 0;
        while (performance.now() - began < TURN_MS) {
          const batch = this.#batches[this.#next++ % BATCHES]; // goes on where the last turn ended
          await forwardBackward.call(engine, batch, step, 0);
          await update.call(engine, learningRate, step);
          tokens += batch.input_ids.length;
        }
        this.bare.push(1000 * tokens / (performance.now() - began));
      }
      this.#tokens = 0;
      this.#began = performance.now();
    };
    Object.assign(Engine.prototype, {
      forwardBackward(this: Engine, ...args: Parameters<typeof forwardBackward>) {
        seen(args[0] as Batch);
        return forwardBackward.apply(this, args);
      },
      async update(this: Engine, learningRate: number, step: number) {
        const result = await update.call(this, learningRate, step);
        await takeTurns(this, learningRate, step);
        return result;
      },
    });
  }

  get done(): boolean {
    return this.bare.length >= this.#turns + WARM_UP_TURNS;
  }

  [Symbol.dispose](): void {
    this.#restore();
  }
}

async function pretrain(name: string, options: PretrainOptions): Promise<void> {
  const [preset, length, dtype] = name.split(",");
  await run({
    ...options,
    preset: preset as "tiny",
    dtype: dtype as "bf16",
    "max-sequence-length": Number(length),
    "vocab-size": VOCAB_SIZE,
  }, { typed: "bench/pretrain.ts" });
}

async function compare(name: string, texts: string[], turns: number, folder: string) {
  const seconds = Math.ceil((turns + WARM_UP_TURNS + 2) * 3 * TURN_MS / 1000);
  const never = { "evaluate-every": 1e9, "save-every": 1e9 };
  using sides = new Turns(turns);
  await pretrain(name, { data: texts, output: `${folder}/${name}`, ...never, budget: 1000 * seconds });
  if (!sides.done) throw new Error(`${name}: ${sides.bare.length} turns in ${seconds} s`);
  const [program, bare] = [sides.program, sides.bare].map((rates) => rates.slice(WARM_UP_TURNS, WARM_UP_TURNS + turns));
  const ratios = program.map((rate, i) => rate / bare[i]);
  const row = {
    case: name,
    pretrain_tokens_per_second: Math.round(median(program)),
    bare_tokens_per_second: Math.round(median(bare)),
    median_ratio: Number(median(ratios).toFixed(3)),
    ratios: ratios.map((ratio) => Number(ratio.toFixed(3))),
  };
  console.log(row);
  return row;
}

/** Of an ordinary run: the share of its time that is neither step nor what belongs to one. */
async function pauses(name: string, texts: string[], folder: string) {
  const output = `${folder}/whole`;
  await pretrain(name, { data: texts, output, budget: WHOLE_RUN_MS });
  const train = (await readMetrics(`${output}/metrics.jsonl`)).filter((metric) => metric.kind === "train");
  const seconds = train.reduce((sum, { tokens, tokens_per_second }, i) => {
    return sum + (tokens - (train[i - 1]?.tokens ?? 0)) / tokens_per_second;
  }, 0);
  const whole = train[train.length - 1].elapsed_ms / 1000;
  return {
    case: name,
    budget: `${WHOLE_RUN_MS / 1000}s`,
    evaluations_and_checkpoints_share: Number((1 - seconds / whole).toFixed(3)),
  };
}

if (import.meta.main) {
  const texts = Deno.args.filter((x, i) => !x.startsWith("--") && !Deno.args[i - 1]?.startsWith("--"));
  const cases = Deno.args.filter((_, i) => Deno.args[i - 1] === "--case");
  const at = Deno.args.indexOf("--turns");
  const turns = at < 0 ? 40 : Number(Deno.args[at + 1]);
  const folder = await Deno.makeTempDir();
  const rows = [];
  for (const name of cases.length === 0 ? CASES : cases) rows.push(await compare(name, texts, turns, folder));
  const whole = cases.length === 0 ? await pauses(CASES[1], texts, folder) : undefined;
  await Deno.remove(folder, { recursive: true });
  const args = Deno.args.map((x) => x.replace(/^.*\//, "")); // a text is named, not where it lies
  const command = `deno run -A bench/pretrain.ts ${args.join(" ")}`;
  const result = { command, machine: await machine(), threads: navigator.hardwareConcurrency, turns, rows, whole };
  await Deno.writeTextFile(`${import.meta.dirname}/results/pretrain.json`, JSON.stringify(result, null, 2) + "\n");
}
