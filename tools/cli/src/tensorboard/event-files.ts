import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { tensorboardV1 } from '@emloc/contracts';
import type { JobEvent, JobObserver, StageName } from '@emloc/pipeline';

import { recordOf } from './records.js';

const { EventSchema, SessionLog_Status } = tensorboardV1;

type Content = MessageInitShape<typeof EventSchema>['what'];

/**
 * Event files for TensorBoard of a job that is observed: a run (a folder in `folder`) for each of
 * the stages that train. A resumed stage writes another file, which takes the place of the steps
 * that are done again.
 */
export class EventFiles implements Disposable {
  readonly #files = new Map<StageName, number>();

  constructor(
    private readonly folder: string,
    private readonly now: () => Date = () => new Date(),
  ) {}

  readonly observe: JobObserver = (event) => {
    if (event.type === 'begun') this.#begin(event);
    if (event.type === 'step') this.#write(event, scalarsOf(event));
    if (event.type === 'validation') this.#write(event, { validation_loss: event.loss });
  };

  [Symbol.dispose](): void {
    for (const file of this.#files.values()) closeSync(file);
    this.#files.clear();
  }

  #begin({ stage, step }: Extract<JobEvent, { type: 'begun' }>): void {
    const run = join(this.folder, stage);
    mkdirSync(run, { recursive: true });
    // TensorBoard reads the files of a run in the order of their names.
    const seconds = String(Math.floor(this.now().getTime() / 1000)).padStart(10, '0');
    const file = openSync(join(run, `events.out.tfevents.${seconds}.emloc.${process.pid}`), 'a');
    const before = this.#files.get(stage);
    if (before !== undefined) closeSync(before);
    this.#files.set(stage, file);
    this.#append(file, 0, { case: 'fileVersion', value: 'brain.Event:2' });
    const first = step > 0 ? step + 1 : 0;
    const value = { status: SessionLog_Status.START };
    this.#append(file, first, { case: 'sessionLog', value });
  }

  #write(
    { stage, step }: { readonly stage: StageName; readonly step: number },
    scalars: Readonly<Record<string, number>>,
  ): void {
    const file = this.#files.get(stage);
    if (file === undefined) return;
    const value = Object.entries(scalars).map(([tag, simpleValue]) => ({ tag, simpleValue }));
    this.#append(file, step, { case: 'summary', value: { value } });
  }

  #append(file: number, step: number, what: Content): void {
    const wallTime = this.now().getTime() / 1000;
    const event = create(EventSchema, { wallTime, step: BigInt(step), what });
    writeSync(file, recordOf(toBinary(EventSchema, event)));
  }
}

/** Curves of a step by tag: the numbers of the job's log. */
function scalarsOf(step: Extract<JobEvent, { type: 'step' }>): Readonly<Record<string, number>> {
  return {
    loss: step.loss,
    learning_rate: step.learningRate,
    gradient_norm: step.gradientNorm,
    items_per_second: step.tokens / step.seconds,
    device_bytes: step.deviceBytes,
    peak_device_bytes: step.peakDeviceBytes,
    budget_bytes: step.budgetBytes,
    stall_seconds: step.stallSeconds,
    level: step.level,
  };
}
