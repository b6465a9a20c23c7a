import { readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';

import { everyCommand } from '../command/command-tree.js';
import { commands } from '../commands/index.js';
import { commandsPage } from './commands-page.js';
import { optionsPage } from './options-page.js';

/** What a page is, after it was written where that is asked for. */
function pageOf(name: string, made: string): string {
  const file = new URL(`../../../../docs/reference/${name}`, import.meta.url);
  if (process.env['UPDATE_DOCS']) writeFileSync(file, made);
  return readFileSync(file, 'utf8');
}

it('tells every option as it is in docs/reference/options.md', () => {
  const made = optionsPage();
  expect(made.split('\n').length).toBeGreaterThan(50);
  expect(pageOf('options.md', made)).toBe(made);
});

it('tells every command and flag as it is in docs/reference/commands.md', async () => {
  const made = commandsPage(await everyCommand(commands));
  expect(made).toContain('## emloc jobs create');
  expect(made).not.toContain('undefined');
  expect(pageOf('commands.md', made)).toBe(made);
});
