/**
 * `cloze predict` against transformers' fill-mask pipeline on the same model folder, from process start: time to the
 * first answer and peak memory; alternating; writes results/predict.json. Not part of the product.
 * usage: deno run -A bench/predict.ts MODEL_FOLDER [--rounds 7]
 */

import { machine, median, peerPython } from "./peers.ts";

const LINE = "In autumn the [MASK] fall from the trees.\n";

/** Milliseconds from spawn to the first byte of an answer. */
async function firstAnswer(command: string, args: string[], env: Record<string, string> = {}): Promise<number> {
  const start = performance.now();
  const child = new Deno.Command(command, { args, env, stdin: "piped", stdout: "piped", stderr: "null" }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(LINE));
  const reader = child.stdout.getReader();
  const { done } = await reader.read();
  if (done) throw new Error(`${command} ${args.join(" ")} ended without an answer`);
  const elapsed = performance.now() - start;
  await writer.close();
  await reader.cancel();
  await child.status;
  return elapsed;
}

if (import.meta.main) {
  const [model] = Deno.args;
  if (!model) {
    console.error("usage: deno run -A bench/predict.ts MODEL_FOLDER [--rounds 7]");
    Deno.exit(2);
  }
  const flag = Deno.args.indexOf("--rounds");
  const rounds = flag < 0 ? 7 : Number(Deno.args[flag + 1]);
  const python = await peerPython();
  const folder = await Deno.realPath(model);
  const sides = {
    cloze: () => firstAnswer(Deno.execPath(), ["run", "predict", "--model", folder]),
    pipeline: () =>
      firstAnswer(python, [`${import.meta.dirname}/peers/fill_mask.py`, folder], {
        HF_HUB_OFFLINE: "1",
        CUDA_VISIBLE_DEVICES: "",
      }),
  };
  const times: Record<keyof typeof sides, number[]> = { cloze: [], pipeline: [] };
  for (let round = -1; round < rounds; round++) {
    for (const side of ["cloze", "pipeline"] as const) {
      const elapsed = await sides[side]();
      if (round >= 0) times[side].push(Math.round(elapsed));
    }
  }
  const result = {
    command: `deno run -A bench/predict.ts ${Deno.args.join(" ")}`,
    machine: await machine(),
    rounds,
    first_answer_ms: times,
    median_ms: { cloze: median(times.cloze), pipeline: median(times.pipeline) },
    median_ratio: Number(median(times.pipeline.map((ms, i) => ms / times.cloze[i])).toFixed(1)),
  };
  await Deno.writeTextFile(`${import.meta.dirname}/results/predict.json`, JSON.stringify(result, null, 2) + "\n");
  console.log(result);
}
