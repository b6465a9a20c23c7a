import { availableParallelism, totalmem } from 'node:os';
import process from 'node:process';
import { formatBytes } from '@emloc/device';
import { describeCuda } from '@emloc/device-cuda';
import { describeTfjs, tfjsRuntime } from '@emloc/device-tfjs';

import { defineCommand } from '../command/define-command.js';
import { textFlag } from '../command/flag.js';
import { deviceTarget } from '../device-target.js';
import { exitCodes } from '../exit-code.js';
import { programVersion } from '../version.js';

export const command = defineCommand({
  flags: { device: textFlag('--device <name>', 'the device to look at (default: auto)') },
  examples: ['info --device cpu'],
  run: ({ values }) => {
    const target = deviceTarget(values.device);
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
    const exitCode = target.problem === null ? exitCodes.done : exitCodes.failed;
    return Promise.resolve({ document, text, exitCode });
  },
});
