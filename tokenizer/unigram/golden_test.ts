import { assertEquals } from "@std/assert";
import { loadTokenizer } from "../files.ts";
import { IdBuffer } from "../id_buffer.ts";
import type { Tokenizer } from "../tokenizer.ts";
import { tokenizerFiles } from "../tokenizer_files.ts";

interface Golden {
  texts: string[];
  cases: {
    name: string;
    file: Record<string, unknown>;
    rows: {
      ids: number[];
      offsets: [number, number][];
      words: (number | null)[];
      special_tokens_mask: number[];
      decoded: string;
      pair: number[];
    }[];
  }[];
}

const golden: Golden = JSON.parse(
  Deno.readTextFileSync(new URL("../../tests/golden/unigram.json", import.meta.url)),
);

/** The tokenizer of a folder with these files. */
async function loaded(files: Record<string, string>): Promise<Tokenizer> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, content] of Object.entries(files)) await Deno.writeTextFile(`${folder}/${name}`, content);
    return await loadTokenizer(folder, "model");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** UTF-16 offset → offset in code points, for each offset into a text. */
function codePoints(text: string): number[] {
  const at = Array.from(text).flatMap((character, i) => Array<number>(character.length).fill(i));
  return [...at, Array.from(text).length];
}

for (const { name, file, rows } of golden.cases) {
  Deno.test(`loadTokenizer gives what tokenizers gives for a Unigram file, and for what is written of it: ${name}`, async () => {
    const first = await loaded({ "tokenizer.json": JSON.stringify(file) });
    const again = await loaded(tokenizerFiles(first, 512));
    for (const tokenizer of [first, again]) {
      golden.texts.forEach((text, i) => {
        const { ids, offsets, words, special_tokens_mask, decoded, pair } = rows[i];
        const found = tokenizer.encode(text, { template: true }), at = codePoints(text);
        assertEquals([...found.ids], ids, text);
        assertEquals(found.offsets.map(([start, end]) => [at[start], at[end]]), offsets, text);
        assertEquals([found.words, found.special_tokens_mask], [words, special_tokens_mask], text);
        assertEquals([...tokenizer.encode(text, { template: true, pair: "the dog" }).ids], pair, text);
        const plain = ids.slice(1, -1), fast: number[] = [];
        tokenizer.encodeIds(text, fast);
        assertEquals([fast, tokenizer.decode(plain)], [plain, decoded], text);
        if (/<(s|\/s|pad|unk|mask)>/.test(text)) return; // plain text in a corpus
        const utf8 = new TextEncoder().encode(text), corpus = new IdBuffer(), sentence = new IdBuffer();
        tokenizer.encodeUtf8(utf8, 0, utf8.length, corpus);
        tokenizer.encodeSentence(utf8, 0, utf8.length, sentence, []);
        assertEquals([[...corpus.view()], [...sentence.view()]], [plain, plain], text);
      });
    }
  });
}
