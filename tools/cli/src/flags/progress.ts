import { defaultCheckpointSteps, type StartMode } from '@emloc/pipeline';

import { parsedFlag, switchFlag, textFlag } from '../command/flag.js';
import { UsageError } from '../usage-error.js';
import { positive } from './numbers.js';

/** Flags about how a job runs here and what it leaves beside; they change no bytes of a result. */
export const progressFlags = {
  resume: switchFlag('--resume', 'go on with the job that was interrupted; with none, begin'),
  restart: switchFlag('--restart', 'throw away what an interrupted job has left, and begin anew'),
  checkpointSteps: parsedFlag(
    '--checkpoint-steps <n>',
    `training is kept on disk after so many steps (default: ${defaultCheckpointSteps})`,
    positive,
  ),
  tensorboard: textFlag('--tensorboard <dir>', 'also write event files for TensorBoard there'),
};

/** What happens to an interrupted job's progress. @throws UsageError */
export function startMode({
  resume,
  restart,
}: {
  readonly resume: boolean;
  readonly restart: boolean;
}): StartMode {
  if (resume && restart) throw new UsageError('--resume and --restart exclude each other');
  return resume ? 'resume' : restart ? 'restart' : 'start';
}
