/**
 * Characters that a terminal obeys instead of showing them: C0 but tab and line feed, DEL, C1, and
 * those that change the direction of text.
 */
const obeyed =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g; // eslint-disable-line no-control-regex -- they are what it is for

/** A text of others as it may be printed: such characters are written as \uXXXX. */
export function visible(text: string): string {
  return text.replace(
    obeyed,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

const mostShown = 1000;
/** Of what is cut, the end often says what the limit is. */
const shownEnd = 200;

/** A message for people: visible, and cut where one of its lines is as long as none has to be. */
export function told(message: string): string {
  return message
    .split('\n')
    .map((line) => visible(line.length > mostShown ? cut(line) : line))
    .join('\n');
}

function cut(line: string): string {
  return `${line.slice(0, mostShown - shownEnd)} … ${line.slice(-shownEnd)}`;
}
