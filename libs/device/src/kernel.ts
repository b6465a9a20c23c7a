import type { Probe } from './probe.js';
import type { Work } from './work.js';

interface KernelDefinition<Options> {
  /** Checks the operands of a launch and says what it costs. @throws DeviceError */
  readonly work: (options: Options) => Work;
  /** How to time it. Absent: it streams, and costs by the byte what `add` does. */
  readonly probe?: Probe<Options>;
}

/**
 * An operation that is launched: it returns at once on an asynchronous device, in the order of the
 * compute stream.
 */
export type LaunchedKernel<Options> = KernelDefinition<Options>;

/** A factorisation: its outcome decides what comes next, so it is a promise. */
export interface Factorization<Options, Result> extends KernelDefinition<Options> {
  /** The outcome that a plan counts on. */
  readonly planned: Result;
}
