import { Buffer } from 'node:buffer';

import { fromByteCharacters } from './byte-characters.js';
import { quote } from './errors.js';
import type { JsonPart } from './json.js';
import { metaspaceOptions } from './pre-tokenizers/metaspace.js';
import { stepsOf } from './steps-of.js';
import { textPattern, type TextPattern } from './text-pattern.js';

/** Makes the texts of tokens of the tokens, one step of decoding. */
type Decoder = (tokens: readonly string[]) => readonly string[];

/** The `decoder` of tokenizer.json; without one the tokens are parted by spaces. */
export function createDecoder(part: JsonPart): (tokens: readonly string[]) => string {
  if (part.isAbsent) return (tokens) => tokens.join(' ');
  const decode = createStep(part);
  return (tokens) => decode(tokens).join('');
}

function createStep(part: JsonPart): Decoder {
  const type = part.get('type').text;
  switch (type) {
    case 'Sequence':
      return sequence(stepsOf(part, 'decoders').map(createStep));
    case 'ByteLevel':
      return (tokens) => [fromBytes(Buffer.concat(tokens.map(fromByteCharacters)))];
    case 'ByteFallback':
      return byteFallback;
    case 'Fuse':
      return (tokens) => [tokens.join('')];
    case 'Metaspace':
      return metaspace(part);
    case 'Strip':
      return strip(part);
    case 'Replace':
      return replace(textPattern(part.get('pattern')), part.get('content').text);
    case 'WordPiece':
      return wordPiece(part.get('prefix').text, part.get('cleanup').flag);
    case 'BPEDecoder':
      return suffixes(part.get('suffix').text);
    case 'CTC':
      return ctc(part);
    default:
      return part.get('type').fail(`there is no decoder ${quote(type)}`);
  }
}

function sequence(steps: readonly Decoder[]): Decoder {
  return (tokens) => steps.reduce((decoded, step) => step(decoded), tokens);
}

function eachToken(change: (token: string, index: number) => string): Decoder {
  return (tokens) => tokens.map(change);
}

const lossy = new TextDecoder('utf-8', { ignoreBOM: true });
const strict = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

function fromBytes(bytes: Uint8Array): string {
  return lossy.decode(bytes);
}

/** Runs of tokens that stand for bytes become text, or a replacement character for each of them. */
const byteFallback: Decoder = (tokens) => {
  const decoded: string[] = [];
  let bytes: number[] = [];
  const flush = (): void => {
    if (bytes.length > 0) decoded.push(strictly(bytes));
    bytes = [];
  };
  for (const token of tokens) {
    const digits = /^<0x([0-9a-fA-F]{2}|\+[0-9a-fA-F])>$/.exec(token)?.[1];
    if (digits !== undefined) bytes.push(parseInt(digits, 16));
    else {
      flush();
      decoded.push(token);
    }
  }
  flush();
  return decoded;
};

function strictly(bytes: readonly number[]): string {
  try {
    return strict.decode(Uint8Array.from(bytes));
  } catch {
    return '\ufffd'.repeat(bytes.length);
  }
}

function metaspace(part: JsonPart): Decoder {
  const { replacement, scheme } = metaspaceOptions(part);
  return eachToken((token, i) =>
    token.replaceAll(replacement, i === 0 && scheme !== 'never' ? '' : ' '),
  );
}

function strip(part: JsonPart): Decoder {
  const content = part.get('content').character;
  const [start, stop] = [part.get('start').count, part.get('stop').count];
  return eachToken((token) => {
    const characters = Array.from(token);
    let [from, to] = [0, characters.length];
    while (from < start && characters[from] === content) from += 1;
    while (characters.length - to < stop && to > from && characters[to - 1] === content) to -= 1;
    return characters.slice(from, to).join('');
  });
}

function replace(pattern: TextPattern, content: string): Decoder {
  return eachToken((token) => {
    if (token === '') return token;
    const parts: string[] = [];
    let last = 0;
    pattern.forEachMatch(token, (start, end) => {
      parts.push(token.slice(last, start), content);
      last = end;
    });
    return parts.join('') + token.slice(last);
  });
}

function wordPiece(prefix: string, cleans: boolean): Decoder {
  return eachToken((token, i) => {
    const joined =
      i === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
    return cleans ? clean(joined) : joined;
  });
}

/** English punctuation and contractions without the spaces before them, in this order. */
const cleanedForms: readonly (readonly [string, string])[] = [
  [' .', '.'],
  [' ?', '?'],
  [' !', '!'],
  [' ,', ','],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [' do not', " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
];

function clean(text: string): string {
  return cleanedForms.reduce((cleaned, [from, to]) => cleaned.replaceAll(from, to), text);
}

function suffixes(suffix: string): Decoder {
  return (tokens) =>
    tokens.map((token, i) => token.replaceAll(suffix, i === tokens.length - 1 ? '' : ' '));
}

function ctc(part: JsonPart): Decoder {
  const pad = part.get('pad_token').text;
  const delimiter = part.get('word_delimiter_token').text;
  const cleans = part.get('cleanup').flag;
  return (tokens) =>
    tokens
      .filter((token, i) => i === 0 || token !== tokens[i - 1])
      .map((token) => token.replaceAll(pad, ''))
      .map((token) => (cleans ? clean(token).replaceAll(delimiter, ' ') : token))
      .filter((token) => token !== '');
}
