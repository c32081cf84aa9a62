/**
 * The one error that cloze shows to people. Everything else that is thrown is a bug. `cli/main.ts` prints it and turns
 * its code into an exit code.
 */

/** What kind of thing went wrong. */
export type ErrorCode =
  /** A flag or argument is wrong: exit code 2. */
  | "usage"
  /** The user's data, model or tokenizer is not what it has to be. */
  | "input"
  /** The operating system refused to read or write. */
  | "io"
  /** The native core refused or could not be loaded. */
  | "engine"
  /** The user asked to stop: exit code 130. */
  | "interrupted";

/** One sentence that says what failed, where, expected and found; the hint says what to do about it. */
export class ClozeError extends Error {
  /** Of the class. */
  override name = "ClozeError";
  /** What kind of error it is. */
  readonly code: ErrorCode;
  /** What would help, if that is known. */
  readonly hint: string | undefined;

  /** An error that a person can do something about. */
  constructor(code: ErrorCode, message: string, options: { hint?: string | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }

  /** The process's exit code for this error. */
  get exitCode(): number {
    return this.code === "usage" ? 2 : this.code === "interrupted" ? 130 : 1;
  }
}

/** The text of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Turns what Deno throws for a file operation into a sentence about that path. */
export function ioError(error: unknown, doing: string, path: string): ClozeError {
  if (error instanceof ClozeError) return error;
  if (error instanceof Deno.errors.NotFound) {
    return new ClozeError("io", `could not ${doing} ${path}: it does not exist`, { cause: error });
  }
  if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
    return new ClozeError("io", `could not ${doing} ${path}: permission denied`, { cause: error });
  }
  const reason = messageOf(error).replace(/ \(os error \d+\).*/, "");
  const hint = /space|quota/i.test(reason) ? "free some room on the disk, then run the command again" : undefined;
  return new ClozeError("io", `could not ${doing} ${path}: ${reason}`, { hint, cause: error });
}
