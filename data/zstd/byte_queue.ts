/** Chunks of bytes → exactly as many as are asked for. */

/** Takes bytes from chunks as they come. */
export class ByteQueue {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array();
  #at = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Whether there is no byte left. */
  async atEnd(): Promise<boolean> {
    while (this.#at === this.#chunk.length) {
      const { value, done } = await this.#chunks.next();
      if (done) return true;
      [this.#chunk, this.#at] = [value, 0];
    }
    return false;
  }

  /**
   * The next `count` bytes, which stay as they are.
   *
   * @param zeros that follow them.
   * @throws {Error} if there are fewer.
   */
  async take(count: number, zeros = 0): Promise<Uint8Array> {
    const bytes = new Uint8Array(count + zeros);
    for (let done = 0; done < count;) {
      const part = await this.#part(count - done);
      bytes.set(part, done);
      done += part.length;
    }
    return bytes;
  }

  /** @throws {Error} if there are fewer bytes. */
  async skip(count: number): Promise<void> {
    for (let left = count; left > 0;) left -= (await this.#part(left)).length;
  }

  /** The next four bytes as a number. @throws {Error} if there are fewer. */
  async uint32(): Promise<number> {
    const [a, b, c, d] = await this.take(4);
    return (a | b << 8 | c << 16 | d << 24) >>> 0;
  }

  /** What there is at once of the next `most` bytes, at least one. */
  async #part(most: number): Promise<Uint8Array> {
    if (await this.atEnd()) throw new Error("it ends too early");
    const part = this.#chunk.subarray(this.#at, this.#at + most);
    this.#at += part.length;
    return part;
  }
}
