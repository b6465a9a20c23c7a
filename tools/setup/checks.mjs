import { spawn } from 'node:child_process';
import process from 'node:process';

import { workspaceRoot } from './workspace.mjs';

/**
 * A Node program of this repository, by its arguments, the first relative to the root.
 * @typedef {readonly [name: string, args: readonly string[]]} Check
 */

/**
 * Runs lanes side by side and the checks of a lane one after another; what a check prints is shown
 * when it has ended.
 * @param {readonly (readonly Check[])[]} lanes
 * @param {(text: string) => void} show
 * @returns {Promise<string[]>} names of those that failed
 */
export async function runChecks(lanes, show = console.log) {
  const failed = await Promise.all(lanes.map((lane) => runLane(lane, show)));
  return failed.flat();
}

/** @param {readonly Check[]} lane @param {(text: string) => void} show */
async function runLane(lane, show) {
  const failed = [];
  for (const [name, args] of lane) {
    const startMs = performance.now();
    const { passed, output } = await runProgram(args);
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    show(`${output}${name}: ${passed ? 'passed' : 'failed'} (${seconds} s)`);
    if (!passed) failed.push(name);
  }
  return failed;
}

/**
 * @param {readonly string[]} args
 * @returns {Promise<{ passed: boolean, output: string }>}
 */
function runProgram(args) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, {
      cwd: workspaceRoot,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    child.once('error', ({ message }) => resolve({ passed: false, output: `${message}\n` }));
    child.once('close', (code) => resolve({ passed: code === 0, output }));
  });
}
