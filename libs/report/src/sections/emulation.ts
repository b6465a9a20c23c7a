import { barChart } from '../charts/bar-chart.js';
import { layerErrors } from '../charts/layer-errors.js';
import { field, listAt, numberAt, textAt } from '../fields.js';
import { html, type Html } from '../html.js';
import { countText, lossText, percentText } from '../numbers.js';
import type { ReportData } from '../report-data.js';

/** How near the emulator is to the original, and what became of its adapter; null: none. */
export function emulation({ record }: ReportData): Html | null {
  const [small, whole] = [
    numberAt(record, 'emulator', 'parameters'),
    numberAt(record, 'emulator', 'originalParameters'),
  ];
  if (small === null || whole === null) return null;
  const layers = listAt(record, 'emulator', 'layers').flatMap((layer) => {
    const [name, relativeError] = [textAt(layer, 'name'), numberAt(layer, 'relativeError')];
    return name === null || relativeError === null
      ? []
      : [{ name, relativeError, ratio: numberAt(layer, 'ratio'), rank: numberAt(layer, 'rank') }];
  });
  return html`<h2>Emulator and correction</h2>
    <p>
      The emulator has ${countText(small)} of the original’s ${countText(whole)} parameters
      (${percentText(small / whole)}).
    </p>
    ${layers.length > 0 ? layerErrors(layers) : null} ${corrections(record)}`;
}

function corrections(record: unknown): Html | null {
  const scores = Object.entries(Object(field(record, 'correction', 'scores')) as object).filter(
    (entry): entry is [string, number] => typeof entry[1] === 'number',
  );
  const chosen = textAt(record, 'correction', 'chosen');
  if (scores.length === 0) return null;
  const ordered = scores.sort(
    ([a], [b]) => Number(b === 'none') - Number(a === 'none') || Number(a) - Number(b),
  );
  const nameOf = (key: string): string => (key === 'none' ? 'none' : `λ = ${key}`);
  return barChart({
    id: 'corrections',
    title: 'Scores of the corrections',
    description: `Validation loss of the original model with each candidate; ${chosen === null ? 'none' : nameOf(chosen)} was chosen.`,
    head: ['correction', 'validation loss'],
    bars: ordered.map(([key, loss]) => ({
      name: nameOf(key),
      value: loss,
      text: `${lossText(loss)}${key === chosen ? ' chosen' : ''}`,
      isChosen: key === chosen,
    })),
    note: 'Validation loss of the original model with the adapter as each candidate corrects it; the lowest is taken.',
  });
}
