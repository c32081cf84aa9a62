/** `cloze train-tokenizer`, `tokenize` and `extend-vocab` as people run them. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Place, smallPlace, testWithCore, trainedPlace } from "../support.ts";

const KOREAN = "단순함을 얻기란 복잡함을 얻기보다 어렵다.\n고양이는 생선을 먹는다, 정말로!\n";

/** A place with a tokenizer in `t`, learned from Korean and English. */
async function tokenizerPlace(...flags: string[]): Promise<{ place: Place; stderr: string }> {
  const place = smallPlace();
  place.file("ko.txt", KOREAN.repeat(20));
  const args = ["train-tokenizer", "--data", "text.txt", "ko.txt", "--output", "t", "--vocab-size", "300", ...flags];
  const { code, stderr } = await place.cloze(args);
  assertEquals(code, 0, stderr);
  return { place, stderr };
}

Deno.test("train-tokenizer says how well the vocabulary fits, by script", async () => {
  const { place, stderr } = await tokenizerPlace("--pad-to-multiple", "64");
  using _ = place;
  for (const part of ["fertility ", "[UNK] ", "Hangul ", "Latin ", "100.000%"]) assertStringIncludes(stderr, part);
  const vocabulary = Deno.readTextFileSync(`${place.path}/t/vocab.txt`).trimEnd().split("\n");
  assertEquals(vocabulary.length % 64, 0);
  assertStringIncludes(vocabulary[vocabulary.length - 1], "[unused");
});

/** Lines of one word each: letters in a row that only looks random. */
function letters(lengths: number[], alphabet = "ACDEFGHIKLMNPQRSTVWY"): string {
  let seed = 3;
  const letter = () => alphabet[(seed = Math.imul(seed, 1664525) + 1013904223 >>> 0) % 9973 % alphabet.length];
  return lengths.map((length) => Array.from({ length }, letter).join("") + "\n").join("");
}

Deno.test("train-tokenizer keeps an alphabet larger than --vocab-size, and says so", async () => {
  const syllables = Array.from({ length: 400 }, (_, i) => String.fromCodePoint(0xAC00 + 13 * i));
  const text = syllables.map((syllable, i) => `${syllable}${syllables[(7 * i + 1) % 400]}\n`).join("");
  using place = smallPlace();
  place.file("ko.txt", text);
  const train = (...flags: string[]) => place.cloze(["train-tokenizer", "--data", "ko.txt", "--output", "t", ...flags]);
  const asked = await train("--vocab-size", "300");
  assertEquals(asked.code, 0, asked.stderr);
  assertStringIncludes(
    asked.stderr,
    "the vocabulary has 805 tokens, more than the 300 asked for: the text's 400 characters need that many",
  );
  assertStringIncludes(asked.stderr, "[UNK]     0.000% of words (0)");
  place.file("ko.txt", text.repeat(2)); // words that occur twice become tokens
  const tight = await train("--vocab-size", "850", "--force");
  assertStringIncludes(tight.stderr, "only 45 of the 850 tokens are more than single characters");
  place.file("ko.txt", text);
  const chosen = await train("--force");
  assertEquals(chosen.code, 0, chosen.stderr);
  assert(!/asked for|more than single characters/.test(chosen.stderr), chosen.stderr);
  assertStringIncludes(chosen.stderr, "[UNK]     0.000% of words (0)");
  const limited = await train("--limit-alphabet", "300", "--force");
  assertEquals(limited.code, 0, limited.stderr);
  assertStringIncludes(limited.stderr, "the 100 rarest of the text's 400 characters are no tokens");
  assertMatch(limited.stderr, /warning: \d+\.\d% of the text's words became \[UNK\].*\nhint: .*--limit-alphabet/);
  assert(!asked.stderr.includes("warning") && !chosen.stderr.includes("warning"));
});

Deno.test("train-tokenizer takes words as long as the text has them, and transformers is told so", async () => {
  using place = smallPlace();
  place.file("protein.txt", letters([120, 250, 395, 380]));
  const args = ["train-tokenizer", "--data", "protein.txt", "--output", "t", "--force"];
  for (const [flags, usual] of [[[], "100"], [["--compat", "google"], "200"]] as const) {
    const { code, stderr } = await place.cloze([...args, ...flags]);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, `words may have 400 characters, not ${usual}`);
    assertStringIncludes(stderr, "[UNK]     0.000% of words (0)");
    assertEquals(
      JSON.parse(Deno.readTextFileSync(`${place.path}/t/tokenizer.json`)).model.max_input_chars_per_word,
      400,
    );
    const { stdout } = await place.cloze(["tokenize", "--tokenizer", "t"], { input: letters([390]) });
    assert(!stdout.includes("[UNK]"), stdout);
  }
  place.file("url.txt", "the cat sees the dog\n".repeat(20_000) + letters([300]));
  const { stderr } = await place.cloze(["train-tokenizer", "--data", "url.txt", "--output", "u"]);
  assert(!stderr.includes("words may have"), stderr);
});

