import { join } from 'node:path';

import { openBed, untilReady, type Bed } from './bed/bed.js';
import { documentedCodes } from './checks/job-checks.js';
import { entriesOf } from './checks/leftovers.js';
import { Holdings, type Course } from './holdings.js';
import { brokenRound, describeError, type RoundOutcome } from './outcome.js';
import { type BedKind, type JobKind, type RoundPlan } from './plan/rounds.js';
import {
  makeReference,
  modelPath,
  writeRows,
  type Reference,
  type SoakPaths,
} from './reference.js';
import { runRound } from './run.js';

export interface SessionOptions {
  readonly logLevel: string;
  /** How soon a job must be accepted beside a hostile tenant. */
  readonly acceptedWithinMs: number;
  /** Told of undisturbed runs that did not give what `emloc tune` gives. */
  readonly onWarm: (outcome: RoundOutcome) => void;
}

/** Deployments that rounds run on, opened when they are first needed. */
export interface Session {
  run(plan: RoundPlan): Promise<RoundOutcome>;
  /** What processes and stores held from round to round. */
  courses(): readonly Course[];
  /** Lines of a deployment's processes since they were last asked for. */
  takeLines(bed: BedKind): string[];
  close(): Promise<void>;
}

interface OpenBed {
  readonly bed: Bed;
  readonly scratchBefore: readonly string[];
  readonly undisturbedMs: Map<JobKind, number>;
}

export async function openSession(paths: SoakPaths, options: SessionOptions): Promise<Session> {
  const rows = await writeRows(paths);
  return new SoakSession(paths, rows, await documentedCodes(paths.root), options);
}

class SoakSession implements Session {
  readonly #beds = new Map<BedKind, OpenBed>();
  readonly #references = new Map<JobKind, Reference>();
  readonly #holdings = new Holdings();
  readonly #closing = new AbortController();
  readonly #starting = new Set<Promise<unknown>>();

  constructor(
    private readonly paths: SoakPaths,
    private readonly rows: string,
    private readonly documented: ReadonlySet<string>,
    private readonly options: SessionOptions,
  ) {}

  async run(plan: RoundPlan): Promise<RoundOutcome> {
    const startMs = performance.now();
    try {
      const opened = await this.#open(plan.bed);
      const undisturbedMs = await this.#undisturbedMs(opened, plan.job);
      opened.bed.takeLines();
      const outcome = await this.#round(opened, plan, undisturbedMs);
      return { ...outcome, problems: [...outcome.problems, ...(await this.#sample(opened.bed))] };
    } catch (error) {
      return brokenRound(plan, error, { startMs, events: [] });
    }
  }

  courses(): readonly Course[] {
    return this.#holdings.courses();
  }

  takeLines(bed: BedKind): string[] {
    return this.#beds.get(bed)?.bed.takeLines() ?? [];
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error('the soak is over'));
    await Promise.allSettled(this.#starting);
    const closing = [...this.#beds.values()].map(({ bed }) => bed.close());
    // The failure of one leaves none of the others running.
    await Promise.allSettled(closing);
    await Promise.all(closing);
  }

  async #open(kind: BedKind): Promise<OpenBed> {
    const opened = this.#beds.get(kind) ?? (await this.#started(this.#openNew(kind)));
    await untilReady(opened.bed);
    return opened;
  }

  async #openNew(kind: BedKind): Promise<OpenBed> {
    const bed = await openBed(kind, this.paths, {
      rows: this.rows,
      model: join(this.paths.root, modelPath),
      logLevel: this.options.logLevel,
      signal: this.#closing.signal,
    });
    const scratchBefore = await entriesOf(bed.scratch);
    const opened = { bed, scratchBefore, undisturbedMs: new Map<JobKind, number>() };
    this.#beds.set(kind, opened);
    return opened;
  }

  /** What starts processes is waited for before the others are ended. */
  async #started<T>(starting: Promise<T>): Promise<T> {
    this.#starting.add(starting);
    try {
      return await starting;
    } finally {
      this.#starting.delete(starting);
    }
  }

  async #sample(bed: Bed): Promise<string[]> {
    return this.#holdings.sample(bed).then(
      () => [],
      (error: unknown) => [`what the deployment holds is not known: ${describeError(error)}`],
    );
  }

  /**
   * What a job takes when nothing happens and every service is warm: the second of two.
   * @throws Error where something is wrong with it all the same
   */
  async #undisturbedMs(opened: OpenBed, job: JobKind): Promise<number> {
    const known = opened.undisturbedMs.get(job);
    if (known !== undefined) return known;
    const ends = [job === 'failing' ? ('failed' as const) : ('succeeded' as const)];
    const plan: RoundPlan = {
      kind: 'steady',
      index: 0,
      bed: opened.bed.kind,
      job,
      faults: [],
      ends,
      besideHostile: false,
    };
    let took = 0;
    for (const _ of ['cold', 'warm']) {
      const outcome = await this.#round(opened, plan, 0);
      this.options.onWarm(outcome);
      if (outcome.problems.length > 0)
        throw new Error('the job does not even end well undisturbed');
      took = outcome.seconds * 1000;
    }
    opened.undisturbedMs.set(job, took);
    return took;
  }

  async #round(opened: OpenBed, plan: RoundPlan, undisturbedMs: number): Promise<RoundOutcome> {
    return runRound(opened.bed, plan, {
      undisturbedMs,
      reference: plan.job === 'failing' ? null : await this.#reference(plan.job),
      documented: this.documented,
      scratchBefore: opened.scratchBefore,
      acceptedWithinMs: this.options.acceptedWithinMs,
    });
  }

  async #reference(job: JobKind): Promise<Reference> {
    const known = this.#references.get(job);
    if (known) return known;
    const { paths, rows } = this;
    const made = await this.#started(makeReference(job, paths, rows, this.#closing.signal));
    this.#references.set(job, made);
    return made;
  }
}
