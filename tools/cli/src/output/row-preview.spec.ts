import type { RowImage } from '@emloc/dataset';

import { brackets, rowPreview } from './row-preview.js';

test('images of a row are named with size, tiles and tokens before its text', () => {
  const image = (input: RowImage['input'], tiles: number): RowImage => ({
    input,
    ...{ width: 30, height: 20, tiles, maxTiles: 6, contextStart: 1, contextTokens: 4 * tiles },
  });
  const row = {
    ids: Int32Array.of(1, 2, 3),
    trained: Uint8Array.of(0, 0, 1),
    line: 4,
    images: [
      image({ kind: 'file', path: 'a\u001b.png', label: 'x' }, 7),
      image({ kind: 'bytes', bytes: new Uint8Array(9), label: 'x' }, 1),
    ],
  };
  const text = { text: 'Q A', ranges: [{ start: 2, end: 3 }] };
  const visible = (each: string): string => each.replace('\u001b', '?');
  expect(
    rowPreview({ kind: 'row', row, tokens: row.ids.length, text }, brackets, visible).split('\n'),
  ).toEqual([
    'row 4: 3 tokens, 1 trained on',
    '  image a?.png: 30 x 20, 7 tiles, 28 tokens',
    '  image data of 9 bytes: 30 x 20, 1 tile, 4 tokens',
    '  Q ⟦A⟧',
  ]);
});
