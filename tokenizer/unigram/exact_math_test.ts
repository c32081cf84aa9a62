import { assertAlmostEquals, assertEquals } from "@std/assert";
import { exactDigamma, exactExp, exactLog, powerOfTwo } from "./exact_math.ts";

Deno.test("exactLog and exactExp are within two units in the last place of Math's", () => {
  for (let i = 1; i < 2000; i++) {
    const x = i * 0.37, log = exactLog(x), exp = exactExp(-x / 3);
    assertAlmostEquals(log, Math.log(x), 5e-16 * Math.max(1, Math.abs(log)));
    assertAlmostEquals(exp / Math.exp(-x / 3), 1, 5e-16 * (1 + x / 3));
  }
  assertEquals([exactLog(1), exactExp(0), powerOfTwo(-1), powerOfTwo(10)], [0, 1, 0.5, 1024]);
});

Deno.test("exactDigamma has the values of tables", () => {
  assertAlmostEquals(exactDigamma(1), -0.5772156649015329, 1e-13);
  assertAlmostEquals(exactDigamma(0.5), -1.9635100260214235, 1e-13);
  assertAlmostEquals(exactDigamma(100), 4.600161852738087, 1e-13);
});
