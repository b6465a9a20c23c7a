import Table from 'cli-table3';

const frameless = {
  chars: {
    top: '',
    'top-mid': '',
    'top-left': '',
    'top-right': '',
    bottom: '',
    'bottom-mid': '',
    'bottom-left': '',
    'bottom-right': '',
    left: '  ',
    'left-mid': '',
    mid: '',
    'mid-mid': '',
    right: '',
    'right-mid': '',
    middle: '  ',
  },
  style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
};

/** Rows in columns, of which the last so many are numbers. */
export function render(rows: readonly (readonly string[])[], numericColumns: number): string {
  const columns = rows.at(0)?.length ?? 0;
  const colAligns = Array.from({ length: columns }, (_, index) =>
    index >= columns - numericColumns ? ('right' as const) : ('left' as const),
  );
  const table = new Table({ ...frameless, colAligns });
  for (const row of rows) table.push([...row]);
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}
