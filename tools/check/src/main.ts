import process from 'node:process';

/** Every comparison, by the first argument; loaded when it is asked for. Exit code 1: not equal. */
const checks: Readonly<
  Record<string, () => Promise<{ check(args: readonly string[]): Promise<boolean> }>>
> = {
  jinja: () => import('./jinja/check.js'),
  tokenizers: () => import('./tokenizers/check.js'),
};

const args = process.argv.slice(2);
const name = args.shift() ?? '';
const load = Object.hasOwn(checks, name) ? checks[name] : undefined;
if (load) process.exitCode = (await (await load()).check(args)) ? 0 : 1;
else {
  console.error(`usage: check ${Object.keys(checks).join('|')} [arguments]`);
  process.exitCode = 2;
}
