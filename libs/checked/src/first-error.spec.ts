import { firstError } from './first-error.js';

function failing(error: Error): Disposable {
  return {
    [Symbol.dispose]() {
      throw error;
    },
  };
}

function thrownBy(run: () => void): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

describe('the first error', () => {
  it('is that of the work where giving things back fails too', () => {
    const first = new Error('work');

    const thrown = thrownBy(() => {
      using _outer = failing(new Error('outer'));
      using _inner = failing(new Error('inner'));
      throw first;
    });

    expect(thrown).not.toBe(first);
    expect(firstError(thrown)).toBe(first);
  });

  it('is that of what was given back first where the work was done', () => {
    const inner = new Error('inner');

    const thrown = thrownBy(() => {
      using _outer = failing(new Error('outer'));
      using _inner = failing(inner);
    });

    expect(firstError(thrown)).toBe(inner);
  });

  it('is the error itself where nothing else went wrong', () => {
    const error = new Error('work', { cause: new Error('deeper') });

    expect(firstError(error)).toBe(error);
    expect(firstError('text')).toBe('text');
  });
});
