import { stageNames, type JobEvent, type StageName } from '@emloc/pipeline';

/** The work that a stage is at: its steps, or what it calls its task. */
interface Work {
  readonly task: string;
  readonly startedMs: number;
  /** Part that was done before, from 0 to 1: in another process. */
  readonly from: number;
  readonly share: number;
}

interface StageTime {
  readonly startedMs: number;
  finishedMs: number | null;
  /** When it told something last. */
  toldMs: number;
  work: Work | null;
}

const steps = 'steps';

/**
 * Seconds that a job still takes. Work under way goes on at its own pace; stages to come take what
 * the plan says, times how much slower or faster than planned the job has been.
 */
export class TimeLeft {
  readonly #stages = new Map<StageName, StageTime>();
  #planned: ReadonlyMap<StageName, number> | null = null;

  constructor(private readonly nowMs: () => number = () => performance.now()) {}

  observe(event: JobEvent): void {
    if (event.type === 'estimate')
      this.#planned = new Map(event.stages.map(({ name, seconds }) => [name, seconds]));
    if (event.type === 'stage') this.#turn(event);
    if (event.type === 'step')
      this.#advance(event.stage, { task: steps, done: event.step, total: event.steps });
    if (event.type === 'progress') this.#advance(event.stage, event);
  }

  /** Stages that have begun and not ended, in the order of the job. */
  get active(): readonly StageName[] {
    return stageNames.filter((stage) => this.#stages.get(stage)?.finishedMs === null);
  }

  /** How long a stage has run, or ran. */
  secondsOf(stage: StageName): number {
    const time = this.#stages.get(stage);
    return time ? ((time.finishedMs ?? this.nowMs()) - time.startedMs) / 1000 : 0;
  }

  /** Of the stages that run now, one of which may wait for another; null: nothing is told yet. */
  get ofStages(): number | null {
    const known = this.active.flatMap((stage) => this.#leftOf(stage) ?? []);
    return known.length > 0 ? Math.max(...known) : null;
  }

  /** Of the whole job; null: it was not planned, or nothing is told yet of what runs. */
  get ofJob(): number | null {
    const now = this.ofStages;
    if (!this.#planned || now === null) return null;
    const last = Math.max(...[...this.#stages.keys()].map((stage) => stageNames.indexOf(stage)));
    const later = stageNames.slice(last + 1);
    const seconds = later.reduce((sum, stage) => sum + (this.#planned?.get(stage) ?? 0), 0);
    return now + seconds * this.#slowness(this.#planned);
  }

  /** Seconds that were taken until now over those that were planned; 1 where nothing is known. */
  #slowness(planned: ReadonlyMap<StageName, number>): number {
    const [begunMs, endMs, seconds] = [...this.#stages].reduce(
      ([begun, end, sum], [stage, { startedMs, finishedMs, work }]) => {
        const share = finishedMs === null ? stepsDone(work) : 1;
        return share === 0
          ? [begun, end, sum]
          : [
              Math.min(begun, startedMs),
              Math.max(end, finishedMs ?? this.nowMs()),
              sum + share * (planned.get(stage) ?? 0),
            ];
      },
      [Number.POSITIVE_INFINITY, 0, 0],
    );
    const taken = (endMs - begunMs) / 1000;
    return seconds > 0 && taken > 0 ? taken / seconds : 1;
  }

  #leftOf(stage: StageName): number | null {
    const { work } = this.#stages.get(stage) ?? {};
    if (!work) return null;
    const seconds = (this.nowMs() - work.startedMs) / 1000;
    return (seconds * (1 - work.share)) / (work.share - work.from);
  }

  #turn({ stage, state }: Extract<JobEvent, { type: 'stage' }>): void {
    const time = this.#stages.get(stage);
    if (state === 'started')
      this.#stages.set(stage, {
        ...{ startedMs: this.nowMs(), finishedMs: null, toldMs: this.nowMs(), work: null },
      });
    else if (time) time.finishedMs = this.nowMs();
  }

  #advance(
    stage: StageName,
    { task, done, total }: { readonly task: string; readonly done: number; readonly total: number },
  ): void {
    const time = this.#stages.get(stage);
    if (!time || !(done > 0)) return;
    const { work } = time;
    // What else a stage with steps does is between them.
    if (work?.task === steps && task !== steps) return;
    const share = done / total;
    time.work =
      work?.task === task && share > work.share
        ? { ...work, share }
        : { task, startedMs: time.toldMs, from: (done - 1) / total, share };
    time.toldMs = this.nowMs();
  }
}

/** In this process. */
function stepsDone(work: Work | null): number {
  return work?.task === steps ? work.share - work.from : 0;
}
