/**
 * `cloze predict` against transformers' fill-mask pipeline on the same model folders, from process start, alternating:
 * time to the first answer; then 2,000 lines of mixed length, and peak memory. Writes results/predict.json. Not part of
 * the product. usage: deno run -A bench/predict.ts MODEL_FOLDER… [--rounds 7]
 */

import { practiceCorpus } from "../data/practice/practice_corpus.ts";
import { machine, median, peerPython } from "./peers.ts";

const FIRST_LINE = "In autumn the [MASK] fall from the trees.\n";
const LINES = 2000;
const HERE = import.meta.dirname!;
const OFFLINE = { HF_HUB_OFFLINE: "1", CUDA_VISIBLE_DEVICES: "" };

/** Milliseconds from spawn to the first byte of an answer. */
async function firstAnswer(command: string, args: string[]): Promise<number> {
  const start = performance.now();
  const child = new Deno.Command(command, { args, env: OFFLINE, stdin: "piped", stdout: "piped", stderr: "null" })
    .spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(FIRST_LINE));
  const reader = child.stdout.getReader();
  const { done } = await reader.read();
  if (done) throw new Error(`${command} ${args.join(" ")} ended without an answer`);
  const elapsed = performance.now() - start;
  await writer.close();
  await reader.cancel();
  await child.status;
  return Math.round(elapsed);
}

/** One to eight sentences a line, one word of each line a blank. */
function mixedLines(): string[] {
  const out: string[] = [];
  let state = 1;
  const below = (n: number) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % n;
  const sentences: string[] = [];
  for (const document of practiceCorpus()) sentences.push(...document);
  while (out.length < LINES) {
    const words = Array.from({ length: 1 + below(8) }, () => sentences[below(sentences.length)]).join(" ").split(" ");
    words[below(words.length)] = "[MASK]";
    out.push(words.join(" "));
  }
  return out;
}

async function wholeRun(
  python: string,
  input: string,
  command: string[],
): Promise<{ seconds: number; peak_mb: number }> {
  const result = await Deno.makeTempFile();
  const args = [`${HERE}/peers/peak_memory.py`, result, input, ...command];
  const { success, stderr } = await new Deno.Command(python, { args, env: OFFLINE, stderr: "piped" }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const measured = JSON.parse(await Deno.readTextFile(result));
  await Deno.remove(result);
  return { seconds: Number(measured.seconds.toFixed(2)), peak_mb: Math.round(measured.peak_mb) };
}

async function compare(folder: string, rounds: number, python: string, input: string) {
  const first: Record<string, () => Promise<number>> = {
    cloze: () => firstAnswer(Deno.execPath(), ["run", "predict", "--model", folder]),
    pipeline: () => firstAnswer(python, [`${HERE}/peers/fill_mask.py`, folder]),
  };
  const main = ["run", "-q", "-P=predict", `--config=${HERE}/../deno.json`, `${HERE}/../cli/main.ts`];
  const peer = [python, `${HERE}/peers/fill_lines.py`, folder, input];
  const whole: Record<string, () => Promise<{ seconds: number; peak_mb: number }>> = {
    cloze: () => wholeRun(python, input, [Deno.execPath(), ...main, "predict", "--model", folder]),
    pipeline: () => wholeRun(python, input, peer),
    "pipeline, batches of 32 by length": () => wholeRun(python, input, [...peer, "32"]),
  };
  const first_answer_ms: Record<string, number[]> = {};
  const lines: Record<string, { seconds: number; peak_mb: number }[]> = {};
  for (let round = -1; round < rounds; round++) { // round -1 fills the caches
    for (const [side, run] of Object.entries(first)) {
      const ms = await run();
      if (round >= 0) (first_answer_ms[side] ??= []).push(ms);
    }
  }
  for (let round = 0; round < Math.min(rounds, 3); round++) {
    for (const [side, run] of Object.entries(whole)) (lines[side] ??= []).push(await run());
  }
  const seconds = (side: string) => median(lines[side].map((run) => run.seconds));
  const peak = (side: string) => median(lines[side].map((run) => run.peak_mb));
  return {
    model: JSON.parse(await Deno.readTextFile(`${folder}/config.json`)).hidden_size,
    first_answer_ms,
    first_answer_ratio: Number(
      median(first_answer_ms.pipeline.map((ms, i) => ms / first_answer_ms.cloze[i])).toFixed(1),
    ),
    lines,
    lines_per_second: Object.fromEntries(Object.keys(whole).map((side) => [side, Math.round(LINES / seconds(side))])),
    peak_mb: Object.fromEntries(Object.keys(whole).map((side) => [side, peak(side)])),
  };
}

if (import.meta.main) {
  const flag = Deno.args.indexOf("--rounds");
  const rounds = flag < 0 ? 7 : Number(Deno.args[flag + 1]);
  const folders = Deno.args.slice(0, flag < 0 ? undefined : flag);
  if (folders.length === 0) {
    console.error("usage: deno run -A bench/predict.ts MODEL_FOLDER… [--rounds 7]");
    Deno.exit(2);
  }
  const python = await peerPython();
  const input = await Deno.makeTempFile({ suffix: ".txt" });
  await Deno.writeTextFile(input, mixedLines().join("\n") + "\n");
  const models = [];
  for (const folder of folders) {
    models.push(await compare(await Deno.realPath(folder), rounds, python, input));
    console.log(models.at(-1));
  }
  await Deno.remove(input);
  const command = `deno run -A bench/predict.ts ${Deno.args.join(" ")}`;
  const result = { command, machine: await machine(), rounds, models };
  await Deno.writeTextFile(`${HERE}/results/predict.json`, JSON.stringify(result, null, 2) + "\n");
}
