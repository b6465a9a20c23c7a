import { at } from '@emloc/checked';

import { CU_EVENT_DEFAULT, type Driver } from './native/driver.js';
import { Cell } from './native/status.js';
import type { Streams } from './streams.js';

/** A point of the compute stream whose time can be told once the stream has passed it. */
export interface CudaMark {
  readonly handle: number;
}

/** Times between points of the compute stream, for measurements. */
export class Marks {
  readonly #free: number[] = [];

  constructor(
    private readonly driver: Driver,
    private readonly streams: Streams,
  ) {}

  set(): CudaMark {
    const handle = this.#free.pop() ?? this.#create();
    this.driver.cuEventRecord(handle, this.streams.handleOf('compute'));
    return { handle };
  }

  /** Both must have been passed: after a synchronize. */
  millisecondsBetween(from: CudaMark, to: CudaMark): number {
    const elapsed = new Float32Array(1);
    this.driver.cuEventElapsedTime(elapsed, from.handle, to.handle);
    return at(elapsed, 0);
  }

  free(...marks: readonly CudaMark[]): void {
    for (const { handle } of marks) this.#free.push(handle);
  }

  close(): void {
    for (const handle of this.#free.splice(0)) this.driver.cuEventDestroy(handle);
  }

  #create(): number {
    const event = new Cell();
    this.driver.cuEventCreate(event.raw, CU_EVENT_DEFAULT);
    return event.value;
  }
}
