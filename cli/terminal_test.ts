import { assertEquals } from "@std/assert";
import { terminalSize } from "./terminal.ts";

Deno.test("terminalSize takes a terminal that does not know its size for one of the usual size", () => {
  const usual = { columns: 80, rows: 24 };
  assertEquals(terminalSize(() => ({ columns: 120, rows: 40 })), { columns: 120, rows: 40 });
  assertEquals(terminalSize(() => ({ columns: 0, rows: 0 })), usual);
  assertEquals(
    terminalSize(() => {
      throw new Error("no terminal");
    }),
    usual,
  );
});
