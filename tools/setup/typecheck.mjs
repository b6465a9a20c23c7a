/**
 * `node tools/setup/typecheck.mjs libs/NAME`: type errors of one project, under the root
 * tsconfig.json. What it imports is loaded but reported by its own check; `npm run typecheck`
 * reports all.
 */
import { join, relative } from 'node:path';
import process from 'node:process';
import ts from 'typescript';

import { workspaceRoot } from './workspace.mjs';

const project = process.argv[2];
if (!project) {
  console.error('usage: node tools/setup/typecheck.mjs PROJECT_FOLDER');
  process.exit(2);
}

const host = {
  getCanonicalFileName: (/** @type {string} */ name) => name,
  getCurrentDirectory: () => workspaceRoot,
  getNewLine: () => '\n',
};
const configFile = join(workspaceRoot, 'tsconfig.json');
const config = ts.parseJsonConfigFileContent(
  ts.readConfigFile(configFile, ts.sys.readFile).config,
  ts.sys,
  workspaceRoot,
);
const isOwn = (/** @type {string} */ file) =>
  relative(join(workspaceRoot, project), file).split(/[\\/]/)[0] !== '..';
const rootNames = config.fileNames.filter(isOwn);
const program = ts.createProgram({
  rootNames,
  options: config.options,
  configFileParsingDiagnostics: config.errors,
});
const diagnostics = [
  ...program.getConfigFileParsingDiagnostics(),
  ...program.getGlobalDiagnostics(),
  ...program
    .getSourceFiles()
    .filter(({ fileName }) => isOwn(fileName))
    .flatMap((file) => [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file),
    ]),
];
if (diagnostics.length > 0)
  console.error(ts.formatDiagnosticsWithColorAndContext(diagnostics, host));
console.error(`typecheck: ${project}: ${rootNames.length} files, ${diagnostics.length} errors`);
process.exitCode = diagnostics.length > 0 ? 1 : 0;
