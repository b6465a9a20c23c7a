import { homedir } from 'node:os';
import { isAbsolute } from 'node:path';
import { readRegularFileSync } from '@emloc/untrusted';
import type { Command, Option } from 'commander';
import { isMap, isScalar, LineCounter, parseDocument, visit, type Scalar } from 'yaml';

import type { OptionGroup } from './command/define-command.js';
import { burdenOf } from './config-burden.js';
import { UsageError } from './usage-error.js';

/** Far more than all options need. */
const maxConfigBytes = 16 * 2 ** 20;
const mostShown = 200;

/**
 * Sets the options that `--config` names and the command line does not.
 * @throws UsageError naming file and key
 */
export function applyConfigFile(
  command: Command,
  { rivalOf }: Pick<OptionGroup<unknown>, 'rivalOf'>,
): void {
  const file = command.getOptionValue('config') as string | undefined;
  if (file === undefined) return;
  for (const [key, value] of Object.entries(readConfig(file))) {
    const option = command.options.find(
      ({ long }) => long === `--${key}` || long === `--no-${key}`,
    );
    if (!option || key === 'config')
      throw new UsageError(`config file ${file}: unknown key "${shown(key)}"`);
    const name = option.attributeName();
    const rival = rivalOf(name);
    const rivalSource = rival === undefined ? undefined : command.getOptionValueSource(rival);
    if (rivalSource === 'config')
      throw new UsageError(`config file ${file}: ${key} cannot be used with ${rival}`);
    if (command.getOptionValueSource(name) !== 'cli' && rivalSource !== 'cli')
      setOption(command, option, { file, key, value });
  }
}

function setOption(
  command: Command,
  option: Option,
  { file, key, value }: { file: string; key: string; value: unknown },
): void {
  const name = option.attributeName();
  if (option.isBoolean() || option.negate) {
    if (typeof value !== 'boolean')
      throw new UsageError(`config file ${file}: ${key} must be true or false`);
    command.setOptionValueWithSource(name, value, 'config');
    return;
  }
  const texts = (Array.isArray(value) ? value : [value])
    .map((item: unknown) => scalar(item, `config file ${file}: ${key}`))
    .map((text) => (isPath(option) ? atHome(text, `config file ${file}: ${key}`) : text));
  let parsed: unknown;
  try {
    for (const text of texts)
      parsed = option.parseArg ? option.parseArg(text, parsed as never) : text;
  } catch (cause) {
    const { message } = cause as Error;
    const given = message.includes(texts.at(-1) ?? '') ? '' : ` ${quoted(texts)}`;
    throw new UsageError(`config file ${file}: ${key}${given}: ${message}`, { cause });
  }
  if (texts.length !== 1 && !Array.isArray(parsed))
    throw new UsageError(`config file ${file}: ${key} takes one value`);
  command.setOptionValueWithSource(name, parsed, 'config');
}

const mostQuoted = 200;

function quoted(texts: readonly string[]): string {
  const all = texts.map((text) => JSON.stringify(text)).join(', ');
  return all.length > mostQuoted ? `${all.slice(0, mostQuoted)}…` : all;
}

function isPath({ flags }: Option): boolean {
  return /<(dir|file|path)\b/.test(flags);
}

/** `~` is the home folder, as a shell has it in flags. @throws UsageError for those of others */
function atHome(path: string, where: string): string {
  if (!/^(server:)?~/.test(path)) return path;
  const [, rest] = /^~(|\/.*)$/s.exec(path) ?? [];
  if (rest === undefined || !isAbsolute(homedir()))
    throw new UsageError(`${where}: the home folder of ${path} is not known, give the whole path`);
  return homedir() + rest;
}

function scalar(value: unknown, where: string): string {
  if (typeof value === 'string' && value.includes('\0'))
    throw new UsageError(`${where} has the character U+0000`);
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  throw new UsageError(`${where} must be a text or a number`);
}

function readConfig(file: string): Record<string, unknown> {
  let text: string;
  try {
    text = readRegularFileSync(file, maxConfigBytes).toString('utf8');
  } catch (cause) {
    throw new UsageError(`config file ${file} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
  const config = parseConfig(text, file);
  if (config === null) return {};
  if (typeof config !== 'object' || Array.isArray(config))
    throw new UsageError(`config file ${file}: a mapping of flags to values is expected`);
  return config as Record<string, unknown>;
}

/** So that what is wrong with it is told of what stands in the file, which may have more digits. */
function keepNumberAsGiven(_key: unknown, node: Scalar): void {
  const { value, source } = node;
  if (typeof value === 'number' && Object.is(Number(source), value)) node.value = source;
}

/** @throws UsageError */
function parseConfig(text: string, file: string): unknown {
  const burden = burdenOf(text);
  if (burden !== null) throw new UsageError(`config file ${file}: ${burden}`);
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false, uniqueKeys: false });
  const [error] = document.errors;
  if (error) {
    const { line, col } = lineCounter.linePos(error.pos[0]);
    const place = `line ${line}, column ${col}`;
    throw new UsageError(`config file ${file}: ${error.message} at ${place}`, { cause: error });
  }
  assertUniqueKeys(document, file);
  visit(document, { Scalar: keepNumberAsGiven });
  try {
    return document.toJS();
  } catch (cause) {
    // Aliases of nothing, or that multiply.
    throw new UsageError(`config file ${file}: ${(cause as Error).message}`, { cause });
  }
}

/** The parser itself compares every key with every other. */
function assertUniqueKeys({ contents }: ReturnType<typeof parseDocument>, file: string): void {
  const seen = new Set<string>();
  for (const { key } of isMap(contents) ? contents.items : []) {
    const name = String(isScalar(key) ? key.value : key);
    if (seen.has(name))
      throw new UsageError(`config file ${file}: keys must be unique, "${shown(name)}" is not`);
    seen.add(name);
  }
}

function shown(key: string): string {
  return key.length > mostShown ? `${key.slice(0, mostShown)}…` : key;
}
