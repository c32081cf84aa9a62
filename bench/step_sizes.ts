/** The training steps that are measured, and the two sides that measure them. Used by the scripts in bench/. */

import type { ModernBertConfig } from "../config/model_config.ts";
import { JsonLines, machine, median, peerPython } from "./peers.ts";

/** A model, and the batch that it is trained on. */
export interface StepSize {
  /** BERT, if it is not said. */
  model_type?: "modernbert";
  modernbert?: ModernBertConfig;
  hidden_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  intermediate_size: number;
  vocab_size: number;
  /** Sequences, and the tokens of each. */
  batch: number;
  sequence_length: number;
}

/** What cloze_step.ts and peers/training_step.py are asked to build. */
export interface StepRequest {
  size: StepSize;
  dtype: "f32" | "bf16";
  /** Tokens of each sequence. */
  lengths: number[];
  /** PyTorch's: see peers/training_step.py. */
  variant?: string;
}

/** Heads of 64, a feed-forward layer four times as wide. */
export function stepSize(
  hidden_size: number,
  num_hidden_layers: number,
  vocab_size: number,
  batch: number,
  sequence_length = 128,
): StepSize {
  const [num_attention_heads, intermediate_size] = [hidden_size / 64, 4 * hidden_size];
  return {
    hidden_size,
    num_hidden_layers,
    num_attention_heads,
    intermediate_size,
    vocab_size,
    batch,
    sequence_length,
  };
}

/** ModernBERT at the shapes of Ettin's encoders (Weller et al., 2025). */
function modernbert(hidden_size: number, num_hidden_layers: number, num_attention_heads: number): StepSize {
  const size = { ...stepSize(hidden_size, num_hidden_layers, 50368, 8, 512), num_attention_heads };
  return { ...size, model_type: "modernbert", intermediate_size: 1.5 * hidden_size };
}

/** The sizes a, b and c, and Ettin's of 17 and 32 million parameters. */
export const SIZES = {
  a: stepSize(128, 2, 8192, 32),
  b: stepSize(256, 4, 8192, 32),
  c: stepSize(768, 12, 30522, 8),
  ettin17m: modernbert(256, 7, 4),
  ettin32m: modernbert(384, 10, 6),
};

/** glibc keeps freed memory instead of giving it back: PyTorch's page faults cost it 20 to 60% otherwise. */
export const TUNED_MALLOC = {
  GLIBC_TUNABLES:
    "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=34359738368:glibc.malloc.top_pad=268435456",
};

/** What a side answers. */
interface Turn {
  ms: number[];
  peak_mb: number;
  cpu_ms: number;
}

/** A side: a process that runs training steps when asked. */
export class StepSide implements AsyncDisposable {
  readonly #child: JsonLines;
  instruction_set = "";
  peak_mb = 0;
  /** Processor time of a step, in ms, of the last turn: all threads, and what they wait for each other in a loop. */
  cpu_ms = 0;

  private constructor(child: JsonLines) {
    this.#child = child;
  }

  static async cloze(threads: number, request: StepRequest): Promise<StepSide> {
    const script = `${import.meta.dirname}/cloze_step.ts`;
    return await StepSide.#open(new JsonLines(Deno.execPath(), ["run", "-A", "-q", script, `${threads}`]), request);
  }

  static async pytorch(threads: number, request: StepRequest, env: Record<string, string>): Promise<StepSide> {
    const script = `${import.meta.dirname}/peers/training_step.py`;
    return await StepSide.#open(new JsonLines(await peerPython(), [script, `${threads}`], env), request);
  }

  static async #open(child: JsonLines, request: StepRequest): Promise<StepSide> {
    const side = new StepSide(child);
    side.instruction_set = (await child.ask<{ instruction_set?: string }>(request)).instruction_set ?? "";
    return side;
  }

  /** Median of so many steps, in ms. */
  async steps(count: number): Promise<number> {
    const { ms, peak_mb, cpu_ms } = await this.#child.ask<Turn>({ steps: count });
    [this.peak_mb, this.cpu_ms] = [peak_mb, cpu_ms / count];
    return median(ms);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.close();
  }
}

/** Both sides in turns; a first round warms up. `tokens` are those of a step, `steps` is how many a turn has. */
export async function inTurns(ours: StepSide, theirs: StepSide, rounds: number, steps: number, tokens: number) {
  const mine: number[] = [], peer: number[] = [], cpu: [number, number][] = [];
  for (let round = -1; round < rounds; round++) {
    const a = await ours.steps(steps), b = await theirs.steps(steps);
    if (round >= 0) mine.push(a), peer.push(b), cpu.push([ours.cpu_ms, theirs.cpu_ms]);
  }
  const ratios = mine.map((ms, i) => peer[i] / ms);
  const fixed = (x: number) => Number(x.toFixed(2));
  const [cloze_ms, peer_ms] = [fixed(median(mine)), fixed(median(peer))];
  return {
    cloze_tokens_per_second: Math.round(1000 * tokens / cloze_ms),
    peer_tokens_per_second: Math.round(1000 * tokens / peer_ms),
    cloze_ms,
    peer_ms,
    median_ratio: fixed(median(ratios)),
    min_ratio: fixed(Math.min(...ratios)),
    max_ratio: fixed(Math.max(...ratios)),
    cloze_cpu_ms: fixed(median(cpu.map(([ours]) => ours))),
    peer_cpu_ms: fixed(median(cpu.map(([, theirs]) => theirs))),
    median_cpu_ratio: fixed(median(cpu.map(([ours, theirs]) => theirs / ours))),
    cloze_peak_mb: Math.round(ours.peak_mb),
    peer_peak_mb: Math.round(theirs.peak_mb),
  };
}

/** Writes what a script has measured beside PyTorch, with where and how, to `results/NAME.json`. */
export async function writeResult(name: string, script: string, measured: Record<string, unknown>): Promise<void> {
  const command = `deno run -A bench/${script} ${Deno.args.join(" ")}`.trim();
  const result = { command, machine: await machine(), ...await peerVersions(), ...measured };
  await Deno.writeTextFile(`${import.meta.dirname}/results/${name}.json`, JSON.stringify(result, null, 2) + "\n");
}

/** Versions of the peer's packages. */
async function peerVersions(): Promise<Record<string, string>> {
  const script = "import torch,transformers;print(torch.__version__,transformers.__version__)";
  const { stdout } = await new Deno.Command(await peerPython(), { args: ["-c", script] }).output();
  const [torch, transformers] = new TextDecoder().decode(stdout).trim().split(" ");
  return { torch, transformers };
}

/** What stands after `name` on the command line. */
export function flag(name: string): string | undefined {
  const at = Deno.args.indexOf(name);
  return at < 0 ? undefined : Deno.args[at + 1];
}
