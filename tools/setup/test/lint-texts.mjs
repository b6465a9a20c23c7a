/**
 * Reads `{name: [file, code]}` from stdin and prints `{name: [rule, ...]}`, without the rules that
 * need types.
 */
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';

/** @type {Record<string, [file: string, code: string]>} */
const cases = JSON.parse(readFileSync(process.stdin.fd, 'utf8'));
const { rules } = tseslint.configs.disableTypeChecked;
const eslint = new ESLint({
  overrideConfig: {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { project: null, program: null } },
    rules: { ...rules, '@typescript-eslint/switch-exhaustiveness-check': 'off' },
  },
});
/** @type {Record<string, (string | null)[]>} */
const found = {};
for (const [name, [filePath, code]] of Object.entries(cases)) {
  const [result] = await eslint.lintText(code, { filePath });
  found[name] = (result?.messages ?? []).map(({ ruleId, message }) => ruleId ?? message);
}
process.stdout.write(JSON.stringify(found));
