import { resolve } from 'node:path';
import { at } from '@emloc/checked';
import { writeReport } from '@emloc/report';
import type { Command } from 'commander';

import { addFlags, commonFlags } from '../flags.js';
import { runCommand } from '../run-command.js';

export function addReportCommand(program: Command): void {
  const command = program
    .command('report')
    .argument('<dir>', 'folder of an adapter')
    .description('make the page of a job again: curves, memory, time, errors of the emulator')
    .option('--before <file>', 'answers of the base model: a document of `eval --answers --json`')
    .option('--after <file>', 'answers with the adapter, likewise')
    .option('--out <file>', 'the page (default: report.html in the folder)')
    .option('--overwrite', 'replace a file that was not written here');
  addFlags(command, commonFlags)
    .addHelpText(
      'after',
      '\nExample:\n  emloc report ./my-adapter' +
        '\n  emloc report ./my-adapter --before base.json --after tuned.json',
    )
    .action(
      runCommand([], async ({ args, values }) => {
        const file = (name: string): string | undefined => {
          const value = values[name];
          return typeof value === 'string' ? resolve(value) : undefined;
        };
        const report = await writeReport(resolve(at(args, 0)), {
          before: file('before'),
          after: file('after'),
          out: file('out'),
          overwrite: values['overwrite'] === true,
        });
        return { document: { report }, text: report };
      }),
    );
}
