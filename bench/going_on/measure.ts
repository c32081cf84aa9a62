/**
 * What going on with a model gains, and at which rate: a model is trained on one text, then goes on with another at shares
 * of its from-scratch rate, next to models of the same size that begin with random weights and learn the other text for as
 * many updates, with the same vocabulary, so that losses can be compared. Equal updates are equal work: how long they take
 * on a machine says nothing. Writes a table to standard output; each run's folder stays. Not part of the product.
 *
 * usage: deno run -A bench/going_on/measure.ts OUTPUT PRESET BASE.txt,… BASE.valid.txt NEW.txt NEW.valid.txt
 *          [--base-steps 3000] [--steps 400] [--length 32] [--batch-tokens 1024] [--threads 1]
 */

import { type Preset, PRESETS } from "../../config/model_config.ts";
import { PRESET_TRAINING } from "../../config/run_config.ts";
import { readMetrics } from "../../run/metrics_file.ts";

const [output, preset, base, baseValid, text, valid] = Deno.args.filter((x, i) =>
  !x.startsWith("--") && !Deno.args[i - 1]?.startsWith("--")
);
const option = (name: string, otherwise: string) => {
  const at = Deno.args.indexOf(`--${name}`);
  return at < 0 ? otherwise : Deno.args[at + 1];
};
if (valid === undefined || !(preset in PRESETS)) throw new Error("see the usage in the file's header");

const steps = option("steps", "400");
const SIZES = ["--max-sequence-length", option("length", "32"), "--batch-tokens", option("batch-tokens", "1024")]
  .concat(["--threads", option("threads", "1"), "--seed", "0"]);
/** Shares of the from-scratch rate. */
const SHARES = [0.1, 0.2, 0.5, 1];
const main = new URL("../../cli/main.ts", import.meta.url).pathname;

/** Runs `cloze pretrain`; a run that is there goes on. */
async function pretrain(folder: string, args: string[]): Promise<string> {
  const command = ["run", "-A", "-q", main, "pretrain", ...args, ...SIZES, "--output", `${output}/${folder}`];
  const { code } = await new Deno.Command(Deno.execPath(), { args: command }).output();
  if (code !== 0) throw new Error(`pretrain --output ${folder} ended with ${code}`);
  return `${output}/${folder}`;
}

async function row(name: string, folder: string): Promise<string> {
  const evaluations = (await readMetrics(`${folder}/metrics.jsonl`)).filter((metric) => metric.kind === "evaluation");
  const [first, half, last] = [evaluations[0], evaluations[Math.floor(evaluations.length / 2)], evaluations.at(-1)!];
  const loss = (value: { loss: number } | undefined) => value?.loss.toFixed(3) ?? "";
  const before = first.step === 0 ? first : undefined;
  const cells = [name, loss(before), loss(half), loss(last), `${(100 * last.accuracy).toFixed(1)}%`]
    .concat([loss(before?.reference), loss(last.reference)]);
  return `| ${cells.join(" | ")} |`;
}

const scratch = PRESET_TRAINING[preset as Preset].learning_rate;
const begun = await pretrain("base", [
  ...["--data", ...base.split(","), "--valid", baseValid, "--preset", preset, "--vocab-size", "8000"],
  ...["--steps", option("base-steps", "3000")],
]);
const next = ["--data", text, "--valid", valid, "--steps", steps];
console.log("| rate | loss before | half way | after | accuracy | reference before | after |");
console.log("| --- | --- | --- | --- | --- | --- | --- |");
const nothing = await pretrain("scratch", [...next, "--tokenizer", begun, "--preset", preset]);
console.log(await row(`random weights, ${scratch}`, nothing));
for (const share of SHARES) {
  const rate = Number((share * scratch).toPrecision(6));
  const from = ["--from", begun, "--reference", baseValid, "--learning-rate", String(rate)];
  console.log(await row(`${share} × ${scratch}`, await pretrain(`from-${share}`, [...next, ...from])));
}
