import type { TrainingPause } from '@emloc/finetune';

/** Several pauses as one, in their order. @param onEnd called after them */
export function pausesOf(pauses: readonly TrainingPause[], onEnd: () => void): TrainingPause {
  return {
    isDue: (step) => pauses.some((pause) => pause.isDue(step)),
    run: async (step, adapter) => {
      for (const pause of pauses) if (pause.isDue(step)) await pause.run(step, adapter);
      onEnd();
    },
  };
}
