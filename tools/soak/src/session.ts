import { join } from 'node:path';
import { get } from '@emloc/checked';

import { openBed, untilReady, type Bed } from './bed/bed.js';
import { documentedCodes } from './checks/job-checks.js';
import { entriesOf } from './checks/leftovers.js';
import { Holdings, type Course } from './holdings.js';
import { type BedKind, type JobKind, type RoundPlan } from './plan/rounds.js';
import {
  makeReference,
  modelPath,
  writeRows,
  type Reference,
  type SoakPaths,
} from './reference.js';
import { runRound, type RoundOutcome } from './run.js';

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

  constructor(
    private readonly paths: SoakPaths,
    private readonly rows: string,
    private readonly documented: ReadonlySet<string>,
    private readonly options: SessionOptions,
  ) {}

  async run(plan: RoundPlan): Promise<RoundOutcome> {
    const opened = await this.#open(plan.bed);
    const undisturbedMs = await this.#undisturbedMs(opened, plan.job);
    opened.bed.takeLines();
    const outcome = await this.#round(opened, plan, undisturbedMs);
    await this.#holdings.sample(opened.bed);
    return outcome;
  }

  courses(): readonly Course[] {
    return this.#holdings.courses();
  }

  takeLines(bed: BedKind): string[] {
    return this.#beds.get(bed)?.bed.takeLines() ?? [];
  }

  async close(): Promise<void> {
    await Promise.all([...this.#beds.values()].map(({ bed }) => bed.close()));
  }

  async #open(kind: BedKind): Promise<OpenBed> {
    const known = this.#beds.get(kind);
    if (known) return known;
    const bed = await openBed(kind, this.paths, {
      rows: this.rows,
      model: join(this.paths.root, modelPath),
      logLevel: this.options.logLevel,
    });
    await untilReady(bed);
    const scratchBefore = await entriesOf(bed.scratch);
    const opened = { bed, scratchBefore, undisturbedMs: new Map<JobKind, number>() };
    this.#beds.set(kind, opened);
    return opened;
  }

  /** What a job takes when nothing happens and every service is warm: the second of two. */
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
    for (const _ of ['cold', 'warm']) {
      const outcome = await this.#round(opened, plan, 0);
      opened.undisturbedMs.set(job, outcome.seconds * 1000);
      this.options.onWarm(outcome);
    }
    return get(opened.undisturbedMs, job);
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
    const made = await makeReference(job, this.paths, this.rows);
    this.#references.set(job, made);
    return made;
  }
}
