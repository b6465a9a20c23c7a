import { type PythonException } from './errors.js';

export class PyFloat {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** A range of UTF-16 units that a generation mark encloses. */
export interface Mark {
  readonly start: number;
  readonly end: number;
}

const NO_MARKS: readonly Mark[] = [];

/** A str that is more than its text: Markup (`safe`), or with generation marks inside. */
export class RichText {
  readonly text: string;
  readonly safe: boolean;
  readonly marks: readonly Mark[];

  constructor(text: string, safe: boolean, marks: readonly Mark[] = NO_MARKS) {
    this.text = text;
    this.safe = safe;
    this.marks = marks;
  }
}

/** The value of a name, attribute or item that is not there. */
export class Undefined {
  readonly #message: string | (() => string);
  readonly exception: PythonException;

  constructor(message: string | (() => string), exception: PythonException = 'UndefinedError') {
    this.#message = message;
    this.exception = exception;
  }

  get message(): string {
    return typeof this.#message === 'string' ? this.#message : this.#message();
  }
}