Deno.test("train-tokenizer and pretrain refuse text of words that are too long for any tokenizer", async () => {
  using place = smallPlace();
  place.file("dna.txt", letters([5000, 4000, 3000], "ACGT"));
  for (const args of [["train-tokenizer", "--output", "t"], ["pretrain", "--steps", "2", "--output", "r"]]) {
    const { code, stderr } = await place.cloze([...args, "--data", "dna.txt"]);
    assertEquals(code, 1);
    assertStringIncludes(stderr, "100.0% of the text's characters stand in words of more than 1,000 characters");
    assertStringIncludes(stderr, "--pre-tokenizer characters");
  }
  place.file("mixed.txt", "the cat sees the dog\n".repeat(500) + letters([1500]));
  const { code, stderr } = await place.cloze(["train-tokenizer", "--data", "mixed.txt", "--output", "t"]);
  assertEquals(code, 0);
  assertStringIncludes(stderr, "warning: 15.8% of the text's characters stand in words of more than 1,000 characters");
});

Deno.test("tokenize and tokenize --decode bring Korean text back as it was, also text that came decomposed", async () => {
  const { place } = await tokenizerPlace();
  using _ = place;
  for (const input of [KOREAN, KOREAN.normalize("NFD")]) {
    const ids = await place.cloze(["tokenize", "--tokenizer", "t", "--ids"], { input });
    const { code, stdout, stderr } = await place.cloze(["tokenize", "--tokenizer", "t", "--decode"], {
      input: ids.stdout,
    });
    assertEquals([code, stdout, ids.stderr + stderr], [0, KOREAN, ""]);
  }
});

Deno.test("tokenize says when a tokenizer would have needed composed text", async () => {
  const { place } = await tokenizerPlace();
  using _ = place;
  place.file("vocab.txt", Deno.readTextFileSync(`${place.path}/t/vocab.txt`));
  const { stderr, stdout } = await place.cloze(["tokenize", "--tokenizer", "vocab.txt"], {
    input: "The cat\n" + KOREAN.normalize("NFD"),
  });
  assertStringIncludes(stderr, "line 2 is not composed (NFC)");
  assertStringIncludes(stdout, "[UNK]");
});

Deno.test("--compat google is kept by the tokenizer that was trained with it, and can be asked for", async () => {
  const { place } = await tokenizerPlace("--compat", "google", "--lowercase");
  using _ = place;
  const input = "The [MASK] cat\n" + "a".repeat(150) + "\n";
  const trained = await place.cloze(["tokenize", "--tokenizer", "t"], { input });
  assert(!trained.stdout.includes("[MASK]"), "Google's code knows no special tokens in text");
  assertStringIncludes(trained.stdout.split("\n")[1], "a ##a", "words may have 200 characters");
  const asked = await place.cloze(["tokenize", "--tokenizer", "t", "--compat", "huggingface"], { input });
  assertStringIncludes(asked.stdout, "[MASK]");
  assertEquals(asked.stdout.split("\n")[1], "[UNK]");
});

Deno.test("tokenize --decode refuses what is no id and goes on with the next line", async () => {
  const { place } = await tokenizerPlace();
  using _ = place;
  const { code, stdout, stderr } = await place.cloze(["tokenize", "--tokenizer", "t", "--decode"], {
    input: "5 x\n999999\n\n2 3\n",
  });
  assertEquals([code, stdout], [1, "\n[CLS] [SEP]\n"]);
  assertStringIncludes(stderr, 'line 1: "x" is not an id');
  assertStringIncludes(stderr, "line 2: there is no token 999999");
});

