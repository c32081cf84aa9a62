import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { MASKING_DEFAULTS, SAMPLING_DEFAULTS } from "../config/batch_config.ts";
import { ClozeError } from "../config/cloze_error.ts";
import type { Batch } from "../config/batch.ts";
import { SPECIAL_TOKENS, WordPieceTokenizer } from "../tokenizer/mod.ts";
import { batchLimits, type BatchOptions, fixedEvalBatches, MlmBatches } from "./batches.ts";
import { fromPages, PAGE, toPages } from "./checked_pages.ts";
import { Random } from "./rng.ts";
import { SequenceIndex } from "./sequence_index.ts";
import { Sequences, type TrainingSequence } from "./sequences.ts";
import { Shard } from "./shard.ts";
import { ShardWriter } from "./shard_writer.ts";

const VOCABULARY = 500;
const tokenizer = new WordPieceTokenizer([
  ...SPECIAL_TOKENS,
  ...Array.from({ length: VOCABULARY - 5 }, (_, i) => `w${i}`),
]);
const OPTIONS: BatchOptions = {
  ...MASKING_DEFAULTS,
  ...SAMPLING_DEFAULTS,
  seed: 3,
  batch_tokens: 1024,
  max_sequence_length: 64,
};
const { cls, sep } = tokenizer.special;

/** Documents with one to six sentences of up to 40 tokens. */
function documentsOf(count: number): number[][][] {
  const random = new Random(1, 1);
  return Array.from({ length: count }, (_, i) => {
    random.at(0, i);
    return Array.from(
      { length: 1 + random.below(6) },
      () => Array.from({ length: 1 + random.below(40) }, () => 5 + random.below(VOCABULARY - 5)),
    );
  });
}

