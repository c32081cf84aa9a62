import { assertEquals } from "@std/assert";
import { IdBuffer } from "./id_buffer.ts";
import { WordCache } from "./word_cache.ts";

/** Its ids are the word's bytes, but for `-`, which has none; counts how often it is asked. */
function spelling() {
  const model = {
    asked: 0,
    match(bytes: Uint8Array, start: number, end: number, out: IdBuffer) {
      model.asked++;
      for (const byte of bytes.subarray(start, end)) if (byte !== 0x2D) out.push(byte);
    },
  };
  return model;
}

const encoder = new TextEncoder();

Deno.test("WordCache gives what the model gives, for words that share a hash, a length or a beginning, and asks it once", () => {
  const model = spelling(), cache = new WordCache(model), out = new IdBuffer();
  const words = ["", "-", "a", "b", "ab", "ba", "a".repeat(96), "a".repeat(95) + "b"];
  for (let i = 0; i < 3000; i++) words.push(`word ${i}`, `${i}-`);
  for (const _ of [1, 2, 3]) {
    words.forEach((word, i) => {
      const bytes = encoder.encode(`x${word}x`);
      out.truncate(0);
      out.push(7);
      cache.append(bytes, 1, bytes.length - 1, i % 5, out);
      assertEquals([...out.view()], [7, ...encoder.encode(word.replaceAll("-", ""))]);
    });
  }
  assertEquals(model.asked, words.length);
});

Deno.test("WordCache does not keep long words, and begins anew once it knows as many as it keeps", () => {
  const model = spelling(), cache = new WordCache(model), out = new IdBuffer();
  const long = encoder.encode("a".repeat(97));
  for (const _ of [1, 2]) cache.append(long, 0, long.length, 1, out);
  assertEquals([out.length, model.asked], [2 * 97, 2]);
  const bytes = new Uint8Array(4), view = new DataView(bytes.buffer);
  const see = (word: number) => {
    view.setUint32(0, word + 0x2E2E2E2E);
    out.truncate(0);
    cache.append(bytes, 0, 4, Math.imul(word, 0x01000193), out);
  };
  const kept = 1 << 19;
  for (let word = 0; word <= kept; word++) see(word);
  const asked = model.asked;
  for (const _ of [1, 2]) {
    see(0);
    assertEquals([...out.view()], [...bytes]);
  }
  assertEquals(model.asked, asked + 1);
});
