import { deployedSource } from './job-sources.js';

test.each([
  ['server:/data/dogs', '/data/dogs'],
  ['datasets/abc', { dataset: 'datasets/abc' }],
  ['datasets/abc/rows.jsonl', null],
  ['train.jsonl', null],
])('%s is on the deployment as %p', (text, source) => {
  expect(deployedSource(text)).toEqual(source);
});
