import process from 'node:process';
import { writeRunReport } from '@emloc/report';

import { programVersion } from './version.js';

/** What a run of this process's command, or of a deployment, came to beside its result. */
interface Run {
  readonly budgetBytes: number;
  readonly peakDeviceBytes: number;
  /** Under names of this program, or of a server that knows others. */
  readonly stages: readonly {
    readonly name: string | null;
    readonly seconds: number;
    readonly peakDeviceBytes: number;
  }[];
}

/**
 * Puts a record of the run and a page about it beside an adapter. The adapter is what counts: where
 * the page cannot be written, this is said, and no error.
 */
export async function reportRun(
  folder: string,
  run: Run,
  onNotice: (message: string) => void,
): Promise<void> {
  const { budgetBytes, peakDeviceBytes } = run;
  try {
    await writeRunReport(folder, {
      command: ['emloc', ...process.argv.slice(2)],
      versions: {
        emloc: programVersion,
        node: process.version,
        system: `${process.platform} ${process.arch}`,
      },
      budgetBytes,
      peakDeviceBytes,
      stages: run.stages.map((stage) => ({ ...stage, name: stage.name ?? 'unknown' })),
    });
  } catch (error) {
    onNotice(`the report of the job could not be written: ${(error as Error).message}`);
  }
}
