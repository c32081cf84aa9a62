/** What an experiment of `cloze reproduce` has found so far: the content of its `result.json`. */

import { ClozeError } from "../config/cloze_error.ts";
import { readSealed } from "../config/sealed_json.ts";
import type { Claim, Condition } from "../experiments/claims.ts";
import type { Finding, Measured, Verdict } from "../experiments/verdict.ts";
import { conforms } from "./run_record.ts";

/** A claim with what would be typed for each condition beside what all of them share. */
export interface ToldClaim extends Omit<Claim, "conditions" | "finetune"> {
  conditions: (Pick<Condition, "name" | "label"> & { flags: string[] })[];
}

/** An experiment, as far as it has come. */
export interface ExperimentRecord extends Measured {
  kind: "experiment";
  path: string;
  /** Name of the claim. */
  experiment: string;
  claim: ToldClaim;
  /** Without labeled texts where blanks are filled. */
  plan: { seeds: number; steps: number; train?: string; valid?: string };
  /** Pretraining updates at which conditions are compared. */
  steps: number[];
  /** Empty until everything has been measured. */
  findings: Finding[];
  verdict?: Verdict;
  /** As typed, and where. */
  command: string;
  folder: string;
  /** All commands that it consists of. */
  commands: string[];
  versions: { cloze: string; deno: string; platform: string };
}

const EXAMPLE = {
  experiment: "",
  claim: {
    text: "",
    source: "",
    measure: "",
    conditions: [{ name: "", label: "", flags: [""] }],
  },
  plan: { seeds: 0, steps: 0 },
  steps: [0],
  accuracies: {},
  untrained: {},
  examples: 0,
  findings: [{ expectation: { text: "" }, difference: {}, verdict: "" }],
  command: "",
  folder: "",
  commands: [""],
  versions: { cloze: "", deno: "", platform: "" },
};

/** @throws {ClozeError} `input` if the folder's `result.json` cannot be read or is of a version that recorded less. */
export async function readExperiment(path: string): Promise<ExperimentRecord> {
  const record: unknown = (await readSealed(`${path}/result.json`)).value;
  const isWhole = conforms(record, EXAMPLE) &&
    [(record as ExperimentRecord).accuracies, { all: Object.values((record as ExperimentRecord).untrained) }]
      .every((by) => Object.values(by).every((rows) => conforms(rows, [[0]])));
  if (!isWhole) {
    throw new ClozeError("input", `${path}/result.json lacks what a report needs: another version wrote it`, {
      hint: "call the same reproduce command again: it measures only what is missing and writes the report",
    });
  }
  return { ...record as ExperimentRecord, path };
}
