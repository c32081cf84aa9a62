/** A short form of each campaign of `torture/`: a sample, with the same seed each time. */

import { assertEquals } from "@std/assert";
import { CAMPAIGNS } from "./torture/campaigns.ts";

for (const { name, goal, run } of CAMPAIGNS) {
  Deno.test(`torture ${name}: ${goal}`, async () => {
    const { bad, tried, skipped } = await run("short", 1);
    if (skipped !== undefined) return console.log(`skipped: ${skipped}`);
    assertEquals(bad, []);
    assertEquals(tried > 0, true, "the campaign did nothing");
  });
}
