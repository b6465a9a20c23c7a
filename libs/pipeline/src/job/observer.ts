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
      /** Training begins, or goes on from a kept state of it. */
      readonly type: 'begun';
      readonly stage: StageName;
      /** Completed ones; 0: from the start. */
      readonly step: number;
      /** As of a step. */
      readonly level: number;
      /** Steps after which the model was validated already. */
      readonly validated: readonly number[];
    }
  | {
      readonly type: 'step';
      readonly stage: StageName;
      /** 1 for the first of the job's levels, and where it has none. */
      readonly level: number;
      readonly step: number;
      readonly steps: number;
      readonly loss: number;
      readonly learningRate: number;
      readonly gradientNorm: number;
      readonly tokens: number;
      readonly seconds: number;
      /** In use after the step. */
      readonly deviceBytes: number;
      /** Most that was in use during the step. */
      readonly peakDeviceBytes: number;
      readonly budgetBytes: number;
      /** Seconds in which the step waited for weights. */
      readonly stallSeconds: number;
      /** Whether loss and gradient are those on the original that the model emulates. */
      readonly anchor: boolean;
    }
  | {
      readonly type: 'validation';
      readonly stage: StageName;
      /** Of the model that is validated, as of a step. */
      readonly level: number;
      /** Steps behind the adapter; 0: before the first. */
      readonly step: number;
      readonly loss: number;
    }
  | {
      /** What the plan says of the stages, before they run; only where it was asked for. */
      readonly type: 'estimate';
      readonly stages: readonly { readonly name: StageName; readonly seconds: number }[];
    }
  | { readonly type: 'notice'; readonly message: string };

export type JobObserver = (event: JobEvent) => void;
