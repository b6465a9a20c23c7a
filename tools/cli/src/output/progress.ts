import type { JobObserver } from '@emloc/pipeline';
import { SingleBar } from 'cli-progress';

import type { Counted } from './counted.js';
import { JobLines, type WorkLine } from './job-lines.js';
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
  readonly nowMs?: () => number;
}

/** One line that changes on a terminal, lines elsewhere. */
export function createProgress(options: ProgressOptions): Progress {
  return options.stream.isTTY ? new BarProgress(options) : new LineProgress(options);
}

/** What is said for good stands above the line of the work under way. */
class BarProgress implements Progress {
  readonly #lines: JobLines;
  #bar: SingleBar | null = null;
  /** Work that is no job; null: the line is a job's. */
  #task: string | null = null;

  constructor(private readonly options: ProgressOptions) {
    this.#lines = new JobLines(options.nowMs);
  }

  readonly observe: JobObserver = (event) => {
    this.#lines.observe(event);
    const text = this.#lines.announcement(event);
    if (text !== null) this.note(text);
    const work = this.#lines.work(event);
    if (work) this.#show(work, null);
  };

  note(text: string): void {
    this.stop();
    this.options.stream.write(`${told(text)}\n`);
  }

  counts(counted: Counted): void {
    this.#lines.counts(counted);
  }

  update(task: string, done: number, total: number): void {
    this.#show({ label: task, done, total, detail: '' }, task);
  }

  stop(): void {
    this.#bar?.stop();
    this.#bar = null;
  }

  #show({ label, done, total, detail }: WorkLine, task: string | null): void {
    if (task !== this.#task) this.stop();
    this.#task = task;
    const shown = { label: label.padEnd(22), detail };
    if (!this.#bar) {
      this.#bar = new SingleBar({
        ...{ stream: this.options.stream, hideCursor: true, clearOnComplete: true },
        ...{ barsize: 20, fps: 8, etaBuffer: 20 },
        format: `{label} {bar} {value}/{total}${task === null ? '{detail}' : '  {eta_formatted} left'}`,
      });
      this.#bar.start(total, done, shown);
      return;
    }
    this.#bar.setTotal(total);
    this.#bar.update(done, shown);
  }
}

/** Parts of a work, each of which is told of at most once. */
const partsTold = 20;
const leastMsBetween = 5000;

/** A line where a stage begins and ends; between, now and then and a bounded number of times. */
class LineProgress implements Progress {
  readonly #lines: JobLines;
  readonly #nowMs: () => number;
  /** Parts of every work that have been told of. */
  readonly #told = new Map<string, number>();
  #lastMs: number;

  constructor(private readonly options: ProgressOptions) {
    this.#lines = new JobLines(options.nowMs);
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#lastMs = this.#nowMs();
  }

  readonly observe: JobObserver = (event) => {
    this.#lines.observe(event);
    const text = this.#lines.announcement(event);
    if (text !== null) this.note(text);
    if (event.type === 'stage' && event.state === 'started') this.note(`${event.stage}: started`);
    const work = this.#lines.work(event);
    if (work && work.done < work.total) this.#nowAndThen(work);
  };

  note(text: string): void {
    this.options.stream.write(`${told(text)}\n`);
  }

  counts(counted: Counted): void {
    this.#lines.counts(counted);
  }

  update(task: string, done: number, total: number): void {
    this.#nowAndThen({ label: task, done, total, detail: '' });
  }

  stop(): void {}

  #nowAndThen({ label, done, total, detail }: WorkLine): void {
    const part = Math.floor((partsTold * done) / total);
    const now = this.#nowMs();
    if (part <= (this.#told.get(label) ?? 0) || now - this.#lastMs < leastMsBetween) return;
    this.#told.set(label, part);
    this.#lastMs = now;
    this.note(`${label} ${done}/${total}${detail}`);
  }
}
