import { Stage } from '@emloc/contracts';

/** The stages of a job, in their order: `front` is what runs once an image. */
export const stageNames = [
  'front',
  'calibrate',
  'emulate',
  'train',
  'correct',
  'refine',
  'merge',
] as const;

export type StageName = (typeof stageNames)[number];

const names: Readonly<Record<Stage, StageName | null>> = Object.freeze({
  [Stage.UNSPECIFIED]: null,
  [Stage.CALIBRATE]: 'calibrate',
  [Stage.EMULATE]: 'emulate',
  [Stage.TRAIN]: 'train',
  [Stage.CORRECT]: 'correct',
  [Stage.REFINE]: 'refine',
  [Stage.MERGE]: 'merge',
  [Stage.FRONT]: 'front',
});

/** null for none, and for one that this version does not know. */
export function fromStage(stage: Stage): StageName | null {
  return names[stage] ?? null;
}

/** The stage in an error's metadata, such as `train` or `STAGE_TRAIN`. */
export function stageNameOf(text: string | undefined): StageName | null {
  const name = text?.toLowerCase().replace(/^stage_/, '');
  return stageNames.find((known) => known === name) ?? null;
}
