/**
 * Runs the built command again and again in one process, a run for each message of its parent: what
 * a run loads and compiles is there for the next. Answers with what would have been the exit code
 * and the outputs.
 */
import process from 'node:process';
import { Writable } from 'node:stream';
import { pathToFileURL } from 'node:url';

import { ensureBundled, listPrograms } from '../../setup/bundle.mjs';

/**
 * @typedef {object} Order
 * @property {string} command absolute path of emloc.cjs, which users start
 * @property {readonly string[]} args
 * @property {string} folder to run in
 * @property {Readonly<Record<string, string>>} env added to this process's own
 */

const own = { ...process.env };
const program = listPrograms().find(({ name }) => name === 'emloc');
if (!program) throw new Error('there is no program emloc');
await ensureBundled(program);
const { href } = pathToFileURL(program.outFile);
let runs = 0;

process.on('message', (/** @type {Order} */ order) => {
  // Whatever is thrown ends this process, and with it the tests that wait.
  void run(order).then((answer) => process.send?.(answer));
});

/** @param {Order} order */
async function run({ command, args, folder, env }) {
  const [stdout, stderr] = [collect('stdout'), collect('stderr')];
  process.argv = [process.execPath, command, ...args];
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, own, env);
  process.chdir(folder);
  process.exitCode = undefined;
  runs += 1;
  // The program runs when it is imported, under every name once; what it imports is loaded once.
  await import(`${href}?run=${runs}`);
  const code = process.exitCode ?? 0;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.removeAllListeners(signal);
  process.exitCode = undefined;
  return { code, stdout: stdout(), stderr: stderr() };
}

/**
 * Puts a stream in place of one of the process.
 * @param {'stdout' | 'stderr'} name
 * @returns {() => string} what was written to it
 */
function collect(name) {
  /** @type {Buffer[]} */
  const parts = [];
  const value = new Writable({
    decodeStrings: true,
    write(part, _encoding, done) {
      parts.push(part);
      done();
    },
  });
  Object.defineProperty(process, name, { value, configurable: true });
  return () => Buffer.concat(parts).toString();
}
