import { readFileSync } from 'node:fs';
import { describeOptions } from '@emloc/service';

import { builderOptions } from './options.js';

test('README.md has the table of options', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  expect(readme).toContain(`\`\`\`\n${describeOptions(builderOptions, 'EMLOC')}\n\`\`\`\n`);
});
