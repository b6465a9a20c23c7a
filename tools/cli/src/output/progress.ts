import { formatBytes } from '@emloc/device';
import type { JobEvent, JobObserver, JobReport, StageName } from '@emloc/pipeline';
import { SingleBar } from 'cli-progress';

import { countedBy, rateText, type Counted } from './counted.js';
import { picturesSummary } from './pictures-summary.js';
import { rowsSummary } from './rows-summary.js';
import { told } from './visible.js';

/** Shows a job as it runs; everything goes to stderr. */
export interface Progress {
  readonly observe: JobObserver;
  /** Something to be read, of work that is no job. */
  note(text: string): void;
  /** Progress of work that is no job. */
  update(task: string, done: number, total: number): void;
  /** What the steps of a job count that does not say so itself; tokens until then. */
  counts(counted: Counted): void;
  stop(): void;
}

export interface ProgressOptions {
  readonly stream: NodeJS.WriteStream;
  /** Device memory in use, for the display. */
  readonly memoryBytes?: () => number | null;
}

/** Bars on a terminal, lines elsewhere. */
export function createProgress(options: ProgressOptions): Progress {
  return options.stream.isTTY ? new BarProgress(options) : new LineProgress(options);
}

/** What both displays say in so many words. */
function announcement(event: JobEvent): string | null {
  switch (event.type) {
    case 'prepared':
      return [
        `job ${event.job}: ${event.trainRows} training rows, device memory budget ${formatBytes(event.budgetBytes)}`,
        ...reportSummary(event.report, event.date),
      ].join('\n');
    case 'notice':
      return event.message;
    default:
      return null;
  }
}

function reportSummary(report: JobReport, date: string): string[] {
  return report.kind === 'rows'
    ? rowsSummary({ report: report.train, text: report.text, date })
    : picturesSummary(report);
}

function stepSummary(
  { loss, tokens, seconds }: Extract<JobEvent, { type: 'step' }>,
  counted: Counted,
): string {
  return `loss ${loss.toFixed(4)}  ${rateText(tokens / seconds, counted)}`;
}

class BarProgress implements Progress {
  #bar: SingleBar | null = null;
  #task = '';
  #counted: Counted = 'tokens';

  constructor(private readonly options: ProgressOptions) {}

  readonly observe: JobObserver = (event) => {
    if (event.type === 'prepared') this.counts(countedBy(event.report));
    const text = announcement(event);
    if (text !== null) this.#print(text);
    else if (event.type === 'progress')
      this.#show(`${event.stage}: ${event.task}`, {
        done: event.done,
        total: event.total,
        detail: '',
      });
    else if (event.type === 'step')
      this.#show(event.stage, {
        done: event.step,
        total: event.steps,
        detail: stepSummary(event, this.#counted),
      });
    else if (event.type === 'stage' && event.state === 'finished') this.stop();
  };

  note(text: string): void {
    this.#print(text);
  }

  counts(counted: Counted): void {
    this.#counted = counted;
  }

  update(task: string, done: number, total: number): void {
    this.#show(task, { done, total, detail: '' });
  }

  stop(): void {
    this.#bar?.stop();
    this.#bar = null;
    this.#task = '';
  }

  #show(
    task: string,
    { done, total, detail }: { done: number; total: number; detail: string },
  ): void {
    if (task !== this.#task) {
      this.stop();
      this.#task = task;
      this.#bar = new SingleBar({
        stream: this.options.stream,
        hideCursor: true,
        barsize: 24,
        fps: 8,
        etaBuffer: 20,
        format: '{task} {bar} {value}/{total}  {detail}{memory}  {eta_formatted} left',
      });
      this.#bar.start(total, 0, { task: task.padEnd(24), detail: '', memory: '' });
    }
    const bytes = this.options.memoryBytes?.() ?? null;
    this.#bar?.update(done, { detail, memory: bytes === null ? '' : `  ${formatBytes(bytes)}` });
  }

  #print(text: string): void {
    this.stop();
    this.options.stream.write(`${told(text)}\n`);
  }
}

/** Without a terminal: a line at every stage, and now and then while one takes long. */
class LineProgress implements Progress {
  #lastLineMs = 0;
  #startedMs = new Map<StageName, number>();
  #counted: Counted = 'tokens';

  constructor(private readonly options: ProgressOptions) {}

  readonly observe: JobObserver = (event) => {
    if (event.type === 'prepared') this.counts(countedBy(event.report));
    const text = announcement(event);
    if (text !== null) this.#print(text);
    else if (event.type === 'stage') this.#onStage(event.stage, event.state);
    else if (event.type === 'progress')
      this.update(`${event.stage}: ${event.task}`, event.done, event.total);
    else if (event.type === 'step') {
      this.#nowAndThen(
        () =>
          `${event.stage}: step ${event.step}/${event.steps}  ${stepSummary(event, this.#counted)}`,
        event.step === event.steps,
      );
    }
  };

  note(text: string): void {
    this.#print(text);
  }

  counts(counted: Counted): void {
    this.#counted = counted;
  }

  update(task: string, done: number, total: number): void {
    this.#nowAndThen(() => `${task} ${done}/${total}`, false);
  }

  stop(): void {}

  #onStage(stage: StageName, state: 'started' | 'finished'): void {
    if (state === 'started') {
      this.#startedMs.set(stage, performance.now());
      this.#print(`${stage}: started`);
    } else {
      const seconds = (performance.now() - (this.#startedMs.get(stage) ?? 0)) / 1000;
      this.#print(`${stage}: finished after ${seconds.toFixed(1)} s`);
    }
  }

  #nowAndThen(text: () => string, always: boolean): void {
    const now = performance.now();
    if (!always && now - this.#lastLineMs < 5000) return;
    this.#lastLineMs = now;
    const bytes = this.options.memoryBytes?.() ?? null;
    this.#print(bytes === null ? text() : `${text()}  ${formatBytes(bytes)}`);
  }

  #print(text: string): void {
    this.options.stream.write(`${told(text)}\n`);
  }
}
