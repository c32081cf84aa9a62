/** The commands that an experiment is made of, called with their options. */

import { commandText } from "../../flags/command_text.ts";
import { note } from "../../terminal.ts";
import { run as finetune } from "../finetune/command.ts";
import { type FinetuneOptions, TABLE as FINETUNE } from "../finetune/flags.ts";
import { run as pretrain } from "../pretrain/command.ts";
import { type PretrainOptions, TABLE as PRETRAIN } from "../pretrain/flags.ts";
import type { Call } from "../registry.ts";
import { run as trainTokenizer } from "../train_tokenizer/command.ts";
import { TABLE as TRAIN_TOKENIZER, type TrainTokenizerOptions } from "../train_tokenizer/flags.ts";

/** Each call says what would be typed for it. */
export class Parts {
  readonly call: Call;

  /** @param call of the experiment: what was typed for it is recorded of its parts. */
  constructor(call: Call) {
    this.call = { ...call, isPart: true };
  }

  async trainTokenizer(options: TrainTokenizerOptions): Promise<void> {
    note(commandText(TRAIN_TOKENIZER, options));
    await trainTokenizer(options, this.call);
  }

  async pretrain(options: PretrainOptions): Promise<void> {
    note(commandText(PRETRAIN, options));
    await pretrain(options, this.call);
  }

  async finetune(options: FinetuneOptions): Promise<void> {
    note(commandText(FINETUNE, options));
    await finetune(options, this.call);
  }
}
