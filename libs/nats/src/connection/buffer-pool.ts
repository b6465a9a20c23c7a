const granuleBytes = 64 * 1024;

/**
 * Reuses large buffers: fresh memory costs more than copying into it. Holds at most `maxIdleBytes`
 * that nobody uses. Not for sharing between threads.
 */
export class BufferPool {
  readonly #idle: Buffer[] = [];
  #idleBytes = 0;

  constructor(private readonly maxIdleBytes: number) {}

  /**
   * A buffer of at least `bytes`, its contents unspecified; the caller gives it back with
   * `release`.
   */
  acquire(bytes: number): Buffer {
    const index = this.#idle.findIndex(
      (buffer) => buffer.length >= bytes && buffer.length <= 2 * bytes + granuleBytes,
    );
    if (index < 0) return Buffer.allocUnsafeSlow(Math.ceil(bytes / granuleBytes) * granuleBytes);
    const [buffer] = this.#idle.splice(index, 1) as [Buffer];
    this.#idleBytes -= buffer.length;
    return buffer;
  }

  /** @param buffer as `acquire` returned it; not used by the caller any more */
  release(buffer: Buffer): void {
    if (this.#idleBytes + buffer.length > this.maxIdleBytes) return;
    this.#idleBytes += buffer.length;
    this.#idle.push(buffer);
  }
}
