import { assertHubName, baseNameOf, baseRevisionOf } from './base-name.js';

const folder = '/home/me/models/base';

describe('the name of a base model in its adapters', () => {
  it.each([
    ['Qwen/Qwen2.5-0.5B', 'Qwen/Qwen2.5-0.5B'],
    ['meta-llama/Llama-3.2-1B', 'meta-llama/Llama-3.2-1B'],
    ['gpt2', null],
    ['', null],
    [null, null],
    [7, null],
    ['/home/me/models/llama', null],
    ['./llama', null],
    ['../base/llama', null],
    ['~/llama', null],
    ['C:\\models\\llama', null],
    ['a/b/c', null],
    ['owner/', null],
    ['models/llama', null],
    ['Checkpoints/llama', null],
    ['my-run/checkpoint-500', null],
    ['owner/name with spaces', null],
    [`owner/${'x'.repeat(300)}`, null],
  ])('is of the _name_or_path %j: %j', (known, expected) => {
    expect(baseNameOf(null, { folder, config: { _name_or_path: known } })).toBe(expected);
    expect(baseNameOf('given/name', { folder, config: { _name_or_path: known } })).toBe(
      'given/name',
    );
  });

  it.each([
    [
      '/home/me/.cache/huggingface/hub/models--owner--name-1.5B/snapshots/0123abcd',
      'owner/name-1.5B',
    ],
    ['hub/models--owner--name/snapshots/main/', 'owner/name'],
    ['/cache/models--gpt2/snapshots/0123abcd', 'gpt2'],
    ['/cache/models--owner--flux/snapshots/0123abcd/transformer', 'owner/flux'],
    ['/cache/models--owner--name', null],
    ['/cache/models--owner--name/snapshots/0123abcd/inner', null],
    ['/cache/models--a b--c/snapshots/0123abcd', null],
  ])('is of the folder %j: %j', (cached, expected) => {
    expect(baseNameOf(null, { folder: cached, config: {} })).toBe(expected);
  });

  it.each([
    ['models--owner--name', '0a'.repeat(20), null, true],
    ['models--owner--name', '0a'.repeat(20), 'owner/name', true],
    ['models--owner--name', '0a'.repeat(20), 'owner/other', false],
    ['models--owner--name', 'main', null, false],
    ['owner--name', '0a'.repeat(20), null, false],
  ])('goes with the commit of the snapshot %s/%s, named %j: %j', (model, commit, given, isSo) => {
    const snapshot = `/cache/${model}/snapshots/${commit}`;
    for (const inner of ['', '/transformer'])
      expect(baseRevisionOf(given, { folder: `${snapshot}${inner}` })).toBe(isSo ? commit : null);
  });

  it('is none where neither option nor config has one', () => {
    expect(baseNameOf(null, { folder, config: {} })).toBeNull();
  });

  it.each(['/abs/path', './x', '../x', '~/x', 'a/b/c', 'a b', '', 'x'.repeat(201)])(
    'may not be given as %j',
    (name) => {
      expect(() => assertHubName('baseName', name)).toThrow(
        expect.objectContaining({
          code: 'PIPELINE_INVALID_OPTION',
          message: expect.stringContaining('option baseName: '),
        }),
      );
    },
  );

  it.each(['owner/name', 'name', 'Owner.x/na_me-1.5'])('may be given as %j', (name) => {
    expect(() => assertHubName('baseName', name)).not.toThrow();
  });
});
