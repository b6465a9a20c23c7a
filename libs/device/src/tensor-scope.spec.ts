import type { Device } from './device.js';
import { TensorScope } from './tensor-scope.js';
import { Tensor } from './tensor.js';

/** Allocates tensors without memory, and notes which of them are freed, by label. */
function openDevice(): { device: Device; freed: string[] } {
  const freed: string[] = [];
  const device = {
    allocate: (shape: readonly number[], dtype: 'float32', _category: string, label: string) =>
      new Tensor(shape, dtype, label, null, () => freed.push(label)),
  } as unknown as Device;
  return { device, freed };
}

const float = (label: string) => ({ shape: [1], dtype: 'float32' as const, label });

describe('a scope of tensors', () => {
  it('frees what it owns in the order in which it came, also on an error', () => {
    const { device, freed } = openDevice();

    expect(() => {
      using scope = new TensorScope(device, 'step');
      scope.allocate(float('a'));
      scope.own(device.allocate([1], 'float32', 'workspace', 'b'));
      throw new Error('kernel');
    }).toThrow('kernel');

    expect(freed).toEqual(['step a', 'b']);
  });

  it('leaves what was released to the caller, and frees once what was freed before', () => {
    const { device, freed } = openDevice();
    const scope = new TensorScope(device, 'step');
    const kept = scope.allocate(float('kept'));
    const early = scope.allocate(float('early'));

    scope.free(early);
    scope.release(kept);
    scope[Symbol.dispose]();
    scope[Symbol.dispose]();

    expect(freed).toEqual(['step early']);
    expect(kept.isDisposed).toBe(false);
  });
});
