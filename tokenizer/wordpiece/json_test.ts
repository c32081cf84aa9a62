import { assert, assertEquals, assertThrows } from "@std/assert";
import { ClozeError } from "../../config/cloze_error.ts";
import { loadTokenizer } from "../files.ts";
import { SPECIAL_TOKENS } from "../added_tokens.ts";
import { WordPieceTokenizer } from "./tokenizer.ts";
import { tokenizerFiles } from "../tokenizer_files.ts";
import { parseObject } from "../outer_fields.ts";
import { readWordPiece } from "./json.ts";

const tokenizer = new WordPieceTokenizer([...SPECIAL_TOKENS, "a", "##b", "."], {
  normalizer: { pre_tokenizer: "characters" },
});
const valid = tokenizerFiles(tokenizer, 512);

/** Values of every type, and extremes of them. */
const WRONG = [null, true, 0, -1, 1.5, 1e9, 1e300, "", "x", "\ud800", [], {}, [[]], { type: "Sequence" }];

/** Calls `visit` with every place in a value and its parent. */
function places(json: unknown, visit: (parent: Record<string, unknown>, key: string) => void): void {
  if (typeof json !== "object" || json === null) return;
  for (const key of Object.keys(json)) {
    visit(json as Record<string, unknown>, key);
    places((json as Record<string, unknown>)[key], visit);
  }
}

Deno.test("loadTokenizer of a file with one field of a wrong type loads it or names what is wrong", async () => {
  const folder = await Deno.makeTempDir();
  try {
    let refused = 0, tried = 0;
    const attempt = async () => {
      tried++;
      try {
        const loaded = await loadTokenizer(folder, "model");
        loaded.encode("a [MASK] ab.");
      } catch (error) {
        assert(error instanceof ClozeError, `${error instanceof Error ? error.stack : error}`);
        assert(error.message.length < 400, error.message);
        refused++;
      }
    };
    for (const name of ["tokenizer.json", "tokenizer_config.json"]) {
      for (const [other, text] of Object.entries(valid)) await Deno.writeTextFile(`${folder}/${other}`, text);
      const json = JSON.parse(valid[name]), changes: [Record<string, unknown>, string][] = [];
      places(json, (parent, key) => changes.push([parent, key]));
      for (const [parent, key] of changes) {
        const before = parent[key];
        for (const wrong of [undefined, ...WRONG]) {
          parent[key] = wrong;
          await Deno.writeTextFile(`${folder}/${name}`, JSON.stringify(json));
          await attempt();
        }
        parent[key] = before;
      }
    }
    assert(refused > 500 && refused < tried, `${refused} of ${tried}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("readWordPiece refuses what is deep, huge or no JSON object, at once", () => {
  const json = JSON.parse(valid["tokenizer.json"]);
  const refuse = (change: object, message: string) =>
    assertThrows(() => readWordPiece({ ...json, ...change }), ClozeError, message);
  let deep: object = { type: "NFC" };
  for (let i = 0; i < 1000; i++) deep = { type: "Sequence", normalizers: [deep] };
  refuse({ normalizer: deep }, "nested more than 64 deep");
  refuse({ model: { ...json.model, vocab: { a: 1e9 } } }, 'the id 1000000000 of "a"');
  refuse({ model: { ...json.model, max_input_chars_per_word: -1 } }, "model.max_input_chars_per_word");
  for (const text of ["[]", "7", "null", '"x"', `${"[".repeat(100_000)}${"]".repeat(100_000)}`]) {
    assertThrows(() => parseObject(text), ClozeError, "not an object");
  }
  const longest = JSON.stringify({ ...json, model: { ...json.model, max_input_chars_per_word: 0 } })
    .replace('"max_input_chars_per_word":0', '"max_input_chars_per_word":18446744073709551615');
  assertEquals(readWordPiece(parseObject(longest)).max_input_chars_per_word, Number.MAX_SAFE_INTEGER);
});
