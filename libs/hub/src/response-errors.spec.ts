import { errorOfAnswer } from './response-errors.js';
import { PassingError } from './retry.js';

const refused = {
  model: 'owner/model',
  page: 'https://hub.example/owner/model',
  host: 'https://hub.example',
  hasToken: false,
  file: null,
};
const errorOf = (status: number, headers: Readonly<Record<string, string>> = {}): Error =>
  errorOfAnswer({ status, header: (name) => headers[name] ?? null }, refused);

describe('an answer that is no success', () => {
  it.each([
    [429, { 'retry-after': '7' }, 7000],
    [429, { ratelimit: '"api";r=0;t=55' }, 55_000],
    [503, { ratelimit: '"api";r=0;t=55' }, null],
    [500, {}, null],
    [503, { 'retry-after': 'Thu, 01 Jan 1970 00:00:00 GMT' }, 0],
    [503, { 'retry-after': 'soon' }, null],
  ])('may pass: %d %j', (status, headers, retryAfterMs) => {
    const error = errorOf(status, headers as Record<string, string>);
    expect(error).toBeInstanceOf(PassingError);
    expect(error).toMatchObject({ retryAfterMs });
  });

  it.each([
    [401, { 'x-error-code': 'GatedRepo' }, 'HUB_GATED'],
    [403, { 'x-error-code': 'GatedRepo' }, 'HUB_GATED'],
    [401, { 'x-error-code': 'RepoNotFound' }, 'HUB_NOT_FOUND'],
    [404, { 'x-error-code': 'RevisionNotFound' }, 'HUB_REVISION_NOT_FOUND'],
    [404, { 'x-error-code': 'EntryNotFound' }, 'HUB_NOT_FOUND'],
    [404, {}, 'HUB_NOT_FOUND'],
    [401, {}, 'HUB_ACCESS_DENIED'],
    [403, {}, 'HUB_ACCESS_DENIED'],
    [400, {}, 'HUB_RESPONSE_INVALID'],
  ])('says what is wrong: %d %j is %s', (status, headers, code) => {
    expect(errorOf(status, headers as Record<string, string>)).toMatchObject({
      code,
      message: expect.stringContaining('owner/model') as string,
    });
  });

  it("has the hub's own words, cut to a length", () => {
    const { message } = errorOf(403, { 'x-error-message': `Disabled. ${'x'.repeat(500)}` });
    expect(message).toContain('403: Disabled.');
    expect(message.length).toBeLessThan(600);
  });
});
