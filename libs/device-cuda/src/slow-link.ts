import type { StreamName } from '@emloc/device';

import type { Launcher } from './launcher.js';
import type { Driver } from './native/driver.js';
import { Cell } from './native/status.js';

/** A stream is held back by a kernel of one thread before a copy and one behind it. */
const oneThread = { grid: [1], block: 1 } as const;

/** Makes copies to the card take as long as over a link of a given rate. For measurements. */
export class SlowLink {
  /** Device address of the time at which the present copy began. */
  readonly #started: number;

  constructor(
    private readonly driver: Driver,
    private readonly launcher: Launcher,
    private readonly bytesPerSecond: number,
  ) {
    const cell = new Cell();
    driver.cuMemAlloc(cell.raw, 8);
    this.#started = cell.value;
  }

  /** @param copy puts the copy of so many bytes on the stream */
  slow(bytes: number, stream: StreamName, copy: () => void): void {
    const nanoseconds = Math.ceil((bytes / this.bytesPerSecond) * 1e9);
    const shape = { ...oneThread, stream };
    this.launcher.begin().pointer(this.#started).launch('slow-link', 'slow_link_begin', shape);
    copy();
    this.launcher
      .begin()
      .pointer(this.#started)
      .pointer(nanoseconds)
      .launch('slow-link', 'slow_link_end', shape);
  }

  close(): void {
    this.driver.cuMemFree(this.#started);
  }
}
