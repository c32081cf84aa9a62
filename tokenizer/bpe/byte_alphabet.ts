/**
 * GPT-2's names for bytes: those that are visible in Latin-1 keep their character, the other 68 are U+0100, U+0101, … in
 * their order (openai/gpt-2, encoder.py, `bytes_to_unicode`). Used by byte-level BPE.
 */

/** Whether a byte keeps its character: ! … ~, ¡ … ¬, ® … ÿ. */
function isVisible(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

/** The character of each byte. */
export const BYTE_CHARACTERS: readonly string[] = (() => {
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isVisible(byte) ? byte : 0x100 + others++));
})();

const BYTES = new Map(BYTE_CHARACTERS.map((character, byte) => [character, byte]));

/** The bytes that a token stands for, or `undefined` if a character of it is no byte's. */
export function bytesOf(token: string): Uint8Array<ArrayBuffer> | undefined {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = BYTES.get(token[i]);
    if (byte === undefined) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}

/** The token that stands for bytes. */
export function tokenOf(bytes: Uint8Array, from = 0, to: number = bytes.length): string {
  let token = "";
  for (let i = from; i < to; i++) token += BYTE_CHARACTERS[bytes[i]];
  return token;
}
