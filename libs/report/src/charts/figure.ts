import { html, type Html } from '../html.js';

/** The numbers of a chart. The first column names its row. */
export interface TableData {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface FigureParts {
  /** Unique in the page, of letters and dashes. */
  readonly id: string;
  readonly title: string;
  /** What the chart shows, for those who do not see it. */
  readonly description: string;
  /** Of a drawing that scales as a whole; without it, its places are shares of the page's width. */
  readonly width?: number;
  readonly height: number;
  readonly drawing: readonly Html[];
  readonly table: TableData;
  /** Under the chart. */
  readonly note?: string;
  readonly legend?: Html;
}

/** A chart with its title, and its numbers in a table that opens. */
export function figure(parts: FigureParts): Html {
  const { id, title, description, width, height, drawing, table, note, legend } = parts;
  return html`<figure id="${id}">
    <figcaption>${title}</figcaption>
    ${legend ?? null}
    <div class="chart" role="region" tabindex="0" aria-label="${title}, chart">
      <svg${width === undefined ? html` width="100%"` : html` class="scaled" viewBox="0 0 ${width} ${height}" width="${width}"`}
        height="${height}"
        role="img"
        aria-labelledby="${id}-title ${id}-description"
      >
        <title id="${id}-title">${title}</title>
        <desc id="${id}-description">${description}</desc>
        ${drawing}
      </svg>
    </div>
    ${note === undefined ? null : html`<p class="note">${note}</p>`}
    ${foldedTable(`${title}, as a table`, table)}
  </figure>`;
}

function foldedTable(summary: string, data: TableData): Html {
  return html`<details>
    <summary>${summary}</summary>
    ${table(summary, data)}
  </details>`;
}

/** Reached by the keyboard, so that what is wider than the page can be scrolled to. */
export function table(label: string, { head, rows }: TableData): Html {
  return html`<div class="table" role="region" tabindex="0" aria-label="${label}">
    <table>
      <thead>
        <tr>
          ${head.map((name) => html`<th scope="col">${name}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              ${row.map((cell, index) => (index === 0 ? html`<th scope="row">${cell}</th>` : html`<td>${cell}</td>`))}
            </tr> `,
        )}
      </tbody>
    </table>
  </div>`;
}
