import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { ClozeError } from "./cloze_error.ts";
import { sealed, unsealed } from "./sealed_json.ts";

const VALUE = {
  seed: 3,
  rate: 3e-3,
  zero: -0,
  none: undefined,
  name: "고양이 \u2028",
  list: [1, { a: null }],
  7: true,
};

Deno.test("unsealed gives what was sealed, however it is spaced, also sealed again", () => {
  const text = sealed(VALUE);
  const plain = JSON.parse(JSON.stringify(VALUE));
  assertEquals(unsealed(text, "x"), { value: plain, isSealed: true });
  assertEquals(unsealed(JSON.stringify(JSON.parse(text)), "x").isSealed, true);
  assertEquals(sealed(JSON.parse(text)), text);
  assertEquals(unsealed(JSON.stringify(VALUE), "x"), { value: plain, isSealed: false });
});

Deno.test("every changed byte of sealed text is refused, or changes no value", () => {
  const bytes = new TextEncoder().encode(sealed(VALUE));
  const good = unsealed(sealed(VALUE), "x").value;
  let refused = 0;
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const bad = bytes.slice();
      bad[at] ^= 1 << bit;
      try {
        const { value, isSealed } = unsealed(new TextDecoder().decode(bad), "x");
        // Either a space became another one, or the checksum's own name was hit, and it is one more field.
        if (isSealed) assertEquals(value, good);
        else assertEquals({ ...value, ...good }, value);
      } catch (error) {
        if (!(error instanceof ClozeError)) throw error;
        refused++;
      }
    }
  }
  assertEquals(refused > 6 * bytes.length, true, `${refused} of ${8 * bytes.length}`);
});

Deno.test("unsealed names the file and says what would do", () => {
  const error = assertThrows(() => unsealed(sealed(VALUE).replace('"seed": 3', '"seed": 4'), "run.json"), ClozeError);
  assertStringIncludes(error.message, "run.json is damaged or was edited");
  assertStringIncludes(error.hint ?? "", 'remove the field "checksum"');
  for (const text of ["", "[]", "null", "3", "{"]) {
    assertThrows(() => unsealed(text, "run.json"), ClozeError, "run.json");
  }
});
