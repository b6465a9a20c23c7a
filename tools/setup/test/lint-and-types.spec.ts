import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const script = fileURLToPath(new URL('../lint-and-types.mjs', import.meta.url));
const plugin = pathToFileURL(createRequire(script).resolve('typescript-eslint')).href;
const compilerOptions = {
  ...{ strict: true, target: 'es2022', module: 'esnext', moduleResolution: 'bundler' },
  ...{ lib: ['es2022'], types: [], skipLibCheck: true },
};

const files = {
  'tsconfig.json': JSON.stringify({ compilerOptions, include: ['*.ts'] }),
  'eslint.config.mjs': `
    import tseslint from ${JSON.stringify(plugin)};
    export default [
      { rules: { 'no-var': 'warn' } },
      {
        files: ['*.ts'],
        plugins: { '@typescript-eslint': tseslint.plugin },
        languageOptions: { parser: tseslint.parser },
        rules: { '@typescript-eslint/no-floating-promises': 'error' },
      },
    ];`,
  'right.ts': 'export const right = 1;\n',
  'late.ts': 'export async function late() {}\nlate();\n',
  'typed.ts': "export const typed: number = 'a text';\n",
  'old.js': 'var old;\n',
};

it('says what rules find by types, in other files, and what is wrong with types', () => {
  const folder = mkdtempSync(join(tmpdir(), 'emloc-lint-and-types-'));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    const { status, stdout } = spawnSync(process.execPath, [script, folder], { encoding: 'utf8' });
    expect(stdout).toMatch(/late\.ts\n +2:1 +error .*no-floating-promises/);
    expect(stdout).toMatch(/old\.js\n +1:1 +warning .*no-var/);
    expect(stdout).toMatch(/^typed\.ts\(1,14\): error TS2322/m);
    expect(stdout).toMatch(/^types: 3 files\n(.*\n)*lint: 5 files$/m);
    expect(stdout).not.toContain('right.ts');
    expect(status).toBe(1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
