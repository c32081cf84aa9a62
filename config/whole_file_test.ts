import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ClozeError } from "./cloze_error.ts";
import {
  AppendedFile,
  createFile,
  folderOf,
  giveName,
  isTemporary,
  removeLeftovers,
  syncFolder,
  temporaryBeside,
  writeAll,
  writeWhole,
  writeWith,
} from "./whole_file.ts";

async function withFolder(run: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const names = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

Deno.test("temporaryBeside makes names of its own that isTemporary knows, and removeLeftovers removes only those", async () => {
  await withFolder(async (folder) => {
    const [a, b] = [temporaryBeside(`${folder}/x.json`), temporaryBeside(`${folder}/x.json`)];
    assert(a !== b && a.startsWith(`${folder}/.x.json.`) && isTemporary(a.slice(folder.length + 1)), a);
    assert(isTemporary(temporaryBeside("x")));
    const kept = ["x.json", "x.json.tmp", ".x.json.tmp", ".x.0a1b2c3g.tmp", ".lock"];
    for (const name of kept) Deno.writeTextFileSync(`${folder}/${name}`, "mine");
    Deno.writeTextFileSync(a, "half");
    Deno.mkdirSync(b);
    Deno.writeTextFileSync(`${b}/file`, "half");
    await removeLeftovers(folder);
    assertEquals(names(folder), kept.sort());
    await removeLeftovers(`${folder}/none`);
  });
});

Deno.test("writeWhole replaces a link and what a planted temporary name points to stays", async () => {
  await withFolder(async (folder) => {
    Deno.writeTextFileSync(`${folder}/precious`, "precious");
    for (const name of ["out", "out.tmp", ".out.tmp"]) Deno.symlinkSync(`${folder}/precious`, `${folder}/${name}`);
    await writeWhole(`${folder}/out`, "new");
    assertEquals(Deno.readTextFileSync(`${folder}/precious`), "precious");
    assertEquals(Deno.readTextFileSync(`${folder}/out`), "new");
    assert(Deno.lstatSync(`${folder}/out`).isFile);
    assertThrows(() => createFile(`${folder}/out.tmp`), Deno.errors.AlreadyExists);
    // A link to nothing, too, is something.
    Deno.symlinkSync(`${folder}/nothing`, `${folder}/dangling`);
    assertThrows(() => createFile(`${folder}/dangling`), Deno.errors.AlreadyExists);
  });
});

Deno.test("writeWith leaves the old file and nothing else if it fails", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/a`;
    await writeWhole(path, "old");
    await assertRejects(
      () =>
        writeWith(path, (file) => {
          writeAll(file, new TextEncoder().encode("ne"));
          throw new Deno.errors.WriteZero("No space left on device (os error 28)");
        }),
      ClozeError,
      `could not write ${path}: No space left on device`,
    );
    assertEquals(names(folder), ["a"]);
    assertEquals(Deno.readTextFileSync(path), "old");
    await assertRejects(() => writeWhole(`${folder}/none/a`, ""), ClozeError, "does not exist");
  });
});

Deno.test("AppendedFile appends, and writes to no other file that is put in its place", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/lines`;
    const file = await AppendedFile.create(path, "1\n");
    file.append("2\n");
    assertEquals(Deno.readTextFileSync(path), "1\n2\n");
    Deno.writeTextFileSync(`${folder}/precious`, "precious");
    Deno.removeSync(path);
    Deno.symlinkSync(`${folder}/precious`, path);
    assertThrows(() => file.append("3\n"), ClozeError, "another file was put in its place");
    assertEquals(Deno.readTextFileSync(`${folder}/precious`), "precious");
    Deno.removeSync(path);
    assertThrows(() => file.append("3\n"), ClozeError, "does not exist");
  });
});

Deno.test("giveName and syncFolder take a folder too, and say what the system says", async () => {
  await withFolder((folder) => {
    Deno.mkdirSync(`${folder}/a`);
    giveName(`${folder}/a`, `${folder}/b`);
    assertEquals(names(folder), ["b"]);
    assertThrows(() => syncFolder(`${folder}/a`), Deno.errors.NotFound);
  });
  const cases = { "/a/b": "/a", "/a/b/": "/a", "/a": "/", "a/b": "a", "a": "." };
  for (const [path, folder] of Object.entries(cases)) assertEquals(folderOf(path), folder, path);
});
