/** What goes wrong with tagged words, in finetune: each is said with its file and line, and nothing is left behind. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { testWithCore, trainedPlace } from "../support.ts";

const GOOD = "a O\ndog B-X\n\nthe O\ncat B-X\n";

testWithCore("finetune says where tagged words are wrong", async () => {
  using place = await trainedPlace(5);
  const utf8 = new Uint8Array([...new TextEncoder().encode("a O\nd"), 0xFF, ...new TextEncoder().encode("g B-X\n")]);
  const cases: [name: string, content: string | Uint8Array, said: string][] = [
    ["columns.conll", "a O\ndog\n", "columns.conll: line 2 has 1 column; expected 2, as the first line has"],
    ["more.conll", "a O\ndog X B-X\n", "more.conll: line 2 has 3 columns"],
    ["first.conll", "a\ndog\n", "first.conll: line 1 has 1 column; expected at least a word and its tag"],
    ["empty.conll", "", "empty.conll has no sentences in it"],
    ["blank.conll", "\n\n-DOCSTART- O\n\n", "blank.conll has no sentences in it"],
    ["utf8.conll", utf8, "utf8.conll is not UTF-8 text: line 2 is invalid"],
    ["one.conll", "a O\nb O\n", 'one.conll has one tag only, "O"'],
    ["unequal.jsonl", '{"tokens":["a","b"],"tags":["O"]}\n', "unequal.jsonl: line 1: 2 words, but 1 tags"],
    ["kind.jsonl", '{"tokens":["a",1],"tags":["O","O"]}\n', "kind.jsonl: line 1: tokens is no list of words"],
    ["null.jsonl", '{"tokens":["a"],"tags":[null]}\n', "null.jsonl: line 1: the tags are no list of tags"],
    ["broken.jsonl", '{"tokens":["a"],\n', "broken.jsonl: line 1 is not JSON"],
  ];
  place.file("valid.conll", GOOD);
  for (const [name, content, said] of cases) {
    place.file(name, content);
    const { code, stderr } = await place.cloze(
      ["finetune", "--model", "model", "--train", name, "--valid", "valid.conll", "--output", "out"]
        .concat("--task", "token-classification"),
    );
    assertEquals(code, 1, `${name}: ${stderr}`);
    assertStringIncludes(stderr, said);
    assertEquals(stderr.includes("    at "), false, stderr);
  }
  place.file("train.conll", GOOD);
  place.file("other.conll", "a O\n\nthe O\nbird B-Y\n");
  const flags = ["finetune", "--model", "model", "--output", "out", "--train", "train.conll"];
  const unknown = await place.cloze([...flags, "--valid", "other.conll"]);
  assertEquals(unknown.code, 1);
  assertStringIncludes(unknown.stderr, 'other.conll: the sentence of line 3: "bird" has the tag "B-Y"');
  place.file("table.csv", "text,label\na,b\n");
  const csv = await place.cloze([...flags, "--valid", "table.csv"]);
  assertStringIncludes(csv.stderr, "table.csv is a .csv file");
  place.file("plain.txt", GOOD);
  const plain = await place.cloze(["finetune", "--model", "model", "--output", "out", "--train", "plain.txt"].concat(
    ...["--valid", "plain.txt"],
  ));
  assertStringIncludes(plain.stderr, "--task token-classification");
});
