import { assertEquals, assertThrows } from "@std/assert";
import { ClozeError } from "./cloze_error.ts";
import { parseJsonObject, shown } from "./json_object.ts";

Deno.test("parseJsonObject takes objects and says what else is there", () => {
  assertEquals(parseJsonObject('{"a": "[[[[\\"", "b": [{}]}', "f"), { a: '[[[["', b: [{}] });
  const own = parseJsonObject('{"__proto__": {"hidden_size": 1}}', "f");
  assertEquals(own.hidden_size, undefined);
  const deep = `{"a": ${"[".repeat(5_000_000)}${"]".repeat(5_000_000)}}`;
  for (
    const [text, message] of [
      ["", "is not JSON"],
      ["{", "is not JSON"],
      ["[1, 2]", "an array of 2"],
      ["null", "but is null"],
      ["3", "but is 3"],
      ['"x"', 'but is "x"'],
      [deep, "deep"],
      ["[".repeat(1e6), "deep"],
    ]
  ) assertThrows(() => parseJsonObject(text, "f"), ClozeError, message);
});

Deno.test("shown is short whatever it shows", () => {
  assertEquals(shown(undefined), "missing");
  assertEquals(shown({ a: 1 }), "an object");
  assertEquals(shown("x".repeat(1e6)).length < 70, true);
  assertEquals([shown(null), shown(true), shown(-0.5), shown([1])], ["null", "true", "-0.5", "an array of 1"]);
});
