import { assertEquals } from "@std/assert";
import { filledLines } from "./filled.ts";

Deno.test("filledLines shows the answers that fit, the best in any case, and counts Hangul twice", () => {
  const predictions = ["영화", "드라마", "책"].map((token, i) => ({ token, id: i, probability: 0.5 / (i + 1) }));
  const lines = [{ text: "이 [MASK] 좋다", answer: "영화", predictions }];
  const [, whole] = filledLines(lines);
  assertEquals(whole, "  이 [영화] 좋다   영화 50.0%, 드라마 25.0%, 책 16.7%");
  assertEquals(filledLines(lines, 43)[1], "  이 [영화] 좋다   영화 50.0%, 드라마 25.0%");
  assertEquals(filledLines(lines, 10)[1], "  이 [영화] 좋다   영화 50.0%");
});
