import type { TrainingCourse as CourseMessage } from '@emloc/contracts';
import type { TrainingCourse } from '@emloc/pipeline';

/** How a training run went, as the engine has it. */
export function courseOf(message: CourseMessage | undefined): TrainingCourse {
  const { curve = [], chosenStep = 0, divergence = '', stoppedEarly = false } = message ?? {};
  return {
    curve: curve.length === 0 ? null : curve.map(({ step, loss }) => ({ step, loss })),
    chosenStep,
    divergence: divergence === '' ? null : divergence,
    stoppedEarly,
  };
}
