/**
 * Bytes of the memory that stands for a tensor at either end: it is gone through again and again,
 * as 1 GiB would take too much.
 */
const blockBytes = 32 * 1024 * 1024;

/** The tensor that is sent: a block of random bytes over and over. */
export interface BlockSource {
  readonly read: (offsetBytes: number, target: Uint8Array) => void;
}

/** Where it goes: a block that is overwritten. Every path copies every byte into it. */
export interface BlockSink {
  readonly write: (offsetBytes: number, bytes: Uint8Array) => void;
  /** Whether the block holds the end of what a source of the same seed sends. */
  isEndOf(totalBytes: number): boolean;
}

export function createBlockSource(): BlockSource {
  const block = randomBlock();
  return {
    read: (offset, target) =>
      inBlock(offset, target.length, (at, from, length) =>
        target.set(block.subarray(at, at + length), from),
      ),
  };
}

export function createBlockSink(): BlockSink {
  const block = new Uint8Array(blockBytes).fill(1);
  return {
    write: (offset, bytes) =>
      inBlock(offset, bytes.length, (at, from, length) =>
        block.set(bytes.subarray(from, from + length), at),
      ),
    isEndOf: (totalBytes) => totalBytes < blockBytes || Buffer.compare(block, randomBlock()) === 0,
  };
}

/** Cuts a range where the block begins again. */
function inBlock(
  offset: number,
  length: number,
  each: (at: number, from: number, length: number) => void,
): void {
  for (let done = 0; done < length;) {
    const at = (offset + done) % blockBytes;
    const part = Math.min(length - done, blockBytes - at);
    each(at, done, part);
    done += part;
  }
}

/**
 * The same in every process: a MiB of a linear congruential sequence, again and again, each time
 * with another first byte.
 */
function randomBlock(): Uint8Array {
  const pieceBytes = 1024 * 1024;
  const words = new Uint32Array(pieceBytes / 4);
  let state = 88_172_645;
  for (let index = 0; index < words.length; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    words[index] = state;
  }
  const block = new Uint8Array(blockBytes);
  for (let at = 0; at < blockBytes; at += pieceBytes) {
    block.set(new Uint8Array(words.buffer), at);
    block[at] = at / pieceBytes;
  }
  return block;
}
