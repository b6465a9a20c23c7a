import { isDora, layerParameters, type LoraAdapter } from '@emloc/checkpoint';

import type { Anchors } from './anchors.js';
import type { DeviceAdapter } from './device-adapter.js';
import { FinetuneError } from './errors.js';
import type { OptimizerConfig } from './optimizer/create-optimizer.js';
import type { Optimizer, OptimizerRecord } from './optimizer/optimizer.js';

/**
 * A training run between two optimizer steps: with it, the run goes on to the same bits as without
 * the interruption.
 */
export interface TrainingState extends OptimizerRecord {
  /** Completed optimizer steps. */
  readonly step: number;
  /** Input tokens of these steps. */
  readonly tokens: number;
  readonly seconds: number;
  /** Loss of the last step. */
  readonly finalLoss: number;
  /**
   * With the parameters after that step. What the optimizer keeps is in the order of its layers: of
   * A, then of B, of DoRA then of the magnitude of each.
   */
  readonly adapter: LoraAdapter;
  /**
   * Of an anchored run: what the last anchor adds to gradients, in the order of the moments;
   * float32.
   */
  readonly anchor?: readonly Float32Array[] | undefined;
}

/** Where a run's states are kept. */
export interface TrainingCheckpoint {
  /**
   * A state is saved after each so many steps and after the last one; Infinity: only where the run
   * is interrupted.
   */
  readonly everySteps: number;
  save(state: TrainingState): Promise<void>;
}

/** What a run has come to, beside what is on the device. */
export type TrainingProgress = Pick<TrainingState, 'step' | 'tokens' | 'seconds' | 'finalLoss'>;

/** Brings the state of a run to the host. */
export async function downloadState(
  progress: TrainingProgress,
  {
    adapter,
    optimizer,
    anchors,
  }: { adapter: DeviceAdapter; optimizer: Optimizer; anchors: Anchors | null },
): Promise<TrainingState> {
  const anchor = await anchors?.download();
  return {
    ...{ ...progress, adapter: await adapter.download(), ...(await optimizer.download()) },
    ...(anchor && { anchor }),
  };
}

/**
 * @throws FinetuneError FINETUNE_INVALID_STATE when a state is not one of a run of `adapter` over
 * `steps` steps
 */
export function assertStateFits(
  state: TrainingState,
  {
    adapter,
    steps,
    optimizer,
    isAnchored,
  }: {
    adapter: LoraAdapter;
    steps: number;
    optimizer: OptimizerConfig['kind'];
    isAnchored: boolean;
  },
): void {
  const { step, firstMoments, secondMoments, prodigy, anchor } = state;
  if (!Number.isSafeInteger(step) || step < 1 || step > steps)
    throw invalid(`it has ${step} steps, the run has ${steps}`);
  if (state.adapter.rank !== adapter.rank)
    throw invalid(`its adapter has rank ${state.adapter.rank}, the run's ${adapter.rank}`);
  if (isDora(state.adapter) !== isDora(adapter))
    throw invalid(`its adapter is ${isDora(adapter) ? 'plain LoRA' : 'DoRA'}, the run's is not`);
  const paths = [...adapter.layers.keys()];
  const statePaths = [...state.adapter.layers.keys()];
  if (paths.length !== statePaths.length || paths.some((path, index) => path !== statePaths[index]))
    throw invalid('it adapts other layers than the run');
  const sizes = [...state.adapter.layers.values()].flatMap((layer) =>
    layerParameters(layer).map(({ length }) => length),
  );
  const kept = prodigy ? 'prodigy' : 'adamw';
  if (kept !== optimizer) throw invalid(`it is one of ${kept}, the run uses ${optimizer}`);
  const fits = (values: readonly Float32Array[]): boolean =>
    values.length === sizes.length && values.every(({ length }, index) => length === sizes[index]);
  const moments = [firstMoments, secondMoments, ...(prodigy ? [prodigy.gradientSums] : [])];
  if (!moments.every(fits)) throw invalid('its moments do not fit its adapter');
  if (isAnchored !== (anchor !== undefined))
    throw invalid(`it is one of ${anchor ? 'anchored' : 'plain'} training, the run is not`);
  if (anchor && !fits(anchor)) throw invalid("its anchor's correction does not fit its adapter");
}

function invalid(reason: string): FinetuneError {
  return new FinetuneError('FINETUNE_INVALID_STATE', `training state: ${reason}`);
}
