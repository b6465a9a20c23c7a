import { Writable } from 'node:stream';

import { ignoreFailures, OutputError, watchOutput } from './watch-output.js';

/** Takes so many pieces, then fails as a full disk does. */
function filling(pieces: number): Writable {
  let taken = 0;
  return new Writable({
    write: (_chunk, _encoding, done) => {
      taken += 1;
      const full = Object.assign(new Error('no space left'), { code: 'ENOSPC' });
      setImmediate(() => done(taken > pieces ? full : null));
    },
  });
}

describe('watchOutput', () => {
  it('finishes once everything is taken', async () => {
    const stream = filling(9);
    const failures: OutputError[] = [];
    const watched = watchOutput(stream, (error) => failures.push(error));
    stream.write('result');
    await watched.finish();
    expect(stream.writableLength).toBe(0);
    expect(failures).toEqual([]);
  });

  it('tells once that the stream has failed, and at the end', async () => {
    const stream = filling(1);
    const failures: OutputError[] = [];
    const watched = watchOutput(stream, (error) => failures.push(error));
    for (const piece of ['a', 'b', 'c']) stream.write(piece);
    await expect(watched.finish()).rejects.toMatchObject({
      code: 'CLI_OUTPUT_FAILED',
      message: expect.stringContaining('ENOSPC'),
    });
    stream.write('d');
    await expect(watched.finish()).rejects.toBeInstanceOf(OutputError);
    expect(failures).toHaveLength(1);
  });
});

it('ignoreFailures lets a process go on whose messages nobody reads', async () => {
  const stream = filling(0);
  ignoreFailures(stream);
  const closed = new Promise((resolve) => stream.on('close', resolve));
  stream.write('progress');
  await closed;
  expect(stream.errored).toHaveProperty('code', 'ENOSPC');
});
