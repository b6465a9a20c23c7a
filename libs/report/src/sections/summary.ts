import { formatBytes } from '@emloc/device';

import { listAt, numberAt, textAt } from '../fields.js';
import { html, type Html } from '../html.js';
import { countText, lossText, percentText } from '../numbers.js';
import type { ReportData } from '../report-data.js';
import { resultLoss } from './losses.js';

/** The job's name, what it came to in a few numbers, and whether that is good. */
export function summary({ record, run, before, after }: ReportData): Html {
  const base = textAt(record, 'baseModel', 'name') ?? 'a model';
  const [from, to] = [numberAt(record, 'validation', 'base'), resultLoss(record)];
  const rows = numberAt(record, 'data', 'trainRows');
  const pictures = numberAt(record, 'data', 'pictures', 'pictures');
  const facts: [string, string][] = [
    ...fact('validation loss, base model', from, lossText),
    ...fact('validation loss, with the adapter', to, lossText),
    ...fact('exact match, base model', before?.exactMatch ?? null, percentText),
    ...fact('exact match, with the adapter', after?.exactMatch ?? null, percentText),
    ...fact('training rows', rows, countText),
    ...fact('pictures', pictures, countText),
    ...fact('steps', numberAt(record, 'training', 'steps'), countText),
    ...fact('peak device memory', run.peakDeviceBytes, formatBytes),
  ];
  return html`<h1>${base}, fine-tuned</h1>
    <p class="lead">${methodOf(record)}</p>
    <dl class="facts">
      ${facts.map(
        ([name, text]) =>
          html`<div>
            <dt>${name}</dt>
            <dd>${text}</dd>
          </div>`,
      )}
    </dl>
    ${warningOf(record)}`;
}

function fact(
  name: string,
  value: number | null,
  text: (value: number) => string,
): [string, string][] {
  return value === null ? [] : [[name, text(value)]];
}

/** How the adapter was made, in a sentence. */
function methodOf(record: unknown): string {
  const rank = numberAt(record, 'lora', 'rank');
  const lora = rank === null ? 'LoRA' : `LoRA of rank ${rank}`;
  const [levels, ratios] = [textAt(record, 'levels'), listAt(record, 'ratios')];
  if (numberAt(record, 'emulator', 'parameters') === null)
    return `${lora}, trained on the original model.`;
  const made =
    levels !== null
      ? `emulators of growing size (${levels})`
      : `an emulator of ratio ${ratios.map(String).join(', ')}`;
  const refined = numberAt(record, 'refinement', 'steps');
  const last = refined === null ? '' : `, then refined on the original in ${refined} steps`;
  return `${lora}, trained on ${made}, corrected for the original model${last} (EMLoC, arXiv 2506.12015).`;
}

function warningOf(record: unknown): Html | null {
  const divergence = textAt(record, 'courses', 'train', 'divergence');
  switch (textAt(record, 'ending')) {
    case 'worse':
      return html`<p class="warning">
        The adapter is no better than the base model on the validation rows.
      </p>`;
    case 'diverged':
      return html`<p class="warning">
        Training diverged: ${divergence ?? ''}. The adapter is the last state before that.
      </p>`;
    default:
      return null;
  }
}
