/** Byte-level BPE as people use it: learned, trained with, asked. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { SMALL_CONFIG, smallPlace, testWithCore } from "../support.ts";

testWithCore(
  "a tokenizer of --model bpe is learned, trained with, and asked in every way to write a blank",
  async (t) => {
    using place = smallPlace();
    place.file("config.json", SMALL_CONFIG);
    const cloze = async (args: string[], input = "") => {
      const outcome = await place.cloze(args, { input });
      assertEquals(outcome.code, 0, outcome.stderr);
      return outcome;
    };

    await t.step("train-tokenizer writes what RoBERTa's tokenizers have", async () => {
      const args = ["train-tokenizer", "--data", "text.txt", "--output", "t", "--model", "bpe", "--vocab-size", "400"];
      const { stderr } = await cloze(args);
      assertStringIncludes(stderr, "[UNK]     0.000% of words (0)");
      const { model: { vocab } } = JSON.parse(Deno.readTextFileSync(`${place.path}/t/tokenizer.json`));
      assertEquals(["<s>", "<pad>", "</s>", "<unk>", "<mask>"].map((token) => vocab[token]), [0, 1, 2, 3, 4]);
      for (const name of ["vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"]) {
        assert(Deno.statSync(`${place.path}/t/${name}`).isFile);
      }
      await cloze(args); // the same again is the same tokenizer
      for (const flag of [["--limit-alphabet", "9"], ["--pre-tokenizer", "bert"], ["--compat", "google"]]) {
        const refused = await place.cloze([...args, ...flag]);
        assertEquals(refused.code, 2);
        assertMatch(refused.stderr, new RegExp(`${flag[0]} is (not )?for --model`));
      }
      const taken = await place.cloze([...args, "--special-token", "<mask>"]);
      assertEquals(taken.code, 2);
      assertStringIncludes(taken.stderr, '"<mask>"');
    });

    await t.step("pretrain masks words and eojeols of it", async () => {
      for (const masking of ["word", "eojeol", "span"]) {
        await cloze([
          ...["pretrain", "--data", "text.txt", "--tokenizer", "t", "--output", `runs/${masking}`, "--steps", "2"],
          ...["--config", "config.json", "--masking", masking, "--max-sequence-length", "32", "--batch-tokens", "256"],
        ]);
      }
      const config = JSON.parse(Deno.readTextFileSync(`${place.path}/runs/word/config.json`));
      assertEquals(config.pad_token_id, 1);
    });

    await t.step("predict takes [MASK], <mask> and ____, and joins what it finds", async () => {
      const input = "The [MASK] sees the dog.\nThe <mask> sees the dog.\nThe ____ sees the dog.\n";
      const args = ["predict", "--model", "runs/word", "--json"];
      const { stdout } = await cloze(args, input);
      const [first, ...others] = stdout.trim().split("\n").map((line) => JSON.parse(line));
      for (const other of others) assertEquals(other.masks, first.masks);
      assert(/^The ?\S* sees the dog\.$/.test(first.sequence), first.sequence);
      const { stdout: chosen } = await cloze([...args, "--targets", "cat,dog"], "The ____ sees.\n");
      const { sequence, masks: [answers] } = JSON.parse(chosen);
      assertEquals(answers.length, 2);
      assertEquals(sequence, `The ${answers[0].token} sees.`);
    });

    await t.step("tokenize and tokenize --decode bring text back", async () => {
      const { stdout } = await cloze(["tokenize", "--tokenizer", "t", "--ids"], "한국어 and the cat's 漢字\n");
      assertEquals(
        (await cloze(["tokenize", "--tokenizer", "t", "--decode"], stdout)).stdout,
        " 한국어 and the cat's 漢字\n",
      );
      const refused = await place.cloze(["tokenize", "--tokenizer", "t", "--compat", "google"], { input: "a\n" });
      assertEquals(refused.code, 2);
    });

    await t.step("extend-vocab adds special tokens, words and what a text needs", async () => {
      const model = ["extend-vocab", "--model", "runs/word"];
      await cloze([...model, "--output", "larger", "--special-token", "[URL]"]);
      const { stdout } = await cloze(["tokenize", "--tokenizer", "larger"], "see [URL]\n");
      assertStringIncludes(stdout, "[URL]");
      place.file("words.txt", "심근경색\n##myocardial\n");
      await cloze([...model, "--output", "named", "--tokens", "words.txt", "--special-token", "[URL]"]);
      const named = await cloze(["tokenize", "--tokenizer", "named"], "심근경색 [URL]\n");
      assertEquals(named.stdout.trim().split(" ").length, 3); // a space that the special token leaves
      await cloze(["predict", "--model", "named"], "심근경색 <mask> the\n");
      place.file("new.txt", "심근경색은 심장의 병이다\n".repeat(4));
      const learned = await cloze([...model, "--output", "learned", "--data", "new.txt", "--add", "12"]);
      assertStringIncludes(learned.stderr, "12 new tokens");
      const on = ["pretrain", "--from", "runs/word", "--extend", "9", "--data", "new.txt", "--steps", "1"];
      await cloze([...on, "--output", "runs/on"]);
      place.file("two.txt", "film\nNew York\n");
      const refused = await place.cloze([...model, "--output", "no", "--tokens", "two.txt"]);
      assertEquals(refused.code, 1);
      assertStringIncludes(refused.stderr, 'two.txt: line 2: no text gives the token "New York"');
    });
  },
);
