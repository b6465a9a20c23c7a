import type { KernelName, LaunchGraph, LaunchRecorder, Tensor } from '@emloc/device';

import { addedTo, type KernelWork } from './kernel-work.js';

/** Launches as the host makes them. */
export interface HostLaunches {
  /** One by one; a recording that is made again is one. */
  readonly issued: number;
  /** Within recordings that came to an end. */
  readonly recorded: number;
}

/** Counts launches, and records what they count: memory is always where it was. */
export class CountingRecorder implements LaunchRecorder {
  readonly #work = new Map<KernelName, KernelWork>();
  #issued = 0;
  #recorded = 0;
  /** Of what is recorded, null: nothing is. */
  #recording: Map<KernelName, KernelWork> | null = null;

  /** Work so far, by kernel. A snapshot. */
  get work(): ReadonlyMap<KernelName, KernelWork> {
    return new Map(this.#work);
  }

  get launches(): HostLaunches {
    return { issued: this.#issued, recorded: this.#recorded };
  }

  /** Counts a launch of the host's. */
  count(kernel: KernelName, work: KernelWork): void {
    this.#issued += work.calls;
    addedTo(this.#work, kernel, work);
    if (this.#recording) addedTo(this.#recording, kernel, work);
  }

  begin(): boolean {
    if (this.#recording) return false;
    this.#recording = new Map();
    return true;
  }

  /** Ends a recording: comes before whatever none can take. */
  interrupt(): void {
    this.#recording = null;
  }

  end(inputs: readonly Tensor[]): LaunchGraph | null {
    const recording = this.#recording;
    this.#recording = null;
    if (!recording || recording.size === 0) return null;
    let launches = 0;
    for (const { calls } of recording.values()) launches += calls;
    this.#recorded += launches;
    return {
      launches,
      fits: (others) => others.length === inputs.length,
      launch: () => {
        this.#issued += 1;
        for (const [kernel, work] of recording) addedTo(this.#work, kernel, work);
      },
      dispose: () => undefined,
    };
  }
}
