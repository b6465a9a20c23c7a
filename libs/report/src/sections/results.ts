import { html, type Html } from '../html.js';
import type { Answered, ReportData, Sample } from '../report-data.js';

/** Answers of both models side by side; null where none were asked for. */
export function answers({ before, after }: ReportData): Html | null {
  const rows = paired(before?.answers ?? [], after?.answers ?? []);
  if (rows.length === 0) return null;
  return html`<h2>Answers before and after</h2>
    <div class="table answers" role="region" tabindex="0" aria-label="Answers before and after">
      <table>
        <thead>
          <tr>
            <th scope="col">row</th>
            <th scope="col">expected</th>
            <th scope="col">base model</th>
            <th scope="col">with the adapter</th>
          </tr>
        </thead>
        <tbody>
          ${rows.map(
            ([line, expected, base, tuned]) =>
              html`<tr>
                <th scope="row">${line}</th>
                <td>${cut(expected)}</td>
                <td>${cut(base)}</td>
                <td>${cut(tuned)}</td>
              </tr> `,
          )}
        </tbody>
      </table>
    </div>`;
}

/** Of one answer in the table. */
const mostShown = 400;

/** The beginning of a text, and how much more there is. */
function cut(text: string): string {
  const characters = [...text];
  return characters.length <= mostShown
    ? text
    : `${characters.slice(0, mostShown).join('')} … (${characters.length - mostShown} more characters)`;
}

function paired(
  before: readonly Answered[],
  after: readonly Answered[],
): (readonly [line: string, expected: string, base: string, tuned: string])[] {
  const keyOf = ({ line, expected }: Answered): string => JSON.stringify([line, expected]);
  const [bases, tuned] = [before, after].map(
    (list) => new Map((list ?? []).map((each) => [keyOf(each), each])),
  );
  const keys = new Set([...(bases?.keys() ?? []), ...(tuned?.keys() ?? [])]);
  return [...keys].map((key) => {
    const [base, result] = [bases?.get(key), tuned?.get(key)];
    const { line = null, expected = '' } = base ?? result ?? {};
    return [line === null ? '' : String(line), expected, base?.answer ?? '', result?.answer ?? ''];
  });
}

/** Pictures of each prompt, from before training to the result; null where none were made. */
export function pictures({ samples, samplesLeftOut }: ReportData): Html | null {
  if (samples.length === 0) return null;
  const prompts = [...new Set(samples.map(({ index }) => index))].sort((a, b) => a - b);
  const groups = prompts.map((prompt) => {
    const made = samples.filter(({ index }) => index === prompt).sort(byStep);
    return html`<h3>Prompt ${prompt + 1}</h3>
      <div class="pictures">${made.map(picture)}</div>`;
  });
  return html`<h2>Pictures before and after</h2>
    ${groups}
    ${samplesLeftOut > 0 ? html`<p class="note">${samplesLeftOut} more pictures are in the folder samples: a page with them would be too large.</p>` : null}`;
}

function picture({ step, index, png }: Sample): Html {
  const when = step === null ? 'the result' : step === 0 ? 'before training' : `after step ${step}`;
  return html`<figure>
    <img
      src="data:image/png;base64,${png.toString('base64')}"
      alt="Picture of prompt ${index + 1}, ${when}"
    />
    <figcaption>${when}</figcaption>
  </figure>`;
}

function byStep({ step: a }: Sample, { step: b }: Sample): number {
  return (a ?? Number.MAX_SAFE_INTEGER) - (b ?? Number.MAX_SAFE_INTEGER);
}
