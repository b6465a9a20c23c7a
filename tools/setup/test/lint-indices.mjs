/**
 * Reads `{name: code}` from stdin and prints `{name: [message, ...]}`: what the rule about indices
 * says of each, with types. Of the folder `hot`, casts of numbers are left.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';

import { checkedIndex } from '../lint-indices.mjs';

const rule = /** @type {import('eslint').Rule.RuleModule} */ (
  /** @type {unknown} */ (checkedIndex)
);
/** @type {Record<string, string>} */
const cases = JSON.parse(readFileSync(process.stdin.fd, 'utf8'));
const folder = mkdtempSync(join(tmpdir(), 'emloc-indices-'));
try {
  const names = Object.keys(cases);
  const compilerOptions = {
    strict: true,
    noUncheckedIndexedAccess: true,
    target: 'ES2023',
    module: 'ESNext',
    moduleResolution: 'bundler',
    types: [],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
  mkdirSync(join(folder, 'hot'));
  const files = names.map((name, index) => (name.startsWith('hot: ') ? `hot/${index}` : index));
  for (const [index, name] of names.entries())
    writeFileSync(join(folder, `${files[index]}.ts`), `${cases[name]}\nexport {};\n`);
  const eslint = new ESLint({
    cwd: folder,
    overrideConfigFile: true,
    overrideConfig: [
      {
        files: ['**/*.ts'],
        languageOptions: {
          parser: tseslint.parser,
          parserOptions: { project: './tsconfig.json', tsconfigRootDir: folder },
        },
        plugins: { emloc: { rules: { 'checked-index': rule } } },
        rules: { 'emloc/checked-index': 'error' },
      },
      { files: ['hot/*.ts'], rules: { 'emloc/checked-index': ['error', { numericCasts: true }] } },
    ],
  });
  const results = await eslint.lintFiles(['**/*.ts']);
  const said = new Map(results.map(({ filePath, messages }) => [filePath, messages]));
  const found = names.map((name, index) => [
    name,
    said.get(join(folder, `${files[index]}.ts`))?.map(({ message }) => message),
  ]);
  process.stdout.write(JSON.stringify(Object.fromEntries(found)));
} finally {
  rmSync(folder, { recursive: true });
}
