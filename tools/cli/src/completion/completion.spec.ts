import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { everyCommand } from '../command/command-tree.js';
import { commands } from '../commands/index.js';
import { bashCompletion } from './bash.js';
import { describeCommands, type CompletedCommand } from './describe.js';
import { fishCompletion } from './fish.js';
import { zshCompletion } from './zsh.js';

let described: readonly CompletedCommand[];
let folder: string;
beforeAll(async () => {
  described = describeCommands(await everyCommand(commands));
  folder = mkdtempSync(join(tmpdir(), 'emloc-completion-'));
  mkdirSync(join(folder, 'a folder'));
  writeFileSync(join(folder, 'rows.jsonl'), '');
  writeFileSync(join(folder, 'emloc.bash'), bashCompletion(described));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function shell(name: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(name, args, { cwd: folder, encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

/** What bash offers for the last of these words. */
function offered(...words: readonly string[]): string[] {
  const script = 'source ./emloc.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _emloc';
  const shown = `${script}; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return shell('bash', ['--norc', '-c', shown, 'bash', 'emloc', ...words])
    .split('\n')
    .filter((line) => line !== '');
}

it('knows every command and flag', () => {
  const tune = described.find(({ path }) => path === 'tune');
  expect(tune?.flags.length).toBeGreaterThan(40);
  expect(tune?.flags.map(({ long }) => long)).not.toContain('--card');
  expect(described.map(({ path }) => path)).toEqual(
    expect.arrayContaining(['', 'tune', 'completion', 'jobs', 'jobs list']),
  );
});

describe('in bash', () => {
  it('is there once its script has been read', () => {
    const registered = shell('bash', ['--norc', '-c', 'source ./emloc.bash; complete -p emloc']);
    expect(registered).toBe('complete -F _emloc emloc\n');
  });

  it('offers commands, flags, and the values of a choice', () => {
    expect(offered('tu')).toEqual(['tune']);
    expect(offered('jobs', 'd')).toEqual(['delete', 'download']);
    expect(offered('tune', '--sched')).toEqual(['--schedule']);
    expect(offered('jobs', 'list', '--st')).toEqual(['--state']);
    expect(offered('tune', '--schedule', 'co')).toEqual(['cosine', 'constant']);
    expect(offered('tune', '--schedule', '=', 'cos')).toEqual(['cosine']);
    expect(offered('completion', '')).toEqual(['bash', 'zsh', 'fish']);
    expect(offered('tune', '--lr', '')).toEqual([]);
  });

  it('offers folders and files where paths are taken', () => {
    expect(offered('tune', '--out', '')).toEqual(['a folder']);
    expect(offered('data', 'ro')).toEqual(['rows.jsonl']);
    expect(offered('tune', '--data', 'ro')).toEqual(['rows.jsonl']);
  });
});

const isInstalled = (name: string): boolean =>
  spawnSync(name, ['-c', 'true'], { stdio: 'ignore' }).status === 0;

(isInstalled('zsh') ? it : it.skip)('is read by zsh without an error', () => {
  writeFileSync(join(folder, 'emloc.zsh'), zshCompletion(described));
  const script = 'autoload -Uz compinit; compinit -u -D; source ./emloc.zsh; print $_comps[emloc]';
  expect(shell('zsh', ['-f', '-c', script])).toBe('_emloc\n');
});

(isInstalled('fish') ? it : it.skip)('offers the same in fish', () => {
  writeFileSync(join(folder, 'emloc.fish'), fishCompletion(described));
  const asked = (line: string): string[] =>
    shell('fish', ['--no-config', '-c', `source ./emloc.fish; complete -C ${JSON.stringify(line)}`])
      .split('\n')
      .filter((each) => each !== '')
      .map((each) => each.replace(/\t.*/, ''));
  expect(asked('emloc tu')).toEqual(['tune']);
  expect(asked('emloc jobs d').sort()).toEqual(['delete', 'download']);
  expect(asked('emloc tune --sched')).toEqual(['--schedule']);
  expect(asked('emloc tune --schedule co').sort()).toEqual(['constant', 'cosine']);
  expect(asked('emloc tune --out ')).toEqual(['a folder/']);
});
