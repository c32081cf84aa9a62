import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { entitiesOf, EntityCounts, hasEntities } from "./entities.ts";

interface Golden {
  cases: {
    truth: string[][];
    answer: string[][];
    entities: [string, number, number][][];
    scores: [number, number, number];
  }[];
}

const golden: Golden = JSON.parse(
  Deno.readTextFileSync(new URL("../tests/golden/seqeval.json", import.meta.url)),
);

Deno.test("entitiesOf and EntityCounts give what seqeval does for random tags (tests/golden/generate_seqeval.py)", () => {
  let entities = 0;
  for (const { truth, answer, entities: expected, scores } of golden.cases) {
    const counts = new EntityCounts();
    truth.forEach((tags, s) => {
      const found = entitiesOf(tags).map(({ type, from, to }) => [type, from, to - 1]);
      assertEquals(found, expected[s], tags.join(" "));
      entities += found.length;
      counts.add(tags, answer[s]);
    });
    const { precision, recall, f1, count } = counts.result;
    [precision, recall, f1].forEach((found, i) => assertAlmostEquals(found, scores[i], 1e-12));
    assertEquals(count, expected.flat().length);
  }
  assert(golden.cases.length === 80 && entities > 200, `${entities}`);
});

Deno.test("hasEntities tells schemes from other classes of words", () => {
  for (const labels of [["O", "B-PER", "I-PER"], ["O", "I-LOC"], ["B-X", "I-X"], ["O", "S-A-B", "E-A-B"], ["O", "B"]]) {
    assert(hasEntities(labels), labels.join());
  }
  for (const labels of [["NOUN", "VERB"], ["O"], [], ["O", "B-PER", "PER"], ["O", "0", "1"]]) {
    assert(!hasEntities(labels), labels.join());
  }
});
