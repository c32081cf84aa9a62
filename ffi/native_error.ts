/** Turns a status and an error buffer of the core into a {@linkcode ClozeError}. */

import { ClozeError, type ErrorCode } from "../config/cloze_error.ts";

/** Names of the core's errors, as in `core-rs/src/error.rs`. */
export type NativeCode =
  | "InvalidArgument"
  | "InvalidState"
  | "Io"
  | "Corrupt"
  | "Mismatch"
  | "NonFinite"
  | "OutOfMemory"
  | "Panic"
  | "Unsupported"
  | "NoDevice";

const CODES: Partial<Record<NativeCode, ErrorCode>> = { Io: "io", Corrupt: "input", Mismatch: "input" };

/** An error that the core reported. */
export class NativeError extends ClozeError {
  readonly native: NativeCode;

  constructor(native: NativeCode, message: string, hint: string) {
    super(CODES[native] ?? "engine", message, { hint: hint === "" ? undefined : hint });
    this.native = native;
  }
}

/** Bytes of an error buffer. */
export const ERROR_LENGTH = 4096;

/** Throws what the core wrote to `buffer`, unless the status is 0. */
export function throwIfFailed(status: number, buffer: Uint8Array): void {
  if (status === 0) return;
  const end = buffer.indexOf(0);
  const text = new TextDecoder().decode(buffer.subarray(0, end < 0 ? undefined : end));
  if (text === "") throw new NativeError("Panic", `the core failed with status ${status}`, "");
  const { code, message, hint } = JSON.parse(text) as { code: NativeCode; message: string; hint: string };
  throw new NativeError(code, message, hint);
}
