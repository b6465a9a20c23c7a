import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { demoOf } from '../demos.mjs';
import { workspaceRoot } from '../workspace.mjs';

describe('demoOf', () => {
  it('takes the example of text unless another one is named', () => {
    expect(demoOf([]).model).toBe('examples/models/demo-5m');
    expect(demoOf(['--example', 'images']).model).toBe('examples/images/model');
  });

  it.each(['text', 'images', 'flux'])('names files of %s that are there', (name) => {
    const { model, train, test } = demoOf(['--example', name]);
    expect([model, train, test].map(isThere)).toEqual([true, true, true]);
  });

  it('hands every other argument to tune, after its own', () => {
    const { tuneFlags } = demoOf(['--steps', '20', '--example', 'images', '--ratio', '1']);
    expect(tuneFlags.slice(-4)).toEqual(['--steps', '20', '--ratio', '1']);
    expect(tuneFlags).not.toContain('--example');
  });

  it.each([[['--example', 'sounds']], [['--example']]])('refuses %j', (args) => {
    expect(() => demoOf(args)).toThrow('one of text, images, flux expected');
  });
});

function isThere(path: string): boolean {
  return existsSync(join(workspaceRoot, path));
}
