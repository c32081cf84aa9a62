/**
 * Compares cloze's ids with those in the file that tokenizer_files.py made, folder by folder.
 * usage: deno run -A tests/parity/tokenizer_files.ts cases.jsonl
 */

import { ClozeError } from "../../config/cloze_error.ts";
import { IdBuffer, loadTokenizer, type Tokenizer } from "../../tokenizer/mod.ts";

interface Case {
  folder: string;
  /** What transformers gives for each text, and for the first one with `[CLS]` and `[SEP]`, if it puts them there. */
  ids?: number[][];
  template?: number[] | false;
  /** Why transformers does not load it. */
  error?: string;
}

const [first, ...rest] = (await Deno.readTextFile(Deno.args[0])).trimEnd().split("\n");
const texts: string[] = JSON.parse(first);
const counts = {
  equal: 0,
  refused: 0,
  different: 0,
  "refused in transformers, too": 0,
  "loaded here alone": 0,
  crashed: 0,
};
const reasons = new Map<string, number>();

for (const line of rest) {
  const found: Case = JSON.parse(line);
  const outcome = await judge(found);
  counts[outcome]++;
  if ((outcome === "different" || outcome === "crashed") && counts[outcome] <= 5) await show(found);
}
for (const [reason, count] of [...reasons].sort((a, b) => b[1] - a[1])) {
  console.log(`${String(count).padStart(6)}  ${reason}`);
}
console.log(
  `${rest.length} files: ${counts.equal} equal, ${counts.refused} refused by name, ${counts.different} different; ` +
    `transformers fails on ${counts["refused in transformers, too"] + counts["loaded here alone"]} more, of which ` +
    `${counts["loaded here alone"]} load here; ${counts.crashed} crashes`,
);
if (counts.different + counts.crashed > 0) Deno.exit(1);

async function judge({ folder, ids, template, error: there }: Case): Promise<keyof typeof counts> {
  let tokenizer: Tokenizer;
  try {
    tokenizer = await loadTokenizer(folder);
  } catch (error) {
    if (!(error instanceof ClozeError)) {
      console.log(error);
      return "crashed";
    }
    if (ids === undefined) return "refused in transformers, too";
    const reason = error.message.replaceAll(folder, "").replace(/ is .*/, "").replace(/"[^"]*"/g, "…").replace(
      /\d+/g,
      "N",
    );
    count(reason);
    return "refused";
  }
  if (ids === undefined) {
    count(`loaded here alone; there: ${there}`);
    return "loaded here alone";
  }
  const isEqual = texts.every((text, i) => waysOf(tokenizer, text).every((way) => way.join() === ids[i].join()));
  const whole = tokenizer.encode(texts[0], { template: true }).ids;
  return isEqual && (template === false || whole.join() === template!.join()) ? "equal" : "different";
}

function count(reason: string): void {
  reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
}

/** The ids of a text in every way that it can be encoded. */
function waysOf(tokenizer: Tokenizer, text: string): number[][] {
  const fast: number[] = [], corpus = new IdBuffer(), utf8 = new TextEncoder().encode(text);
  tokenizer.encodeIds(text, fast);
  tokenizer.encodeUtf8(utf8, 0, utf8.length, corpus);
  // BERT's own tokens are plain text in a corpus.
  const isPlain = !/\[(PAD|UNK|CLS|SEP|MASK)\]/i.test(text);
  return [[...tokenizer.encode(text).ids], fast, ...(isPlain ? [[...corpus.view()]] : [])];
}

async function show({ folder, ids, template }: Case): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    console.log(`--- ${name}: ${(await Deno.readTextFile(`${folder}/${name}`)).slice(0, 2500)}`);
  }
  const tokenizer = await loadTokenizer(folder).catch(() => undefined);
  if (tokenizer === undefined) return;
  texts.forEach((text, i) => {
    for (const way of waysOf(tokenizer, text)) {
      if (way.join() === ids![i].join()) continue;
      console.log(
        `${JSON.stringify(text)}\n  here  ${way.map((id) => tokenizer.tokenOf(id)).join(" ")}`,
      );
      console.log(`  there ${ids![i].map((id) => tokenizer.vocabulary[id] ?? `<${id}>`).join(" ")}`);
    }
  });
  console.log("  with [CLS] and [SEP]", tokenizer.encode(texts[0], { template: true }).ids.join(), "there", template);
}
