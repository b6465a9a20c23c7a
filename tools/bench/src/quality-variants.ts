import type { TuneOptions } from '@emloc/pipeline';

/** One way to fine-tune, and what it has to reach. */
export interface QualityVariant {
  readonly name: string;
  readonly options: Pick<TuneOptions, 'ratios'> &
    Partial<Pick<TuneOptions, 'correction' | 'refineSteps'>>;
  /** Least share of full LoRA's gain; null: none is asked for. */
  readonly target: number | null;
}

/** The first is the reference that the others are shares of. */
export const qualityVariants: readonly QualityVariant[] = Object.freeze([
  { name: 'full LoRA (ratio 1)', options: { ratios: ['1'] }, target: null },
  {
    name: 'ratio 0.5, correction auto, no refinement',
    options: { ratios: ['0.5'], correction: 'auto', refineSteps: 0 },
    target: 0.8,
  },
  { name: 'ratio 0.5, default refinement', options: { ratios: ['0.5'] }, target: 0.92 },
  { name: 'ratio 0.25, default refinement', options: { ratios: ['0.25'] }, target: 0.85 },
]);
