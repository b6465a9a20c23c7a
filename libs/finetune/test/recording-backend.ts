import { at } from '@emloc/checked';
import {
  launchedKernelNames,
  Tensor,
  type Backend,
  type Kernels,
  type LaunchGraph,
  type LaunchRecorder,
} from '@emloc/device';
import { createCpuBackend } from '@emloc/device-cpu';

function integersIn({ handle, elementOffset, size }: Tensor): readonly number[] {
  return [...new Int32Array(handle as ArrayBuffer, 4 * elementOffset, size)];
}

/** A place of memory, which several tensors have one after another. */
interface Place {
  readonly memory: ArrayBuffer;
  isFree: boolean;
  /** How often it was given out. */
  owners: number;
}

interface Recording {
  readonly inputs: readonly unknown[];
  readonly free: readonly Place[];
  readonly launches: (() => void)[];
  /** Memory from before that is used, and whose it was. */
  readonly others: Map<Place, number>;
  readonly own: Set<Place>;
}

/**
 * The CPU device with a recorder that sees no more than memory and launches, as a driver does:
 * recorded launches use the places that they were recorded with, whatever lies there now.
 */
export class RecordingBackend {
  readonly backend: Backend;
  /** Launches of recordings after the first of each. */
  repeated = 0;
  readonly #cpu = createCpuBackend();
  readonly #places: Place[] = [];
  readonly #placeOf = new Map<unknown, Place>();
  #recording: Recording | null = null;

  constructor() {
    const { profile } = this.#cpu;
    const flushing = <K extends 'upload' | 'download' | 'downloadBytes' | 'record' | 'streamWait'>(
      name: K,
    ) => {
      const call = this.#cpu[name].bind(this.#cpu) as (...args: readonly unknown[]) => unknown;
      return ((...args: readonly unknown[]) => {
        this.#interrupt();
        return call(...args);
      }) as Backend[K];
    };
    this.backend = {
      ...{ profile, kernels: this.#kernels(), recorder: this.#recorder() },
      allocate: (bytes) => this.#allocate(bytes),
      free: (memory) => void (this.#place(memory).isFree = true),
      upload: flushing('upload'),
      download: flushing('download'),
      downloadBytes: flushing('downloadBytes'),
      record: flushing('record'),
      streamWait: flushing('streamWait'),
      allocateHost: (bytes) => this.#cpu.allocateHost(bytes),
      synchronize: () => Promise.resolve(this.#interrupt()),
      close: () => this.#cpu.close(),
    };
  }

  #allocate(bytes: number): ArrayBuffer {
    let place = this.#places.find(({ isFree, memory }) => isFree && memory.byteLength === bytes);
    if (!place) {
      place = { memory: new ArrayBuffer(bytes), isFree: true, owners: 0 };
      this.#places.push(place);
      this.#placeOf.set(place.memory, place);
    }
    place.isFree = false;
    place.owners += 1;
    this.#recording?.own.add(place);
    return place.memory;
  }

  #place(memory: unknown): Place {
    const place = this.#placeOf.get(memory);
    if (!place) throw new Error('memory of another device');
    return place;
  }

  #kernels(): Kernels {
    const kernels = launchedKernelNames.map((name) => {
      const kernel = this.#cpu.kernels[name] as (options: unknown) => void;
      return [
        name,
        (options: unknown) => {
          const recording = this.#recording;
          if (!recording) return kernel(options);
          const kept = this.#withoutOwners(options, recording);
          recording.launches.push(() => kernel(kept));
        },
      ];
    });
    return { ...this.#cpu.kernels, ...Object.fromEntries(kernels) } as Kernels;
  }

  /** The options with tensors that nobody disposes, in the same places. */
  #withoutOwners(value: unknown, recording: Recording): unknown {
    if (value instanceof Tensor) {
      const { shape, dtype, label, handle, elementOffset } = value;
      const place = this.#place(handle);
      if (!recording.own.has(place)) recording.others.set(place, place.owners);
      return new Tensor(shape, dtype, label, handle, () => undefined, elementOffset);
    }
    if (Array.isArray(value)) return value.map((item) => this.#withoutOwners(item, recording));
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value);
    const options = Object.fromEntries(
      entries.map(([key, item]) => [key, this.#withoutOwners(item, recording)]),
    );
    const { deviceOffsets } = options;
    if (!(deviceOffsets instanceof Tensor)) return options;
    // The CPU's kernels look at the host's: here at what the device has when they are launched.
    return Object.defineProperty(options, 'offsets', { get: () => integersIn(deviceOffsets) });
  }

  #interrupt(): void {
    const recording = this.#recording;
    this.#recording = null;
    for (const launch of recording?.launches ?? []) launch();
  }

  #freePlaces(): readonly Place[] {
    return this.#places.filter(({ isFree }) => isFree);
  }

  #recorder(): LaunchRecorder {
    return {
      begin: (inputs) => {
        this.#recording = {
          inputs: inputs.map(({ handle }) => handle),
          free: this.#freePlaces(),
          launches: [],
          others: new Map(),
          own: new Set(),
        };
        return true;
      },
      end: () => {
        const recording = this.#recording;
        this.#interrupt();
        return recording && this.#graph(recording);
      },
    };
  }

  #graph({ inputs, free, launches, others, own }: Recording): LaunchGraph {
    const given = new Set(inputs.map((memory) => this.#place(memory)));
    const kept = [...others].filter(([place]) => !given.has(place));
    const isSame = (one: readonly unknown[], other: readonly unknown[]): boolean =>
      one.length === other.length && one.every((item, index) => item === at(other, index));
    return {
      launches: launches.length,
      fits: (tensors) =>
        isSame(
          inputs,
          tensors.map(({ handle }) => handle),
        ) &&
        kept.every(([place, owners]) => !place.isFree && place.owners === owners) &&
        [...free, ...own].every(({ isFree }) => isFree),
      launch: () => {
        this.repeated += 1;
        for (const launch of launches) launch();
      },
      dispose: () => undefined,
    };
  }
}
