/** The text that a model is measured on, as ids. */

import { regularFile } from "../../../config/regular_file.ts";
import { bytesRead, CorpusReport, readDocuments, Shard, ShardWriter, type UnknownSample } from "../../../data/mod.ts";
import type { Tokenizer } from "../../../tokenizer/mod.ts";
import { corpusConfig, corpusFiles, noteFindings, noteOnce, saveStdin } from "../../corpus.ts";
import { bytesPace } from "../../pace.ts";
import { endProgress } from "../../terminal.ts";
import type { EvaluateOptions } from "./flags.ts";

/** The text as ids, in a file of that folder; what became `[UNK]` goes to `unknown`. */
export async function shardOf(
  data: readonly string[],
  values: EvaluateOptions,
  tokenizer: Tokenizer,
  folder: string,
  unknown: UnknownSample,
): Promise<Shard> {
  const { files, stdin } = await corpusFiles(data, values, folder);
  if (stdin !== undefined) await saveStdin(stdin, values.format);
  const writer = new ShardWriter(`${folder}/text.shard`, tokenizer.size, "evaluate");
  const total = files.reduce((sum, file) => sum + regularFile(file).size, 0),
    before = bytesRead(),
    show = bytesPace("tokenizing");
  const report = new CorpusReport();
  for await (const document of readDocuments(files, corpusConfig(values), report, noteOnce)) {
    show(Math.min(total, bytesRead() - before), total);
    writer.add(document.map((sentence) => {
      const ids: number[] = [];
      tokenizer.encodeIds(sentence, ids, "corpus");
      unknown.addText(sentence, ids, tokenizer, "corpus");
      return ids;
    }));
  }
  endProgress();
  noteFindings(report);
  writer.finish();
  return Shard.open(`${folder}/text.shard`);
}
