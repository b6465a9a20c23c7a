import type { MemoryBudget, PeakScope } from './budget.js';
import { Tensor } from './tensor.js';

/** Launches that a device has recorded, to be made again as one. */
export interface LaunchGraph {
  /** How many. */
  readonly launches: number;
  /**
   * Whether they would find all memory where it was: `inputs`, those of the recording or others in
   * their places, everything else that they read, and what was free.
   */
  fits(inputs: readonly Tensor[]): boolean;
  /** Makes them on the compute stream; only where it fits. */
  launch(): void;
  dispose(): void;
}

/**
 * Records launches on the compute stream in place of making them. What cannot be recorded (copies,
 * events, a synchronisation) ends the recording: what there is of it is made first.
 */
export interface LaunchRecorder {
  /**
   * @param inputs tensors that others may stand in for when the launches are made again
   * @returns false where nothing is recorded now: launches are made as ever
   */
  begin(inputs: readonly Tensor[]): boolean;
  /**
   * Makes what was recorded.
   * @returns null where the recording had ended before or nothing was launched
   */
  end(inputs: readonly Tensor[]): LaunchGraph | null;
}

/** A device's recordings under its memory budget. */
export class Recorder {
  #started: { readonly scope: PeakScope; readonly inUseBytes: number } | null = null;

  constructor(
    private readonly recorder: LaunchRecorder,
    private readonly budget: MemoryBudget,
  ) {}

  /** See LaunchRecorder. */
  begin(inputs: readonly Tensor[]): boolean {
    if (!this.recorder.begin(inputs)) return false;
    this.#started = { scope: this.budget.openPeakScope(), inUseBytes: this.budget.inUseBytes };
    return true;
  }

  /**
   * Makes what was recorded since `begin`.
   * @param results tensors of the work that are read afterwards, still held
   */
  end(inputs: readonly Tensor[], results: readonly Tensor[]): RecordedWork | null {
    const started = this.#started;
    this.#started = null;
    const peakBytes = (started?.scope.close() ?? 0) - (started?.inUseBytes ?? 0);
    const graph = this.recorder.end(inputs);
    return graph && new RecordedWork(graph, { peakBytes, results, budget: this.budget });
  }
}

interface WorkRecord {
  /** The most that the work took beyond what there was. */
  readonly peakBytes: number;
  readonly results: readonly Tensor[];
  readonly budget: MemoryBudget;
}

/** Work that was recorded, its memory and its results. */
export class RecordedWork {
  readonly #results: readonly Tensor[];

  constructor(
    private readonly graph: LaunchGraph,
    private readonly record: WorkRecord,
  ) {
    this.#results = record.results.map(viewOf);
  }

  get launches(): number {
    return this.graph.launches;
  }

  /** See LaunchGraph; the budget must have room for what the work takes, too. */
  fits(inputs: readonly Tensor[]): boolean {
    const { peakBytes, budget } = this.record;
    return peakBytes <= budget.freeBytes && this.graph.fits(inputs);
  }

  /**
   * Makes the launches, counted as if memory were taken and given back.
   * @returns results, nobody's: to be read by what is put on the compute stream at once
   */
  launch(): readonly Tensor[] {
    const { peakBytes, budget } = this.record;
    const held = budget.reserve(peakBytes, 'activations', 'recorded launches');
    try {
      this.graph.launch();
    } finally {
      held.release();
    }
    return this.#results;
  }

  dispose(): void {
    this.graph.dispose();
  }
}

/** The tensor's memory, whoever has it. */
function viewOf({ shape, dtype, label, handle, elementOffset }: Tensor): Tensor {
  return new Tensor(shape, dtype, label, handle, () => undefined, elementOffset);
}
