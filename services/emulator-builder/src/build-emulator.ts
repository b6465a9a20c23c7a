import { type BuildEmulatorRequest, BuildEmulatorResultSchema } from '@emloc/contracts';
import { reportMessage, type StageHandler } from '@emloc/stage-runtime';
import type { BuildContract } from './contract.js';
import { LayerSharing } from './layer-sharing.js';

/** Turns queued statistics into stored factors, together with the other replicas, until every block is done. */
export const buildEmulatorStage: StageHandler<BuildEmulatorRequest, typeof BuildEmulatorResultSchema> = {
  stage: 'emulate',
  result: BuildEmulatorResultSchema,
  run: async (attempt) => {
    const queue = await attempt.storage.openLayers(attempt.job, attempt.instance);
    const sharing = new LayerSharing(attempt, queue);
    let failure: unknown = new Error('the attempt has ended');
    try {
      const { report, emulator } = await attempt.runEngine<BuildContract>({}, (request) => sharing.answer(request));
      const { parameters, originalParameters, worstLayer, layers } = emulator;
      return {
        report: reportMessage('emulate', report),
        emulator: { parameters: BigInt(parameters), originalParameters: BigInt(originalParameters), worstLayer, layers: layers.map((layer) => ({ ...layer })) },
      };
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      await sharing.close(failure);
    }
  },
};
