import type { BlockCopy, Device } from '@emloc/device';

/** Copies that share a launch: what they read is kept until there are so many. */
const copiesTogether = 4;

/** Copies that nothing reads for a while, launched together: a launch costs more than they do. */
export class LaterCopies {
  readonly #waiting: BlockCopy[] = [];

  constructor(private readonly device: Pick<Device, 'kernels'>) {}

  add(copy: BlockCopy): void {
    this.#waiting.push({ ...copy, x: copy.x.retain() });
    if (this.#waiting.length === copiesTogether) this.launch();
  }

  launch(): void {
    if (this.#waiting.length > 0) this.device.kernels.copyBlocks({ copies: this.#waiting });
    this.dispose();
  }

  /** Forgets those that were not launched. */
  dispose(): void {
    for (const { x } of this.#waiting.splice(0)) x.dispose();
  }
}
