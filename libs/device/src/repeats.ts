import type { Device } from './device.js';
import type { RecordedWork, Recorder } from './recorder.js';
import type { Tensor } from './tensor.js';

/** Work that comes again and again, launched alike each time. */
export interface RepeatedWork<T> {
  /** Of everything but tensors that decides what is launched. */
  readonly signature: string;
  /** Tensors that are made anew each time, in an order of the signature's. */
  readonly inputs: readonly Tensor[];
  /** Launches the work; waits for no result of it. What it returns is disposed after `read`. */
  launch(): Promise<readonly Tensor[]>;
  /**
   * Does what the host has to do where the work is launched without it.
   * @returns false where the host has to launch it; then nothing was done
   */
  skip(): boolean;
  /** Puts what reads the results on the compute stream before it returns. */
  read(results: readonly Tensor[]): T;
}

/** Runs work that is repeated. */
export interface Repeats extends Disposable {
  run<T>(work: RepeatedWork<T>): Promise<T>;
}

/** Signatures that are remembered. */
const mostSignatures = 64;
/** Launches in all recordings that are kept: the driver takes memory for each. */
const mostLaunches = 2 ** 15;
/** Recordings that came to nothing, or fitted no more, after which none is tried. */
const mostFailures = 3;

/** Launches everything as it comes. */
export const launchedAsItComes: Repeats = Object.freeze({
  run: runOnce,
  [Symbol.dispose]: () => undefined,
});

/**
 * Launches work one by one the first time, records it the second time, and makes the recording
 * again from then on, as long as all memory is where it was. Equal bytes either way: the same
 * kernels in the same order. For work that differs in nothing but its signature and its inputs.
 */
export function repeatsOn({ recorder }: Pick<Device, 'recorder'>): Repeats {
  return recorder ? new RecordedRepeats(recorder) : launchedAsItComes;
}

interface Known {
  work: RecordedWork | null;
  failures: number;
  /** Times that it is launched before it is recorded: more, the more recordings had to go. */
  patience: number;
  /** Times that it was, since. */
  launched: number;
}

const unseen: Readonly<Known> = { work: null, failures: 0, patience: 1, launched: 0 };

class RecordedRepeats implements Repeats {
  /** By signature, the least recently used first. */
  readonly #known = new Map<string, Known>();

  constructor(private readonly recorder: Recorder) {}

  async run<T>(work: RepeatedWork<T>): Promise<T> {
    const { signature, inputs } = work;
    const known = this.#known.get(signature);
    this.#remember(signature, known ?? { ...unseen });
    if (!known) return runOnce(work);
    if (known.work) return repeat(work, known, known.work);
    known.launched += 1;
    const isWorthIt = known.launched >= known.patience && known.failures < mostFailures;
    if (!isWorthIt || !this.recorder.begin(inputs)) return runOnce(work);
    return this.#record(work, known);
  }

  [Symbol.dispose](): void {
    for (const { work } of this.#known.values()) work?.dispose();
    this.#known.clear();
  }

  async #record<T>(work: RepeatedWork<T>, known: Known): Promise<T> {
    const { inputs } = work;
    let results: readonly Tensor[] = [];
    try {
      results = await work.launch();
    } catch (error) {
      this.recorder.end(inputs, [])?.dispose();
      throw error;
    }
    try {
      known.work = this.recorder.end(inputs, results);
      if (!known.work) known.failures += 1;
      this.#makeRoom(known);
      return work.read(results);
    } finally {
      for (const tensor of results) tensor.dispose();
    }
  }

  #remember(signature: string, known: Known): void {
    this.#known.delete(signature);
    this.#known.set(signature, known);
    for (const [oldest, { work }] of this.#known) {
      if (this.#known.size <= mostSignatures) return;
      work?.dispose();
      this.#known.delete(oldest);
    }
  }

  /** Gives up the least recently used recordings where there is too much of them. */
  #makeRoom(newest: Known): void {
    let launches = 0;
    for (const { work } of this.#known.values()) launches += work?.launches ?? 0;
    for (const known of this.#known.values()) {
      if (launches <= mostLaunches || known === newest) return;
      launches -= known.work?.launches ?? 0;
      known.work?.dispose();
      Object.assign(known, { work: null, launched: 0, patience: 2 * known.patience });
    }
  }
}

async function repeat<T>(work: RepeatedWork<T>, known: Known, recorded: RecordedWork): Promise<T> {
  if (!recorded.fits(work.inputs)) {
    // It is no use any more: the next time records anew.
    recorded.dispose();
    known.work = null;
    known.failures += 1;
  } else if (work.skip()) {
    known.failures = 0;
    return work.read(recorded.launch());
  }
  return runOnce(work);
}

async function runOnce<T>(work: RepeatedWork<T>): Promise<T> {
  const results = await work.launch();
  try {
    return work.read(results);
  } finally {
    for (const tensor of results) tensor.dispose();
  }
}
