import { assertEquals, assertThrows } from "@std/assert";
import { ClozeError } from "../../config/cloze_error.ts";
import { METASPACE_STEPS, readMetaspaceSteps } from "./metaspace.ts";

Deno.test("readMetaspaceSteps reads the form of today and of older files", () => {
  assertEquals(readMetaspaceSteps(METASPACE_STEPS), {
    whitespace_split: true,
    replacement: "▁",
    prepend_scheme: "always",
    split: true,
  });
  const older = { type: "Metaspace", replacement: "▁", add_prefix_space: false, str_rep: "▁" };
  assertEquals(readMetaspaceSteps([older]), {
    whitespace_split: false,
    replacement: "▁",
    prepend_scheme: "never",
    split: true,
  });
});

Deno.test("readMetaspaceSteps refuses by name what is not read", () => {
  const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true };
  const refused: [Record<string, unknown>, string][] = [
    [{ ...metaspace, replacement: "__" }, "pre_tokenizer.replacement"],
    [{ ...metaspace, replacement: " " }, "pre_tokenizer.replacement"],
    [{ ...metaspace, prepend_scheme: "last" }, "pre_tokenizer.prepend_scheme"],
    [{ ...metaspace, add_prefix_space: false }, "add_prefix_space is false"],
    [{ ...metaspace, split: "yes" }, "pre_tokenizer.split"],
  ];
  for (const [json, message] of refused) assertThrows(() => readMetaspaceSteps([json]), ClozeError, message);
  const behind = [metaspace, { type: "WhitespaceSplit" }];
  assertThrows(() => readMetaspaceSteps(behind), ClozeError, "Metaspace, WhitespaceSplit");
});
