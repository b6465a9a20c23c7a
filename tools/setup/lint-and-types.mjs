/**
 * `node tools/setup/lint-and-types.mjs [FOLDER]`: what `npm run lint` and `npm run typecheck` find,
 * on one program of the compiler: files are read once, and types that one has asked for are known
 * to the other. FOLDER is the root of a project (this repository).
 */
import { resolve } from 'node:path';
import process from 'node:process';
import { ESLint } from 'eslint';
import ts from 'typescript';

import { workspaceRoot } from './workspace.mjs';

const root = resolve(process.argv[2] ?? workspaceRoot);
// The rule of boundaries reads its graph once where this is ESLint's command, else for every file.
process.argv[1] = resolve(workspaceRoot, 'node_modules/eslint/bin/eslint.js');
const program = openProgram();
// Then most of what rules ask of types is known.
const hasTypeErrors = checkTypes(program);
const hasLintErrors = await lint(program);
process.exitCode = hasTypeErrors || hasLintErrors ? 1 : 0;

function openProgram() {
  const { config, error } = ts.readConfigFile(resolve(root, 'tsconfig.json'), ts.sys.readFile);
  const { fileNames, options, errors } = ts.parseJsonConfigFileContent(config, ts.sys, root, {
    noEmit: true,
  });
  return ts.createProgram({
    rootNames: fileNames,
    options,
    // Rules go from a node to what holds it.
    host: ts.createCompilerHost(options, true),
    configFileParsingDiagnostics: error ? [error, ...errors] : errors,
  });
}

/**
 * @param {ts.Program} program
 * @returns {Promise<boolean>} whether there are errors or warnings
 */
async function lint(program) {
  const eslint = new ESLint({
    cwd: root,
    overrideConfig: {
      files: ['**/*.ts'],
      languageOptions: { parserOptions: { programs: [program] } },
    },
  });
  const results = await eslint.lintFiles('.');
  const formatter = await eslint.loadFormatter();
  const text = await formatter.format(results);
  if (text !== '') console.log(text);
  const { length } = results;
  console.log(`lint: ${length} files`);
  return (
    length === 0 || results.some(({ errorCount, warningCount }) => errorCount + warningCount > 0)
  );
}

/**
 * @param {ts.Program} program
 * @returns {boolean} whether there are errors
 */
function checkTypes(program) {
  const diagnostics = ts.getPreEmitDiagnostics(program);
  const host = {
    getCanonicalFileName: (/** @type {string} */ name) => name,
    getCurrentDirectory: () => root,
    getNewLine: () => '\n',
  };
  if (diagnostics.length > 0) console.log(ts.formatDiagnostics(diagnostics, host));
  const { length } = program.getRootFileNames();
  console.log(`types: ${length} files`);
  return length === 0 || diagnostics.length > 0;
}
