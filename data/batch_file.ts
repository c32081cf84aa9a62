/**
 * Batches as a safetensors file, for anyone who wants to feed them to another framework. Written as they come: in memory
 * there is one at a time. Used by `inspect`.
 */

import { ioError } from "../config/cloze_error.ts";
import type { Batch } from "../config/batch.ts";
import { createFile, giveName, temporaryBeside, writeAll } from "../config/whole_file.ts";

/** The arrays of a batch in the order in which they are written, each under its name in Hugging Face's classes. */
const ARRAYS = [
  ["input_ids", "input_ids"],
  ["token_type_ids", "token_type_ids"],
  ["position_ids", "position_ids"],
  ["cu_seqlens", "cu_seqlens"],
  ["masked_positions", "masked_positions"],
  ["labels", "labels"],
  ["sequence_labels", "next_sentence_label"],
] as const;

/**
 * Writes the batches as int32 tensors `<number>.<array>`, for example `0.input_ids`, numbers from 0 on. The file is whole
 * or not there.
 *
 * @param batches can be used again by the generator after each step.
 * @param metadata texts for the file's `__metadata__`.
 * @throws {ClozeError} `io`
 */
export async function writeBatches(
  path: string,
  batches: Iterable<Batch>,
  metadata: Record<string, string>,
): Promise<{ batches: number; bytes: number }> {
  // The header comes first but knows all lengths: the tensors go to a file of their own before.
  const body = temporaryBeside(path), whole = temporaryBeside(path);
  const header: Record<string, unknown> = { __metadata__: metadata };
  let count = 0, at = 0;
  try {
    {
      using file = createFile(body);
      for (const batch of batches) {
        for (const [field, name] of ARRAYS) {
          const array = batch[field];
          if (field === "sequence_labels" && array.length === 0) continue; // they are no pairs
          const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
          header[`${count}.${name}`] = {
            dtype: "I32",
            shape: [array.length],
            data_offsets: [at, at + bytes.length],
          };
          writeAll(file, bytes);
          at += bytes.length;
        }
        count++;
      }
    }
    using file = createFile(whole);
    const text = JSON.stringify(header);
    const json = new TextEncoder().encode(
      text.padEnd(text.length + (8 - new TextEncoder().encode(text).length % 8) % 8),
    );
    const length = new Uint8Array(8);
    new DataView(length.buffer).setBigUint64(0, BigInt(json.length), true);
    for (const bytes of [length, json]) writeAll(file, bytes);
    using tensors = await Deno.open(body);
    const buffer = new Uint8Array(1 << 20);
    for (let read = await tensors.read(buffer); read !== null; read = await tensors.read(buffer)) {
      writeAll(file, buffer.subarray(0, read));
    }
    await file.sync();
    giveName(whole, path);
    return { batches: count, bytes: 8 + json.length + at };
  } catch (error) {
    await Deno.remove(whole).catch(() => {});
    throw ioError(error, "write", path);
  } finally {
    await Deno.remove(body).catch(() => {});
  }
}
