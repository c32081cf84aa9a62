/** Code points in UTF-8 bytes that are known to be whole and valid. */

/** Bytes of the code point that begins with `byte`. */
export function widthOf(byte: number): number {
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/** The code point that begins at `i`. */
export function codePointAt(bytes: Uint8Array, i: number): number {
  const byte = bytes[i];
  if (byte < 0x80) return byte;
  if (byte < 0xE0) return (byte & 31) << 6 | bytes[i + 1] & 63;
  if (byte < 0xF0) return (byte & 15) << 12 | (bytes[i + 1] & 63) << 6 | bytes[i + 2] & 63;
  return (byte & 7) << 18 | (bytes[i + 1] & 63) << 12 | (bytes[i + 2] & 63) << 6 | bytes[i + 3] & 63;
}

/** How many code points there are in `bytes[start..end)`. */
export function codePoints(bytes: Uint8Array, start: number, end: number): number {
  let count = 0;
  for (let i = start; i < end; i++) if ((bytes[i] & 0xC0) !== 0x80) count++;
  return count;
}
