import { availableParallelism, totalmem } from 'node:os';
import process from 'node:process';
import type { Command } from 'commander';
import { formatBytes } from '@emloc/device';
import { deviceTarget } from '../device-target.js';
import { addFlags, commonFlags } from '../flags.js';
import { runCommand } from '../run-command.js';
import { programVersion } from '../version.js';

export function addInfoCommand(program: Command): void {
  const command = program.command('info').description('what emloc finds on this machine')
    .option('--device <name>', 'the device to look at (default: auto)');
  addFlags(command, commonFlags)
    .addHelpText('after', '\nExample:\n  emloc info --device cpu')
    .action(runCommand([], async ({ values }) => {
      const target = deviceTarget(values['device'] as string | undefined);
      const document = {
        version: programVersion, node: process.version, cores: availableParallelism(), memoryBytes: totalmem(),
        device: { name: target.name, description: target.description, computeDType: target.profile.computeDType },
      };
      const text = [
        `emloc ${document.version}, Node ${document.node}, ${document.cores} cores, ${formatBytes(document.memoryBytes)} memory`,
        `device ${target.name}: ${target.description}; weights and activations in ${target.profile.computeDType}`,
      ].join('\n');
      return { document, text };
    }));
}
