import { assertEquals, assertRejects } from "@std/assert";
import { ClozeError } from "../config/cloze_error.ts";
import type { Batch } from "../config/batch.ts";
import { writeBatches } from "./batch_file.ts";

function batch(n: number, pairs: boolean): Batch {
  const range = (length: number) => Int32Array.from({ length }, (_, i) => n * 100 + i);
  return {
    input_ids: range(7),
    token_type_ids: range(7),
    position_ids: range(7),
    cu_seqlens: range(3),
    masked_positions: range(n),
    labels: range(n),
    sequence_labels: range(pairs ? 2 : 0),
  };
}

Deno.test("writeBatches writes what a safetensors reader takes, batch by batch, whole or not at all", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/b.safetensors`;
    const batches = [batch(0, false), batch(3, true)];
    const written = await writeBatches(path, batches, { cloze_version: "한" });
    const bytes = Deno.readFileSync(path);
    assertEquals([written.batches, written.bytes], [2, bytes.length]);
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    assertEquals(length % 8, 0, "the tensors are aligned");
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
    assertEquals(header.__metadata__, { cloze_version: "한" });
    let end = 0;
    batches.forEach((batch, n) => {
      for (const [field, array] of Object.entries(batch)) {
        if (field === "sequence_labels" && n === 0) continue;
        const name = field === "sequence_labels" ? "next_sentence_label" : field;
        const { dtype, shape, data_offsets: [from, to] } = header[`${n}.${name}`];
        assertEquals([dtype, shape, from], ["I32", [array.length], end]);
        const found = new Int32Array(bytes.slice(8 + length + from, 8 + length + to).buffer);
        assertEquals(found, array);
        end = to;
      }
    });
    assertEquals(8 + length + end, bytes.length);
    assertEquals(Object.keys(header).length, 1 + 6 + 7);
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["b.safetensors"]);
    await assertRejects(() => writeBatches(`${folder}/none/b`, batches, {}), ClozeError, "could not write");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
