import { assert, assertEquals } from "@std/assert";
import { type Claim, CLAIMS } from "./claims.ts";

Deno.test("CLAIMS compare conditions that they have, at checkpoints that are there", () => {
  for (const [name, claim] of Object.entries(CLAIMS) as [string, Claim][]) {
    const conditions = claim.conditions.map((condition) => condition.name);
    assertEquals(new Set(conditions).size, conditions.length, name);
    assert(new Set(claim.conditions.map(({ pretrain }) => JSON.stringify(pretrain))).size === conditions.length, name);
    for (const { better, than, at } of claim.expectations) {
      assert(conditions.includes(better) && conditions.includes(than) && better !== than, name);
      assert(at === "last" || claim.checkpoints.length > 1, `${name} has a first checkpoint that is not its last`);
    }
    assertEquals(claim.checkpoints, claim.checkpoints.toSorted((a, b) => a - b), name);
    assertEquals(claim.checkpoints.at(-1), 1, name);
  }
});
