import { toWireError } from './messages.js';

describe('an error on its way to another thread', () => {
  it('is the first where giving back failed too', () => {
    const work = Object.assign(new Error('work'), { code: 'WORK_FAILED' });
    const held = {
      [Symbol.dispose]: () => {
        throw new Error('giving back');
      },
    };
    const run = (): void => {
      using _held = held;
      throw work;
    };

    expect(wireErrorOf(run)).toMatchObject({ message: 'work', fields: { code: 'WORK_FAILED' } });
  });
});

function wireErrorOf(run: () => void): unknown {
  try {
    run();
  } catch (error) {
    return toWireError(error);
  }
  return null;
}
