import { assertEquals } from "@std/assert";
import { serdeNumber } from "./score.ts";

Deno.test("serdeNumber gives what serde_json 1.0.154 gives, which is not always the nearest number", () => {
  assertEquals(serdeNumber("-9.5"), -9.5);
  assertEquals(serdeNumber("0"), 0);
  assertEquals(serdeNumber("1e-400"), 0);
  assertEquals(serdeNumber("1.5e3"), 1500);
  // One unit in the last place from what JSON.parse gives.
  const text = "-14.942386627197266";
  assertEquals(serdeNumber(text), -14942386627197266 / 1e15);
  // Digits beyond 2^64 are left out.
  assertEquals(serdeNumber("-0.12345678901234567890999"), -(12345678901234567890 / 1e20));
  assertEquals(serdeNumber("123456789012345678909"), 12345678901234567890 * 10);
});