Deno.test("a special token of one's own is whole in corpus, line and decoded text, and no piece is learned of it", async () => {
  const { place } = await tokenizerPlace("--special-token", "[URL]", "--special-token", "<new line>");
  using _ = place;
  place.file("urls.txt", "The cat[URL] sees <new line> [SEP] the dog.\n".repeat(60));
  const args = ["train-tokenizer", "--data", "urls.txt", "--output", "u", "--special-token", "[URL]"];
  const learned = await place.cloze([...args, "--special-token", "<new line>"]);
  assertEquals(learned.code, 0, learned.stderr);
  const vocabulary = Deno.readTextFileSync(`${place.path}/u/vocab.txt`).split("\n");
  assertEquals(vocabulary.slice(4, 7), ["[MASK]", "[URL]", "<new line>"]);
  assert(!vocabulary.some((token) => /URL|new/.test(token) && !/[\[<]/.test(token)), vocabulary.join(" "));
  const tokens = await place.cloze(["tokenize", "--tokenizer", "u"], { input: "cat[URL]<new line>\n" });
  assertEquals(tokens.stdout, "cat [URL] <new line>\n");
  const shown = await place.cloze(
    ["inspect", "--data", "urls.txt", "--tokenizer", "u", "--json", "--mlm-probability", "0"],
  );
  const [first] = shown.stdout.split("\n").map((line) => line === "" ? {} : JSON.parse(line));
  assertEquals(first.tokens.slice(0, 6), ["[CLS]", "The", "cat", "[URL]", "sees", "<new line>"], shown.stderr);
  assert(!first.tokens.slice(1, -1).includes("[SEP]"), "BERT's own are plain text in a corpus");
});

Deno.test("a special token that cannot be one is refused before anything is made", async () => {
  using place = smallPlace();
  const refuse = async (tokens: string[], message: string) => {
    const flags = tokens.map((token) => `--special-token=${token}`);
    const { code, stderr } = await place.cloze(["train-tokenizer", "--data", "text.txt", "--output", "t", ...flags]);
    assertEquals(code, 2, stderr);
    assertStringIncludes(stderr, message);
    assert(!await Deno.stat(`${place.path}/t`).then(() => true, () => false));
  };
  await refuse(["[URL]", "[URL]"], "is given twice");
  await refuse(["[SEP]"], "is one of BERT's own");
  await refuse([""], "needs a value");
  await refuse([" [URL]"], "white space");
  await refuse(["##s"], "pieces of words");
  await refuse(["[unused3]"], "placeholder");
});

Deno.test("--pre-tokenizer characters makes every character a word, whitespace leaves punctuation where it is", async () => {
  using place = smallPlace();
  place.file("protein.txt", "MKVLAAGIVGLLLAQWERTYIPASDFGHKLCVNM\n".repeat(30));
  for (const [name, expected] of [["characters", "M K [MASK] V\n"], ["whitespace", "MK [MASK] V\n"]]) {
    const learned = await place.cloze(
      ["train-tokenizer", "--data", "protein.txt", "text.txt", "--output", name, "--pre-tokenizer", name],
    );
    assertEquals(learned.code, 0, learned.stderr);
    const ids = await place.cloze(["tokenize", "--tokenizer", name, "--ids"], { input: "MK[MASK]V\nThe cat.\n" });
    const text = await place.cloze(["tokenize", "--tokenizer", name, "--decode"], { input: ids.stdout });
    if (name === "characters") assertEquals(text.stdout, `${expected}T h e c a t .\n`);
    const tokens = Deno.readTextFileSync(`${place.path}/${name}/vocab.txt`).split("\n");
    assertEquals(tokens.some((token) => token.startsWith("##")), name === "whitespace");
    assert(name === "characters" || tokens.some((token) => /\w\./.test(token)), "a full stop belongs to its word");
  }
});

Deno.test("tokenize says what --model is called, and what its tokenizer does not follow", async () => {
  const { place } = await tokenizerPlace();
  using _ = place;
  const old = await place.cloze(["tokenize", "--model", "t"]);
  assertEquals(old.code, 2);
  assertStringIncludes(old.stderr, "it is called --tokenizer");
  const config = JSON.parse(Deno.readTextFileSync(`${place.path}/t/tokenizer_config.json`));
  place.file(
    "t/tokenizer_config.json",
    JSON.stringify({ ...config, tokenizer_class: "BertTokenizer", do_lower_case: true }),
  );
  const { code, stderr, stdout } = await place.cloze(["tokenize", "--tokenizer", "t"], { input: "The Cat\n" });
  assertEquals(code, 0, stderr);
  assertStringIncludes(stderr, "note: tokenizer.json says");
  assert(!stdout.includes("The"), stdout);
  place.file("t/tokenizer_config.json", JSON.stringify({ ...config, tokenizer_class: "BertJapaneseTokenizer" }));
  const refused = await place.cloze(["tokenize", "--tokenizer", "t"]);
  assertEquals(refused.code, 1);
  assertStringIncludes(refused.stderr, '"BertJapaneseTokenizer"');
});

testWithCore("extend-vocab makes a model with more tokens that predicts as before", async (t) => {
  using place = await trainedPlace(60);
  place.file("new.txt", "The hedgehog hears the hedgehog. 뽀로로는 뽀로로\n".repeat(5));
  const predict = async (model: string, text: string) => {
    const { code, stdout, stderr } = await place.cloze(["predict", "--model", model, "--json"], { input: text });
    assertEquals(code, 0, stderr);
    return JSON.parse(stdout);
  };

  await t.step("from text", async () => {
    const args = ["extend-vocab", "--model", "model", "--output", "larger", "--data", "new.txt", "--add", "40"];
    const { code, stderr } = await place.cloze(args);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, "tokens a word in the text: ");
    assert(/words that are \[UNK\]: \d+\.\d% before, 0\.0% now/.test(stderr), stderr);
    const tokens = await place.cloze(["tokenize", "--tokenizer", "larger"], { input: "hedgehog 뽀로로\n" });
    assertEquals(tokens.stdout, "hedgehog 뽀로로\n");
    const config = (name: string) => JSON.parse(Deno.readTextFileSync(`${place.path}/${name}/config.json`));
    const { vocab_size, ...rest } = config("larger"), { vocab_size: old, ...before } = config("model");
    assert(vocab_size > old);
    assertEquals(rest, before);
    const line = "The [MASK] sees the dog.\n";
    const [then, now] = [await predict("model", line), await predict("larger", line)];
    const ids = (answers: { id: number }[]) => answers.map(({ id }) => id).filter((id) => id < old);
    assertEquals(ids(now.masks[0]).slice(0, 1), ids(then.masks[0]).slice(0, 1));
  });

  await t.step(
    "words longer than the model took are taken, and characters that --add leaves out are told of",
    async () => {
      place.file("long.txt", letters([150, 380, 395, 390], "abc").repeat(2));
      const extend = (output: string, add: string) =>
        place.cloze(["extend-vocab", "--model", "model", "--output", output, "--data", "long.txt", "--add", add]);
      const few = await extend("few", "1");
      assertStringIncludes(few.stderr, "warning: 100.0% of the text's words are [UNK] all the same");
      const many = await extend("many", "20");
      assertStringIncludes(many.stderr, "words may have 400 characters, not 100");
      assertStringIncludes(many.stderr, "words that are [UNK]: 100.0% before, 0.0% now");
      const { stdout } = await place.cloze(["tokenize", "--model", "many"], { input: letters([398], "abc") });
      assert(!stdout.includes("[UNK]"), stdout);
    },
  );

  await t.step("from a list, rows begin as the mean of the old pieces", async () => {
    place.file("tokens.txt", "catdog\nThe\n##nightly\n");
    const args = ["extend-vocab", "--model", "model", "--output", "listed", "--tokens", "tokens.txt"];
    const { code, stderr } = await place.cloze(args);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, "2 new tokens"); // "The" is one already
    const vocabulary = Deno.readTextFileSync(`${place.path}/model/vocab.txt`).trimEnd().split("\n");
    const pieces = await place.cloze(["tokenize", "--tokenizer", "model", "--ids"], { input: "catdog\n" });
    const ids = pieces.stdout.trim().split(" ").map(Number);
    for (const name of ["bert.embeddings.word_embeddings.weight", "cls.predictions.bias"]) {
      const [old, larger] = ["model", "listed"].map((folder) =>
        tensor(`${place.path}/${folder}/model.safetensors`, name)
      );
      const width = old.length / vocabulary.length;
      assertEquals(larger.subarray(0, old.length), old);
      assertEquals(larger.length, old.length + 2 * width);
      for (let k = 0; k < width; k++) {
        const mean = ids.reduce((sum, id) => sum + old[id * width + k], 0) / ids.length;
        assert(Math.abs(larger[old.length + k] - mean) < 1e-6 * Math.max(1, Math.abs(mean)), "to rounding");
      }
    }
  });

  await t.step("with special tokens, which are whole in its lines", async () => {
    const args = ["extend-vocab", "--model", "model", "--output", "named", "--special-token", "[URL]"];
    const { code, stderr } = await place.cloze(args);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, "1 new token,");
    const { input, masks } = await predict("named", "The [MASK] sees [URL].\n");
    assertEquals([input, masks.length], ["The [MASK] sees [URL].", 1]);
    const tokens = await place.cloze(["tokenize", "--tokenizer", "named"], { input: "sees[URL]\n" });
    assertEquals(tokens.stdout, "sees [URL]\n");
    const again = await place.cloze([...args.slice(0, 2), "named", "--output", "twice", ...args.slice(5)]);
    assertEquals(again.code, 1);
    assertStringIncludes(again.stderr, "already");
  });

  await t.step("faults leave nothing behind", async () => {
    const run = (...args: string[]) => place.cloze(["extend-vocab", "--model", "model", ...args]);
    const refuse = async (args: string[], code: number, message: string) => {
      const outcome = await run(...args);
      assertEquals([outcome.code, outcome.stdout], [code, ""], outcome.stderr);
      assertStringIncludes(outcome.stderr, message);
    };
    await refuse(["--output", "x"], 2, "one of --data and --tokens");
    await refuse(["--output", "larger", "--tokens", "tokens.txt"], 2, "has");
    place.file("two.txt", "New York\n");
    await refuse(["--output", "x", "--tokens", "two.txt"], 1, "New York");
    place.file("known.txt", "The\n");
    await refuse(["--output", "x", "--tokens", "known.txt"], 1, "the model has them all");
    place.file("rare.txt", "The cat sees Ω\n");
    await refuse(["--output", "x", "--data", "rare.txt"], 1, "nothing that the model lacks occurs 2 times in the text");
    const taken = await run("--output", "rare", "--data", "rare.txt", "--min-frequency", "1", "--add", "1");
    assertEquals(taken.code, 0, taken.stderr);
    assertMatch(taken.stderr, /wrote \S+: 1 new token, /);
    const weights = `${place.path}/model/model.safetensors`;
    const bytes = Deno.readFileSync(weights);
    Deno.writeFileSync(weights, bytes.subarray(0, bytes.length - 1000));
    await refuse(["--output", "x", "--tokens", "tokens.txt"], 1, "is damaged or was changed");
    Deno.removeSync(`${place.path}/model/SHA256SUMS`);
    await refuse(["--output", "x", "--tokens", "tokens.txt"], 1, "not a whole safetensors file");
    Deno.writeFileSync(weights, bytes);
    const left = [...Deno.readDirSync(place.path)].map(({ name }) => name).filter((name) => name.startsWith("x"));
    assertEquals(left, []);
  });
});