async function withShard(
  documents: readonly number[][][],
  run: (shard: Shard) => void | Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const writer = new ShardWriter(`${folder}/a.shard`, VOCABULARY, "test");
    for (const document of documents) writer.add(document);
    writer.finish();
    using shard = Shard.open(`${folder}/a.shard`);
    await run(shard);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const copy = (batch: Batch): Batch =>
  Object.fromEntries(Object.entries(batch).map(([name, array]) => [name, array.slice()])) as unknown as Batch;

/** The sequences of a batch as they were before masking. */
function originals(batch: Batch): string[] {
  const ids = batch.input_ids.slice();
  batch.masked_positions.forEach((position, i) => ids[position] = batch.labels[i]);
  return Array.from(
    { length: batch.cu_seqlens.length - 1 },
    (_, b) => ids.slice(batch.cu_seqlens[b], batch.cu_seqlens[b + 1]).join(" "),
  );
}

/** Each sequence as it was, with its masked form. */
function masksBySequence(batches: Batch[]): Map<string, string> {
  const masks = new Map<string, string>();
  for (const batch of batches) {
    originals(batch).forEach((original, b) => {
      masks.set(original, batch.input_ids.slice(batch.cu_seqlens[b], batch.cu_seqlens[b + 1]).join(" "));
    });
  }
  return masks;
}

function epochOf(batches: MlmBatches, epoch = 1): Batch[] {
  const all = [];
  while (batches.epoch < epoch) all.push(copy(batches.next()));
  return all;
}

/** All sequences of an epoch in the shard's order. */
function sequencesOf(shard: Shard, options: BatchOptions): number[][] {
  using sequences = new Sequences(shard, tokenizer, options);
  const all: TrainingSequence[] = [];
  if (sequences.count > 0) sequences.read(0, 0, sequences.count, all);
  return all.map(({ ids }) => [...ids]);
}

Deno.test("MlmBatches visits every sequence once an epoch, packed, within its limits", async () => {
  await withShard(documentsOf(3000), (shard) => {
    const limits = batchLimits(OPTIONS);
    using batches = new MlmBatches(shard, tokenizer, OPTIONS);
    const epoch = epochOf(batches);
    const all = sequencesOf(shard, OPTIONS).map((ids) => ids.join(" "));
    assertEquals(epoch.flatMap(originals).sort(), all.sort());
    for (const batch of epoch) {
      const n = batch.input_ids.length;
      assert(n <= limits.max_tokens && batch.labels.length <= limits.max_masked);
      assert(batch.cu_seqlens.length - 1 <= limits.max_sequences);
      assertEquals(batch.cu_seqlens[batch.cu_seqlens.length - 1], n);
      assert(batch.token_type_ids.every((type) => type === 0));
      for (let b = 0; b + 1 < batch.cu_seqlens.length; b++) {
        const [from, to] = [batch.cu_seqlens[b], batch.cu_seqlens[b + 1]];
        assert(to - from >= 3 && to - from <= OPTIONS.max_sequence_length);
        assertEquals([batch.input_ids[from], batch.input_ids[to - 1]], [cls, sep]);
        assertEquals([batch.position_ids[from], batch.position_ids[to - 1]], [0, to - from - 1]);
      }
    }
  });
});

Deno.test("MlmBatches.skip passes over what next would give: the batches behind it are the same", async () => {
  await withShard(documentsOf(3000), (shard) => {
    for (const sequences of ["document", "full", "pair"] as const) {
      using made = new MlmBatches(shard, tokenizer, { ...OPTIONS, sequences });
      using passed = new MlmBatches(shard, tokenizer, { ...OPTIONS, sequences });
      for (let i = 0; made.epoch < 2; i++) {
        const batch = made.next();
        if (i % 4 === 3) assertEquals(passed.next(), batch);
        else assertEquals(passed.skip(), batch.input_ids.length);
        assertEquals(passed.position, made.position);
      }
    }
  });
});

Deno.test("batches of 2,048 tokens are at least 98% full, of sequences of 128 and of 512, however they are cut", async () => {
  await withShard(documentsOf(20_000), (shard) => {
    for (const sequences of ["document", "full", "pair"] as const) {
      for (const max_sequence_length of [128, 512]) {
        const options = { ...OPTIONS, sequences, max_sequence_length, batch_tokens: 2048 };
        using batches = new MlmBatches(shard, tokenizer, options);
        let tokens = 0, count = 0;
        for (; batches.epoch < 1; count++) tokens += batches.next().input_ids.length;
        const fill = tokens / (count * options.batch_tokens);
        assert(fill >= 0.98, `${sequences} of ${max_sequence_length}: ${fill}`);
      }
    }
  });
});

Deno.test("what follows one another in the shard is read together and seldom shares a batch", async () => {
  await withShard(documentsOf(20_000), (shard) => {
    using batches = new MlmBatches(shard, tokenizer, { ...OPTIONS, batch_tokens: 2048 });
    const place = new Map(sequencesOf(shard, OPTIONS).map((ids, i) => [ids.join(" "), i]));
    // Of the 31 others of its run, spread over 128 batches, a sequence meets a quarter of one.
    let sequences = 0, met = 0;
    for (const batch of epochOf(batches)) {
      const runs = originals(batch).map((sequence) => Math.floor(place.get(sequence)! / 32));
      sequences += runs.length;
      for (const run of runs) met += runs.filter((other) => other === run).length - 1;
    }
    assert(met / sequences < 0.3, `${met / sequences}`);
  });
});

Deno.test("masks depend neither on the batch size nor on batching, and differ from epoch to epoch", async () => {
  await withShard(documentsOf(400), (shard) => {
    const masks = (options: Partial<BatchOptions>) => {
      using batches = new MlmBatches(shard, tokenizer, { ...OPTIONS, ...options });
      return [masksBySequence(epochOf(batches)), masksBySequence(epochOf(batches, 2))];
    };
    for (
      const kind of [{}, { masking: "span" }, { mask_count: "exact" }, { sequences: "full" }, { sequences: "pair" }]
    ) {
      const options = kind as Partial<BatchOptions>;
      const [small] = masks({ ...options, batch_tokens: 256 });
      const [large, second] = masks(options);
      assertEquals(small, large, JSON.stringify(kind));
      assertEquals(masks({ ...options, batching: "bucketed" })[0], large);
      const same = [...large].filter(([original, masked]) => original.length > 60 && second.get(original) === masked);
      assert(same.length < large.size / 100, `${same.length} of ${large.size} sequences are masked as before`);
      const [first, again] = masks({ ...options, static_masking: true });
      assertEquals(again, first, "static masks are the same in every epoch");
      assertEquals(first, large);
    }
  });
});

Deno.test("the order is shuffled over the whole shard, anew in each epoch and for each seed", async () => {
  await withShard(documentsOf(2000), (shard) => {
    const order = (seed: number) => {
      using batches = new MlmBatches(shard, tokenizer, { ...OPTIONS, seed });
      return [epochOf(batches).flatMap(originals), epochOf(batches, 2).flatMap(originals)];
    };
    const place = new Map(sequencesOf(shard, OPTIONS).map((ids, i) => [ids.join(" "), i]));
    const [first, second] = order(3);
    assertEquals(order(3), [first, second]);
    assert(first.join() !== second.join() && first.join() !== order(4)[0].join());
    // The mean distance of neighbours in a random order is a third of the whole.
    const places = first.map((sequence) => place.get(sequence)!);
    const distance = places.slice(1).reduce((sum, p, i) => sum + Math.abs(p - places[i]), 0) / (places.length - 1);
    assert(Math.abs(distance / places.length - 1 / 3) < 0.03, `${distance / places.length}`);
  });
});

Deno.test("a position that is gone to gives the same batches, also twice in a row", async () => {
  await withShard(documentsOf(900), (shard) => {
    for (const sequences of ["document", "full", "pair"] as const) {
      const options = { ...OPTIONS, sequences, batch_tokens: 128 };
      using stream = new MlmBatches(shard, tokenizer, options);
      for (let i = 0; i < 100; i++) stream.next();
      const position = stream.position;
      const expected = Array.from({ length: 300 }, () => ({ batch: copy(stream.next()), epoch: stream.epoch }));
      using other = new MlmBatches(shard, tokenizer, options);
      other.position = position;
      const found = [];
      for (let i = 0; i < 150; i++) found.push({ batch: copy(other.next()), epoch: other.epoch });
      using third = new MlmBatches(shard, tokenizer, options);
      third.position = other.position;
      assertEquals(third.epoch, other.epoch, "the epoch is exact before the first batch");
      for (let i = 0; i < 150; i++) found.push({ batch: copy(third.next()), epoch: third.epoch });
      assertEquals(found, expected);
    }
  });
});

Deno.test("fixedEvalBatches are the same for any seed of the run and end near the limit", async () => {
  await withShard(documentsOf(500), (shard) => {
    const { seed: _, ...options } = OPTIONS;
    const once = fixedEvalBatches(shard, tokenizer, options, 5000).map(copy);
    assertEquals(once, fixedEvalBatches(shard, tokenizer, options, 5000));
    const tokens = once.reduce((sum, batch) => sum + batch.input_ids.length, 0);
    assert(tokens >= 5000 && tokens < 5000 + 64, `${tokens} tokens`);
    const pairs = fixedEvalBatches(shard, tokenizer, { ...options, sequences: "pair" }, 5000);
    assert(pairs.every((batch) => batch.sequence_labels.length === batch.cu_seqlens.length - 1));
  });
});

Deno.test("document sequences are whole sentences of one document, as many as fit, and keep every token", async () => {
  const documents = documentsOf(300);
  documents.push([Array.from({ length: 150 }, (_, i) => 5 + i), [7, 8]]); // a sentence that has to be cut
  await withShard(documents, (shard) => {
    const sequences = sequencesOf(shard, OPTIONS).map((ids) => ids.slice(1, -1));
    const expected: number[][] = [];
    for (const document of documents) {
      let open: number[] = [];
      const close = () => open.length > 0 && expected.push(open.splice(0));
      for (let sentence of document) {
        if (open.length + sentence.length > 62) close();
        for (; sentence.length > 62; sentence = sentence.slice(62)) expected.push(sentence.slice(0, 62));
        open.push(...sentence);
      }
      close();
      open = [];
    }
    assertEquals(sequences, expected);
  });
});

Deno.test("full sequences go on in the next document after a [SEP], and fill up to a sentence", async () => {
  const documents = documentsOf(300);
  await withShard(documents, (shard) => {
    const sequences = sequencesOf(shard, { ...OPTIONS, sequences: "full" });
    // Without the specials it is the whole text; every [SEP] inside stands between two documents.
    assertEquals(sequences.flatMap((ids) => ids.filter((id) => id >= 5)), documents.flat(2));
    const ends = new Set<number>();
    documents.reduce((at, document) => (ends.add(at + document.flat().length), at + document.flat().length), 0);
    let at = 0, tokens = 0;
    for (const ids of sequences) {
      assertEquals([ids[0], ids[ids.length - 1]], [cls, sep]);
      assert(ids.length <= 64);
      tokens += ids.length;
      ids.slice(1, -1).forEach((id) => id === sep ? assert(ends.has(at), `a [SEP] after token ${at}`) : at++);
    }
    const fill = tokens / (64 * sequences.length);
    assert(fill > 0.6, `${fill}`); // sentences of 20 tokens leave half of one free, and one in five ends early
  });
});

Deno.test("pairs have two segments with their types, and a label each", async () => {
  await withShard(documentsOf(600), (shard) => {
    using batches = new MlmBatches(shard, tokenizer, { ...OPTIONS, sequences: "pair" });
    let pairs = 0, random = 0;
    for (const batch of epochOf(batches)) {
      const labels = batch.sequence_labels;
      assertEquals(labels.length, batch.cu_seqlens.length - 1);
      for (let b = 0; b < labels.length; b++) {
        const [from, to] = [batch.cu_seqlens[b], batch.cu_seqlens[b + 1]];
        const types = batch.token_type_ids.slice(from, to);
        const second = types.indexOf(1);
        assertEquals([...types], [...types.keys()].map((at) => at < second ? 0 : 1));
        const ids = batch.input_ids.slice(from, to);
        assertEquals([ids[0], ids[second - 1], ids[ids.length - 1]], [cls, sep, sep]);
        assertEquals(ids.filter((id) => id === sep).length, 2);
        assert(ids.length <= 64 && second >= 3 && to - from - second >= 2);
        pairs++;
        random += labels[b];
      }
    }
    const share = random / pairs;
    assert(share > 0.5 && share < 0.75, `${share} of ${pairs} pairs are random`);
  });
});

Deno.test("pairs are refused where there is nothing to make them of", async () => {
  await withShard(documentsOf(50).map(([sentence]) => [sentence]), (shard) => {
    const options = { ...OPTIONS, sequences: "pair" as const };
    assertThrows(() => new MlmBatches(shard, tokenizer, options), ClozeError, "documents of several sentences");
  });
  await withShard(documentsOf(1), (shard) => {
    const open = () => new MlmBatches(shard, tokenizer, { ...OPTIONS, sequences: "pair" });
    const error = assertThrows(open, ClozeError, "sentences in 1 document");
    assertStringIncludes(error.hint ?? "", "2% of the documents are held out");
  });
});

Deno.test("an index that is cut off, of another shard or of another version is made again", async () => {
  await withShard(documentsOf(200), (shard) => {
    const path = shard.path.replace(".shard", ".document-64.index");
    SequenceIndex.open(shard, "document", 64)[Symbol.dispose]();
    const good = Deno.readFileSync(path);
    const check = (bytes: Uint8Array) => {
      Deno.writeFileSync(path, bytes);
      SequenceIndex.open(shard, "document", 64)[Symbol.dispose]();
      assertEquals(Deno.readFileSync(path), good);
    };
    check(good.subarray(0, good.length - 1));
    check(good.subarray(0, 20));
    check(new Uint8Array());
    for (const at of [0, 8, 16, 24, 45]) {
      const bad = good.slice();
      bad[at] ^= 1;
      check(bad);
    }
  });
});

Deno.test("a changed byte of a shard or of its index is noticed when it is read, or changes nothing", async () => {
  await withShard(documentsOf(300), (shard) => {
    const index = shard.path.replace(".shard", ".full-64.index");
    const options: BatchOptions = { ...OPTIONS, masking: "eojeol", sequences: "full" };
    /** An epoch as text, or what was wrong. */
    const epoch = (): string => {
      using reopened = Shard.open(shard.path);
      using batches = new MlmBatches(reopened, tokenizer, options);
      const seen: string[] = [];
      while (batches.epoch < 1) seen.push(JSON.stringify(copy(batches.next())));
      return seen.join();
    };
    const good = epoch();
    for (const path of [shard.path, index]) {
      const whole = Deno.readFileSync(path);
      let noticed = 0;
      for (let at = 3; at < whole.length; at += Math.ceil(whole.length / 150)) {
        const bad = whole.slice();
        bad[at] ^= 1 << (at % 8);
        Deno.writeFileSync(path, bad);
        try {
          assertEquals(epoch(), good, `byte ${at} of ${path}`);
        } catch (error) {
          assert(error instanceof ClozeError, `byte ${at} of ${path}: ${error}`);
          assertStringIncludes(error.message, path);
          noticed++;
        }
      }
      assert(path === index || noticed > 100, `${noticed} noticed`);
      // What the hint says: the index is made again from the shard.
      Deno.writeFileSync(path, whole);
    }
    Deno.removeSync(index);
    assertEquals(epoch(), good);
  });
});

Deno.test("an index that its checksums cover but that leads out of the shard is refused", async () => {
  await withShard(documentsOf(200), (shard) => {
    const path = shard.path.replace(".shard", ".document-64.index");
    SequenceIndex.open(shard, "document", 64)[Symbol.dispose]();
    const content = fromPages(Deno.readFileSync(path).subarray(PAGE));
    const view = new DataView(content.buffer);
    for (const [at, value] of [[0, 2 ** 31], [8, 2 ** 31], [16, 2 ** 32 - 1], [20, 2 ** 32 - 1], [32, 0]]) {
      const old = view.getUint32(at, true);
      view.setUint32(at, value, true);
      Deno.writeFileSync(path, new Uint8Array([...Deno.readFileSync(path).subarray(0, PAGE), ...toPages(content)]));
      view.setUint32(at, old, true);
      using index = SequenceIndex.open(shard, "document", 64);
      assertThrows(() => index.entries(0, 2), ClozeError, "lies outside the shard");
    }
  });
});

Deno.test("text without a single token gives no sequence and no batch", async () => {
  await withShard([], (shard) => {
    using batches = new MlmBatches(shard, tokenizer, OPTIONS);
    assertEquals(batches.count, 0);
    const { seed: _, ...options } = OPTIONS;
    assertEquals(fixedEvalBatches(shard, tokenizer, options, 100), []);
  });
});

Deno.test("a batch with nothing masked is a batch", async () => {
  await withShard(documentsOf(20), (shard) => {
    using batches = new MlmBatches(shard, tokenizer, { ...OPTIONS, mlm_probability: 0 });
    const batch = batches.next();
    assertEquals([batch.labels.length, batch.masked_positions.length], [0, 0]);
    assert(batch.input_ids.length > 0);
  });
});

Deno.test("MlmBatches mask by how far the run is, and a batch is the same whatever came before it", async () => {
  await withShard(documentsOf(300), (shard) => {
    const options = { ...OPTIONS, mlm_probability: 0.6, final_mlm_probability: 0.1, batch_tokens: 1024 };
    using batches = new MlmBatches(shard, tokenizer, options);
    const share = ({ labels, input_ids }: Batch) => labels.length / input_ids.length;
    const { position } = batches;
    const [first, middle, last] = [0, 0.5, 1].map((done) => {
      batches.position = position;
      return copy(batches.next(done));
    });
    assert(share(first) > share(middle) + 0.1 && share(middle) > share(last) + 0.1);
    using other = new MlmBatches(shard, tokenizer, options);
    other.next(1);
    other.position = position;
    assertEquals(copy(other.next(0.5)), middle);
  });
});
