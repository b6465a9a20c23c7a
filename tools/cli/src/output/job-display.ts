import { stageNames as localStages, type StageName as LocalStage } from '@emloc/pipeline';
import { describeFailure, stageNames, type JobEvent, type StageName } from '@emloc/sdk';

import type { Progress } from './progress.js';

/** Shows the events of a remote job as those of a local one are shown. */
export interface JobDisplay {
  readonly onEvent: (event: JobEvent) => void;
  readonly onInterruption: (error: Error) => void;
}

/** Stages overlap; the bar is that of the one furthest ahead. */
export function createJobDisplay(progress: Progress): JobDisplay {
  const print = (message: string): void => progress.observe({ type: 'notice', message });
  const startedMs = new Map<StageName, number>();
  const losses = new Map<StageName, string>();
  let furthest = -1;
  let isInterrupted = false;
  const isAhead = (stage: StageName | null): stage is StageName => {
    const index = stage === null ? -1 : stageNames.indexOf(stage);
    furthest = Math.max(furthest, index);
    return index === furthest && index >= 0;
  };
  const onStage = ({
    stage,
    state,
    attempt,
    error,
    time,
  }: Extract<JobEvent, { type: 'stage' }>): void => {
    if (stage === null) return;
    if (state === 'started')
      startedMs.set(stage, startedMs.get(stage) ?? time?.getTime() ?? Number.NaN);
    else if (state === 'finished')
      print(
        `${stage}: finished${secondsText(time, startedMs.get(stage))}${losses.get(stage) ?? ''}`,
      );
    else if (state === 'retrying')
      print(
        `attempt ${attempt} failed and is repeated: ${error ? describeFailure(error) : `stage ${stage}`}`,
      );
  };
  return {
    onEvent: (event) => {
      isInterrupted = false;
      if (event.type === 'step' && event.stage !== null)
        losses.set(event.stage, `, loss ${event.loss.toFixed(4)}`);
      if (event.type === 'state') print(`job ${event.state}`);
      else if (event.type === 'stage') onStage(event);
      else if (event.type === 'notice') print(event.message);
      else if (event.type === 'progress' && isAhead(event.stage))
        progress.update(`${event.stage}: ${event.task}`, event.done, event.total);
      else if (event.type === 'step' && isAhead(event.stage) && isLocal(event.stage))
        progress.observe({ ...event, stage: event.stage });
    },
    onInterruption: (error) => {
      if (!isInterrupted)
        print(
          `the connection broke (${error.message}); the job goes on, trying to reach the server again`,
        );
      isInterrupted = true;
    },
  };
}

function isLocal(stage: StageName): stage is LocalStage {
  return localStages.some((known) => known === stage);
}

function secondsText(time: Date | null, startedMs: number | undefined): string {
  const seconds = ((time?.getTime() ?? Number.NaN) - (startedMs ?? Number.NaN)) / 1000;
  return Number.isFinite(seconds) ? ` after ${seconds.toFixed(1)} s` : '';
}
