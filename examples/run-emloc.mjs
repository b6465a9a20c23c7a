import { spawn } from 'node:child_process';
import { relative } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Runs the emloc command as a user does, with `--json`; its progress is shown. Where it fails, the
 * demonstration ends.
 * @param {string} title
 * @param {readonly string[]} args
 * @returns {Promise<any>} the JSON document
 */
export async function emloc(title, args) {
  const shown = args.map((arg) => {
    const path = arg.startsWith(root) ? relative(root, arg) : arg;
    return path.includes(' ') ? `"${path}"` : path;
  });
  console.log(`\n== ${title}\n   emloc ${shown.join(' ')}`);
  const child = spawn(process.execPath, ['tools/cli/bin/emloc.cjs', ...args, '--json'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  for await (const chunk of child.stdout.setEncoding('utf8')) text += chunk;
  const status = child.exitCode ?? (await new Promise((resolve) => child.once('exit', resolve)));
  if (status === 0) return JSON.parse(text);
  console.error(`demo: emloc ${args[0]} ended with status ${status}`);
  process.exit(1);
}

/**
 * @typedef {object} Job
 * @property {{ name: string, seconds: number, peakDeviceBytes: number }[]} stages
 * @property {Record<string, number | null>} validation losses
 * @property {number} peakDeviceBytes
 * @property {number} budgetBytes
 */

/**
 * What a job took, and its losses.
 * @param {Job} tuned
 */
export function showJob(tuned) {
  console.log('\n== stages');
  for (const { name, seconds, peakDeviceBytes } of tuned.stages) {
    console.log(
      `   ${name.padEnd(10)} ${seconds.toFixed(1).padStart(6)} s   peak ${mebibytes(peakDeviceBytes).padStart(9)}`,
    );
  }
  console.log(
    `   device memory at most ${mebibytes(tuned.peakDeviceBytes)} of a budget of ${mebibytes(tuned.budgetBytes)}`,
  );
  console.log('\n== validation loss along the way');
  for (const [name, loss] of Object.entries(tuned.validation))
    if (loss !== null) console.log(`   ${name.padEnd(14)} ${loss.toFixed(4)}`);
}

/** @param {number} bytes */
function mebibytes(bytes) {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
