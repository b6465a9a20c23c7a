import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const sourceFolders = ['libs', 'services', 'tools'].flatMap((group) =>
  readdirSync(join(root, group), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(root, group, name, 'src')),
);

const code = /'([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)'/g;
/** `type SomethingErrorCode = 'A' | 'B';` */
const codeTypes = /\btype \w*ErrorCode\s*=([^;]*);/g;
/** `readonly code = 'A';` of a class with one code */
const codeProperties = /\breadonly code\s*=\s*('[A-Z0-9_]+')/g;
/**
 * `new SomethingError('A', ...)`, the first argument on the same line or the next. RpcError has
 * gRPC's status codes.
 */
const thrown = /\bnew (?!RpcError)\w+Error\(\s*('[A-Z0-9_]+')/g;

describe('docs/errors.md', () => {
  const sources = sourceFolders.flatMap(sourcesUnder);
  const declared = new Set(
    sources.flatMap((text) => [...codesIn(text, codeTypes), ...codesIn(text, codeProperties)]),
  );
  const documented = documentedCodes(readFileSync(join(root, 'docs/errors.md'), 'utf8'));

  it('is compared with the codes of all libraries and the command', () => {
    expect(sources.length).toBeGreaterThan(150);
    expect(declared.size).toBeGreaterThan(50);
    for (const one of [
      'DEVICE_OUT_OF_BUDGET',
      'CHECKPOINT_NOT_FOUND',
      'DATASET_INVALID_ROW',
      'PIPELINE_DOES_NOT_FIT',
      'CLI_USAGE',
    ]) {
      expect(declared).toContain(one);
    }
  });

  it('is about declared codes: nothing throws another', () => {
    const codes = sources.flatMap(thrownCodes);
    expect(codes.length).toBeGreaterThan(50);
    expect(codes.filter((one) => !declared.has(one))).toEqual([]);
  });

  it('has an entry for every code', () => {
    expect([...declared].filter((one) => !documented.includes(one)).sort()).toEqual([]);
  });

  it('has no entry for a code that does not exist', () => {
    expect(documented.filter((one) => !declared.has(one))).toEqual([]);
  });

  it('has one entry for each code', () => {
    expect(documented.length).toBe(new Set(documented).size);
  });
});

/** Texts of all TypeScript files under a folder, tests and generated files aside. */
function sourcesUnder(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'generated' ? [] : sourcesUnder(path);
    return entry.name.endsWith('.ts') && !entry.name.endsWith('.spec.ts')
      ? [readFileSync(path, 'utf8')]
      : [];
  });
}

function codesIn(text: string, places: RegExp): string[] {
  return [...text.matchAll(places)].flatMap(([, part = '']) =>
    [...part.matchAll(code)].map(([, one = '']) => one),
  );
}

function thrownCodes(text: string): string[] {
  return [...text.matchAll(thrown)].map(([, quoted = '']) => quoted.slice(1, -1));
}

/** First cells of the tables' rows: `| \`CODE\` | ...`. */
function documentedCodes(markdown: string): string[] {
  return [...markdown.matchAll(/^\| `([A-Z0-9_]+)` \|/gm)].map(([, one = '']) => one);
}
