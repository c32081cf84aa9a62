/** `cloze doctor`: what cloze runs on here, and what a GPU would need. */

import { presetConfig } from "../../../config/model_config.ts";
import { VERSION } from "../../../config/run_config.ts";
import { Engine, inspectMachine } from "../../../ffi/mod.ts";
import { writeOut } from "../../terminal.ts";
import type { DoctorOptions } from "./flags.ts";
import { type DoctorReport, readable } from "./view.ts";

export { TABLE } from "./flags.ts";

/** Runs the command. */
export async function run(values: DoctorOptions): Promise<number> {
  const core = await inspectMachine();
  const { os, arch } = Deno.build;
  const auto = await chosenDtype();
  const report: DoctorReport = { cloze: VERSION, deno: Deno.version.deno, system: `${os} ${arch}`, core, auto };
  await writeOut(values.json === true ? JSON.stringify(report) + "\n" : readable(report));
  return 0;
}

/** What a small engine on the CPU chooses for itself. */
async function chosenDtype(): Promise<DoctorReport["auto"]> {
  using engine = await Engine.open({
    config: { ...presetConfig("tiny", 8), num_hidden_layers: 1 },
    heads: { tokens: { kind: "masked_lm" }, sequence: null, is_decoder: false, freeze_encoder: false },
    engine: "fused",
    device: "cpu",
    dtype: "auto",
    threads: 1,
    seed: 0,
    max_tokens: 8,
    max_sequences: 1,
    max_masked: 1,
    max_sequence_length: 8,
  });
  const { dtype, instruction_set } = engine.describe();
  return { dtype, instruction_set };
}
