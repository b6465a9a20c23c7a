import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import process from 'node:process';

import { runCommand } from './command.mjs';

/**
 * A package of the operating system that makes something faster or possible, but that nothing fails
 * without.
 * @typedef {object} SystemPackage
 * @property {string} name its Debian name
 * @property {() => boolean} probe whether what it brings is there already
 * @property {string} why what is lost without it, as half a sentence
 * @property {string} [unit] systemd unit that its installation starts, which nobody asked for
 */

/**
 * What decides whether and how something can be installed; replaced in tests.
 * @typedef {object} System
 * @property {() => boolean} isRoot
 * @property {() => boolean} hasApt
 * @property {() => boolean} mayInstall EMLOC_SYSTEM_PACKAGES=skip leaves the machine as it is
 * @property {(args: readonly string[]) => number} apt exit status of apt-get with these arguments
 * @property {(unit: string) => void} stop stops a unit, now and after a restart of the machine
 * @property {(message: string) => void} say
 */

/** @type {System} */
export const system = {
  isRoot: () => process.getuid?.() === 0,
  hasApt: () => process.platform === 'linux' && findExecutable('apt-get') !== null,
  mayInstall: () => process.env['EMLOC_SYSTEM_PACKAGES'] !== 'skip',
  apt: (args) =>
    runCommand(
      'apt-get',
      ['-o', 'Acquire::Retries=1', '-o', 'Acquire::http::Timeout=20', '-q', ...args],
      {
        env: { DEBIAN_FRONTEND: 'noninteractive' },
        timeoutMs: 5 * 60_000,
        quiet: true,
      },
    ),
  stop: (unit) => {
    if (existsSync('/run/systemd/system'))
      spawnSync('systemctl', ['disable', '--now', unit], { stdio: 'ignore' });
  },
  say: (message) => console.error(`setup: ${message}`),
};

/**
 * Installs a missing package where this process may (root on a system with apt), else says what to
 * install.
 * @param {SystemPackage} wanted
 * @param {System} [host]
 * @returns {boolean} whether it is there now
 */
export function ensureSystemPackage(wanted, host = system) {
  return ensureSystemPackages([wanted], host).length === 0;
}

/**
 * The same for several, with one `apt-get update`.
 * @param {readonly SystemPackage[]} wanted
 * @param {System} [host]
 * @returns {SystemPackage[]} those that are still missing
 */
export function ensureSystemPackages(wanted, host = system) {
  const missing = wanted.filter(({ probe }) => !probe());
  if (missing.length === 0) return missing;
  if (host.mayInstall() && host.isRoot() && host.hasApt()) installWithApt(missing, host);
  const absent = missing.filter(({ probe }) => !probe());
  for (const { name, why } of absent) {
    host.say(`${name} is not installed: ${why}. On Debian or Ubuntu: apt-get install ${name}`);
  }
  return absent;
}

/**
 * @param {readonly SystemPackage[]} missing
 * @param {System} host
 */
function installWithApt(missing, host) {
  const names = missing.map(({ name }) => name);
  host.say(
    `installing ${names.join(', ')} (apt-get; EMLOC_SYSTEM_PACKAGES=skip to leave the system alone)`,
  );
  host.apt(['update']);
  host.apt(['install', '-y', '--no-install-recommends', ...names]);
  for (const { unit } of missing) if (unit !== undefined) host.stop(unit);
}

/**
 * Whether the dynamic linker finds a shared library by its soname, such as `libopenblas.so.0`.
 * Linux only.
 * @param {string} soname
 */
export function hasSharedLibrary(soname) {
  const cached = spawnSync('/sbin/ldconfig', ['-p'], { encoding: 'utf8' });
  if (cached.status === 0) return cached.stdout.includes(`\t${soname} `);
  const machine =
    { x64: 'x86_64', arm64: 'aarch64' }[/** @type {string} */ (process.arch)] ?? process.arch;
  const folders = ['/usr/lib', '/usr/lib64', '/usr/local/lib', `/usr/lib/${machine}-linux-gnu`];
  return folders.some((folder) => existsSync(join(folder, soname)));
}

/**
 * Absolute path of a program on PATH, or null.
 * @param {string} name
 */
export function findExecutable(name) {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, name)).find((file) => existsSync(file)) ?? null;
}

/** BLAS and LAPACK for the CPU device. @type {SystemPackage} */
export const openBlas = {
  name: 'libopenblas0-pthread',
  probe: () => process.platform !== 'linux' || hasSharedLibrary('libopenblas.so.0'),
  why: 'the CPU device falls back to its portable routines, which are several times slower',
};

/**
 * Carries tensors and keeps job state for the services; `emloc tune` needs none. @type
 * {SystemPackage}
 */
export const natsServer = {
  name: 'nats-server',
  probe: () =>
    process.platform !== 'linux' ||
    findExecutable('nats-server') !== null ||
    existsSync('/usr/sbin/nats-server'),
  why: '`emloc serve` and the tests of the services cannot start',
  unit: 'nats-server.service',
};

/**
 * Checks the alerts in deploy/prometheus and scrapes the services in tests. @type {SystemPackage}
 */
export const prometheus = {
  name: 'prometheus',
  probe: () =>
    process.platform !== 'linux' ||
    ['prometheus', 'promtool'].every((program) => findExecutable(program) !== null),
  why: 'the tests of alerts and dashboards cannot start',
  unit: 'prometheus.service',
};

/** Shows the pages that emloc writes, in tests. @type {SystemPackage} */
export const chromium = {
  name: 'chromium',
  probe: () => process.platform !== 'linux' || findExecutable('chromium') !== null,
  why: 'the tests of pages cannot start',
};
