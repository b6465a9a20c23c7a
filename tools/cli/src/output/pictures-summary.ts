import { countOf, pictureWarnings } from '@emloc/dataset';
import type { JobReport } from '@emloc/pipeline';

type PicturesReport = Extract<JobReport, { kind: 'pictures' }>;

/** What a user should know of their pictures before a device is used, as lines. */
export function picturesSummary({ pictures, heldOut, captionsCut }: PicturesReport): string[] {
  const { classPictures, distinctCaptions, sizes } = pictures;
  const ofClass = classPictures > 0 ? `, ${classPictures} of the class` : '';
  const shown = sizes.map(({ width, height, count }) => `${count} of ${width} x ${height}`);
  const scored =
    heldOut > 0
      ? `${countOf(heldOut, 'picture')} held out to score on`
      : 'no picture is held out: scores are of other noise';
  return [
    `${countOf(pictures.pictures, 'picture')} to learn from${ofClass}, ${countOf(distinctCaptions, 'caption')}; ${shown.join(', ')}`,
    scored,
    ...pictureWarnings(pictures, { withNames: true }).map((warning) => `warning: ${warning}`),
    ...(captionsCut > 0
      ? [`warning: ${countOf(captionsCut, 'caption')} cut to what the model reads`]
      : []),
  ];
}
