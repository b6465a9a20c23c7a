import { readFileSync } from 'node:fs';

import { codesByEngineCode } from '../src/engine-errors.js';

/** Codes of docs/errors.md, by the title of their section. */
function catalogue(): Map<string, string[]> {
  const file = new URL('../../../docs/errors.md', import.meta.url);
  const sections = readFileSync(file, 'utf8').split(/^## /m).slice(1);
  return new Map(
    sections.map((text) => [
      text.slice(0, text.indexOf('\n')),
      [...text.matchAll(/^\| `([A-Z0-9_]+)` \|/gm)].map(([, code = '']) => code),
    ]),
  );
}

/**
 * What is thrown before there is a stage: by the command, by its client, by what starts processes.
 */
const elsewhere = {
  sections: ['The command', 'Client of a remote deployment', 'Sending to a hub', 'Reports'],
  codes: /^(DEPLOYMENT_|NATS_SERVER_|SCORE_|TELEMETRY_)/,
};

/** Said by services themselves, with no error of an engine or a library behind it. */
const reasonsOnly = ['STAGE_SUPERSEDED'];

test('every documented code that can end a stage call has a gRPC code of its own', () => {
  const stageCodes = [...catalogue()]
    .filter(([section]) => !elsewhere.sections.includes(section))
    .flatMap(([, codes]) => codes)
    .filter((code) => !elsewhere.codes.test(code));
  expect(stageCodes.length).toBeGreaterThan(80);
  expect(stageCodes.filter((code) => !(code in codesByEngineCode))).toEqual([]);
});

test('no code has an answer that nothing throws', () => {
  const documented = new Set([...catalogue().values()].flat());
  expect(Object.keys(codesByEngineCode).filter((code) => !documented.has(code))).toEqual(
    reasonsOnly,
  );
});

test.each([
  ['DEVICE_GRANT_LOST', 'UNAVAILABLE'],
  ['DEVICE_GRANT_TOO_LARGE', 'FAILED_PRECONDITION'],
  ['JOB_DATASET_INVALID', 'INVALID_ARGUMENT'],
  ['JOB_SPEC_MISSING', 'NOT_FOUND'],
  ['STAGE_STALE_FENCING_TOKEN', 'FAILED_PRECONDITION'],
  ['LAYER_MISSING', 'FAILED_PRECONDITION'],
  ['LAYER_GIVEN_UP', 'INTERNAL'],
  ['TENSOR_BUS_CORRUPT', 'DATA_LOSS'],
  ['TENSOR_BUS_STALLED', 'UNAVAILABLE'],
  ['PIPELINE_RECORD_INVALID', 'DATA_LOSS'],
])('%s is answered with %s', (code, answer) => {
  expect(codesByEngineCode[code]).toBe(answer);
});
