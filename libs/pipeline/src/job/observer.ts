import type { JobReport } from './report.js';

/** The stages of a job, in their order: `front` is what runs once an image. */
export const stageNames = ['front', 'calibrate', 'emulate', 'train', 'correct', 'refine'] as const;

export type StageName = (typeof stageNames)[number];

/** What a job tells while it runs. Carries no contents of prompts or data. */
export type JobEvent =
  | {
      readonly type: 'prepared';
      readonly job: string;
      readonly budgetBytes: number;
      readonly trainRows: number;
      readonly report: JobReport;
      /** Of the rows' text, as `YYYY-MM-DD`. */
      readonly date: string;
    }
  | { readonly type: 'stage'; readonly stage: StageName; readonly state: 'started' | 'finished' }
  | {
      readonly type: 'progress';
      readonly stage: StageName;
      readonly task: string;
      readonly done: number;
      readonly total: number;
    }
  | {
      readonly type: 'step';
      readonly stage: StageName;
      readonly step: number;
      readonly steps: number;
      readonly loss: number;
      readonly learningRate: number;
      readonly gradientNorm: number;
      readonly tokens: number;
      readonly seconds: number;
    }
  | { readonly type: 'notice'; readonly message: string };

export type JobObserver = (event: JobEvent) => void;
