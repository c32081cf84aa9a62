/**
 * Makes the extended tokenizers that extension.py compares.
 * usage: deno run -A tests/parity/extension.ts FOLDER
 */

import {
  bpeWords,
  type Extender,
  extenderOf,
  type Extension,
  learnBpe,
  learnUnigram,
  type Tokenizer,
  tokenizerFiles,
  unigramWords,
  wordCounter,
  type WordSource,
} from "../../tokenizer/mod.ts";

const folder = Deno.args[0];
const { old, new: more, texts, named }: Record<"old" | "new" | "texts" | "named", string[]> = JSON.parse(
  await Deno.readTextFile(`${folder}/in.json`),
);

function counted(source: WordSource, lines: readonly string[]) {
  const counter = wordCounter(source);
  for (const line of lines) counter.add(line);
  return counter.words;
}

const learn = (extender: Extender) => extender.learn(counted(extender.words, more), { add: 500, min_frequency: 2 });
const name = (extender: Extender) => extender.named(named, (i) => `name ${i + 1}`);
/** Ways to extend a tokenizer, one after the other. */
const WAYS: Record<string, (extender: Extender) => Extension> = {
  learned: learn,
  named: name,
  both: (extender) => name(extenderOf(learn(extender).tokenizer)),
};

for (const lowercase of [false, true]) {
  const options = { lowercase, vocab_size: 3000 };
  const bases: Record<string, Tokenizer> = {
    bpe: learnBpe(counted(bpeWords(options), old), options),
    unigram: learnUnigram(counted(unigramWords(options), old), options),
  };
  for (const [kind, base] of Object.entries(bases)) {
    for (const [way, extend] of Object.entries(WAYS)) {
      const larger = extend(extenderOf(base)).tokenizer.withSpecial(["[URL]"]),
        place = `${folder}/${kind}-${way}-${lowercase}`;
      await Deno.mkdir(place);
      for (const [file, text] of Object.entries(tokenizerFiles(larger, 512))) {
        await Deno.writeTextFile(`${place}/${file}`, text);
      }
      const count = (tokenizer: Tokenizer) => more.reduce((sum, line) => sum + tokenizer.encode(line).ids.length, 0);
      const rows = texts.map((text) => {
        const { ids, offsets } = larger.encode(text);
        return { ids: [...ids], offsets, decoded: larger.decode(ids) };
      });
      const report = { rows, new: larger.size - base.size, before: count(base), after: count(larger) };
      await Deno.writeTextFile(`${place}/cloze.json`, JSON.stringify(report));
    }
  }
}
