/** What is hidden in text, names, labels and vocabularies, and what of it reaches a terminal: nothing that it obeys. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Place, testWithCore, trainedPlace } from "../support.ts";

/** A window's title, colours, a return over the line, C1, bidirectional override and isolate, a separator of lines. */
const EVIL = "\x1b]0;title\x07\x1b[31m\r\x9b1m\u202eevil\u2066\u2028\x7f";

// deno-lint-ignore no-control-regex
const RAW = /[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

function assertHarmless({ stdout, stderr }: { stdout: string; stderr: string }): void {
  for (const text of [stdout, stderr]) assert(!RAW.test(text), JSON.stringify(text));
}

testWithCore("predict escapes what hides in text, vocabulary, labels, paths and errors, in JSON too", async () => {
  using place = await trainedPlace();
  const folder = `${place.path}/model`;
  const read = (name: string) => JSON.parse(Deno.readTextFileSync(`${folder}/${name}`));
  const tokenizer = read("tokenizer.json");
  for (const [token, id] of Object.entries(tokenizer.model.vocab)) {
    if (/^\[/.test(token)) continue;
    delete tokenizer.model.vocab[token];
    tokenizer.model.vocab[`${token}${EVIL}`] = id;
  }
  Deno.writeTextFileSync(`${folder}/tokenizer.json`, JSON.stringify(tokenizer));
  Deno.removeSync(`${folder}/SHA256SUMS`); // as one who sends such a folder would
  Deno.renameSync(folder, `${place.path}/${EVIL.replaceAll("/", "")}`);
  const predict = (args: string[], input: string) =>
    place.cloze(["predict", "--model", EVIL.replaceAll("/", ""), ...args], { input });
  const line = `${EVIL} [MASK] ${EVIL}\n`;
  const plain = await predict([], line);
  assertHarmless(plain);
  assertEquals(plain.code, 0, plain.stderr);
  assertStringIncludes(plain.stdout, "\\x1b]0;title\\x07");
  assertStringIncludes(plain.stdout, "\\u202eevil");
  const json = await predict(["--json"], line);
  assertHarmless(json);
  const { input, masks } = JSON.parse(json.stdout);
  assertEquals(input, line.trimEnd());
  assertStringIncludes(masks[0][0].token, EVIL);
  const refused = await predict(["--targets", EVIL], line);
  assertHarmless(refused);
  assertEquals(refused.code, 2);
  const missing = await predict([`${EVIL}\nerror: not from cloze`], "");
  assertHarmless(missing);
  assertEquals(missing.stderr.split("\n").filter((line) => line.startsWith("error: ")).length, 1, missing.stderr);
  assertHarmless(await place.cloze(["tokenize", "--model", EVIL.replaceAll("/", "")], { input: line }));
});

testWithCore("a classifier's labels are escaped", async () => {
  using place = await trainedPlace();
  const label = JSON.stringify(EVIL); // a field of a .jsonl file
  const record = (label: string, text: string) => `{"text": ${JSON.stringify(text)}, "label": ${label}}\n`;
  place.file("train.jsonl", record(label, "The cat sees.") + record('"line\\nbreak"', "The dog hears."));
  const trained = await place.cloze(
    ["finetune", "--model", "model", "--train", "train.jsonl", "--valid", "train.jsonl", "--output", "classifier"],
  );
  assertEquals(trained.code, 0, trained.stderr);
  assertHarmless(trained);
  const page = Deno.readTextFileSync(`${place.path}/classifier/report.html`).replace(/<script[\s\S]*?<\/script>/g, "");
  assert(!RAW.test(page.replace(/<style[\s\S]*?<\/style>/g, "")), "the report");
  const classified = await place.cloze(["predict", "--model", "classifier", "--top-k", "2"], { input: "The cat.\n" });
  assertHarmless(classified);
  assertEquals(classified.stdout.split("\n").length, 2, "one line");
});

Deno.test("names of commands, flags and files are escaped in errors", async () => {
  using place = new Place();
  for (const args of [[EVIL], ["predict", `--${EVIL}`], ["predict", "--model", EVIL], ["report", EVIL]]) {
    const outcome = await place.cloze(args);
    assertHarmless(outcome);
    assert(outcome.code !== 0);
    assert(!/did not expect/.test(outcome.stderr), outcome.stderr);
  }
});
