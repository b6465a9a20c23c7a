import { describePictures } from './describe-pictures.js';
import { defaultSizes, type SizeOptions } from './picture-options.js';
import { reportPictures } from './picture-report.js';
import type { PictureRow } from './picture-row.js';
import { planPicture } from './plan-picture.js';

function row(
  name: string,
  values: Partial<PictureRow>,
  options: Partial<SizeOptions> = {},
): PictureRow {
  const size = values.size ?? { width: 1024, height: 768 };
  const named = { seed: 1, name };
  return {
    ...{ image: `/photos/${name}`, name, caption: 'a dog', captionSource: 'prompt' },
    ...{ isClass: false, size, sha256: name },
    plan: planPicture(size, { ...defaultSizes, ...options }, named),
    ...values,
  };
}

function described(rows: readonly PictureRow[]): string[] {
  return describePictures({ rows, report: reportPictures(rows, []), sha256: '' });
}

describe('describePictures', () => {
  it('says what is learned from, how much is cut away, and the captions', () => {
    const small = { size: { width: 512, height: 400 }, isClass: true, caption: 'x'.repeat(81) };

    expect(described([row('a', {}), row('b', { captionSource: 'file' }), row('c', small)])).toEqual(
      [
        '2 pictures to learn from, 1 of the class; 2 captions: 1 from files beside them, 2 from the prompt',
        '512 x 400 to 1024 x 768 pixels, resized and cut to 512 x 512',
        '24 % of a picture is cut away on average, 25 % at most',
        'caption of 2 pictures: "a dog"',
        `caption of 1 picture: "${'x'.repeat(80)}..."`,
      ],
    );
  });

  it('has the sizes of buckets with their counts, the most frequent first', () => {
    const sizes = [
      [1000, 500],
      [500, 1000],
      [1001, 500],
    ] as const;
    const rows = sizes.map(([width, height], index) =>
      row(String(index), { size: { width, height } }, { buckets: true }),
    );

    expect(described(rows)[1]).toBe(
      '1000 x 500 to 1001 x 500 pixels, resized and cut to 704 x 320 (2), 320 x 704 (1)',
    );
  });

  it('shows some of many captions, and what is mirrored', () => {
    const rows = Array.from({ length: 40 }, (_, index) =>
      row(String(index), { caption: `caption ${index}` }, { flip: true }),
    );
    const lines = described(rows);
    const { flipped, enlarged } = reportPictures(rows, []);

    expect(lines).toHaveLength(9);
    expect(lines[2]).toMatch(new RegExp(`; ${flipped} mirrored$`));
    expect(lines.at(-1)).toBe('and 35 more captions');
    expect(flipped).toBeGreaterThan(5);
    expect(enlarged).toBe(0);
  });

  it('counts pictures that are enlarged', () => {
    const rows = [row('a', { size: { width: 400, height: 300 } }), row('b', {})];

    expect(reportPictures(rows, []).enlarged).toBe(1);
  });
});
