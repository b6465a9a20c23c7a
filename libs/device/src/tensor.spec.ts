import { DeviceError } from './errors.js';
import { Tensor } from './tensor.js';

const tensorOf = (shape: readonly number[]): Tensor =>
  new Tensor(shape, 'float32', 'weights', null, () => undefined);

describe('the extent of an axis', () => {
  it('is counted from the first or from the last axis', () => {
    const tensor = tensorOf([3, 5]);

    expect([tensor.dim(0), tensor.dim(1), tensor.dim(-1), tensor.dim(-2)]).toEqual([3, 5, 5, 3]);
  });

  it.each([2, -3])('is refused for axis %d of two', (axis) => {
    expect(() => tensorOf([3, 5]).dim(axis)).toThrow(
      new DeviceError('DEVICE_SHAPE_MISMATCH', `axis ${axis} of weights, whose shape is [3, 5]`),
    );
  });
});
