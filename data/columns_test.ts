import { assertEquals } from "@std/assert";
import { findColumns } from "./columns.ts";

Deno.test("findColumns takes a name as a whole first, then its parts, each once", () => {
  const find = (name: string) => ["title", "body", "a,b", "a"].includes(name) ? name : undefined;
  assertEquals(findColumns("a,b", find), { parts: ["a,b"] });
  assertEquals(findColumns("title,body", find), { parts: ["title", "body"] });
  assertEquals(findColumns("body,body", find), { parts: ["body"] });
  assertEquals(findColumns("title,other", find), { missing: "other" });
});
