import type { StageOutcome } from './stage-outcomes.js';

/** Where outcomes of finished stages live until the job is done. */
export interface OutcomeStore {
  load<S extends keyof StageOutcome>(stage: S): Promise<StageOutcome[S] | null>;
  save<S extends keyof StageOutcome>(stage: S, outcome: StageOutcome[S]): Promise<void>;
}

/** Keeps nothing: for runs that are never resumed. */
export const noOutcomeStore: OutcomeStore = Object.freeze({
  load: () => Promise.resolve(null),
  save: () => Promise.resolve(),
});
