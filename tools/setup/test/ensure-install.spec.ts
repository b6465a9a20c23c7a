import { outdatedPackages } from '../ensure-install.mjs';

const installed = {
  'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
  'node_modules/@emloc/device': { resolved: 'libs/device', link: true },
};

describe('outdatedPackages', () => {
  it('finds nothing when everything is as locked', () => {
    expect(outdatedPackages({ '': {}, 'libs/device': {}, ...installed }, installed)).toEqual([]);
  });

  it('names missing packages, other versions and other links', () => {
    const locked = {
      'node_modules/a': { version: '1.0.1', integrity: 'sha512-b' },
      'node_modules/b': { version: '1.0.0' },
      'node_modules/@emloc/device': { resolved: 'libs/other', link: true },
    };
    expect(outdatedPackages(locked, installed)).toEqual(Object.keys(locked));
  });

  it('lets an optional package be absent, not different', () => {
    const optional = {
      'node_modules/a': { version: '2.0.0', optional: true },
      'node_modules/darwin-only': { version: '1.0.0', optional: true },
    };
    expect(outdatedPackages(optional, installed)).toEqual(['node_modules/a']);
  });
});
