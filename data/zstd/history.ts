/**
 * What has been decoded of a frame, as far back as its window reaches: in memory, or of a very large window the older part
 * in a temporary file, from which a match is copied now and then.
 */

import { ClozeError, ioError } from "../../config/cloze_error.ts";

/** Bytes of a window that stay in memory at most: as far as zstd itself reaches without being asked. */
const KEPT = 1 << 27;
/** Room for new bytes beside them. */
const LEAST_ROOM = 1 << 18, MOST_ROOM = 1 << 25;

/** Bytes to append to and to copy from. The system gives memory as it is written to. */
export class History implements Disposable {
  /** What is in memory: `bytes[0..length)`. Whoever appends puts it there, after {@linkcode reserve}. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  length = 0;
  readonly #window: number;
  readonly #kept: number;
  /** Bytes of the frame before the first one in memory. */
  #before = 0;
  #file: Deno.FsFile | undefined;
  #path: string | undefined;

  /**
   * @param window how far back a match may reach.
   * @param kept bytes of it that stay in memory.
   */
  constructor(window: number, kept = Math.min(window, KEPT)) {
    this.#window = window;
    this.#kept = kept;
    this.bytes = new Uint8Array(kept + Math.min(MOST_ROOM, Math.max(LEAST_ROOM, kept / 4)));
    this.view = new DataView(this.bytes.buffer);
  }

  /** Bytes of the frame so far. */
  get position(): number {
    return this.#before + this.length;
  }

  /** Whether this can be used again for a frame of that window. */
  fits(window: number): boolean {
    return window <= this.#window && this.#window <= this.#kept;
  }

  /** Begins another frame. */
  clear(): void {
    this.length = this.#before = 0;
  }

  /** Makes room for `count` bytes in one piece, at most 256 KiB. */
  reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const old = this.length - this.#kept;
    if (this.#window > this.#kept) this.#spill(old);
    this.bytes.copyWithin(0, old, this.length);
    this.#before += old;
    this.length = this.#kept;
  }

  /**
   * Appends `count` bytes from `offset` bytes back, which is not in memory, or not allowed.
   *
   * @throws {Error} if there are not as many bytes, or the window does not reach so far.
   */
  copyOld(offset: number, count: number): void {
    if (offset > this.#window || offset > this.position || offset <= 0) throw new Error("a match reaches too far back");
    const old = Math.min(count, offset - this.length);
    if (old > 0) this.#recall(this.position - offset, old);
    // What was asked for goes on at the first byte in memory.
    this.bytes.copyWithin(this.length, 0, count - old);
    this.length += count - old;
  }

  /** Writes the oldest bytes to the file, a ring that is longer than the window. */
  #spill(count: number): void {
    const file = this.#open();
    this.#eachPiece(this.#before, count, (from, to) => {
      for (let done = from; done < to;) done += file.writeSync(this.bytes.subarray(done, to));
    });
  }

  /** Appends bytes of the frame from the file. */
  #recall(position: number, count: number): void {
    const file = this.#open();
    this.#eachPiece(position, count, (from, to) => {
      for (let done = from; done < to;) {
        const read = file.readSync(this.bytes.subarray(this.length + done, this.length + to));
        if (read === null) throw new Error("it is cut off");
        done += read;
      }
    });
    this.length += count;
  }

  /** Goes to where bytes of the frame are in the file: one piece, or two where the ring closes between them. */
  #eachPiece(position: number, count: number, use: (from: number, to: number) => void): void {
    const ring = this.#window + this.bytes.length;
    try {
      for (let done = 0; done < count;) {
        const at = (position + done) % ring, piece = Math.min(count - done, ring - at);
        this.#file!.seekSync(at, Deno.SeekMode.Start);
        use(done, done += piece);
      }
    } catch (error) {
      throw ioError(error, "use the temporary file", this.#path!);
    }
  }

  #open(): Deno.FsFile {
    if (this.#file !== undefined) return this.#file;
    try {
      this.#path = Deno.makeTempFileSync({ prefix: "cloze-" });
      return this.#file = Deno.openSync(this.#path, { read: true, write: true });
    } catch (error) {
      const mib = Math.round(this.#window / 2 ** 20);
      throw new ClozeError("io", `a zstd file has a window of ${mib} MiB, which needs a temporary file`, {
        hint: "unpack it first: unzstd --long=31 FILE",
        cause: error,
      });
    }
  }

  [Symbol.dispose](): void {
    this.#file?.close();
    this.#file = undefined;
    if (this.#path !== undefined) Deno.removeSync(this.#path);
    this.#path = undefined;
  }
}
