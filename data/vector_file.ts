/**
 * Vectors as a file that other programs read: NumPy's .npy, or safetensors with one tensor `embeddings`, both f32 `[N, C]`.
 * Written as they come: in memory there are few at a time. Used by `embed`.
 */

import { writeAll, writeWith } from "../config/whole_file.ts";

/** The endings of such files. */
export const VECTOR_FORMATS = ["npy", "safetensors"] as const;

/** One of {@linkcode VECTOR_FORMATS}. */
export type VectorFormat = typeof VECTOR_FORMATS[number];

const encoder = new TextEncoder();
/** No file has more rows: the room for their number. */
const MOST_ROWS = Number.MAX_SAFE_INTEGER;
/** Bytes at whose multiples an array begins, as NumPy has it. */
const ALIGNED = 64;

/**
 * Writes vectors, row by row. The file is whole or not there.
 *
 * @param metadata texts for the `__metadata__` of safetensors; .npy has no place for them.
 * @returns how many rows there are.
 * @throws {ClozeError} `io`, or what the vectors throw.
 */
export async function writeVectors(
  path: string,
  format: VectorFormat,
  width: number,
  metadata: Record<string, string>,
  vectors: AsyncIterable<Float32Array>,
): Promise<number> {
  const head = (rows: number, length: number) =>
    format === "npy" ? npyHead(rows, width, length) : safetensorsHead(rows, width, metadata, length);
  let rows = 0;
  await writeWith(path, async (file) => {
    // The header knows the number of rows, which is not known yet: it is written twice, in the same room.
    const { length } = head(MOST_ROWS, 0);
    writeAll(file, head(0, length));
    for await (const vector of vectors) {
      writeAll(file, new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength));
      rows++;
    }
    await file.seek(0, Deno.SeekMode.Start);
    writeAll(file, head(rows, length));
  });
  return rows;
}

/** The header of NumPy's format 1.0, at least so long. */
function npyHead(rows: number, width: number, length: number): Uint8Array {
  const dict = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${width}), }`;
  const whole = Math.ceil(Math.max(length, 10 + dict.length + 1) / ALIGNED) * ALIGNED;
  const bytes = new Uint8Array(whole).fill(0x20);
  bytes.set([0x93, ...encoder.encode("NUMPY"), 1, 0, (whole - 10) & 0xFF, (whole - 10) >> 8]);
  bytes.set(encoder.encode(dict), 10);
  bytes[whole - 1] = 0x0A;
  return bytes;
}

/** The length in front of the header, and the header, both together at least so long. */
function safetensorsHead(rows: number, width: number, metadata: Record<string, string>, length: number): Uint8Array {
  const embeddings = { dtype: "F32", shape: [rows, width], data_offsets: [0, 4 * rows * width] };
  const json = encoder.encode(JSON.stringify({ __metadata__: metadata, embeddings }));
  const whole = Math.ceil(Math.max(length, 8 + json.length) / 8) * 8;
  const bytes = new Uint8Array(whole).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(whole - 8), true);
  bytes.set(json, 8);
  return bytes;
}
