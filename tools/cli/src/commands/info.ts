import { availableParallelism, totalmem } from 'node:os';
import process from 'node:process';
import { formatBytes } from '@emloc/device';
import { describeCuda } from '@emloc/device-cuda';
import { describeTfjs, tfjsRuntime } from '@emloc/device-tfjs';
import type { Command } from 'commander';

import { deviceTarget } from '../device-target.js';
import { addFlags, commonFlags } from '../flags.js';
import { runCommand } from '../run-command.js';
import { programVersion } from '../version.js';

export function addInfoCommand(program: Command): void {
  const command = program
    .command('info')
    .description('what emloc finds on this machine')
    .option('--device <name>', 'the device to look at (default: auto)');
  addFlags(command, commonFlags)
    .addHelpText('after', '\nExample:\n  emloc info --device cpu')
    .action(
      runCommand([], async ({ values }) => {
        const target = deviceTarget(values['device'] as string | undefined);
        const runtime = tfjsRuntime(target.name);
        const document = {
          version: programVersion,
          node: process.version,
          cores: availableParallelism(),
          memoryBytes: totalmem(),
          device: {
            name: target.name,
            available: target.problem === null,
            problem: target.problem,
            description: target.description,
            computeDType: target.profile.computeDType,
          },
          cuda: target.name.startsWith('cuda') ? describeCuda() : null,
          tfjs: runtime === null ? null : describeTfjs(runtime),
        };
        const text = [
          `emloc ${document.version}, Node ${document.node}, ${document.cores} cores, ${formatBytes(document.memoryBytes)} memory`,
          target.problem === null
            ? `device ${target.name}: ${target.description}; weights and activations in ${target.profile.computeDType}`
            : `device ${target.name} cannot be had: ${target.problem}`,
          ...(document.tfjs ? [`memory: ${document.tfjs.memory}`] : []),
        ].join('\n');
        return { document, text, exitCode: target.problem === null ? 0 : 1 };
      }),
    );
}
