import { formatBytes } from '@emloc/device';
import type { JobEvent, JobReport, StageName } from '@emloc/pipeline';

import { countedBy, rateText, type Counted } from './counted.js';
import { durationText } from './duration.js';
import { picturesSummary } from './pictures-summary.js';
import { filesLines, rowsSummary } from './rows-summary.js';
import { TimeLeft } from './time-left.js';

/** How far the work under way is, in words. */
export interface WorkLine {
  /** Stages that take turns are one. */
  readonly label: string;
  readonly done: number;
  readonly total: number;
  /** Loss, rate and memory of a step, and what time is left. */
  readonly detail: string;
}

/** The words of a job's events, the same on a terminal and elsewhere. */
export class JobLines {
  readonly #left: TimeLeft;
  readonly #losses = new Map<StageName, number>();
  #counted: Counted = 'tokens';

  constructor(nowMs?: () => number) {
    this.#left = new TimeLeft(nowMs);
  }

  /** What steps count, where the job does not say so itself. */
  counts(counted: Counted): void {
    this.#counted = counted;
  }

  observe(event: JobEvent): void {
    this.#left.observe(event);
    if (event.type === 'prepared') this.#counted = countedBy(event.report);
    if (event.type === 'step') this.#losses.set(event.stage, event.loss);
  }

  /** What is said of an event for good; null: nothing. */
  announcement(event: JobEvent): string | null {
    switch (event.type) {
      case 'prepared':
        return [
          `job ${event.job}: ${event.trainRows} training rows, device memory budget ${formatBytes(event.budgetBytes)}`,
          ...reportSummary(event.report, event.date),
        ].join('\n');
      case 'notice':
        return event.message;
      case 'stage':
        return event.state === 'finished' ? this.#finished(event.stage) : null;
      default:
        return null;
    }
  }

  /** null: the event is none of work under way. */
  work(event: JobEvent): WorkLine | null {
    if (event.type === 'progress') {
      const { stage, task, done, total } = event;
      const { active } = this.#left;
      const label = active.length > 1 ? active.join(', ') : `${stage}: ${task}`;
      return { label, done, total, detail: this.#time() };
    }
    if (event.type !== 'step') return null;
    const { stage, step: done, steps: total } = event;
    return { label: stage, done, total, detail: `${this.#step(event)}${this.#time()}` };
  }

  #step(event: Extract<JobEvent, { type: 'step' }>): string {
    const { loss, tokens, seconds, peakDeviceBytes, budgetBytes, anchor } = event;
    const where = anchor ? ' on the original' : '';
    const rate = rateText(tokens / seconds, this.#counted);
    return `  loss ${loss.toFixed(4)}${where}  ${rate}  ${formatBytes(peakDeviceBytes)} of ${formatBytes(budgetBytes)}`;
  }

  #time(): string {
    const { ofStages, ofJob } = this.#left;
    if (ofStages === null) return '';
    const ofAll = ofJob === null ? '' : `, ${durationText(ofJob)} of the job`;
    return `  ${durationText(ofStages)} left${ofAll}`;
  }

  #finished(stage: StageName): string {
    const loss = this.#losses.get(stage);
    const said = loss === undefined ? '' : `, loss ${loss.toFixed(4)}`;
    return `${stage}: finished after ${this.#left.secondsOf(stage).toFixed(1)} s${said}`;
  }
}

function reportSummary(report: JobReport, date: string): string[] {
  return report.kind === 'rows'
    ? [
        ...filesLines(report.files),
        ...rowsSummary({ report: report.train, text: report.text, date }),
      ]
    : picturesSummary(report);
}
