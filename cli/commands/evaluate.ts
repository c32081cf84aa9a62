/** `cloze evaluate`: a model's loss and accuracy on text, with masks that are always the same. */

import { ClozeError } from "../../config/cloze_error.ts";
import { batchLimits, expandPaths, fixedEvalBatches, readDocuments, Sequences, Shard } from "../../data/mod.ts";
import { ShardWriter } from "../../data/shards.ts";
import { Engine } from "../../ffi/mod.ts";
import { openModelFolder } from "../../inference/model_folder.ts";
import { evaluate, unigramBaseline } from "../../training/evaluation.ts";
import { TRAINING_DEFAULTS } from "../../config/run_config.ts";
import { parseFlags } from "../flags/flag.ts";
import { EVALUATE } from "../flags/tables.ts";
import { callerFolder, newestRun, resolve } from "../paths.ts";
import { grouped, note, percent } from "../terminal.ts";

/** Runs the command. */
export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseFlags(EVALUATE, args);
  const data = [...(values.data ?? []), ...positionals];
  if (data.length === 0) {
    throw new ClozeError("usage", "cloze evaluate needs --data PATH…", {
      hint: "give text that the model was not trained on",
    });
  }
  const files = await expandPaths(data, callerFolder());
  const path = values.model === undefined ? await newestRun() : resolve(values.model);
  if (values.model === undefined) note(`model: ${path}`);
  const { config, tokenizer, weights } = await openModelFolder(path);
  const max_sequence_length = Math.min(values["max-sequence-length"] ?? 128, config.max_position_embeddings);
  const temporary = await Deno.makeTempDir({ prefix: "cloze-evaluate-" });
  try {
    const writer = await ShardWriter.create(`${temporary}/text.shard`, tokenizer.size, "evaluate");
    for await (const document of readDocuments(files)) {
      writer.add(document.map((sentence) => {
        const ids: number[] = [];
        tokenizer.encodeIds(sentence, ids);
        return ids;
      }));
    }
    await writer.finish();
    using shard = await Shard.open(`${temporary}/text.shard`);
    const options = {
      batch_tokens: 4096,
      max_sequence_length,
      mlm_probability: TRAINING_DEFAULTS.mlm_probability,
    };
    const batches = fixedEvalBatches(
      new Sequences(shard, max_sequence_length),
      tokenizer,
      options,
      values["max-tokens"] ?? 1e6,
    );
    using engine = await Engine.open({
      config,
      objective: "mlm",
      weights,
      engine: "fused",
      device: "cpu",
      dtype: values.dtype ?? "f32",
      threads: values.threads ?? navigator.hardwareConcurrency,
      seed: 0,
      ...batchLimits({ ...options, seed: 0 }),
      training: false,
    });
    const result = await evaluate(engine, batches);
    const baseline = unigramBaseline(shard.counts, batches);
    const text = values.json === true ? JSON.stringify({ model: path, ...result, unigram: baseline }) : [
      `loss        ${result.loss.toFixed(3)} nats (perplexity ${result.perplexity.toFixed(1)})`,
      `accuracy    ${percent(result.accuracy)} (95% interval ${result.accuracy_interval.map(percent).join(" to ")})`,
      `top 5       ${percent(result.top5_accuracy)}`,
      `masked      ${grouped(result.masked)} tokens`,
      `unigram     loss ${baseline.loss.toFixed(3)} nats, accuracy ${
        percent(baseline.accuracy)
      }, from this text's own frequencies`,
    ].join("\n");
    console.log(text);
    return 0;
  } finally {
    await Deno.remove(temporary, { recursive: true });
  }
}
