import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { addressOf } from './serve-address.js';

const folder = mkdtempSync(join(tmpdir(), 'emloc-address-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function keyFile(text: string): string {
  const path = join(folder, 'key');
  writeFileSync(path, text);
  return path;
}

describe('where a server listens', () => {
  const none = { host: undefined, port: undefined, apiKeyFile: undefined };

  it('is this machine alone where nothing is said', () => {
    expect(addressOf(none)).toEqual({ host: '127.0.0.1', port: 8080, apiKey: null });
    for (const host of ['localhost', '::1', '127.0.0.2'])
      expect(addressOf({ ...none, host, port: 0 })).toEqual({ host, port: 0, apiKey: null });
  });

  it('is elsewhere with a key only', () => {
    for (const host of ['0.0.0.0', '::', '10.0.0.1', 'example.com', '127.0.0.1.example.com'])
      expect(() => addressOf({ ...none, host })).toThrow(/not loopback.*--api-key-file is needed/);
    expect(addressOf({ ...none, host: '::', apiKeyFile: keyFile(' a-key\r\n') })).toEqual({
      ...{ host: '::', port: 8080, apiKey: 'a-key' },
    });
  });

  it.each(['', '\n', 'two words', 'two\nlines', 'schlüssel'])(
    'has no key that cannot be sent: %j',
    (text) => {
      expect(() => addressOf({ ...none, apiKeyFile: keyFile(text) })).toThrow(
        expect.objectContaining({ code: 'CLI_USAGE' }),
      );
    },
  );

  it('has no key in what is no file, and no empty name', () => {
    for (const apiKeyFile of [folder, join(folder, 'nowhere'), keyFile('k'.repeat(5000))])
      expect(() => addressOf({ ...none, apiKeyFile })).toThrow(/^--api-key-file /);
    expect(() => addressOf({ ...none, host: ' ' })).toThrow(/^--host: /);
  });
});
