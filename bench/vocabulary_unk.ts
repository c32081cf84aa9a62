/**
 * How much of a text its own vocabulary cannot write, by the size of the text: `train-tokenizer` with no flags against
 * Hugging Face's `WordPieceTrainer` at the size that cloze chose, with the same normalizer and pre-tokenizer. Prints a
 * table and writes results/vocabulary_unk.json. Not part of the product.
 * usage: deno run -A bench/vocabulary_unk.ts DATA_FOLDER
 *
 * DATA_FOLDER has ko/nsmc.train.txt.gz, ko/nsmc.valid.txt, en/brown.txt and en/wikitext-2.{valid,test}.txt. Chinese,
 * Japanese and Thai are the translations in this machine's gettext catalogues, so that they differ by what is installed.
 * Samples are the first 100 lines, 200, 400 …, and all. Shares are of the words of the sample itself; each side encodes
 * with its own vocabulary and its own code.
 */

import { bertWords, loadTokenizer, vocabularyReport, wordCounter, type WordPieceTokenizer } from "../tokenizer/mod.ts";
import { machine, peerPython } from "./peers.ts";

const HERE = import.meta.dirname!;
const PEER = `${HERE}/peers/vocabulary_unk.py`;
const CATALOGUES = { zh: "zh_CN", ja: "ja", th: "th" };

/** What a vocabulary makes of the sample. */
interface Fit {
  tokens: number;
  /** Share of words that are `[UNK]`. */
  unk_rate: number;
  /** Tokens a word. */
  fertility: number;
}

async function output(command: string, args: string[]): Promise<string> {
  const { stdout, stderr, success } = await new Deno.Command(command, { args }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

async function textOf(paths: string[]): Promise<string[]> {
  let text = "";
  for (const path of paths) {
    const { readable } = await Deno.open(path);
    text += await new Response(
      path.endsWith(".gz") ? readable.pipeThrough(new DecompressionStream("gzip")) : readable,
    ).text();
  }
  return text.trimEnd().split("\n");
}

async function fits(sample: string, python: string, scratch: string): Promise<{ cloze: Fit; tokenizers: Fit }> {
  await Deno.writeTextFile(`${scratch}/sample.txt`, sample);
  const cli = ["run", "-qA", `${HERE}/../cli/main.ts`, "train-tokenizer"];
  await output(Deno.execPath(), [...cli, "--data", `${scratch}/sample.txt`, "--output", `${scratch}/tokenizer`]);
  const tokenizer = await loadTokenizer(`${scratch}/tokenizer`);
  const counter = wordCounter(bertWords((tokenizer as WordPieceTokenizer).normalizer));
  for (const line of sample.split("\n")) counter.add(line);
  const { words, unk_rate, fertility } = vocabularyReport(tokenizer, counter.words);
  const peer = JSON.parse(
    await output(python, [PEER, "learn", `${scratch}/sample.txt`, `${scratch}/tokenizer/tokenizer.json`]),
  );
  return {
    cloze: { tokens: tokenizer.size, unk_rate, fertility },
    tokenizers: { tokens: peer.size, unk_rate: peer.unknown / words, fertility: peer.tokens / words },
  };
}

if (import.meta.main) {
  const [folder] = Deno.args;
  if (folder === undefined) {
    console.error("usage: deno run -A bench/vocabulary_unk.ts DATA_FOLDER");
    Deno.exit(2);
  }
  const python = await peerPython();
  const scratch = await Deno.makeTempDir();
  try {
    const texts: Record<string, string[]> = {
      ko: [`${folder}/ko/nsmc.train.txt.gz`, `${folder}/ko/nsmc.valid.txt`],
      en: ["brown", "wikitext-2.valid", "wikitext-2.test"].map((name) => `${folder}/en/${name}.txt`),
    };
    for (const [language, catalogue] of Object.entries(CATALOGUES)) {
      texts[language] = [`${scratch}/${language}.txt`];
      await output(python, [PEER, "messages", catalogue, texts[language][0]]);
    }
    const share = (value: number) => `${(100 * value).toFixed(4)}%`;
    const rows = [];
    console.log("| text | lines | cloze tokens | [UNK] | fertility | tokenizers tokens | [UNK] | fertility |");
    for (const [language, paths] of Object.entries(texts)) {
      const lines = await textOf(paths);
      for (let size = 100, last = 0; last < lines.length; size *= 2) {
        last = Math.min(size, lines.length);
        const { cloze, tokenizers } = await fits(lines.slice(0, last).join("\n") + "\n", python, scratch);
        rows.push({ language, lines: last, cloze, tokenizers });
        const cells = [cloze, tokenizers].flatMap((fit) => [
          fit.tokens.toLocaleString("en-US"),
          share(fit.unk_rate),
          fit.fertility.toFixed(3),
        ]);
        console.log(`| ${[language, last.toLocaleString("en-US"), ...cells].join(" | ")} |`);
      }
    }
    const result = {
      command: "deno run -A bench/vocabulary_unk.ts DATA_FOLDER",
      machine: await machine(),
      tokenizers: (await output(python, ["-c", "import tokenizers;print(tokenizers.__version__)"])).trim(),
      rows,
    };
    await Deno.writeTextFile(`${HERE}/results/vocabulary_unk.json`, JSON.stringify(result, null, 2) + "\n");
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}
