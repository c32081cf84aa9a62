import { assertEquals } from "@std/assert";
import { Embeddings } from "./neighbours.ts";

Deno.test("Embeddings.nearest goes by direction and not by length, and passes over what does not count", () => {
  const embeddings = new Embeddings(Float32Array.of(1, 0, 5, 0.5, 0, 1, -1, 0, 0, 0), 5);
  const ids = (found: { id: number }[]) => found.map(({ id }) => id);
  assertEquals(ids(embeddings.nearest([0], 9, () => true)), [0, 1, 2, 3]); // the row of zeros has no direction
  assertEquals(ids(embeddings.nearest([0], 2, (id) => id !== 0)), [1, 2]);
  assertEquals(
    embeddings.nearest([0, 2], 1, () => true)[0].similarity.toFixed(4),
    (5.5 / Math.hypot(1, 1) / Math.hypot(5, 0.5)).toFixed(4),
  );
});
