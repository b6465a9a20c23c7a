import { textAt } from './fields.js';
import { html } from './html.js';
import type { ReportData } from './report-data.js';
import { emulation } from './sections/emulation.js';
import { losses } from './sections/losses.js';
import { provenance } from './sections/provenance.js';
import { resources } from './sections/resources.js';
import { answers, pictures } from './sections/results.js';
import { summary } from './sections/summary.js';
import { style } from './style.js';

/** What a browser may do with the page: nothing but show it. */
const policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/** One HTML file that needs nothing else: no script, no font, no request. */
export function reportPage(data: ReportData): string {
  const base = textAt(data.record, 'baseModel', 'name') ?? 'a model';
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="${policy}" />
        <meta name="referrer" content="no-referrer" />
        <link rel="icon" href="data:," />
        <title>${base}, fine-tuned</title>
        <style>
          ${style}
        </style>
      </head>
      <body>
        <main>
          ${summary(data)} ${pictures(data)} ${answers(data)} ${losses(data)} ${emulation(data)}
          ${resources(data)} ${provenance(data)}
        </main>
      </body>
    </html> `.text;
}
