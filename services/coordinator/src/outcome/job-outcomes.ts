import { fromJson, type DescMessage, type JsonValue, type MessageShape } from '@bufbuild/protobuf';
import type { LoraAdapter } from '@emloc/checkpoint';
import {
  BuildEmulatorResultSchema,
  CorrectResultSchema,
  RefineResultSchema,
  TrainResultSchema,
  type BuildEmulatorResult,
  type CorrectResult,
  type RefineResult,
  type TrainResult,
} from '@emloc/contracts';
import type { JobOutcomes } from '@emloc/pipeline';
import { RpcError } from '@emloc/rpc/errors';

import { courseOf } from '../drive/course.js';

/** Adapters of a job. */
export interface JobAdapters {
  /** The result. */
  readonly adapter: LoraAdapter;
  readonly uncorrected: LoraAdapter;
}

/**
 * What the stages have answered, as the engine has it when it runs them itself.
 * @param results by name of the stage, as JSON
 * @throws RpcError DATA_LOSS
 */
export function jobOutcomes(
  results: Readonly<Record<string, JsonValue>>,
  { adapter, uncorrected }: JobAdapters,
): JobOutcomes & { readonly device: string } {
  const read = <S extends DescMessage>(stage: string, schema: S): MessageShape<S> | null =>
    results[stage] ? fromJson(schema, results[stage]) : null;
  const train = read('train', TrainResultSchema);
  if (!train?.train || !train.report)
    throw new RpcError('DATA_LOSS', 'the result of train is missing', {
      reason: 'STAGE_RESULT_INCOMPLETE',
    });
  return {
    device: train.report.device,
    layers: layersOf(read('emulate', BuildEmulatorResultSchema)),
    tuned: tunedOf(train, train.train, { seconds: train.report.seconds, uncorrected }),
    correction: correctionOf(read('correct', CorrectResultSchema), adapter),
    refinement: refinementOf(read('refine', RefineResultSchema), adapter),
  };
}

function layersOf(result: BuildEmulatorResult | null): JobOutcomes['layers'] {
  return (result?.emulator?.layers ?? []).map(
    ({ name, rank, relativeError, solver, usedFallback, ratio }) => ({
      name,
      rank,
      relativeError,
      solver,
      usedFallback,
      ratio,
    }),
  );
}

function tunedOf(
  { lossBefore, lossAfter }: TrainResult,
  { steps, tokens, finalLoss, course }: NonNullable<TrainResult['train']>,
  { seconds, uncorrected }: { seconds: number; uncorrected: LoraAdapter },
): JobOutcomes['tuned'] {
  return {
    adapter: uncorrected,
    steps,
    tokens: Number(tokens),
    seconds,
    finalLoss,
    before: { loss: lossBefore },
    after: { loss: lossAfter },
    course: courseOf(course),
    secondMoments: null,
  };
}

function correctionOf(
  result: CorrectResult | null,
  adapter: LoraAdapter,
): JobOutcomes['correction'] {
  const { correction, baseLoss } = result ?? {};
  return correction && baseLoss !== undefined
    ? { adapter, chosen: correction.chosen, scores: correction.scores, baseLoss }
    : null;
}

function refinementOf(
  result: RefineResult | null,
  adapter: LoraAdapter,
): JobOutcomes['refinement'] {
  const { refinement, loss } = result ?? {};
  return refinement && loss !== undefined
    ? {
        ...{ adapter, loss, steps: refinement.steps, kept: refinement.kept },
        course: courseOf(refinement.course),
      }
    : null;
}
