import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { gzipSync } from "node:zlib";
import { CORPUS_DEFAULTS, MASKING_DEFAULTS, SAMPLING_DEFAULTS } from "../config/batch_config.ts";
import { ClozeError } from "../config/cloze_error.ts";
import { bertWords, VocabularyTrainer, WordPieceTokenizer } from "../tokenizer/mod.ts";
import { MlmBatches } from "./batches.ts";
import { countWords } from "./count_words.ts";
import { practiceCorpus } from "./practice/practice_corpus.ts";
import { prepareShards } from "./prepare.ts";
import { Shard } from "./shard.ts";

const practice = [...practiceCorpus(3, 1500)];
const trainer = new VocabularyTrainer();
for (const document of practice) for (const sentence of document) trainer.add(sentence);
for (let i = 0; i < 100; i++) trainer.add("[SEP] (물) 한국어 café [MASK]x");
const tokenizer = new WordPieceTokenizer(trainer.train(600));

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const textOf = (documents: readonly string[][]) => documents.map((lines) => lines.join("\n")).join("\n\n");

/** Text in several files: one that is cut into units, a compressed one, records. */
function writeCorpus(folder: string) {
  // About five megabytes, so that the plain file has two units.
  const many = Array.from({ length: 22 }, (_, i) => textOf(practice.map((lines) => [`${i} ${lines[0]}`, ...lines])));
  Deno.writeTextFileSync(`${folder}/a.txt`, many.join("\n\n"));
  Deno.writeFileSync(`${folder}/b.txt.gz`, gzipSync(new TextEncoder().encode(textOf(practice))));
  Deno.writeTextFileSync(
    `${folder}/c.jsonl`,
    practice.map((lines) => JSON.stringify({ text: lines.join("\n") })).join("\n"),
  );
  return { files: ["a.txt", "b.txt.gz", "c.jsonl"].map((name) => `${folder}/${name}`), config: CORPUS_DEFAULTS };
}

async function prepare(
  folder: string,
  source: Parameters<typeof prepareShards>[1],
  threads: number,
  others: string[] = [],
) {
  const { train, heldOut, ...rest } = await prepareShards(folder, source, tokenizer, { threads, others });
  const headers = { train: train.header, heldOut: heldOut.header };
  train[Symbol.dispose]();
  heldOut[Symbol.dispose]();
  return { ...rest, ...headers };
}

