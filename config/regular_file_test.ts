import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ClozeError } from "./cloze_error.ts";
import { readWhole, readWholeText, regularFile } from "./regular_file.ts";

const windows = Deno.build.os === "windows";

Deno.test({
  name: `regularFile takes files and links to them, and nothing that hangs or has no end${
    windows ? " (skipped: Windows)" : ""
  }`,
  ignore: windows,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      const file = `${folder}/file`, fifo = `${folder}/fifo`;
      await Deno.writeTextFile(file, "text");
      await Deno.symlink(file, `${folder}/link`);
      await Deno.symlink("/dev/zero", `${folder}/zero`);
      await Deno.symlink(`${folder}/nothing`, `${folder}/dangling`);
      await Deno.symlink(`${folder}/loop`, `${folder}/loop`);
      assertEquals((await new Deno.Command("mkfifo", { args: [fifo] }).output()).code, 0);
      for (const path of [file, `${folder}/link`]) assertEquals(regularFile(path).size, 4);
      const refused = [
        [fifo, "a FIFO"],
        [folder, "a folder"],
        [`${folder}/zero`, "a device"],
        ["/dev/null", "a device"],
        [`${folder}/dangling`, "does not exist"],
        [`${folder}/loop`, "could not read"],
        [`${folder}/a\0b`, "could not read"],
      ];
      for (const [path, what] of refused) {
        assertThrows(() => regularFile(path), ClozeError, what);
        await assertRejects(() => readWhole(path, 10), ClozeError, what);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("readWhole reads at most what it is told, and readWholeText nothing that is not UTF-8", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, "\uFEFF한글");
    assertEquals((await readWhole(path, 9)).length, 9);
    assertEquals(await readWholeText(path, 9), "한글");
    await assertRejects(() => readWhole(path, 8), ClozeError, "but such a file has at most");
    await Deno.writeFile(path, Uint8Array.of(0xff));
    await assertRejects(() => readWholeText(path, 8), ClozeError, "not UTF-8");
    await Deno.writeFile(path, new Uint8Array());
    assertEquals(await readWholeText(path, 0), "");
    await Deno.truncate(path, 2 ** 40); // a hole
    await assertRejects(() => readWhole(path, 1 << 20), ClozeError, "1048576 MiB");
  } finally {
    await Deno.remove(path);
  }
});

Deno.test({
  name: `readWhole reads files that do not know their size${Deno.build.os === "linux" ? "" : " (skipped: no /proc)"}`,
  ignore: Deno.build.os !== "linux",
  // In a process of its own: Deno lets only those read there that may do everything.
  fn: async () => {
    const code = `import { readWholeText } from "${new URL("regular_file.ts", import.meta.url).href}";
      console.log((await readWholeText("/proc/self/status", 1 << 20)).slice(0, 5));`;
    const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["eval", code] }).output();
    assertEquals(new TextDecoder().decode(stdout), "Name:\n");
  },
});
