import { readBytes } from './reads.js';

describe('bytes that a stage reads', () => {
  const streaming = { uploadedBytes: 1000, weightBytes: 100, residentBytes: 20 };

  it('are the weights once where the host has room for what streams', () => {
    expect(readBytes({ ...streaming, hostBytes: 80 })).toBe(100);
  });

  it('are also, of every further copy, the share that it has no room for', () => {
    expect(readBytes({ ...streaming, hostBytes: 60 })).toBe(100 + 900 / 4);
    expect(readBytes({ ...streaming, hostBytes: 0 })).toBe(1000);
  });

  it('are no more than what is copied', () => {
    expect(readBytes({ ...streaming, uploadedBytes: 30, hostBytes: 0 })).toBe(30);
  });
});
