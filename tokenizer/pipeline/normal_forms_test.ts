import { assertEquals } from "@std/assert";
import { aligned } from "../aligned_text.ts";
import { EditedText } from "./edited_text.ts";
import { CHARACTERS } from "../wordpiece/characters.ts";
import { alignForm } from "./normal_forms.ts";

Deno.test("alignForm gives the normalized text, and places as tokenizers does", () => {
  for (const form of ["NFC", "NFD", "NFKC", "NFKD"] as const) {
    for (
      const text of [
        "한글",
        "\u1112\u1161\u11AB가",
        "e\u0323\u0301\u0301",
        "q\u0307\u0323",
        "ﬁ½\u0344",
        "\u0301a",
        "ㅎㅏㄴ",
      ]
    ) {
      const edited = new EditedText(aligned(text));
      alignForm(edited, form);
      assertEquals(edited.text, CHARACTERS.huggingface.normalized(text, form), `${form} ${text}`);
    }
  }
  const composed = new EditedText(aligned("xe\u0301y"));
  alignForm(composed, "NFC");
  assertEquals([composed.starts, composed.ends], [[0, 1, 3], [1, 2, 4]]);
  const compatible = new EditedText(aligned("ﬁx"));
  alignForm(compatible, "NFKC");
  assertEquals([compatible.starts, compatible.ends], [[0, 0, 1], [1, 1, 2]]);
});

Deno.test("alignForm takes no quadratic time for marks in the wrong order", () => {
  const marks = Array.from({ length: 100_000 }, (_, i) => i % 2 ? "\u0323" : "\u0301").join("");
  const edited = new EditedText(aligned(`a${marks}`));
  alignForm(edited, "NFD");
  assertEquals(edited.text, `a${marks}`.normalize("NFD"));
});
