import { isRefinementKept, type TuneReport } from '@emloc/pipeline';

import { render } from './render.js';

type Losses = Pick<TuneReport, 'validation' | 'correction' | 'courses'>;

type Row = 'uncorrected' | 'corrected' | 'refined';

/**
 * Losses on the validation rows, each with what it says to somebody who does not know the method,
 * and a mark at the one of the adapter that is written.
 */
export function validationTable(losses: Losses): string {
  const { validation, correction } = losses;
  const { base, emulator, emulatorTuned, uncorrected, corrected, refined } = validation;
  const written = writtenRow(losses);
  const rows: readonly [string, number | null, string, Row | null][] = [
    ['base model', base, 'the model as it was, without an adapter', null],
    ['emulator', emulator, 'the smaller stand-in that is trained on, before training', null],
    [
      'emulator, trained',
      emulatorTuned,
      'the stand-in with its adapter: how well training went, not what you get',
      null,
    ],
    correction
      ? ['model, uncorrected', uncorrected, 'the model with that adapter as it is', 'uncorrected']
      : ['model, trained', uncorrected, 'the model with the adapter', 'uncorrected'],
    ['model, corrected', corrected, correctedText(correction), 'corrected'],
    ['model, refined', refined, 'after some more steps on the model itself', 'refined'],
  ];
  const shown = rows.flatMap(([name, loss, meaning, row]) =>
    loss === null
      ? []
      : [[name, loss.toFixed(4), row === written ? '<- your adapter' : '', meaning]],
  );
  return render(shown, 0);
}

function correctedText(correction: Losses['correction']): string {
  const chosen = Number(correction?.chosen);
  const strength = Number.isFinite(chosen) ? ` (strength ${chosen})` : '';
  return `the model with the adapter from which the stand-in's errors were taken out${strength}`;
}

/** Whose loss is that of the adapter which is written. */
function writtenRow({ validation, correction, courses }: Losses): Row {
  if (!correction) return 'uncorrected';
  const before = correction.scores[correction.chosen] ?? Number.POSITIVE_INFINITY;
  const { refined } = validation;
  if (refined !== null && courses.refine && isRefinementKept(before, refined, courses.refine))
    return 'refined';
  return correction.chosen === 'none' ? 'uncorrected' : 'corrected';
}