/** The numbers of an F32 tensor. */
function tensor(path: string, name: string): Float32Array {
  const bytes = Deno.readFileSync(path);
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const [from, to] = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)))[name].data_offsets;
  return new Float32Array(bytes.slice(8 + length + from, 8 + length + to).buffer);
}

Deno.test("train-tokenizer --model unigram: the same for any number of threads, and tokenize reads it", async () => {
  using place = smallPlace();
  place.file("ko.txt", KOREAN.repeat(20));
  const train = (output: string, ...flags: string[]) =>
    place.cloze([
      "train-tokenizer",
      "--data",
      "text.txt",
      "ko.txt",
      "--output",
      output,
      "--model",
      "unigram",
      ...flags,
    ]);
  const one = await train("t", "--vocab-size", "300", "--threads", "1", "--special-token", "[URL]");
  assertEquals(one.code, 0, one.stderr);
  assertMatch(one.stderr, /\[UNK\] +0\.000% of words/);
  const three = await train("u", "--vocab-size", "300", "--threads", "3", "--special-token", "[URL]");
  assertEquals(three.code, 0, three.stderr);
  const read = (folder: string) => Deno.readTextFileSync(`${place.path}/${folder}/tokenizer.json`);
  assertEquals(read("t"), read("u"));
  const { model, added_tokens } = JSON.parse(read("t"));
  assertEquals(model.vocab.slice(0, 6).map(([piece]: [string]) => piece), [
    "<s>",
    "<pad>",
    "</s>",
    "<unk>",
    "<mask>",
    "[URL]",
  ]);
  assertEquals(added_tokens.find(({ content }: { content: string }) => content === "<mask>").lstrip, true);
  const input = new TextEncoder().encode("고양이는 <mask> 먹는다 [URL]\n");
  const shown = await place.cloze(["tokenize", "--tokenizer", "t"], { input });
  assertEquals(shown.code, 0, shown.stderr);
  for (const token of ["<mask>", "[URL]", "▁"]) assertStringIncludes(shown.stdout, token);
});

Deno.test("train-tokenizer --model unigram refuses what it has no use for", async () => {
  using place = smallPlace();
  const refused = { "--min-frequency": "3", "--pre-tokenizer": "characters", "--compat": "google" };
  for (const [flag, value] of Object.entries(refused)) {
    const args = ["train-tokenizer", "--data", "text.txt", "--output", "t", "--model", "unigram", flag, value];
    const { code, stderr } = await place.cloze(args);
    assertEquals(code, 2, stderr);
    assertStringIncludes(stderr, flag);
  }
});