const names = async (folder: string) => (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();

Deno.test("shards are the same bytes for any number of workers, and so are word counts", async () => {
  await withFolder(async (folder) => {
    const source = writeCorpus(folder);
    const shards: Uint8Array[][] = [];
    for (const threads of [1, 2, 5]) {
      await prepare(`${folder}/${threads}`, source, threads);
      shards.push(["train", "held_out"].map((name) => Deno.readFileSync(`${folder}/${threads}/${name}.shard`)));
      assertEquals(await names(`${folder}/${threads}`), ["files.json", "held_out.shard", "train.shard"]);
    }
    for (const [train, heldOut] of shards.slice(1)) {
      assert(train.length === shards[0][0].length && train.every((byte, i) => byte === shards[0][0][i]));
      assertEquals(heldOut, shards[0][1]);
    }
    const counts = [];
    for (const threads of [1, 3]) {
      const { words, characters, report } = await countWords(source, { words: bertWords(), threads });
      const trainer = new VocabularyTrainer();
      for (const counts of words) trainer.merge(counts);
      counts.push({ vocabulary: trainer.train(500), characters, report: report.counts });
    }
    assertEquals(counts[0], counts[1]);
  });
});

Deno.test("a shard holds the ids of the text, whole: eojeols begin after white space only", async () => {
  await withFolder(async (folder) => {
    const text = ["농부는 쌀을 키운다. [SEP] (물)", "\u3000한국어\u00A0 cafe\u0301 [MASK]x"];
    Deno.writeTextFileSync(`${folder}/a.txt`, Array.from({ length: 200 }, () => text.join("\n")).join("\n\n"));
    await prepare(folder, { files: [`${folder}/a.txt`], config: CORPUS_DEFAULTS }, 1);
    using shard = Shard.open(`${folder}/train.shard`);
    const expected = text.map((sentence) => {
      const ids: number[] = [];
      tokenizer.encodeIds(sentence, ids, "corpus");
      return ids;
    });
    assert(expected.flat().every((id) => id !== tokenizer.special.sep && id !== tokenizer.special.mask));
    const ids = shard.buffer(expected.flat().length), starts = new Uint8Array(ids.length);
    shard.readIds(0, ids);
    shard.readWordStarts(0, starts);
    assertEquals([...ids], expected.flat());
    const eojeols: number[] = [];
    for (const sentence of text) {
      for (const eojeol of sentence.split(/[ \u3000]+/).filter((part) => part !== "")) {
        eojeols.push(1);
        const ids: number[] = [];
        tokenizer.encodeIds(eojeol, ids, "corpus");
        for (let i = 1; i < ids.length; i++) eojeols.push(0);
      }
    }
    assertEquals([...starts], eojeols);
    // A literal [SEP] or [MASK] is text: its pieces are masked like any others.
    const options = { ...MASKING_DEFAULTS, ...SAMPLING_DEFAULTS, seed: 1, batch_tokens: 512, mlm_probability: 1 };
    using batches = new MlmBatches(shard, tokenizer, options);
    const batch = batches.next();
    const bracket = tokenizer.idOf("[")!;
    const brackets = batch.labels.filter((id) => id === bracket).length;
    assertEquals(brackets, 2 * (batch.cu_seqlens.length - 1), "every bracket of every document is predicted");
  });
});

Deno.test("shards are used again while content, reading and tokenizer are the same, whatever the files are called", async () => {
  await withFolder(async (folder) => {
    const [a, b] = [`${folder}/a.txt`, `${folder}/b.txt`];
    Deno.writeTextFileSync(a, textOf(practice));
    const source = (file: string, config = CORPUS_DEFAULTS) => ({ files: [file], config });
    const first = await prepare(`${folder}/one`, source(a), 1);
    assertEquals(first.reused, false);
    assertEquals((await prepare(`${folder}/one`, source(a), 2)).reused, true);
    Deno.renameSync(a, b);
    assertEquals((await prepare(`${folder}/one`, source(b), 1)).reused, true, "moved");
    assertEquals(
      (await prepare(`${folder}/two`, source(b), 1, [`${folder}/none`, `${folder}/one`])).reused,
      true,
      "linked",
    );
    Deno.mkdirSync(`${folder}/old`);
    Deno.writeTextFileSync(`${folder}/old/train.shard`, "CLZSHARD of another version");
    assertEquals((await prepare(`${folder}/four`, source(b), 1, [`${folder}/old`])).reused, false, "no shard of ours");
    assertEquals(Deno.statSync(`${folder}/two/train.shard`).size, Deno.statSync(`${folder}/one/train.shard`).size);
    assertEquals((await prepare(`${folder}/three`, source(b), 1, [])).reused, false);
    assertEquals(
      (await prepare(`${folder}/one`, source(b, { ...CORPUS_DEFAULTS, on_invalid: "skip" }), 1)).reused,
      false,
    );
    Deno.writeTextFileSync(b, textOf(practice.slice(1)));
    const changed = await prepare(`${folder}/one`, source(b), 1);
    assertEquals([changed.reused, changed.source === first.source], [false, false]);
    using linked = Shard.open(`${folder}/two/train.shard`);
    assertEquals(linked.header.source, first.source, "a shard that is made anew leaves the linked one alone");
  });
});

Deno.test("shards that are damaged, or no files, are not linked, and a shard that is deleted is made again", async () => {
  await withFolder(async (folder) => {
    const source = writeCorpus(folder);
    await prepare(`${folder}/one`, source, 1);
    const path = `${folder}/one/train.shard`, good = Deno.readFileSync(path);
    const bad = good.slice();
    bad[5000] ^= 4; // in a block, which opening a shard does not read
    Deno.writeFileSync(path, bad);
    const second = await prepare(`${folder}/two`, source, 1, [`${folder}/one`]);
    assertEquals([second.reused, Deno.readFileSync(`${folder}/two/train.shard`)], [false, good]);
    const options = { ...MASKING_DEFAULTS, ...SAMPLING_DEFAULTS, seed: 1, batch_tokens: 512 };
    {
      using shard = Shard.open(path);
      const error = assertThrows(() => new MlmBatches(shard, tokenizer, options), ClozeError, "block 0 is wrong");
      assert(error.hint?.includes("delete that file"), error.hint);
    }
    Deno.removeSync(path);
    assertEquals((await prepare(`${folder}/one`, source, 1)).reused, false);
    assertEquals(Deno.readFileSync(path), good);
    Deno.removeSync(path);
    Deno.symlinkSync(`${folder}/two/train.shard`, path);
    assertEquals((await prepare(`${folder}/three`, source, 1, [`${folder}/one`])).reused, false, "a link");
    assertEquals((await prepare(`${folder}/four`, source, 1, [`${folder}/two`])).reused, true);
  });
});

Deno.test("what goes wrong in a unit or a worker is told as it is, and leaves no shard", async () => {
  await withFolder(async (folder) => {
    const source = writeCorpus(folder);
    Deno.writeTextFileSync(`${folder}/empty.txt`, "\n \n");
    Deno.writeFileSync(`${folder}/bad.txt`, new Uint8Array([97, 10, 0xFF, 10]));
    for (const [name, message] of [["empty.txt", "has no text in it"], ["bad.txt", "line 2 is invalid"]]) {
      for (const threads of [1, 2]) {
        const files = name === "empty.txt" ? [`${folder}/${name}`] : [...source.files, `${folder}/${name}`];
        await assertRejects(
          () => prepare(`${folder}/out`, { files, config: CORPUS_DEFAULTS }, threads),
          ClozeError,
          `${name}`,
        ).then((error) => assert(error.message.includes(message), error.message));
        assertEquals(await names(`${folder}/out`), ["files.json"]);
      }
    }
  });
});

Deno.test("nothing is held out where that is asked for, and shards made otherwise are made anew", async () => {
  await withFolder(async (folder) => {
    const source = writeCorpus(folder);
    for (const held_out of [undefined, 0]) {
      const data = await prepareShards(`${folder}/data`, source, tokenizer, {
        threads: 1,
        ...(held_out === undefined ? {} : { held_out }),
      });
      using train = data.train;
      using heldOut = data.heldOut;
      assert(!data.reused);
      assert(train.header.documents > 0);
      assertEquals(heldOut.header.documents === 0, held_out === 0);
    }
  });
});

Deno.test("two in a hundred documents are held out, the same ones each time", async () => {
  await withFolder(async (folder) => {
    const { train, heldOut } = await prepare(folder, "practice", 1);
    const share = heldOut.documents / (train.documents + heldOut.documents);
    assert(share > 0.015 && share < 0.025, `${share}`);
    assertEquals(train.corpus?.documents, train.documents + heldOut.documents);
  });
});
