/** Flags that do nothing where they are given: refused by name, before anything is read. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { smallPlace, testWithCore } from "../support.ts";

testWithCore("flags of the other thing that a command does are refused, not passed over", async () => {
  using place = smallPlace();
  const scored = ["evaluate", "--model", "m", "--sentences", "text.txt"];
  const shown = ["inspect", "--data", "text.txt", "--tokenizer", "t"];
  const named = ["extend-vocab", "--model", "m", "--output", "o", "--special-token", "[A]"];
  const learned = ["train-tokenizer", "--data", "text.txt", "--output", "t", "--pre-tokenizer", "characters"];
  const cases: [args: string[], flag: string][] = [
    [[...scored, "--max-tokens", "100"], "--max-tokens"],
    [[...scored, "--max-sequence-length", "16"], "--max-sequence-length"],
    [[...scored, "--documents", "lines"], "--documents"],
    [[...scored, "--allow-unknown"], "--allow-unknown"],
    [[...shown, "--short-seq-prob", "0.5"], "--short-seq-prob is for --pairs"],
    [[...shown, "--export", "x.safetensors", "--json"], "--json"],
    [[...learned, "--min-frequency", "5"], "--min-frequency is for pairs that are merged"],
    [[...named, "--add", "5"], "--add is for tokens that are learned from --data"],
    [[...named, "--min-frequency", "5"], "--min-frequency"],
    [["tokenize", "--tokenizer", "t", "--decode", "--json"], "--json"],
    [["tokenize", "--tokenizer", "t", "--decode", "--ids"], "--ids"],
  ];
  for (const [args, flag] of cases) {
    const { code, stdout, stderr } = await place.cloze(args);
    assertEquals([code, stdout], [2, ""], `${args.join(" ")}: ${stderr}`);
    assertStringIncludes(stderr, `error: ${flag}`);
  }
});
