import { last } from '@emloc/checked';
import type { DeviceEvent, StreamName } from '@emloc/device';

import { CU_EVENT_DISABLE_TIMING, CU_STREAM_NON_BLOCKING, type Driver } from './native/driver.js';
import { Cell } from './native/status.js';

/** A point in a stream; `position` is the number of operations put on it before. */
export interface CudaEvent extends DeviceEvent {
  readonly stream: StreamName;
  readonly position: number;
  readonly handle: number;
}

/**
 * Polls without pause for so long, then once a millisecond: the event loop stays free in both, and
 * a step's end is seen at once.
 */
const eagerMs = 200;
/** Fences kept; an older position is then covered by a later fence. */
const maximumFences = 128;

interface Stream {
  readonly handle: number;
  position: number;
  /** The position of the other stream that this one is known to come after. */
  seenOther: number;
}

/** The compute and the copy stream, their events, and what each is known to come after. */
export class Streams {
  readonly #streams: Readonly<Record<StreamName, Stream>>;
  readonly #pool: number[] = [];
  readonly #fences: CudaEvent[] = [];
  /** Ends the recording of the compute stream's launches; null: there is none. */
  #endRecording: (() => void) | null = null;

  constructor(private readonly driver: Driver) {
    this.#streams = { compute: this.#createStream(), copy: this.#createStream() };
  }

  /** For everything but launches; a recording of the compute stream ends before. */
  handleOf(name: StreamName): number {
    if (name === 'compute') this.interruptRecording();
    return this.#streams[name].handle;
  }

  /** For launches, which a recording takes. */
  launchHandleOf(name: StreamName): number {
    return this.#streams[name].handle;
  }

  get isRecording(): boolean {
    return this.#endRecording !== null;
  }

  /** @param end called once, by what cannot be recorded; null: the recording is over */
  setRecording(end: (() => void) | null): void {
    this.#endRecording = end;
  }

  /** Comes before whatever no recording can take. */
  interruptRecording(): void {
    const end = this.#endRecording;
    this.#endRecording = null;
    end?.();
  }

  positionOf(name: StreamName): number {
    return this.#streams[name].position;
  }

  /** Counts an operation that is about to be put on the stream; returns its position. */
  advance(name: StreamName): number {
    return (this.#streams[name].position += 1);
  }

  record(name: StreamName): CudaEvent {
    const stream = this.handleOf(name);
    const handle = this.#takeEvent();
    const { position } = this.#streams[name];
    this.driver.cuEventRecord(handle, stream);
    let isDisposed = false;
    return {
      stream: name,
      position,
      handle,
      wait: () => this.#poll(handle),
      dispose: () => {
        if (!isDisposed) this.#pool.push(handle);
        isDisposed = true;
      },
    };
  }

  wait(name: StreamName, event: CudaEvent): void {
    const stream = this.#streams[name];
    this.driver.cuStreamWaitEvent(this.handleOf(name), event.handle, 0);
    if (event.stream !== name) stream.seenOther = Math.max(stream.seenOther, event.position);
  }

  /**
   * Marks the compute stream's present position, so that `waitForCompute` need not wait for more
   * than it has to. Nothing is marked within a recording: a later mark then does.
   */
  fenceCompute(): void {
    if (this.isRecording) return;
    const position = this.positionOf('compute');
    if (this.#fences.at(-1)?.position === position) return;
    this.#fences.push(this.record('compute'));
    if (this.#fences.length > maximumFences) this.#fences.shift()?.dispose();
  }

  /** Makes the copy stream come after the compute stream's `position`. */
  waitForCompute(position: number): void {
    if (this.#streams.copy.seenOther >= position) return;
    let fence = this.#fences.find((candidate) => candidate.position >= position);
    if (!fence) {
      this.interruptRecording();
      this.fenceCompute();
      fence = last(this.#fences);
    }
    this.wait('copy', fence);
  }

  /** Makes the compute stream come after the copy stream's `position`. */
  waitForCopy(position: number): void {
    if (this.#streams.compute.seenOther >= position) return;
    const event = this.record('copy');
    this.wait('compute', event);
    event.dispose();
  }

  /** Blocks the calling thread until an event is done; for waits known to be short. */
  block(event: CudaEvent): void {
    this.driver.cuEventSynchronize(event.handle);
  }

  async synchronize(): Promise<void> {
    for (const name of ['compute', 'copy'] as const) {
      const event = this.record(name);
      try {
        await event.wait();
      } finally {
        event.dispose();
      }
    }
  }

  close(): void {
    for (const fence of this.#fences.splice(0)) fence.dispose();
    for (const handle of this.#pool.splice(0)) this.driver.cuEventDestroy(handle);
    for (const { handle } of Object.values(this.#streams)) this.driver.cuStreamDestroy(handle);
  }

  async #poll(handle: number): Promise<void> {
    const started = performance.now();
    while (!this.driver.isEventDone(handle)) {
      const isEager = performance.now() - started < eagerMs;
      await new Promise<void>((resolve) =>
        isEager ? setImmediate(resolve) : setTimeout(resolve, 1),
      );
    }
  }

  #createStream(): Stream {
    const stream = new Cell();
    this.driver.cuStreamCreate(stream.raw, CU_STREAM_NON_BLOCKING);
    return { handle: stream.value, position: 0, seenOther: 0 };
  }

  #takeEvent(): number {
    const pooled = this.#pool.pop();
    if (pooled !== undefined) return pooled;
    const event = new Cell();
    this.driver.cuEventCreate(event.raw, CU_EVENT_DISABLE_TIMING);
    return event.value;
  }
}
